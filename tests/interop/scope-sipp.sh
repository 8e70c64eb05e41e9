#!/bin/bash
# Calls of the recorded captures as SIPp scenarios, played again by sipp against the exchange: they must end as they did.
. "$(dirname "$0")/lib.sh"
need sipp tcpdump
captures=$top/tests/data/captures

ending() { # capture, caller: the code of the first finding of the caller's last call, and its status
	"$RUNG" scope -r "$1" -Y "sip.Method == INVITE && ip.src == $2" --calls --json |
		tail -n 1 | sed 's/.*"status":\([0-9]*\).*"findings":\[{"code":"\([a-z-]*\)".*/\1 \2/'
}

registered() { # user, address
	users "$work/$1.csv" "$1" "secret$1"
	sipp_run register "$2" "$work/$1.csv" -p 5060 -t u1 -key expires 600 -key contact_host "$2" -key contact_port 5060
}

play() { # scenario file, address, log name, flags ...
	timeout 60 sipp -sf "$1" -i "$2" -p 5060 -m 1 -nostdin -nd -timeout 40s -timeout_error -trace_err \
		-error_file "$work/$3.errors" "${@:4}" >"$work/$3.log" 2>&1 </dev/null {net_lock}>&-
	local rc=$?
	sipp_log "$3"
	return $rc
}

again() { # capture, transport
	local name=$1 t=$2 want got caller callee=
	want=$(ending "$captures/$name.pcap" 127.0.0.21)
	"$RUNG" scope -r "$captures/$name.pcap" -Y "sip.Method == INVITE && ip.src == 127.0.0.21" --sipp "$work/$name" \
		>/dev/null 2>"$work/export.log" || return 1
	PCAP=$work/$name.$t.pcap
	capture_start || return 1
	if [ -e "$work/$name-callee.xml" ]; then
		start callee "callee" timeout 60 sipp -sf "$work/$name-callee.xml" -i "$CALLEE" -p 5060 -m 1 -nostdin -nd -timeout 40s \
			-timeout_error -trace_err -error_file "$work/callee.errors" -t "$t"
		sleep 0.3
	fi
	play "$work/$name-caller.xml" "$CALLER" caller -t "$t" -au 1001 -ap secret1001 "$SERVER:5060"
	caller=$?
	[ -n "$callee" ] && { sipp_wait "$callee" || echo "the callee's side failed"; }
	capture_stop || return 1
	got=$(ending "$PCAP" "$CALLER")
	echo "recorded: $want; played: $got; sipp ended with $caller"
	[ "$want" = "$got" ] && [ "$caller" = 0 ]
}

check "the exchange starts" server_start || finish
LOGS=(register server)
check "the callee is registered" registered 1002 "$CALLEE"
LOGS=(caller callee export server)
for name in call-answered call-answered-callee-bye call-busy-486 call-declined-603 call-cancelled call-hold-reinvite \
	call-prack-100rel call-unknown-user-404; do
	check "$name, played again" again "$name" u1
done
LOGS=(server)
check "the exchange ends cleanly" server_stop
finish
