#!/bin/bash
# Finding the way by names, over real sockets and a name server of the test's own: NAPTR, SRV with a dead first server, both families of
# addresses; and phones that are reached over their flow: STUN on SIP's port, Outbound, IPv6.
. "$(dirname "$0")/lib.sh"
need python3

DNS=$NET.53
cat >"$work/zone" <<-EOF
	naptr.test NAPTR 20 10 s SIP+D2U _sip._udp.naptr.test
	naptr.test NAPTR 10 10 s SIP+D2T _tcp.elsewhere.test
	_tcp.elsewhere.test SRV 1 1 5060 host.test
	_sip._udp.naptr.test SRV 1 1 9 host.test
	host.test A $SERVER
	_sip._udp.srv.test SRV 20 0 5060 host.test
	_sip._udp.srv.test SRV 10 0 5060 dead.test
	dead.test A $NET.99
	plain.test A $SERVER
	mute.test DROP
EOF
start dns_pid dns python3 "$here/dns.py" "$DNS" 5353 "$work/zone" "$work/asked"
wait_for 10 grep -qs ready "$work/dns.log" || { echo "1..0 # SKIP no name server"; exit 0; }

options() { # name [flags]: the request goes to what the name leads to
	"$RUNG" options "sip:$1" --from "sip:1001@$SERVER" --password secret1001 --dns "$DNS:5353" --bind "$CALLER" --timeout 20 --trace "${@:2}"
}
finds() { # name, pattern of the trace
	local out
	out=$(options "$1" 2>&1) || { echo "$out"; return 1; }
	echo "$out" | grep -E "$2" || { echo "$out"; return 1; }
}
asked() { grep -qx "$1" "$work/asked"; }
missing() { # name
	options "$1"
	[ $? = 7 ]
}

check "the exchange starts, with a name server of ours" server_start --dns "$DNS:5353" --trust "$CALLER" --domain naptr.test \
	--domain srv.test --domain plain.test
LOGS=(server dns)
check "NAPTR decides on TCP, SRV on the host" finds naptr.test "sent TCP .* -> $SERVER:5060"
check "its questions" eval "asked 'naptr.test 35' && asked '_tcp.elsewhere.test 33' && asked 'host.test 1'"
check "SRV: the second server, since nobody listens at the first" finds srv.test "sent UDP .* -> $SERVER:5060"
check "neither NAPTR nor SRV: the address" finds plain.test "sent UDP .* -> $SERVER:5060"
check "a port leaves nothing to ask but the address" finds plain.test:5060 "sent UDP .* -> $SERVER:5060"
check "no such name: 7" missing nobody.test
check "a name server without an answer: 7" missing mute.test

# the exchange itself as the one who asks: a foreign domain behind two servers, the first of them dead
cat >>"$work/zone" <<-EOF
	_sip._udp.far.test SRV 10 0 5060 dead.test
	_sip._udp.far.test SRV 20 0 5062 far-host.test
	far-host.test A $THIRD
EOF
stop_child "$dns_pid"
start dns_pid dns python3 "$here/dns.py" "$DNS" 5353 "$work/zone" "$work/asked"
wait_for 10 grep -qs ready "$work/dns.log"
start far_pid far "$RUNG" serve --listen "udp:$THIRD:5062" --domain far.test --data "$work/far"
wait_for 15 grep -qs ^ready "$work/far.log"
far() { "$RUNG" options "sip:far.test" --from "sip:1001@$SERVER" --proxy "$SERVER" --bind "$CALLER" --timeout 20; }
check "the exchange fails over to the second server of a foreign domain" far
stop_child "$far_pid"

# STUN on SIP's port [RFC5626 5.4]
stun() {
	python3 - "$SERVER" "$CALLER" <<-'EOF'
		import socket, struct, sys
		s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
		s.bind((sys.argv[2], 0))
		s.settimeout(5)
		s.sendto(struct.pack("!HHI", 1, 0, 0x2112A442) + b"twelve bytes", (sys.argv[1], 5060))
		p, peer = s.recvfrom(512)
		kind, _, cookie = struct.unpack("!HHI", p[:8])
		t, n, _, family, port = struct.unpack("!HHBBH", p[20:28])
		assert kind == 0x0101 and cookie == 0x2112A442 and p[8:20] == b"twelve bytes", p
		assert t == 0x20 and family == 1 and port ^ 0x2112 == s.getsockname()[1], p
		assert peer == (sys.argv[1], 5060)
	EOF
}
check "a STUN request is answered with the address that it came from" stun
check "the exchange ends well" server_stop

# IPv6: registered and called over ::1, and from an IPv4 phone
six_start() {
	local user
	for user in 1001 1002; do "$RUNG" user add $user --password secret$user --data "$work/six" || return 1; done
	start server_pid server "$RUNG" serve --listen "udp:[::1]:5077" --listen "tcp:[::1]:5077" --listen "udp:$SERVER:5077" --data "$work/six"
	wait_for 15 grep -qs ^ready "$work/server.log"
}
called() { # transport of the callee, address of the caller's server
	start callee_pid answer "$RUNG" answer --from "sip:1002@[::1]:5077" --proxy "[::1]:5077" --password secret1002 --transport "$1" --calls 1 --timeout 30 --json
	wait_for 10 grep -qs '"registered"' "$work/answer.log" || { cat "$work/answer.log"; return 1; }
	"$RUNG" call "sip:1002@$2:5077" --from "sip:1001@$2:5077" --proxy "$2:5077" --password secret1001 --hangup-after 0.5 --timeout 20 "${@:3}" || return 1
	wait_for 10 eval "! kill -0 $callee_pid 2>/dev/null" && unset "child[$callee_pid]"
}
if six_start >"$work/six.log" 2>&1; then
	LOGS=(answer server)
	check "IPv6 to IPv6 (udp)" called udp "[::1]"
	check "IPv6 to IPv6 (tcp)" called tcp "[::1]"
	check "IPv4 to IPv6, two Record-Routes" called udp "$SERVER" --bind "$CALLER"
	check "the exchange ends well, IPv6" server_stop
else
	result 0 "no IPv6 here # SKIP"
fi
finish
