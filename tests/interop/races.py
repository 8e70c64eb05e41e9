#!/usr/bin/env python3
"""Scenarios for sipp in which messages cross, get lost or come late (races.sh), written from short scripts.

  races.py write DIR          one file for each side: NAME-caller.xml, NAME-callee.xml, ...
  races.py calls NAME         how many of them are made
  races.py check MODE CDRS NAME...   what `rung cdr --json` says of the calls (MODE: proxy or b2bua); a line for each that is not as it must be

A script is a line for each step:

  > METHOD [txn]              a request; ACK of a 2xx. ACK! is that of another final response. first, second, either: in the dialog of
                              the 200 that was named so
  > STATUS                    the answer to the request that came last; > STATUS INVITE: to the first INVITE
  < METHOD, < STATUS [txn]    must come; <? may come; =LABEL: goes on there
  ~ MS                        waits; what comes meanwhile is lost on sipp
  :LABEL, =LABEL              a place, and the jump to it
  !METHOD MS =LABEL           must come within MS, else =LABEL (also !STATUS txn MS =LABEL)
"""
import json
import re
import sys
from xml.sax.saxutils import quoteattr

INVITES = ("inv", "re")  # sipp's transactions do not know these well
SDP = """v=0
o=[side] 1 [version] IN IP4 [local_ip]
s=-
c=IN IP4 [local_ip]
t=0 0
m=audio [port] RTP/AVP 0
a=rtpmap:0 PCMU/8000
"""

# name: (calls, {mode: (verdict codes, who ended it)}, {side: script}); a side for one mode only is named side@mode
ANSWER = """< INVITE
> 180 INVITE
> 200 INVITE
< ACK
"""
CANCELLED = """< INVITE
> 180 INVITE
!CANCEL 30 =answer
> 200
> 487 INVITE %s
< ACK
=end
:answer
> 200 INVITE saved
<? CANCEL =late
< ACK
=bye
:late
> 200
!ACK 300 =again
=bye
:again
> 200 INVITE once saved
< ACK
:bye
< BYE
> 200
:end
"""
# By hand, since sipp says nothing else while it repeats something: 500 ms, doubled up to 4 s, until 64*T1.
LOST = ("< INVITE\n> 180 INVITE\n> 200 INVITE once\n"
        + "".join(f"!ACK {ms} =r{i}\n=bye\n:r{i}\n> 200 INVITE once\n" for i, ms in enumerate((500, 1000, 2000) + (4000,) * 7))
        + "!ACK 500 =lost\n:bye\n< BYE\n> 200\n=end\n:lost\n> BYE\n< 200\n:end\n")
