#!/bin/bash
# The five flows with rung's own phones over real sockets, UDP, TCP and IPv6: outcomes and exit codes of the one-shot user agents, JSON events, audio
# both ways, WAV files; the capture listed as tshark lists it; and the exchange's own verdict lines.
. "$(dirname "$0")/lib.sh"
need tshark tcpdump

agent() { # command, user, further words: a user agent at the caller's address
	"$RUNG" "$1" "${@:3}" --from "sip:$2@$SERVER" --password "secret$2" --transport "$t" --bind "$CALLER" --timeout 20
}
answer() { # flags: user 1002 waits for one call in the background
	start callee_pid answer "$RUNG" answer --from "sip:1002@$SERVER" --password secret1002 --transport "$t" --bind "$CALLEE" --calls 1 \
		--timeout 30 --json "$@"
	wait_for 10 grep -qs '"registered"' "$work/answer.log"
}
answered() { # expected exit code
	wait_for 30 eval "! kill -0 $callee_pid 2>/dev/null"
	wait "$callee_pid"
	local rc=$?
	unset "child[$callee_pid]"
	echo "answer ended with $rc, expected $1"
	[ $rc = "$1" ]
}
ends_with() { # exit code, command ...
	local want=$1 rc
	shift
	"$@"
	rc=$?
	echo "exit code $rc, expected $want: $*"
	[ $rc = "$want" ]
}
wav_seconds() { python3 -c 'import sys, wave; w = wave.open(sys.argv[1]); print(int(w.getnframes() / w.getframerate() * 10))' "$1"; }
lasts() { # file, tenths of a second at least, at most
	local n
	n=$(wav_seconds "$1")
	echo "$1 lasts $n tenths of a second, expected $2 to $3"
	[ "$n" -ge "$2" ] && [ "$n" -le "$3" ]
}

flows() { # transport
	t=$1
	PCAP=$work/$t.pcap
	capture_start || { result 1 "capture" capture; return; }
	LOGS=(answer server)
	check "register ($t)" ends_with 0 "$RUNG" register "sip:1001@$SERVER" --password secret1001 --transport "$t" --bind "$CALLER"
	check "a wrong password: 4 ($t)" ends_with 4 "$RUNG" register "sip:1001@$SERVER" --password wrong --transport "$t" --bind "$CALLER"
	check "an unknown user looks the same: 4 ($t)" ends_with 4 "$RUNG" register "sip:nobody@$SERVER" --password wrong --transport "$t" --bind "$CALLER"
	check "mailbox ($t)" ends_with 0 "$RUNG" subscribe "sip:1001@$SERVER" --password secret1001 --transport "$t" --bind "$CALLER"
	check "OPTIONS ($t)" ends_with 0 agent options 1001 "sip:$SERVER"
	check "nobody of that name: 3 ($t)" ends_with 3 agent call 1001 4711
	check "not registered: 5 ($t)" ends_with 5 agent call 1001 1003

	answer --reject 486
	check "declined: 6 ($t)" ends_with 6 agent call 1001 1002
	check "declined, the callee's view ($t)" answered 0
	answer --reject 603
	check "declined with 603: 3 ($t)" ends_with 3 agent call 1001 1002
	check "declined with 603, the callee's view ($t)" answered 0
	answer --no-answer
	check "given up: 0 ($t)" ends_with 0 agent call 1001 1002 --cancel-after 0.5
	check "given up, the callee's view: 5 ($t)" answered 5
	answer --tone 660 --expect-tone 440 --record "$work/callee.wav"
	check "the caller hangs up ($t)" ends_with 0 agent call 1001 1002 --tone 440 --expect-tone 660 --hangup-after 2 --record "$work/caller.wav"
	check "the caller hangs up, the callee's view ($t)" answered 0
	check "the recording lasts as long as the call ($t)" lasts "$work/caller.wav" 15 25
	answer --tone 660 --hangup-after 1
	check "the callee hangs up ($t)" ends_with 0 agent call 1001 1002 --expect-audio
	check "the callee hangs up, the callee's view ($t)" answered 0
	answer --play "$work/tone.wav"
	check "the file ends, the call ends ($t)" ends_with 0 agent call 1001 1002 --expect-tone 500
	check "the file ends, the callee's view ($t)" answered 0
	answer --tone 660
	check "hold and resume ($t)" ends_with 0 agent call 1001 1002 --hold-after 0.4 --resume-after 0.8 --hangup-after 1.5
	check "held, the callee's view ($t)" answered 0
	check "held and resumed are told ($t)" grep -q '"held".*"remote"' "$work/answer.log"
	check "a tone that does not come: 8 ($t)" ends_with 8 agent call 1001 echo --tone 440 --expect-tone 880 --hangup-after 1
	check "echo test ($t)" ends_with 0 agent call 1001 echo --tone 440 --expect-tone 440 --hangup-after 1
	check "time-out: 5 ($t)" ends_with 5 "$RUNG" call echo --from "sip:1001@$SERVER" --password secret1001 --bind "$CALLER" --timeout 0.5
	check "nobody listens there: 7 ($t)" ends_with 7 "$RUNG" options "sip:$THIRD" --bind "$CALLER" --transport "$t"
	capture_stop
	LOGS=()
	check "rung scope lists what tshark lists ($t)" same_list "$PCAP"
}

