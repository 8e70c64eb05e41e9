#!/bin/bash
# The routing policy over real sockets: a hunt, forwards, redirect and rejection with rung's own phones; out and in by a trunk with sipp
# as the other side; a new file during calls, a bad one, one that is not confirmed; check and route test as a user reads them.
. "$(dirname "$0")/lib.sh"
need sipp tshark tcpdump

says() { # exit code, what the output must contain, command ...
	local want=$1 text=$2 out rc
	shift 2
	out=$("$@" 2>&1)
	rc=$?
	printf '%s\n' "$out" "exit code $rc, expected $want, and the words: $text"
	[ $rc = "$want" ] && [[ $out == *"$text"* ]]
}
agent() { # number
	timeout 40 "$RUNG" call "$1" --from "sip:1001@$SERVER" --password secret1001 --bind "$CALLER" --timeout 20 --hangup-after 0.5 "${@:2}"
}
ends_with() {
	local want=$1 rc
	shift
	"$@"
	rc=$?
	echo "exit code $rc, expected $want"
	[ $rc = "$want" ]
}
phone() { # variable, user, address, flags
	start "$1" "phone$2" "$RUNG" answer --from "sip:$2@$SERVER" --password "secret$2" --bind "$3" --timeout 120 --json "${@:4}"
	wait_for 10 grep -qs '"registered"' "$work/phone$2.log"
}
route_test() { XDG_DATA_HOME=$work/none "$RUNG" route test "$@" --config "$work/rung.yaml"; }
reload() { "$RUNG" reload --data "$work/data" "$@"; }
policy() { cat >"$work/rung.yaml"; }

policy <<YAML
users:
  "1001":
  "1002": {forward: {busy: "1003"}}
  "1003": {caller_id: "+49301003"}
groups:
  hunt: {numbers: ["200"], ring: in-turn, time: 5s, members: ["1002", "1003"]}
trunks:
  out:
    hosts: [{host: "$THIRD:5999", priority: 1}, {host: "$THIRD:5060", priority: 2}]
    sources: $THIRD
    out: {"0...": "+49..."}
    numbers: {"+4930200": hunt}
routes:
  - {to: "0900...", reject: 403, reason: Not from here}
  - {to: "0...", trunk: out}
  - {to: elsewhere, redirect: "1003"}
YAML
LOGS=(server)
check "the file is good" says 0 "1 trunks, 3 routes" "$RUNG" check "$work/rung.yaml"
check "it says where a call goes, and why" says 0 "+4930123@$THIRD:5999, unreachable: 1" \
	route_test 1001 030123
server_start --config "$work/rung.yaml" || skip_all "the exchange does not start"

LOGS=(server phone1002 phone1003 trunk)
phone b 1002 "$CALLEE" --reject 486
phone c 1003 "$NET.66"
check "busy: forwarded, answered" ends_with 0 agent 1002
check "the callee is told of the forward" grep -q '"answered"' "$work/phone1003.log"
check "the caller hears of it who asks" says 0 "?Reason=SIP%3Bcause%3D486>;index=1.1;rc=1, <sip:1003@" agent 1002 --history
check "the callee, too" grep -q '"history":"<sip:1002@.*cause%3D486>;index=1, ' "$work/phone1003.log"
check "a hunt: the first is busy, the second answers" ends_with 0 agent 200
check "rejected by a rule" says 3 "Not from here" agent 0900123
check "redirected: the caller's phone calls the other one itself" says 0 "answered" agent elsewhere

start trunk_pid trunk sipp -sf "$here/sipp/callee-answers.xml" -i "$THIRD" -p 5060 -m 1 -nostdin
capture_start
check "out by the trunk: the first host is dead, the second answers" ends_with 0 agent 030123
capture_stop
check "with its number format" eval "tshark -n -r '$PCAP' -Y 'sip.Method == INVITE && ip.dst == $THIRD' -T fields -e sip.r-uri | grep -qx 'sip:+4930123@$THIRD:5060'"
stop_child "$trunk_pid"
incoming() { timeout 30 sipp -sn uac -i "$THIRD" -p 5060 -m 1 -s "$1" -nostdin -d 200 -timeout 20s -timeout_error "$SERVER:5060"; }
check "in by the trunk: a number of ours, without digest" incoming +4930200
check "in by the trunk: not out again" eval "! incoming 030123"
check "a stranger gets a challenge" eval "! timeout 30 sipp -sn uac -i $NET.99 -m 1 -s 030123 -nostdin -timeout 5s -timeout_error $SERVER:5060"

LOGS=(server)
cp "$work/rung.yaml" "$work/good.yaml"
sed -i 's/forward:/foward:/' "$work/rung.yaml"
check "a bad file is refused whole, with its errors" says 1 'did you mean `forward`' reload
check "the old one is in force" ends_with 0 agent 200
printf 'groups: {hunt: {numbers: ["300"], members: ["1003"]}}\n' >"$work/rung.yaml"
check "a new file, to be confirmed" says 0 "goes back in 2 s" reload --confirm 2
check "is in force" ends_with 0 agent 300
check "it goes back by itself" wait_for 10 grep -q 'was not confirmed' "$work/server.log"
check "what was before is in force again" ends_with 0 agent 200
check "nothing to confirm" says 1 "nothing waits" reload --confirmed
check "once more" says 0 "goes back in 60 s" reload --confirm 60
check "and confirmed" says 0 "ok" reload --confirmed
check "it stays" ends_with 0 agent 300
cp "$work/good.yaml" "$work/rung.yaml"
kill -HUP "$server_pid"
check "SIGHUP reads it too" wait_for 10 ends_with 0 agent 200
check "a changed listener counts from the next start: said" eval "echo 'listen: udp:$SERVER:5070' >>'$work/rung.yaml'; reload | grep -q 'next start'"
check "the server ends cleanly" server_stop
finish
