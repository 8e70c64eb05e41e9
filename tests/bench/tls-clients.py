#!/usr/bin/env python3
"""TLS connections that say OPTIONS once, read the answer, and stay.

  tls-clients.py ADDR PORT FIRST MORE

FIRST of them at once, then "FIRST open"; at SIGUSR1 MORE of them, then "FIRST+MORE open". Ends with its parent, or by a signal.
"""
import resource
import signal
import socket
import ssl
import sys

addr, port, first, more = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
resource.setrlimit(resource.RLIMIT_NOFILE, (first + more + 64, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.check_hostname = False
context.verify_mode = ssl.CERT_NONE
connections = []


def connect(n):
    c = context.wrap_socket(socket.create_connection((addr, port), timeout=10))
    host, local = c.getsockname()
    c.sendall(
        (
            f"OPTIONS sip:{addr} SIP/2.0\r\nVia: SIP/2.0/TLS {host}:{local};branch=z9hG4bK{n}\r\nMax-Forwards: 70\r\n"
            f"From: <sip:u000001@{addr}>;tag={n}\r\nTo: <sip:{addr}>\r\nCall-ID: {n}@{host}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
        ).encode()
    )
    if not c.recv(4096).startswith(b"SIP/2.0 200"):
        sys.exit(f"connection {n}: not answered")
    connections.append(c)


for count in (first, more):
    for _ in range(count):
        connect(len(connections))
    print(len(connections), "open", flush=True)
    signal.sigwait([signal.SIGUSR1])