message() {
	start keep_pid keep "$RUNG" register "sip:1002@$SERVER" --password secret1002 --bind "$CALLEE" --keep
	wait_for 10 grep -qs registered "$work/keep.log"
	ends_with 0 "$RUNG" message "sip:1002@$SERVER" hello --from "sip:1001@$SERVER" --password secret1001 --bind "$CALLER"
	local rc=$?
	grep -q "message .*from sip:1001@$SERVER: hello" "$work/keep.log" || rc=1
	stop_child "$keep_pid" INT
	return $rc
}
interrupted() {
	start call_pid call "$RUNG" call echo --from "sip:1001@$SERVER" --password secret1001 --bind "$CALLER"
	wait_for 10 grep -qs answered "$work/call.log"
	stop_child "$call_pid" INT
	local rc=$?
	echo "exit code $rc, expected 130"
	[ $rc = 130 ] && grep -q 'ended' "$work/call.log"
}
two_flows() { # by two proxies, here the same one by two transports: two bindings of one phone, which rings once [RFC5626 4.2.1]
	local rows
	start two_pid two "$RUNG" answer --from "sip:1003@$SERVER" --password secret1003 --proxy "$SERVER" --proxy "sip:$SERVER;transport=tcp" \
		--bind "$THIRD" --calls 1 --timeout 30
	wait_for 10 eval '[ "$(grep -c registered "$work/two.log")" = 2 ]' || return 1
	rows=$("$RUNG" reg show 1003 --json --data "$work/data")
	echo "$rows"
	[ "$(grep -oE '"transport":"(UDP|TCP)"' <<<"$rows" | sort -u | wc -l)" = 2 ] &&
		[ "$(grep -oE '"instance":"[^"]*"' <<<"$rows" | sort | uniq -c | awk '{ print $1 }')" = 2 ] || return 1
	ends_with 0 "$RUNG" call 1003 --from "sip:1001@$SERVER" --password secret1001 --bind "$CALLER" --hangup-after 0.5 || return 1
	wait_for 10 eval "! kill -0 $two_pid 2>/dev/null" && [ "$(grep -c incoming "$work/two.log")" = 1 ]
	local rc=$?
	unset "child[$two_pid]"
	[ $rc = 0 ] && [ -z "$("$RUNG" reg --json --data "$work/data" | grep 1003)" ]
}
over_ipv6() {
	local v6_pid
	start v6_pid serve6 "$RUNG" serve --listen 'udp:[::1]:5097' --data "$work/data6" --no-qr
	wait_for 10 grep -qs ^ready "$work/serve6.log" || return 1
	local p
	p=$(awk '/user 100 / { print $4 }' "$work/serve6.log")
	ends_with 0 "$RUNG" call 'sip:echo@[::1]:5097' --from 'sip:100@[::1]:5097' --password "$p" --tone 440 --expect-tone 440 --hangup-after 1
	local rc=$?
	stop_child "$v6_pid" || rc=1
	return $rc
}
verdicts() {
	sleep 1
	grep -q '1001 registered' "$work/server.log" && grep -q '1001 → 1002.*hung up' "$work/server.log" && grep -q '1002 is busy' "$work/server.log"
}

tone "$work/long.wav" 500
python3 - "$work" <<-'PY'
	import sys, wave
	with wave.open(sys.argv[1] + "/long.wav") as r, wave.open(sys.argv[1] + "/tone.wav", "wb") as w:
	    w.setparams(r.getparams())
	    w.writeframes(r.readframes(8000))
PY
check "the exchange starts" server_start || finish
flows udp
flows tcp
LOGS=(keep server)
check "a message to a phone, which tells it" message
LOGS=(call server)
check "interrupted: hangs up, 130" interrupted
LOGS=(two server)
check "a phone keeps a flow by each of two proxies" two_flows
LOGS=(serve6)
check "a call over IPv6" over_ipv6
LOGS=(server)
check "the exchange says what happened" verdicts
check "the exchange ends cleanly" server_stop
finish
