#!/usr/bin/env python3
"""kill -9 under load, again and again: what the exchange has answered must still be there.

  kill.py --rung PROGRAM --data DIR --server ADDR --phones ADDR [--rounds N] [--seed N]

Forty phones register, subscribe, call each other and leave messages for users who are away. At a random moment the exchange is
killed and started again. Then: it answers within two seconds; each registration and subscription that had its 200 is listed; each
message that had its 202 is delivered when its user registers; each call whose BYE had its 200, and each that
was refused, has one record, and no call has two. Prints one line per loss, then the counts; the exit status says whether anything was lost.
"""
import argparse
import asyncio
import hashlib
import json
import random
import re
import subprocess
import time
import urllib.request

ap = argparse.ArgumentParser()
ap.add_argument("--rung", required=True)
ap.add_argument("--data", required=True)
ap.add_argument("--server", required=True)
ap.add_argument("--phones", required=True)
ap.add_argument("--rounds", type=int, default=5)
ap.add_argument("--seed", type=int, default=1)
ap.add_argument("--flag", action="append", default=[])
ap.add_argument("--log", required=True)
o = ap.parse_args()
rnd = random.Random(o.seed)
PHONES, AWAY, UP_S, RECORDED_S = 40, 10, 2.0, 1.5
SERVER = (o.server, 5060)
RUN = f"{time.time_ns():x}"  # the data folder may have calls of an earlier one
serial = 0


def number():
    global serial
    serial += 1
    return serial


def md5(text):
    return hashlib.md5(text.encode()).hexdigest()


class Msg:
    def __init__(self, data):
        head, _, self.body = data.decode(errors="replace").partition("\r\n\r\n")
        lines = head.split("\r\n")
        self.start, self.headers = lines[0], [tuple(s.strip() for s in x.split(":", 1)) for x in lines[1:] if ":" in x]
        self.status = int(self.start.split()[1]) if self.start.startswith("SIP/2.0") else 0
        self.method = self["CSeq"].split()[-1] if self.status else self.start.split()[0]

    def all(self, name):
        return [v for n, v in self.headers if n.lower() == name.lower()]

    def __getitem__(self, name):
        return (self.all(name) or [""])[0]


class Facts:
    """What was answered."""

    def __init__(self):
        self.registered = {}  # user -> serial of the last REGISTER with a 200
        self.asked = {}  # user -> serial of the last REGISTER sent
        self.subscribed = set()  # Call-IDs
        self.accepted = {}  # text of a message -> user
        self.delivered = {}  # text -> times
        self.ended = {}  # Call-ID -> when its BYE had its 200, or its INVITE was refused
        self.n_young = 0  # of these: in the last second before a kill
        self.n = dict(registrations=0, subscriptions=0, messages=0, calls=0, refusals=0)


facts = Facts()