BUSY_BOTH = ("call-answered", "caller")
SCENARIOS = {
    # The 200 and the CANCEL are on their way at once; whichever comes first, both sides agree what became of the call.
    "cancel": (20, {"proxy": ("call-answered call-cancelled", "caller"), "b2bua": ("call-answered call-cancelled", "caller")}, {
        "caller": """> INVITE inv
<? 100 inv
< 180 inv
!200 inv either 30 =cancel
=talk
:cancel
> CANCEL
<? 200 inv either
<? 487 =refused
< 200 inv either
:talk
> ACK either
> BYE either
< 200
=end
:refused
> ACK!
:end
""",
        "callee@proxy": CANCELLED % "forwarded", "callee@b2bua": CANCELLED % ""}),
    # Both change the session at once: each is refused by 491, and the call goes on. [RFC3261 14.1, 14.2]
    "glare": (5, {"proxy": BUSY_BOTH, "b2bua": BUSY_BOTH}, {
        "caller": """> INVITE inv
<? 100 inv
<? 180 inv
< 200 inv
> ACK
~ 200
> INVITE re
<? 100 re
<? INVITE =met
< 491 re
> ACK!
=talk
:met
> 491
<? ACK
< 491 re
> ACK!
!ACK 200 =talk
:talk
~ 300
> BYE bye
< 200 bye
""",
        "callee": ANSWER + """< INVITE
> INVITE re
> 491
<? 100 re
<? ACK
< 491 re
> ACK!
<? ACK
< BYE
> 200
"""}),
    # The ACK never comes: the 200 is repeated for 64*T1, then BYE. [RFC3261 13.3.1.4]
    "lost-ack": (3, {"proxy": ("call-lost-ack", "callee"), "b2bua": ("call-lost-ack", "callee")}, {
        "caller": """> INVITE
<? 100
<? 180
< 200
< BYE
> 200
""",
        "callee": LOST}),
    # It comes after the 200 was repeated: the call is as good as any.
    "late-ack": (3, {"proxy": BUSY_BOTH, "b2bua": BUSY_BOTH}, {
        "caller": """> INVITE inv
<? 100 inv
<? 180 inv
< 200 inv
~ 3000
> ACK
~ 300
> BYE
< 200
""",
        "callee": ANSWER + """< BYE
> 200
"""}),
    # The PRACK comes when the call has been answered already. [RFC3262 3, 4]
    "late-prack": (3, {"proxy": BUSY_BOTH, "b2bua": BUSY_BOTH}, {
        "caller": """> INVITE inv
<? 100 inv
< 180 inv rseq
< 200 inv
> ACK
~ 100
> PRACK prack
< 200 prack
> BYE
< 200
""",
        "callee@proxy": """< INVITE
> 180 INVITE reliable
> 200 INVITE
< ACK
< PRACK
> 200
< BYE
> 200
""",
        "callee@b2bua": """< INVITE
> 180 INVITE reliable
!PRACK 500 =answer
> 200
:answer
> 200 INVITE saved
< ACK
< BYE
> 200
"""}),
    # Two phones answer at once. Through the proxy the caller gets both and ends one; the back-to-back user agent does that itself.
    "fork": (5, {"proxy": BUSY_BOTH, "b2bua": BUSY_BOTH}, {
        "caller@proxy": """> INVITE inv
<? 100 inv
<? 180 inv
<? 180 inv
< 200 inv first
< 200 inv second
> ACK first
> ACK second
> BYE second
< 200
~ 300
> BYE first
< 200
""",
        "caller@b2bua": """> INVITE inv
<? 100 inv
<? 180 inv
<? 180 inv
< 200 inv
> ACK
~ 300
> BYE
< 200
""",
        "callee": """< INVITE
> 200 INVITE
<? CANCEL =cancelled
< ACK
< BYE
> 200
=end
:cancelled
> 200
< ACK
< BYE
> 200
:end
""",
        "callee2": "callee"}),
    # Both hang up at once. Where the caller was late, its BYE meets one of the exchange, and none comes to the callee.
    "bye": (5, {"proxy": ("call-answered", "caller callee"), "b2bua": ("call-answered", "caller callee")}, {
        "caller": """> INVITE inv
<? 100 inv
<? 180 inv
< 200 inv
> ACK
~ 200
> INFO info
> BYE bye
<? 200 info
<? BYE =met
< 200 bye
=end
:met
> 200
<? 200 info
< 200 bye
:end
""",
        "callee": ANSWER + """< INFO
> 200
> BYE bye
<? 200 bye =first
<? 481 bye =first
< BYE
> 200
<? 481 bye =end
< 200 bye
=end
:first
!BYE 2000 =end
> 200
:end
"""}),
}


