#!/usr/bin/env python3
"""Short calls over UDP, both sides in one process, at an even rate: what a capture under load sees.

  sip-load.py --from ADDR --to ADDR [--port 5060] [--packets N] [--rate PER_SECOND] [--rtp PAIRS]

Each call is INVITE, 100, 200, ACK, PAIRS of RTP packets (one each way), BYE, 200: 6 + 2 * PAIRS packets. Says at the end how many
packets of SIP and of RTP were sent in how many calls, and in what time.
"""
import argparse
import socket
import time

ap = argparse.ArgumentParser()
ap.add_argument("--from", dest="src", required=True)
ap.add_argument("--to", dest="dst", required=True)
ap.add_argument("--port", type=int, default=5060)
ap.add_argument("--packets", type=int, default=600)
ap.add_argument("--rate", type=int, default=1000)
ap.add_argument("--rtp", type=int, default=0)
o = ap.parse_args()


def sock(addr, port):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    # nobody reads what arrives: a small buffer is full at once, and costs nothing more
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.bind((addr, port))
    return s


A, B = sock(o.src, o.port), sock(o.dst, o.port)
MEDIA = [(sock(o.src, o.port + 2 + 2 * i), sock(o.dst, o.port + 2 + 2 * i)) for i in range(100 if o.rtp else 0)]
to_a, to_b = (o.src, o.port), (o.dst, o.port)


def sdp(addr, port):
    return f"v=0\r\no=- 1 1 IN IP4 {addr}\r\ns=-\r\nc=IN IP4 {addr}\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\n"


def message(line, cseq, to_tag, body):
    kind = "Content-Type: application/sdp\r\n" if body else ""
    return (
        f"{line}\r\nVia: SIP/2.0/UDP {o.src}:{o.port};branch=z9hG4bK@N@{cseq.replace(' ', '')}\r\nMax-Forwards: 70\r\n"
        f"From: <sip:1001@{o.src}>;tag=f@N@\r\nTo: <sip:1002@{o.dst}>{to_tag}\r\nCall-ID: @N@@load\r\nCSeq: {cseq}\r\n"
        f"Contact: <sip:{o.src}:{o.port}>\r\n{kind}Content-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


def call_of(port):
    a_sdp, b_sdp = (sdp(o.src, port), sdp(o.dst, port)) if o.rtp else ("", "")
    uri, tag = f"sip:1002@{o.dst}:{o.port} SIP/2.0", ";tag=t@N@"
    return [
        (A, to_b, message(f"INVITE {uri}", "1 INVITE", "", a_sdp)),
        (B, to_a, message("SIP/2.0 100 Trying", "1 INVITE", "", "")),
        (B, to_a, message("SIP/2.0 200 OK", "1 INVITE", tag, b_sdp)),
        (A, to_b, message(f"ACK {uri}", "1 ACK", tag, "")),
    ], [
        (A, to_b, message(f"BYE {uri}", "2 BYE", tag, "")),
        (B, to_a, message("SIP/2.0 200 OK", "2 BYE", tag, "")),
    ]


templates = [call_of(o.port + 2 + 2 * i) for i in range(len(MEDIA) or 1)]
begin = time.monotonic()
sip = rtp = calls = 0
while sip + rtp < o.packets:
    name = b"%08d" % calls
    head, tail = templates[calls % len(templates)]
    for s, to, m in head:
        s.sendto(m.replace(b"@N@", name), to)
    if o.rtp:
        port = o.port + 2 + 2 * (calls % len(MEDIA))
        a, b = MEDIA[calls % len(MEDIA)]
        for i in range(o.rtp):
            h = b"\x80\x00" + i.to_bytes(2, "big") + (160 * i).to_bytes(4, "big") + calls.to_bytes(4, "big") + b"\xff" * 160
            a.sendto(h, (o.dst, port))
            b.sendto(h, (o.src, port))
    for s, to, m in tail:
        s.sendto(m.replace(b"@N@", name), to)
    calls += 1
    sip += 6
    rtp += 2 * o.rtp
    ahead = (sip + rtp) / o.rate - (time.monotonic() - begin)
    if ahead > 0.001:
        time.sleep(ahead)
print(f"{sip} SIP {rtp} RTP {calls} calls in {time.monotonic() - begin:.2f} s")