class Phone(asyncio.DatagramProtocol):
    def __init__(self, user, port):
        self.user, self.port = user, port
        self.waiting = {}  # branch -> future
        self.nonce, self.nc, self.realm = None, 0, None
        self.subs = {}  # target -> [call_id, tag, to, cseq, contact]

    def connection_made(self, transport):
        self.transport = transport

    def send(self, text):
        self.transport.sendto(text.encode(), SERVER)

    def sdp(self):
        return f"v=0\r\no=- 1 1 IN IP4 {o.phones}\r\ns=-\r\nc=IN IP4 {o.phones}\r\nt=0 0\r\nm=audio 9000 RTP/AVP 0\r\n"

    def reply(self, m, status, extra="", body=""):
        to = m["To"] + ("" if ";tag=" in m["To"] else f";tag=t{self.user}")
        via = "".join(f"Via: {v}\r\n" for v in m.all("Via")) + "".join(f"Record-Route: {v}\r\n" for v in m.all("Record-Route"))
        self.send(
            f"SIP/2.0 {status}\r\n{via}From: {m['From']}\r\nTo: {to}\r\nCall-ID: {m['Call-ID']}\r\nCSeq: {m['CSeq']}\r\n"
            f"{extra}Content-Length: {len(body)}\r\n\r\n{body}"
        )

    def contact(self):
        return f"<sip:{self.user}@{o.phones}:{self.port}>"

    def datagram_received(self, data, addr):
        m = Msg(data)
        if m.status:
            branch = re.search(r"branch=([^;,\s]+)", m["Via"])
            f = self.waiting.get(branch and branch[1])
            if f and m.status >= 200 and not f.done():
                f.set_result(m)
            return
        if m.method == "MESSAGE":
            facts.delivered[m.body] = facts.delivered.get(m.body, 0) + 1
        if m.method == "INVITE" and rnd.random() < 0.2:
            self.reply(m, "486 Busy Here")
        elif m.method == "INVITE":
            self.reply(m, "200 OK", f"Contact: {self.contact()}\r\nContent-Type: application/sdp\r\n", self.sdp())
        elif m.method != "ACK":
            self.reply(m, "200 OK")

    def error_received(self, exc):
        pass  # a closed port while the exchange is away

    def credentials(self, method, uri):
        if not self.nonce:
            return ""
        self.nc += 1
        nc, name = f"{self.nc:08x}", "Authorization" if method == "REGISTER" else "Proxy-Authorization"
        ha1 = md5(f"{self.user}:{self.realm}:secret{self.user}")
        answer = md5(f"{ha1}:{self.nonce}:{nc}:c:auth:" + md5(f"{method}:{uri}"))
        return (
            f'{name}: Digest username="{self.user}", realm="{self.realm}", nonce="{self.nonce}", uri="{uri}", '
            f'response="{answer}", algorithm=MD5, cnonce="c", qop=auth, nc={nc}\r\n'
        )

    async def ask(self, method, uri, call_id, cseq, tag, to=None, extra="", body="", routes=""):
        """One request through its challenge, with repetitions; (final response, CSeq)."""
        while True:
            branch = f"z9hG4bK{self.user}x{number()}"
            head = (
                f"{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {o.phones}:{self.port};branch={branch};rport\r\nMax-Forwards: 70\r\n"
                f"{routes}From: <sip:{self.user}@{o.server}>;tag={tag}\r\nTo: {to or f'<{uri}>'}\r\nCall-ID: {call_id}\r\n"
            )
            contact = "" if "Contact:" in extra or method in ("MESSAGE", "BYE") else f"Contact: {self.contact()}\r\n"
            text = (
                f"{head}CSeq: {cseq} {method}\r\n{contact}{self.credentials(method, uri)}{extra}"
                f"Content-Length: {len(body)}\r\n\r\n{body}"
            )
            self.waiting[branch] = f = asyncio.get_running_loop().create_future()
            wait, m = 0.5, None
            try:
                while wait < 4 and not m:
                    self.send(text)
                    try:
                        m = await asyncio.wait_for(asyncio.shield(f), wait)
                    except asyncio.TimeoutError:
                        wait *= 2
            finally:
                del self.waiting[branch]
            if m and method == "INVITE" and m.status >= 300:
                self.send(f"{head.replace('INVITE', 'ACK', 1).replace(f'To: <{uri}>', 'To: ' + m['To'])}CSeq: {cseq} ACK\r\n"
                          "Content-Length: 0\r\n\r\n")
            if not m or m.status not in (401, 407):
                return m, cseq
            v = (m.all("WWW-Authenticate") + m.all("Proxy-Authenticate"))
            v = [x for x in v if "MD5" in x] or v
            nonce = re.search(r'nonce="([^"]*)"', v[0])[1]
            if nonce == self.nonce and "stale=true" not in v[0].lower():
                return m, cseq
            self.nonce, self.nc, self.realm = nonce, 0, re.search(r'realm="([^"]*)"', v[0])[1]
            cseq += 1

    async def register(self):
        n = number()
        facts.asked[self.user] = n
        # a Call-ID each time, as a phone that was switched on again
        m, _ = await self.ask(
            "REGISTER", f"sip:{o.server}", f"reg{n}@{self.user}", 1, f"r{n}", f"<sip:{self.user}@{o.server}>",
            f"Contact: {self.contact()};expires=600\r\nUser-Agent: serial-{n}\r\n")
        if m and m.status == 200:
            facts.registered[self.user] = n
            facts.n["registrations"] += 1

    async def subscribe(self, target):
        s = self.subs.get(target)
        fresh = s is None
        if fresh:
            n = number()
            s = [f"sub{n}@{self.user}", f"s{n}", None, 0, f"sip:{target}@{o.server}"]
        s[3] += 1
        m, s[3] = await self.ask("SUBSCRIBE", s[4], s[0], s[3], s[1], s[2], "Event: presence\r\nExpires: 600\r\n")
        if not m or m.status >= 300:
            if not fresh and m and m.status == 481:
                print(f"# a refresh of {s[0]} was answered 481", flush=True)
            return
        facts.subscribed.add(s[0])
        facts.n["subscriptions"] += 1
        s[2], s[4] = m["To"], re.search(r"<([^>]*)>", m["Contact"])[1]
        self.subs[target] = s

    async def message(self, user):
        text = f"text{number()}"
        uri = f"sip:{user}@{o.server}"
        m, _ = await self.ask("MESSAGE", uri, f"msg-{text}", 1, text, None, "Content-Type: text/plain\r\n", text)
        if m and m.status == 202:
            facts.accepted[text] = user
            facts.n["messages"] += 1

    async def call(self, user):
        n = number()
        cid, tag, uri = f"call{n}.{RUN}@{self.user}", f"c{n}", f"sip:{user}@{o.server}"
        m, cseq = await self.ask("INVITE", uri, cid, 1, tag, extra="Content-Type: application/sdp\r\n", body=self.sdp())
        if m and m.status >= 300 and m.status not in (401, 407):
            facts.ended[cid] = time.monotonic()
            facts.n["refusals"] += 1
        if not m or m.status != 200:
            return
        target = re.search(r"<([^>]*)>", m["Contact"])[1]
        routes = "".join(f"Route: {r}\r\n" for r in reversed(m.all("Record-Route")))
        self.send(
            f"ACK {target} SIP/2.0\r\nVia: SIP/2.0/UDP {o.phones}:{self.port};branch=z9hG4bKack{n};rport\r\nMax-Forwards: 70\r\n"
            f"{routes}From: <sip:{self.user}@{o.server}>;tag={tag}\r\nTo: {m['To']}\r\nCall-ID: {cid}\r\nCSeq: {cseq} ACK\r\n"
            "Content-Length: 0\r\n\r\n")
        await asyncio.sleep(rnd.choice((0, 0.02, 0.2)))
        b, _ = await self.ask("BYE", target, cid, cseq + 1, tag, m["To"], routes=routes)
        if b and b.status == 200:
            facts.ended[cid] = time.monotonic()
            facts.n["calls"] += 1

    async def live(self, others):
        while True:
            what = rnd.random()
            if what < 0.25:
                await self.register()
            elif what < 0.45:
                await self.subscribe(rnd.choice(others[:6]))
            elif what < 0.6:
                await self.message(f"30{rnd.randrange(AWAY):02}")
            else:
                await self.call(rnd.choice([u for u in others if u != self.user]))
            await asyncio.sleep(rnd.random() * 0.1)