class Side:
    """Writes one scenario of sipp."""

    def __init__(self, name, script):
        self.out, self.labels, self.used = [], {}, set()
        self.invite_at = 0
        self.is_caller, self.cseq, self.last_cseq = "caller" in name, 0, {}
        self.name = name
        self.seen_invite, self.is_forwarded = False, "forwarded" in script
        for line in script.splitlines():
            self.step(line.split())

    def label(self, name):
        return self.labels.setdefault(name, str(len(self.labels) + 1))

    def step(self, w):
        kind = w[0]
        if kind.startswith(":"):
            self.out.append(f'  <label id="{self.label(kind[1:])}" />')
        elif kind.startswith("="):
            self.out.append(f'  <nop next="{self.label(kind[1:])}" />')
        elif kind == "~":
            self.out.append(f'  <pause milliseconds="{w[1]}" />')
        elif kind.startswith("!"):
            self.receive(f' timeout="{w[-2]}" ontimeout="{self.label(w[-1][1:])}"', kind[1:], w[1:-2])
        elif kind == ">":
            (self.answer if w[1].isdigit() else self.request)(w[1], w[2:])
        else:
            jump = [f' next="{self.label(x[1:])}"' for x in w if x.startswith("=")]
            self.receive((' optional="true"' if kind == "<?" else ' timeout="40000"') + "".join(jump), w[1], [x for x in w[2:] if x[0] != "="])

    def receive(self, a, what, words):
        if what.isdigit():
            a += f' response="{what}"' + (f' response_txn="{words[0]}"' if words and words[0] not in INVITES else "")
        else:
            a += f' request="{what}"'
        actions = ""
        is_first = what == "INVITE" and not self.is_caller and not self.seen_invite
        if is_first:
            self.seen_invite = True
            actions = self.hdr("Via:", "via") + self.hdr("From:", "from") + self.hdr("To:", "to") + \
                self.hdr("CSeq:", "cseq")
            if self.is_forwarded:
                actions += self.hdr("Record-Route:", "route") + self.hdr("Via:", "via2").replace('header="Via:"', 'header="Via:" occurrence="2"')
            a += ' rrs="true"'
        if "rseq" in words:
            actions = self.hdr("RSeq:", "rseq")
        if what == "200" and words[:1] == ["inv"]:
            a += ' rrs="true"'
            if words[1:] == ["either"]:  # perhaps that of the CANCEL: its To is of another
                actions = self.ereg("To: *([^&gt;]*&gt;;tag=[^;]*)..Call-ID: [^:]*CSeq: 1 INVITE", "msg", "", "all,to_either", False)
            elif len(words) > 1:
                actions = self.hdr("To:", "to_" + words[1]) + self.ereg("sip:[^&gt;]*", "hdr", "Contact:", "at_" + words[1])
        body = f"\n    <action>\n{actions}    </action>\n  </recv>" if actions else " />"
        self.out.append(f"  <recv{a}{'>' if actions else ''}{body}")

    def ereg(self, regexp, where, header, to, is_sure=True):
        h = f' header="{header}"' if header else ""
        self.used.update(to.split(","))
        return f'      <ereg regexp="{regexp}" search_in="{where}"{h} check_it="{str(is_sure).lower()}" assign_to="{to}" />\n'

    def hdr(self, header, to):
        return self.ereg(".*", "hdr", header, to)

    def sdp(self, version):
        text = SDP.replace("[side]", "a" if self.is_caller else "b").replace("[version]", str(version))
        return text.replace("[port]", "6000" if self.is_caller else "7000")

    def send(self, attributes, head, body=""):
        kind = "Content-Type: application/sdp\n" if body else ""
        self.out.append(f"  <send{attributes}>\n    <![CDATA[\n{head}{kind}Content-Length: [len]\n\n{body}\n    ]]>\n  </send>")

    def answer(self, status, rest):
        reason = {"180": "Ringing", "200": "OK", "487": "Request Terminated", "491": "Request Pending"}[status]
        contact = "Contact: <sip:[local_ip]:[local_port]>\n"
        if not rest:
            self.send("", f"SIP/2.0 {status} {reason}\n[last_Via:]\n[last_From:]\n[last_To:]\n[last_Call-ID:]\n[last_CSeq:]\n")
            return
        rel = "Require: 100rel\nRSeq: 1\n" if "reliable" in rest else ""
        via, route = "[last_Via:]", "[last_Record-Route:]\n"
        if status == "487" or "saved" in rest:  # something else came since
            via = "Via:[$via]\nVia:[$via2]" if self.is_forwarded else "Via:[$via]"
            route = "Record-Route:[$route]\n" if self.is_forwarded else ""
        head = (f"SIP/2.0 {status} {reason}\n{via}\nFrom:[$from]\n{route}To:[$to];tag=[pid]u[call_number]\n[last_Call-ID:]\n"
                f"CSeq:[$cseq]\n{rel}{contact}")
        self.send(' retrans="500"' if status >= "200" and "once" not in rest else "", head, self.sdp(1) if status == "200" else "")

    def request(self, method, rest):
        is_first = method == "INVITE" and self.is_caller and not self.seen_invite
        is_failed_ack, method = method == "ACK!", method.rstrip("!")
        txn, which = "", ""
        if rest and rest[0] in ("first", "second", "either"):
            which = rest[0]
        elif rest and rest[0] not in INVITES:
            txn = f' start_txn="{rest[0]}"'
        at = sum("<label" not in x for x in self.out)
        if is_first:
            self.seen_invite, self.invite_at = True, at
        if method in ("ACK", "CANCEL"):
            number = self.last_cseq["INVITE"]
        else:
            self.cseq += 1
            number = self.cseq
        self.last_cseq[method] = number
        is_outside = is_first or method == "CANCEL" or (is_failed_ack and number == 1)
        target = "sip:[service]@[domain]" if is_outside and self.is_caller else f"[$at_{which}]" if which in ("first", "second") else "[next_url]"
        via = "Via: SIP/2.0/UDP [local_ip]:[local_port];rport;branch=[branch]\n"
        if is_failed_ack:
            via = "[last_Via:]\n"
        if method == "CANCEL":
            via = f"Via: SIP/2.0/UDP [local_ip]:[local_port];rport;branch=[branch-{at - self.invite_at}]\n"
        me = "From: <sip:1001@[domain]>;tag=[pid]c[call_number]\n"
        it = "To: <sip:[service]@[domain]>" + ("" if is_first or method == "CANCEL" else "[peer_tag_param]") + "\n"
        if which:
            it = f"To:[$to_{which}]\n"
        if not self.is_caller:
            me, it = "From:[$to];tag=[pid]u[call_number]\n", "To:[$from]\n"
        if is_failed_ack:
            me, it = "[last_From:]\n", "[last_To:]\n"
        routes = "" if is_first or method == "CANCEL" else "[routes]\n"
        extra = ""
        if method == "INVITE":
            extra = "Contact: <sip:[local_ip]:[local_port]>\nSupported: 100rel\n"
        if method == "PRACK":
            extra = f"RAck:[$rseq] {self.last_cseq['INVITE']} INVITE\n"
        retrans = ' retrans="500"'
        if method in ("ACK", "INFO") or rest[:1] == ["re"]:
            retrans = ""  # sipp sends nothing else while it repeats something
        head = f"{method} {target} SIP/2.0\n{via}{routes}Max-Forwards: 70\n{me}{it}Call-ID: [call_id]\nCSeq: {number} {method}\n{extra}"
        self.send(retrans + txn, head, self.sdp(number) if method == "INVITE" else "")

    def text(self):
        names = ",".join(sorted(self.used))
        body = "\n".join(self.out)
        ref = f'  <Reference variables="{names}" />\n' if names else ""
        return f'<?xml version="1.0" encoding="ISO-8859-1" ?>\n<scenario name={quoteattr(self.name)}>\n{body}\n{ref}</scenario>\n'


def write(directory):
    for name, (_, _, sides) in SCENARIOS.items():
        for side, script in sides.items():
            with open(f"{directory}/{name}-{side.replace('@', '-')}.xml", "w") as f:
                f.write(Side(side, sides.get(script, script)).text())


def check(mode, path, names):
    rows, bad = [json.loads(line) for line in open(path)], 0
    for name in names:
        n, want, _ = SCENARIOS[name]
        codes, ended_by = want[mode]
        mine = [r for r in rows if re.match(rf"{name}-\d", r["call_id"])]
        if len(mine) != n:
            print(f"{name}: {len(mine)} records of {n} calls")
            bad += 1
        for r in mine:
            is_good = r["verdict_code"] in codes.split() and r.get("ended_by", "caller") in ended_by.split()
            print(f"{'  ' if is_good else 'NOT '}{name}: {r['verdict_code']}: {r['verdict']}")
            bad += not is_good
    return bad


if sys.argv[1] == "write":
    write(sys.argv[2])
elif sys.argv[1] == "calls":
    print(SCENARIOS[sys.argv[2]][0])
else:
    sys.exit(check(sys.argv[2], sys.argv[3], sys.argv[4:]) > 0)
