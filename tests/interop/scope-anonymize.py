"""Captures with tokens planted in them, and the search for what is left of them (scope-anonymize.sh).

  make KIND FILE   writes a pcapng, prints its tokens: "text WORD" or "hex BYTES", one a line
  find FILE        prints each token of the standard input that is found in FILE, in any spelling
  rules, messages  of rung's JSON what must not change
"""
import base64, json, re, socket, struct, sys, urllib.parse

tokens = []
n_made = 0


def T(hint="w"):
    """A word that occurs nowhere else; its first letter tells where it was planted."""
    global n_made
    n_made += 1
    word = "%sq%sxk" % (hint, "".join("bcdfghjlmnpqrstvwz"[(n_made // 18 ** i + i * 5) % 18] for i in range(6)))
    tokens.append("text " + word)
    return word


def N():
    """A number that occurs nowhere else."""
    global n_made
    n_made += 1
    number = "49%08d" % (73190000 + n_made * 1237)
    tokens.append("text " + number)
    return number


n_v4 = 0


def V4():
    global n_v4
    n_v4 += 1
    a = "203.%d.%d.%d" % (130 + n_v4, 171, 90 + n_v4)
    tokens.append("text " + a)
    tokens.append("hex " + socket.inet_aton(a).hex())
    return a


def V6():
    global n_v4
    n_v4 += 1
    a = "2a01:4f8:%x:beef::%x" % (0x7a00 + n_v4, 0x9d00 + n_v4)
    tokens.append("text " + a)
    tokens.append("hex " + socket.inet_pton(socket.AF_INET6, a).hex())
    return a


def BYTES(n):
    global n_made
    n_made += 1
    b = bytes((n_made * 37 + i * 91 + 0x5b) & 0xff for i in range(n))
    tokens.append("hex " + b.hex())
    return b


# --- packets ---

def summed(b):
    if len(b) % 2:
        b += b"\0"
    s = sum(struct.unpack(">%dH" % (len(b) // 2), b))
    while s >> 16:
        s = (s & 0xffff) + (s >> 16)
    return ~s & 0xffff


def ip(src, dst, proto, payload, ident=1):
    if ":" in src:
        return struct.pack(">IHBB", 6 << 28, len(payload), proto, 64) + socket.inet_pton(socket.AF_INET6, src) + socket.inet_pton(socket.AF_INET6, dst) + payload
    head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), ident, 0, 64, proto, 0, socket.inet_aton(src), socket.inet_aton(dst))
    return head[:10] + struct.pack(">H", summed(head)) + head[12:] + payload


def pseudo(src, dst, proto, n):
    if ":" in src:
        return socket.inet_pton(socket.AF_INET6, src) + socket.inet_pton(socket.AF_INET6, dst) + struct.pack(">II", n, proto)
    return socket.inet_aton(src) + socket.inet_aton(dst) + struct.pack(">HH", proto, n)


def udp(src, sport, dst, dport, payload):
    u = struct.pack(">HHHH", sport, dport, 8 + len(payload), 0) + payload
    u = u[:6] + struct.pack(">H", summed(pseudo(src, dst, 17, len(u)) + u) or 0xffff) + u[8:]
    return ip(src, dst, 17, u)


def tcp(src, sport, dst, dport, seq, ack, payload, flags=0x18):
    t = struct.pack(">HHIIBBHHH", sport, dport, seq, ack, 5 << 4, flags, 65535, 0, 0) + payload
    t = t[:16] + struct.pack(">H", summed(pseudo(src, dst, 6, len(t)) + t)) + t[18:]
    return ip(src, dst, 6, t)


def block(kind, body):
    body += b"\0" * (-len(body) % 4)
    return struct.pack("<II", kind, 12 + len(body)) + body + struct.pack("<I", 12 + len(body))


def option(code, value):
    value = value.encode() if isinstance(value, str) else value
    return struct.pack("<HH", code, len(value)) + value + b"\0" * (-len(value) % 4)


END = struct.pack("<HH", 0, 0)


class Capture:
    def __init__(self):
        self.mac = [BYTES(6), BYTES(6)]
        self.out = block(0x0a0d0d0a, struct.pack("<IHHq", 0x1a2b3c4d, 1, 0, -1) + option(1, T("c")) + option(2, T("h")) + option(3, T("o")) + END)
        self.out += block(1, struct.pack("<HHI", 1, 0, 0) + option(2, T("i")) + option(3, T("d")) + option(1, T("c")) + END)
        self.at = 1700000000.0

    def frame(self, ether, payload, gap=0.05):
        self.at += gap
        us = int(self.at * 1e6)
        p = self.mac[0] + self.mac[1] + struct.pack(">H", ether) + payload
        self.out += block(6, struct.pack("<IIIII", 0, us >> 32, us & 0xffffffff, len(p), len(p)) + p + b"\0" * (-len(p) % 4) + option(1, "seen by " + T("c")) + END)

    def packet(self, payload, **more):
        self.frame(0x86dd if payload[0] >> 4 == 6 else 0x0800, payload, **more)


# --- messages ---

def sip(start, headers, body=b"", kind=None):
    body = body.encode() if isinstance(body, str) else body
    lines = [start] + headers + (["Content-Type: " + kind] if kind else []) + ["Content-Length: %d" % len(body), "", ""]
    return "\r\n".join(lines).encode() + body


def dialog(a, b, call=None, cseq="1 INVITE", tag=None):
    return ["Via: SIP/2.0/UDP %s:5060;branch=z9hG4bK%s;rport" % (a, T("b")), "Max-Forwards: 70", "From: <sip:%s@%s>;tag=%s" % (T("u"), a, T("t")),
            "To: <sip:%s@%s>%s" % (T("u"), b, ";tag=" + tag if tag else ""), "Call-ID: " + (call or T("i") + "@" + T("h") + ".example"), "CSeq: " + cseq]


def exchange(cap, a, b, request, response=None):
    cap.packet(udp(a, 5060, b, 5060, request))
    if response:
        cap.packet(udp(b, 5060, a, 5060, response))


def answer(request, status, more=(), body=b"", kind=None):
    head = request.split(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
    kept = [h for h in head[1:] if re.match(r"(Via|From|To|Call-ID|CSeq):", h)]
    return sip("SIP/2.0 " + status, [h + ";tag=" + T("t") if h.startswith("To:") else h for h in kept] + list(more), body, kind)


def headers(cap):
    a, b = V4(), V4()
    host = T("h") + ".example"
    r = sip("INVITE sip:%s;%s=%s:%s@%s;%s=%s?Subject=%s&%s=%s SIP/2.0" % (T("u"), T("p"), T("p"), T("s"), host, T("p"), T("v"), T("s"), T("n"), T("v")),
            ["Via: SIP/2.0/UDP %s:5060;branch=z9hG4bK%s;received=%s;%s=%s" % (host, T("b"), V4(), T("p"), T("v")),
             "Via: SIP/2.0/TCP [%s]:5061;branch=z9hG4bK%s;alias" % (V6(), T("b")), "Max-Forwards: 70",
             'From: "%s %s, \\"%s\\"" <sip:%s:%s@%s;%s=%s>;tag=%s;%s="%s"' % (T("d"), T("d"), T("d"), T("u"), T("s"), host, T("p"), T("v"), T("t"), T("p"), T("v")),
             "To: %s %s <tel:+%s;phone-context=%s>" % (T("d"), T("d"), N(), T("h") + ".example"), "Call-ID: %s@%s" % (T("i"), T("h")), "CSeq: 1 INVITE",
             'Contact: "%s" <sip:%s@%s:5070;ob;%s>;+sip.instance="<urn:uuid:%s-0000-4000-8000-%s>";+%s="%s";reg-id=1' % (T("d"), T("u"), V4(), T("p"), T("x"), T("x"), T("p"), T("v")),
             "m: <sip:%s@%s>" % (T("u"), T("h")), "Subject: %s %s %s" % (T("s"), N(), V4()), "s: " + T("s"), "User-Agent: %s/1.2 (%s; %s)" % (T("a"), T("a"), V4()), "Server: " + T("a"),
             'Reason: SIP;cause=200;text="%s %s"' % (T("r"), N()), "Reason: %s;cause=16;%s=%s" % (T("r"), T("p"), T("v")), 'Warning: 399 %s "%s %s"' % (T("h") + ".example", T("w"), T("w")),
             'P-Asserted-Identity: "%s" <sip:+%s@%s>, <tel:+%s>' % (T("d"), N(), T("h"), N()), "P-Preferred-Identity: <sip:%s@%s>" % (T("u"), T("h")),
             'Remote-Party-ID: "%s" <sip:%s@%s>;party=calling;screen=yes;%s=%s' % (T("d"), T("u"), T("h"), T("p"), T("v")),
             "History-Info: <sip:%s@%s?Reason=SIP%%3Bcause%%3D302%%3Btext%%3D%%22%s%%22>;index=1;%s=%s" % (T("u"), T("h"), T("r"), T("p"), T("v")),
             "Diversion: <sip:%s@%s>;reason=unconditional;%s=%s" % (T("u"), T("h"), T("p"), T("v")), "Geolocation: <cid:%s@%s>, <https://%s/%s?%s=%s>" % (T("g"), T("h"), T("h"), T("g"), T("g"), T("g")),
             "Referred-By: <sip:%s@%s>;cid=\"%s@%s\"" % (T("u"), T("h"), T("g"), T("h")), "Refer-To: <sip:%s@%s?Replaces=%s%%40%s%%3Bto-tag%%3D%s>" % (T("u"), T("h"), T("i"), T("h"), T("t")),
             "Replaces: %s@%s;to-tag=%s;from-tag=%s" % (T("i"), T("h"), T("t"), T("t")), "In-Reply-To: %s@%s" % (T("i"), T("h")), "Session-ID: %s;remote=%s" % (T("i"), T("i")),
             "P-Charging-Vector: icid-value=%s;orig-ioi=%s" % (T("v"), T("h")), "P-Access-Network-Info: IEEE-802.11;i-wlan-node-id=" + T("v"), "Identity: %s;info=<https://%s/%s>" % (T("k"), T("h"), T("g")),
             "Organization: " + T("o"), "Alert-Info: <http://%s/%s>" % (T("h"), T("g")), "Call-Info: <http://%s/%s>;purpose=icon" % (T("h"), T("g")), "Error-Info: <sip:%s@%s>" % (T("u"), T("h")),
             "X-%s: %s %s" % (T("n"), T("v"), N()), "%s: %s" % (T("n"), T("v")), "Route: <sip:%s@%s;lr;%s=%s>" % (T("u"), T("h"), T("p"), T("v")), "Record-Route: <sip:%s;lr>" % T("h"),
             "Path: <sip:%s@%s;lr>" % (T("u"), T("h")), "Accept-Language: en, %s" % T("l"), "Supported: timer, %s" % T("l"), "Require: " + T("l"), "Priority: " + T("l"), "Allow: INVITE, " + T("l").upper(),
             "Accept: application/%s" % T("l"), "Content-Disposition: session;%s=%s" % (T("p"), T("v")), "Date: Sat, 13 Nov 2010 23:29:00 GMT", "Event: presence;id=%s;%s=%s" % (T("v"), T("p"), T("v")),
             "Subject: folded", "  %s" % T("s"), "Unsupported: " + T("l"), "Authentication-Info: nextnonce=\"%s\"" % T("k"), "Resource-Priority: %s.1" % T("l"), "User-to-User: %s;encoding=hex" % T("v"),
             "To%s: %s" % (T("n"), urllib.parse.quote("".join("%%%02x" % ord(c) for c in T("e")), safe="%"))])
    exchange(cap, a, b, r, answer(r, "486 %s %s" % (T("r"), T("r")), ["Warning: 307 %s:5060 \"%s\"" % (V4(), T("w")), "Retry-After: 120 (%s %s);duration=%d" % (T("r"), T("r"), 5), "Server: " + T("a")]))
    a, b = V6(), V6()
    r = sip("REGISTER sip:%s SIP/2.0" % T("h"), dialog("[%s]" % a, T("h"), cseq="1 REGISTER") + ["Contact: <sips:%s@[%s]:5061;transport=tls;%s=%s>;expires=60;q=0.5" % (T("u"), V6(), T("p"), T("v")), "Contact: *"])
    exchange(cap, a, b, r, answer(r, "200 OK", ["P-Associated-URI: <sip:%s@%s>" % (T("u"), T("h")), "Service-Route: <sip:%s;lr>" % T("h")]))


def description(a, port):
    return "\r\n".join(["v=0", "o=%s %s 1 IN IP4 %s" % (T("o"), N(), V4()), "s=%s %s" % (T("s"), T("s")), "i=%s" % T("i"), "u=http://%s/%s" % (T("h"), T("g")), "e=%s@%s (%s)" % (T("u"), T("h"), T("d")),
                        "p=+%s (%s)" % (N(), T("d")), "c=IN IP4 %s" % a, "b=%s:64" % ("X-" + T("b")), "t=0 0", "k=base64:" + T("k"), "a=tool:%s %s" % (T("a"), T("a")), "a=%s:%s %s" % (T("n"), T("v"), N()), "a=%s" % T("n"),
                        "a=group:BUNDLE %s" % T("m"), "m=audio %d RTP/AVP 0 101 97" % port, "i=" + T("i"), "c=IN IP4 %s" % a, "a=rtpmap:0 PCMU/8000", "a=rtpmap:101 telephone-event/8000", "a=rtpmap:97 %s/8000" % T("c"),
                        "a=fmtp:97 %s=%s;%s=%s" % (T("f"), T("v"), T("f"), N()), "a=mid:%s" % T("m"), "a=msid:%s %s" % (T("m"), T("m")), "a=ssrc:%s cname:%s@%s" % (N(), T("n"), T("h")), "a=ice-ufrag:" + T("k"), "a=ice-pwd:" + T("k"),
                        "a=fingerprint:sha-256 " + ":".join("%02X" % x for x in BYTES(32)), "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + base64.b64encode(BYTES(30)).decode(),
                        "a=candidate:%s 1 UDP 2130706431 %s 5000 typ srflx raddr %s rport 9 %s %s" % (T("f"), V4(), V4(), T("x"), T("v")), "a=rtcp:5001 IN IP4 %s" % V4(), "a=remote-candidates:1 %s 5000" % V4(),
                        "a=X-%s:%s" % (T("n"), T("v")), "a=label:" + T("l"), "a=lang:" + T("l"), "a=sendrecv", "y=%s" % T("y"), T("z"), ""])


def sdp(cap):
    a, b = V4(), V4()
    r = sip("INVITE sip:%s@%s SIP/2.0" % (T("u"), T("h")), dialog(a, b) + ["Contact: <sip:%s@%s>" % (T("u"), a)], description(a, 4000), "application/sdp")
    exchange(cap, a, b, r, answer(r, "200 OK", ["Contact: <sip:%s@%s>" % (T("u"), b)], description(b, 5000), "application/sdp;%s=%s" % (T("p"), T("v"))))
    for k in range(60):
        sound, name, seq = BYTES(160), T("n").encode() + b"@" + T("h").encode(), 100 + k
        cap.packet(udp(a, 4000, b, 5000, struct.pack(">BBHII", 0x80, 0, seq, 160 * k, 77) + sound), gap=0.02)
        cap.packet(udp(b, 5000, a, 4000, struct.pack(">BBHIIHH", 0x90, 0, seq, 160 * k, 78, 0xbede, 2) + BYTES(8) + BYTES(160)), gap=0.0)
        if k % 20 == 5:
            item = b"\x01" + bytes([len(name)]) + name + b"\x02" + bytes([8]) + T("r").encode()[:8] + b"\0"
            item += b"\0" * (-len(item) % 4)
            sr = struct.pack(">BBHIIIIII", 0x80, 200, 6, 77, 1, 2, 3, 4, 5)
            bye = T("r").encode()
            bye = bytes([len(bye)]) + bye
            bye += b"\0" * (-len(bye) % 4)
            app = T("x").encode()
            app += b"\0" * (-len(app) % 4)
            cap.packet(udp(a, 4001, b, 5001, sr + struct.pack(">BBHI", 0x81, 202, len(item) // 4 + 1, 77) + item + struct.pack(">BBHI", 0x81, 203, 1 + len(bye) // 4, 77) + bye
                           + struct.pack(">BBHI", 0x80, 204, 2 + len(app) // 4, 77) + b"rung" + app))


def digest(cap):
    a, b = V4(), V4()
    call = T("i") + "@" + T("h")
    r = sip("REGISTER sip:%s SIP/2.0" % T("h"), dialog(a, b, call, "1 REGISTER"))
    exchange(cap, a, b, r, answer(r, "401 Unauthorized", ['WWW-Authenticate: Digest realm="%s %s", nonce="%s", opaque="%s", domain="sip:%s", algorithm=MD5, qop="auth", stale=FALSE, %s="%s"'
                                                         % (T("r"), T("r"), T("n"), T("o"), T("h"), T("p"), T("v"))]))
    response = BYTES(16).hex()
    tokens.append("text " + response)
    r = sip("REGISTER sip:%s SIP/2.0" % T("h"), dialog(a, b, call, "2 REGISTER") + ['Authorization: Digest username="%s", realm="%s", nonce="%s", uri="sip:%s@%s;%s=%s", response="%s", cnonce="%s", opaque="%s", nc=00000001, qop=auth, userhash=false'
            % (T("u"), T("r"), T("n"), T("u"), T("h"), T("p"), T("v"), response, T("k"), T("o")), "Proxy-Authorization: Basic " + base64.b64encode((T("u") + ":" + T("k")).encode()).decode(),
            "Authorization: Bearer %s.%s" % (T("k"), T("k"))])
    exchange(cap, a, b, r, answer(r, "200 OK", ['Authentication-Info: nextnonce="%s", rspauth="%s", cnonce="%s"' % (T("n"), T("k"), T("k"))]))


def bodies(cap):
    a, b = V4(), V4()
    pidf = '<?xml version="1.0"?>\n<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="pres:%s@%s"><tuple id="%s"><status><basic>open</basic></status><contact>sip:%s@%s</contact><note xml:lang="en">%s &#x71; %s</note></tuple><!-- %s --></presence>' % (
        T("u"), T("h"), T("x"), T("u"), T("h"), T("m"), T("m"), T("m"))
    mark = T("b")
    multi = "\r\n".join([T("x"), "--" + mark, "Content-Type: application/sdp", "", description(a, 4000), "--" + mark, "Content-Type: application/pidf+xml;%s=%s" % (T("p"), T("v")), "Content-ID: <%s@%s>" % (T("g"), T("h")),
                         T("n") + ": " + T("v"), "", pidf, "--" + mark, "Content-Type: multipart/mixed;boundary=" + T("b"), "", T("m"), "--" + mark + "--", T("x")])
    secret = T("m")
    for text, kind in [("%s\r\n%s %s %s\r\n" % (T("m"), N(), V4(), V6()), "text/plain;charset=UTF-8"), (pidf, "application/pidf+xml"), (multi, "multipart/mixed;boundary=\"%s\"" % mark),
                       (multi, "multipart/mixed;boundary=%s" % T("b")), ("<html><b>%s</b></html>" % T("m"), "text/html"), (base64.b64encode((T("m") + T("m") + T("m")).encode()), "application/octet-stream"),
                       (bytes(secret, "utf-16-le"), "application/x-" + T("l")), ("SIP/2.0 603 %s\r\nTo: <sip:%s@%s>\r\n\r\n%s" % (T("r"), T("u"), T("h"), T("m")), "message/sipfrag;version=2.0"),
                       ("Messages-Waiting: yes\r\nMessage-Account: sip:%s@%s\r\nVoice-Message: 1/2 (0/0)\r\n\r\nTo: <%s>\r\nSubject: %s\r\n" % (T("u"), T("h"), T("u"), T("s")), "application/simple-message-summary"),
                       ("Signal=5\r\nDuration=160\r\n" + T("v"), "application/dtmf-relay"), ("%s" % T("m"), "message/cpim"), ('{"%s": "%s"}' % (T("n"), T("v")), "application/json")]:
        r = sip("MESSAGE sip:%s@%s SIP/2.0" % (T("u"), T("h")), dialog(a, b, cseq="1 MESSAGE"), text, kind)
        exchange(cap, a, b, r, answer(r, "200 OK"))


def transports(cap):
    a, b = V4(), V4()
    r = sip("MESSAGE sip:%s@%s SIP/2.0" % (T("u"), T("h")), [h.replace("/UDP", "/TCP") for h in dialog(a, b, cseq="1 MESSAGE")], T("m") + " " + V4(), "text/plain")
    seq = 1000
    cap.packet(tcp(a, 40000, b, 5060, seq - 1, 0, b"", 2))
    for at in range(0, len(r), 37):  # in pieces, each second pair in the wrong order
        cap.packet(tcp(a, 40000, b, 5060, seq + at, 1, r[at:at + 37]))
    cap.packet(tcp(b, 5060, a, 40000, 1, seq + len(r), answer(r, "200 OK")))
    a, b = V4(), V4()
    hello = ("GET /%s HTTP/1.1\r\nHost: %s\r\nOrigin: http://%s\r\nCookie: %s\r\nUpgrade: websocket\r\nSec-WebSocket-Key: %s\r\nSec-WebSocket-Protocol: sip\r\n\r\n" % (T("g"), T("h"), T("h"), T("k"), T("k"))).encode()
    cap.packet(tcp(a, 40001, b, 80, 1, 1, hello))
    cap.packet(tcp(b, 80, a, 40001, 1, 1 + len(hello), b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nSec-WebSocket-Protocol: sip\r\n\r\n"))
    r = sip("MESSAGE sip:%s@%s SIP/2.0" % (T("u"), T("h")), [h.replace("/UDP", "/WS") for h in dialog(a, b, cseq="1 MESSAGE")], T("m"), "text/plain")
    mask = b"\x37\x11\xfa\x21"
    cap.packet(tcp(a, 40001, b, 80, 1 + len(hello), 90, b"\x81\xfe" + struct.pack(">H", len(r)) + mask + bytes(c ^ mask[i % 4] for i, c in enumerate(r))))
    for wrap in (lambda p, x, y: ip(x, y, 47, struct.pack(">HH", 0, 0x0800) + p),
                 lambda p, x, y: udp(x, 4789, y, 4789, struct.pack(">II", 8 << 24, 77 << 8) + cap.mac[0] + cap.mac[1] + b"\x08\x00" + p),
                 lambda p, x, y: ip(x, y, 4, p)):
        a, b = V4(), V4()
        r = sip("OPTIONS sip:%s@%s SIP/2.0" % (T("u"), T("h")), dialog(a, b, cseq="1 OPTIONS"))
        cap.packet(wrap(udp(a, 5060, b, 5060, r), V4(), V4()))
        cap.packet(wrap(udp(b, 5060, a, 5060, answer(r, "200 OK")), V4(), V4()))


def name(labels):
    return b"".join(bytes([len(x)]) + x.encode() for x in labels) + b"\0"


def packets(cap):
    a, b = V4(), V4()
    host = [T("h"), T("h"), "example"]
    question = struct.pack(">HHHHHH", 7, 0x8180, 1, 2, 0, 0) + name(host) + struct.pack(">HH", 1, 1)
    cap.packet(udp(b, 53, a, 40000, question + b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 60, 4) + socket.inet_aton(V4()) + b"\xc0\x0c" + struct.pack(">HHIH", 33, 1, 60, 6 + len(name([T("s"), "x"])))
                   + struct.pack(">HHH", 1, 1, 5060) + name([T("s"), "x"])))
    user = (T("u") + ":" + T("u")).encode()
    attr = struct.pack(">HH", 6, len(user)) + user + b"\0" * (-len(user) % 4)
    mapped = bytes(x ^ y for x, y in zip(socket.inet_aton(V4()), b"\x21\x12\xa4\x42"))
    tokens.append("hex " + mapped.hex())
    attr += struct.pack(">HHBBH", 0x20, 8, 0, 1, 5000 ^ 0x2112) + mapped + struct.pack(">HH", 0x8022, 8) + T("a").encode()[:8]
    stun = struct.pack(">HHI", 0x0101, len(attr), 0x2112a442) + BYTES(12) + attr
    r = sip("INVITE sip:%s@%s SIP/2.0" % (T("u"), T("h")), dialog(a, b) + ["Contact: <sip:%s@%s>" % (T("u"), a)], description(a, 4000), "application/sdp")
    cap.packet(udp(a, 5060, b, 5060, r))
    cap.packet(udp(a, 4000, b, 5000, stun))
    inner = udp(a, 5060, b, 5060, r)
    icmp = struct.pack(">BBHI", 3, 3, 0, 0) + inner[:400]
    icmp = icmp[:2] + struct.pack(">H", summed(icmp)) + icmp[4:]
    cap.packet(ip(V4(), a, 1, icmp))
    cap.frame(0x0806, struct.pack(">HHBBH", 1, 0x0800, 6, 4, 1) + BYTES(6) + socket.inet_aton(V4()) + b"\0" * 6 + socket.inet_aton(V4()))
    cap.frame(0x88cc, b"\x02\x07\x04" + BYTES(6) + b"\x0a\x09" + T("h").encode()[:9])
    cap.packet(tcp(a, 40000, b, 80, 1, 1, ("GET /%s HTTP/1.1\r\nHost: %s\r\n\r\n" % (T("g"), T("h"))).encode()))
    cap.packet(udp(a, 40000, b, 514, ("<34>%s: %s" % (T("h"), T("m"))).encode()))


# --- the search ---

def spellings(kind, value):
    if kind == "hex":
        b = bytes.fromhex(value)
        yield "as it is", b
        yield "reversed", b[::-1]
        yield "in hex", b.hex().encode()
        yield "in hex, reversed", b[::-1].hex().encode()
        yield "in hex with colons", ":".join("%02x" % x for x in b).encode()
    else:
        b = value.encode()
        yield "as it is", b
        yield "percent", "".join("%%%02x" % c for c in b).encode()
        yield "percent, percent", "".join("%%25%02x" % c for c in b).encode()
        yield "UTF-16", value.encode("utf-16-le")
        yield "UTF-16, big end", value.encode("utf-16-be")
        yield "in hex", b.hex().encode()
        yield "backwards", b[::-1]
    for shift in range(3):  # what of it does not hang on its neighbours
        coded = base64.b64encode(b"\0" * shift + b + b"\0" * 2)
        start, end = (shift * 8 + 5) // 6, (shift + len(b)) * 8 // 6
        if end - start >= 5:
            yield "base64 at %d" % shift, coded[start:end].lower()


def find(path):
    data = open(path, "rb").read().lower()
    for line in sys.stdin:
        kind, value = line.split()
        for how, b in spellings(kind, value.lower()):
            if "base64" in how:  # its case matters, but folding can only find more
                b = next(x for h, x in spellings(kind, value) if h == how)
            if len(b) >= 4 and b.lower() in data:
                print("%s, %s" % (line.strip(), how))


def rules():
    for line in sys.stdin:
        c = json.loads(line)
        print(c["kind"], [(f["code"], f["severity"]) for f in c["findings"]])


def messages():
    for line in sys.stdin:
        m = json.loads(line)
        print("%.6f" % m["time"], m.get("method") or m.get("status"), m.get("cseq"), m.get("cseq_method"), "TCP" if m["transport"] == "TLS" else "WS" if m["transport"] == "WSS" else m["transport"])


if sys.argv[1] == "make":
    cap = Capture()
    globals()[sys.argv[2]](cap)
    open(sys.argv[3], "wb").write(cap.out)
    print("\n".join(tokens))
elif sys.argv[1] == "find":
    find(sys.argv[2])
else:
    globals()[sys.argv[1]]()