def start():
    args = [o.rung, "serve", "--listen", f"udp:{o.server}:5060", "--domain", o.server, "--data", o.data, "--api", f"{o.server}:5080"]
    return subprocess.Popen(args + o.flag, stdout=open(o.log, "ab"), stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)


async def is_up(phone):
    """Seconds until a SIP request is answered."""
    began = time.monotonic()
    while time.monotonic() - began < 15:
        branch = f"z9hG4bKup{number()}"
        phone.waiting[branch] = f = asyncio.get_running_loop().create_future()
        phone.send(
            f"OPTIONS sip:{o.server} SIP/2.0\r\nVia: SIP/2.0/UDP {o.phones}:{phone.port};branch={branch};rport\r\nMax-Forwards: 70\r\n"
            f"From: <sip:x@{o.server}>;tag={branch}\r\nTo: <sip:{o.server}>\r\nCall-ID: {branch}\r\nCSeq: 1 OPTIONS\r\n"
            "Content-Length: 0\r\n\r\n")
        try:
            await asyncio.wait_for(f, 0.02)
            return time.monotonic() - began
        except asyncio.TimeoutError:
            pass
    return 15.0


def api(path):
    token = open(f"{o.data}/api.token").read().strip()
    rows, skip = [], ""
    while True:
        r = urllib.request.Request(f"http://{o.server}:5080/v1/{path}?limit=1000{skip}", headers={"Authorization": f"Bearer {token}"})
        page = json.load(urllib.request.urlopen(r, timeout=10))
        rows += page["items"]
        if not page.get("next"):
            return rows
        skip = f"&skip={page['next']}"


def cdrs():
    out = subprocess.run([o.rung, "cdr", "--json", "--limit", "1000000", "--data", o.data], capture_output=True, text=True, check=True)
    return [json.loads(line) for line in out.stdout.splitlines()]


