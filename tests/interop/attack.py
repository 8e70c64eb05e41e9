#!/usr/bin/env python3
"""Attackers without a name that gives them away: they guess passwords, try users, flood, and hold connections open.

  attack.py crack FROM SERVER USER N     N wrong passwords
  attack.py users FROM SERVER N          N users, never with credentials; tells whether all got the same answer
  attack.py flood NET SERVER METHOD SOURCES N    N requests in all from NET.100, NET.101, ...
  attack.py loris FROM SERVER N          N connections that send half a message, byte by byte, for 3 seconds
  attack.py slow FROM SERVER N           N connections by TCP, TLS, WS and (a fifth) WSS that say a little each second and never get done: half
                                         a ClientHello, half an upgrade, half a message; fails unless all are closed in time
  attack.py idle FROM SERVER N           N connections that say nothing, for 10 seconds; tells how many were let stand
"""
import hashlib
import re
import resource
import socket
import ssl
import sys
import time

what, src, server, *rest = sys.argv[1:]


def udp(addr):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((addr, 0))
    s.settimeout(0.2)
    return s


def request(s, method, user, n, auth=""):
    addr, port = s.getsockname()
    uri = f"sip:{server}" if method == "REGISTER" else f"sip:{user}@{server}"
    return (
        f"{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {addr}:{port};branch=z9hG4bK{n}{port};rport\r\nMax-Forwards: 70\r\n"
        f"From: <sip:{user}@{server}>;tag=f{n}\r\nTo: <sip:{user}@{server}>\r\nCall-ID: {n}-{port}@{addr}\r\nCSeq: 1 {method}\r\n"
        f"Contact: <sip:{addr}:{port}>\r\nEvent: presence\r\nUser-Agent: Phone 1.0\r\n{auth}Content-Length: 0\r\n\r\n"
    ).encode()


def answer(s):
    try:
        return s.recv(65535).decode()
    except socket.timeout:
        return ""


def md5(text):
    return hashlib.md5(text.encode()).hexdigest()


def crack(user, n):
    s = udp(src)
    for i in range(int(n)):
        s.sendto(request(s, "REGISTER", user, 2 * i), (server, 5060))
        m = re.search(r'realm="([^"]*)".*?nonce="([^"]*)"', answer(s))
        if not m:
            print(f"no answer after {i} guesses")
            return
        realm, nonce = m.groups()
        uri = f"sip:{server}"
        response = md5(f"{md5(f'{user}:{realm}:guess{i}')}:{nonce}:{md5(f'REGISTER:{uri}')}")
        auth = f'Authorization: Digest username="{user}", realm="{realm}", nonce="{nonce}", uri="{uri}", response="{response}"\r\n'
        s.sendto(request(s, "REGISTER", user, 2 * i + 1, auth), (server, 5060))
        answer(s)


def users(n):
    s = udp(src)
    answers = set()
    for i in range(int(n)):
        user = str(1000 + i)
        s.sendto(request(s, "REGISTER", user, i), (server, 5060))
        text = answer(s)
        if text:
            text = re.sub(r'nonce="[^"]*"|tag=[^\r]*', "", text)
            answers.add("\n".join(x for x in text.splitlines() if not re.match("Via|From|To|Call-ID|CSeq", x)))
    print("one answer for all" if len(answers) == 1 else f"{len(answers)} answers: {answers}")
    time.sleep(6)


def flood(method, sources, n):
    socks = [udp(f"{src}.{100 + i}") for i in range(int(sources))]
    begin = time.monotonic()
    for i in range(int(n)):
        s = socks[i % len(socks)]
        s.sendto(request(s, method, f"u{i}", i), (server, 5060))
        if i % 50 == 49:
            time.sleep(max(0, begin + i / 6000 - time.monotonic()))


def loris(n):
    conns = []
    for _ in range(int(n)):
        s = socket.socket()
        s.bind((src, 0))
        s.connect((server, 5060))
        conns.append(s)
    text = request(conns[0], "REGISTER", "1001", 1)
    for at in range(6):
        for s in conns:
            try:
                s.send(text[at : at + 1])
            except OSError:
                pass
        time.sleep(0.5)


def connect(port):
    s = socket.socket()
    s.bind((src, 0))
    s.connect((server, port))
    return s


def is_closed(s):
    try:
        return s.recv(4096) == b""
    except (BlockingIOError, ssl.SSLWantReadError):
        return False
    except OSError:
        return True


LIMITS = {"tcp": 30, "tls": 10, "ws": 10, "wss": 10}  # seconds: LIMIT_STREAM_MESSAGE_US, LIMIT_HANDSHAKE_US
SLACK = 6


def slow(n):
    tls = ssl.create_default_context()
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    hello = tls.wrap_bio(into, out)
    try:
        hello.do_handshake()
    except ssl.SSLWantReadError:
        pass
    upgrade = f"GET / HTTP/1.1\r\nHost: {server}\r\n".encode()
    says = {  # what each says first, and then each second
        "tcp": (f"OPTIONS sip:{server} SIP/2.0\r\n".encode(), b"X-More: 1\r\n"),
        "tls": (out.read()[:40], b"\0"),
        "ws": (upgrade, b"X-More: 1\r\n"),
        "wss": (upgrade, b"X-More: 1\r\n"),
    }
    ports = {"tcp": 5060, "tls": 5061, "ws": 8088, "wss": 8089}
    conns = []
    for kind in says:
        for _ in range(int(n) // (5 if kind == "wss" else 1)):
            s = connect(ports[kind])
            if kind == "wss":
                s = tls.wrap_socket(s)
            begin = time.monotonic()
            s.send(says[kind][0])
            s.setblocking(False)
            conns.append((kind, s, begin))
    closed = {kind: [] for kind in says}
    total = {kind: sum(k == kind for k, _, _ in conns) for kind in says}
    end = time.monotonic() + max(LIMITS.values()) + SLACK
    while conns and time.monotonic() < end:
        left = []
        for kind, s, begin in conns:
            if is_closed(s):
                closed[kind].append(time.monotonic() - begin)
                continue
            try:
                s.send(says[kind][1])
            except OSError:
                pass
            left.append((kind, s, begin))
        conns = left
        time.sleep(1)
    for kind, times in closed.items():
        print(f"{kind}: {len(times)} of {total[kind]} closed, after {max(times, default=0):.1f} s at most")
    if any(len(t) < total[k] or max(t) > LIMITS[k] + SLACK for k, t in closed.items()):
        sys.exit(1)


def idle(n):
    resource.setrlimit(resource.RLIMIT_NOFILE, (int(n) + 100,) * 2)
    conns = [connect(5060) for _ in range(int(n))]
    time.sleep(2)
    stand = 0
    for s in conns:
        s.setblocking(False)
        stand += not is_closed(s)
    print(f"{stand} of {n} stand", flush=True)
    time.sleep(8)


{"crack": crack, "users": users, "flood": flood, "loris": loris, "slow": slow, "idle": idle}[what](*rest)