async def collect(loop):
    """The users who were away come, fetch their messages, and go."""
    phones = []
    for i in range(AWAY):
        p = Phone(f"30{i:02}", 7000 + i)
        await loop.create_datagram_endpoint(lambda p=p: p, local_addr=(o.phones, p.port))
        phones.append(p)
    await asyncio.gather(*(p.register() for p in phones))
    until = time.monotonic() + 15
    while time.monotonic() < until and any(t not in facts.delivered for t in facts.accepted):
        await asyncio.sleep(0.1)
    for p in phones:
        await p.ask("REGISTER", f"sip:{o.server}", f"gone{number()}", 1, "g", f"<sip:{p.user}@{o.server}>",
                    f"Contact: {p.contact()};expires=0\r\n")
        p.transport.close()


async def lost(killed_at, loop):
    missing = []
    seen = {r["aor"].split(":", 1)[-1].split("@")[0]: r.get("user_agent", "") for r in api("registrations")}
    for user, n in facts.registered.items():
        agent = seen.get(user, "none")
        have = int(agent[7:]) if agent.startswith("serial-") else 0
        if not n <= have <= facts.asked[user] and user.startswith("20"):
            missing.append(f"registration {n} of {user}: {agent}")
    subs = {s["call_id"] for s in api("subscriptions")}
    missing += [f"subscription {c}" for c in facts.subscribed - subs]
    young = {c for c, at in facts.ended.items() if killed_at - at < 1}
    facts.n_young += len(young)
    await asyncio.sleep(max(0.0, killed_at + RECORDED_S - time.monotonic()))  # as `rung cdr` promises, after the start
    rows = cdrs()
    have = {r["call_id"]: r for r in rows}
    missing += [f"record of {c}, ended {killed_at - at:.3f} s before" for c, at in facts.ended.items() if c not in have]
    missing += [f"status and end in the record of {c}: {have[c]}" for c in young & have.keys()
                if not have[c].get("status") or (have[c]["status"] == 200 and have[c].get("ended_by") != "caller")]
    ids = [r["call_id"] for r in rows]
    missing += [f"{ids.count(c)} records of {c}: {[r for r in rows if r['call_id'] == c]}" for c in facts.ended if ids.count(c) > 1]
    await collect(loop)
    missing += [f"message {t} for {u}" for t, u in facts.accepted.items() if t not in facts.delivered]
    return missing


async def main():
    loop = asyncio.get_running_loop()
    users = [f"20{i:02}" for i in range(PHONES)]
    phones = []
    for i, u in enumerate(users):
        p = Phone(u, 6000 + i)
        await loop.create_datagram_endpoint(lambda p=p: p, local_addr=(o.phones, p.port))
        phones.append(p)
    server, n_lost, n_twice, slowest = start(), 0, 0, 0.0
    try:
        if await is_up(phones[0]) >= 15:
            raise SystemExit("the exchange does not start")
        await asyncio.gather(*(p.register() for p in phones))
        for k in range(o.rounds):
            tasks = [asyncio.create_task(p.live(users)) for p in phones]
            await asyncio.sleep(rnd.uniform(0.5, 2))
            server.kill()
            killed_at = time.monotonic()
            server.wait()
            while pending := [t for t in tasks if not t.done()]:
                for t in pending:
                    t.cancel()  # again: wait_for swallows it when an answer comes in the same turn
                await asyncio.wait(pending, timeout=0.1)
            server = start()
            took = await is_up(phones[0])
            slowest = max(slowest, took)
            missing = await lost(killed_at, loop)
            n_lost += len(missing)
            for line in missing:
                print(f"round {k + 1}: lost: {line}", flush=True)
            n_twice += sum(1 for t in facts.delivered.values() if t > 1)
            facts.ended.clear(), facts.accepted.clear(), facts.delivered.clear()

        print(f"# {o.rounds} kills under load; up again after {slowest:.2f} s at most; "
              + ", ".join(f"{n} {what}" for what, n in facts.n.items())
              + f" answered; {n_lost} lost; {n_twice} messages delivered again after a kill; "
              f"{facts.n_young} of the calls ended in the last second before one")
    finally:
        server.terminate()
        server.wait()
    raise SystemExit(n_lost > 0 or slowest > UP_S)


asyncio.run(main())
