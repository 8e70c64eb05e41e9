#!/bin/bash
# Every example of the manual pages, of README and of the guides, played as it stands there: against an exchange, a provider and
# phones on loopback, in a home of its own. An example that is not played here, or that stands nowhere any more, is a failure.
#
#   ex CODE TEXT EXAMPLE      ends with that code, and TEXT is in what it says
#   until_ CODE TEXT EXAMPLE  runs until TEXT is in what it says; ends with CODE when it is interrupted
#   cannot EXAMPLE            is not for a sandbox
#
# 192.0.2.1 and 192.0.2.57 stand for the exchange (in captures for theirs), sip.example.net for the provider.
. "$(dirname "$0")/lib.sh"
need mergecap jq curl
export HOME=$work/home PATH=$work/bin:$PATH
unset RUNG_DATA RUNG_PASSWORD XDG_DATA_HOME
mkdir -p "$HOME" "$work/bin" "$work/lab"
ln -s "$RUNG" "$work/bin/rung"
cd "$work/lab" || exit 1
UP=$NET.67
: >"$work/played"

# What stands in the documents, one a line.
man_examples() {
	local command
	for command in $(rung help | sed -n 's/^  \([a-z]*\) .*/\1/p'); do
		rung help "$command" | sed -n '/^examples:/,$ s/^  //p'
	done
}
doc_examples() { # lines of code that begin with a program; what stands behind two spaces or # is said about them
	sed -nE 's/^(    )?((rung|curl|\.\/run|\.\/test)( .*)?)$/\2/p' "$top/README.md" "$top"/docs/guide/*.md | sed -E 's/  .*//; s/ *$//' | grep -v '^rung .*`' |
		grep -vE '^rung (needs|makes|reads|is) '
}
yaml_of() { # guide, number of the block
	awk -v want="$2" '/^```yaml/ { n++; on = n == want; next } /^```/ { on = 0 } on' "$top/docs/guide/$1.md"
}
as_here() { # an example with the addresses of this test
	local server=$SERVER
	[[ $1 == "rung scope"* ]] && server=127.0.0.57
	sed -E "s/192\.0\.2\.(1|57)\b/$server/g; s/192\.0\.2\.21\b/127.0.0.21/g; s/127\.0\.0\.1:5080/$SERVER:5080/g
		s/^rung serve( --config [a-z.]*| --b2bua| --farewell)?$/& --listen udp:$SERVER:5060 --listen tcp:$SERVER:5060 --api $SERVER:5080/
		s,udp:127.0.0.1:5070 --data /tmp/rung,udp:$THIRD:5070 --data $work/other --api off,
		s/sip\.example\.net/$UP/g" <<<"$1"
}
judge() { # code, wanted code, wanted text; the output is in out.log
	cat "$work/out.log"
	echo "exit code $1, expected $2, and the words: $3"
	[ "$1" = "$2" ] && { [ -z "$3" ] || grep -qF -- "$3" "$work/out.log"; }
}
play() {
	timeout 20 bash -c "$(as_here "$3")" >"$work/out.log" 2>&1 </dev/null
	judge $? "$1" "$2"
}
ex() {
	echo "$3" >>"$work/played"
	check "$3" play "$@"
}
play_until() {
	local pid rc=none
	rm -f "$work/until.pid" "$work/until.rc"
	# shellcheck disable=SC2016 # for the inner shell, which outlives what it runs
	start pid out bash -c 'env --default-signal=INT bash -c "exec $1" & echo $! >"$2.pid"; wait $!; echo $? >"$2.rc"' - "$(as_here "$3")" "$work/until"
	wait_for 15 grep -qsF -- "$2" "$work/out.log"
	kill -INT "$(cat "$work/until.pid")" 2>/dev/null
	wait_for 8 test -s "$work/until.rc" || kill -KILL "$(cat "$work/until.pid")"
	[ ! -s "$work/until.rc" ] || rc=$(cat "$work/until.rc")
	stop_child "$pid"
	judge "$rc" "$1" "$2"
}
until_() {
	echo "$3" >>"$work/played"
	check "$3" play_until "$@"
}
cannot() { echo "$1" >>"$work/played"; }
answers() { # variable, user, server, further flags: a phone in the background
	start "$1" "phone$2" rung answer --from "sip:$2@$3" --password "${4-P}" --timeout 100 --json "${@:5}"
	wait_for 8 grep -qs '"registered"' "$work/phone$2.log"
}
captures() {
	local c="$here/../data/captures/call"
	mergecap -F pcap -a -w lab.pcap "$c-answered.pcap" "$c-busy-486.pcap" "$c-hold-reinvite.pcap" "$c-declined-603.pcap" && cp lab.pcap monday.pcap &&
		mergecap -F pcap -a -w today.pcap "$c-busy-486.pcap" "$c-answered.pcap" "$c-pcma.pcap"
}

# ---- nothing runs yet
cannot ./run
cannot ./test
ex 0 "added 100" "rung user add 100"
ex 0 "100" "rung user passwd 100 --password 'correct horse'"
printf 'name,password\n101,P\n102,\n' >staff.csv
ex 0 "imported 2 users" "rung user import staff.csv > passwords.csv"
check "the passwords that were made" grep -q '^102,' passwords.csv
ex 0 '"name":"101"' "rung user list --json"
until_ 0 "ready" "rung serve --listen udp:127.0.0.1:5070 --data /tmp/rung"
rung user passwd 100 --password P >/dev/null

# ---- a configuration
yaml_of config 1 >rung.yaml
ex 0 "2 users" "rung check rung.yaml"
ex 0 "forward" "rung check --keys"
ex 0 "no exchange runs" "rung route test 100 03012345 --config rung.yaml --at 'sat 09:00'"
ex 0 "+4930" "rung route test 100 03012345 --config rung.yaml"
ex 0 "0: 100 for 20 s" "rung route test 0170555 +4930100 --config rung.yaml --source 192.0.2.9"

# ---- the exchange runs
until_ 0 "ready" "rung serve"
until_ 0 "ready" "rung serve --b2bua"
until_ 0 "ready" "rung serve --farewell"
serves() { # with that file, from now on
	echo "rung serve --config $1" >>"$work/played"
	start server_pid server bash -c "exec $(as_here "rung serve --config $1")"
	wait_for 15 grep -qs ^ready "$work/server.log"
}
LOGS=(server)
check "rung serve --config rung.yaml" serves rung.yaml || finish
ex 0 "ok" "rung reload"
ex 0 "ok" "rung reload --confirm 60 && rung reload --confirmed"
ex 0 "goes back in 60 s" "rung reload --confirm 60"
ex 0 "ok" "rung reload --confirmed"
ex 0 "0900..." "rung route"
ex 0 "premium" "rung route show premium"
ex 0 "registered" "rung register sip:100@192.0.2.1 --password P"
ex 0 "100@" "rung reg"
ex 0 '"aor":"100@' "rung reg show 100 --json"
ex 0 "1 ended" "rung reg del 100"
ex 0 "200" "rung options sip:192.0.2.1"
ex 0 "" "rung mailbox set 100 2 5"
ex 0 "2/5" "rung subscribe sip:100@192.0.2.1 --password P"
ex 0 "200" "rung publish open --activity meeting --from sip:100@192.0.2.1 --password P"

# ---- phones
until_ 130 "registered" "rung answer --from sip:101@192.0.2.1 --password P --echo"
rejects() {
	local pid rc
	start pid out bash -c "exec $(as_here "$1")"
	wait_for 8 grep -qs registered "$work/out.log" && ! rung call "sip:101@$SERVER" --from "sip:102@$SERVER" --password P2 -q --timeout 5
	wait_for 8 eval "! kill -0 $pid 2>/dev/null"
	wait "$pid"
	rc=$?
	unset "child[$pid]"
	judge "$rc" 0 486
}
rung user passwd 102 --password P2 >/dev/null
echo "rung answer --from sip:101@192.0.2.1 --password P --reject 486 --calls 1" >>"$work/played"
check "rung answer --from sip:101@192.0.2.1 --password P --reject 486 --calls 1" rejects \
	"rung answer --from sip:101@192.0.2.1 --password P --reject 486 --calls 1"
check "a phone of 101's" answers phone101 101 "$SERVER" P --echo
ex 0 "200 OK" "rung message 101 'Coffee is ready' --from sip:100@192.0.2.1 --password P"
ex 0 "answered" "rung call 101 --from sip:100@192.0.2.1 --password P --hangup-after 5"
ex 0 "440" "rung call sip:echo@192.0.2.1 --from sip:100@192.0.2.1 --password P --tone 440 --expect-tone 440 --hangup-after 2"
start long_pid long rung call 101 --from "sip:100@$SERVER" --password P --hangup-after 20
wait_for 8 eval 'rung calls | grep -q " up "'
ex 0 " up " "rung calls"
ex 0 '"' "rung calls --json | jq .verdict"
export RUNG_PASSWORD=P
until_ 130 "confirmed" "rung subscribe 101 --event dialog --keep --from sip:100@192.0.2.57"
stop_child "$long_pid" INT
ex 0 "200" "rung publish open --activity meeting --from sip:101@192.0.2.57"
until_ 130 "meeting" "rung subscribe 101 --event presence --keep --from sip:100@192.0.2.57"
ex 0 "" "rung mailbox set 100 2 0"
until_ 130 "2/0" "rung subscribe 100 --event message-summary --keep --from sip:100@192.0.2.57"
ex 0 "200 OK" 'rung message 101 "hello" --from sip:100@192.0.2.57'
unset RUNG_PASSWORD

# ---- what an operator asks
has_records() { [ "$(rung cdr --json | wc -l)" -ge 3 ]; }
wait_for 3 has_records
ex 0 "100" "rung cdr --user 100 --since 2h"
ex 0 "100" "rung cdr --user 100"
ex 0 "" "rung cdr --csv --since 2026-11-01 > november.csv"
check "the sheet has its heading" grep -q '^start,' november.csv
ex 0 "calls_total" "rung stats --filter call"
until_ 130 "uptime_seconds" "rung stats --watch"
ex 0 "rung" "rung lint"
ex 0 "" "rung lint --json | jq .findings"
ex 0 "SIP over UDP to 127" "rung doctor"
ex 0 "SIP over UDP to 127" "rung doctor 192.0.2.57"
cannot "rung doctor 192.0.2.1:5070 --domain example.com" # it asks the DNS
ex 0 "is banned" "rung ban add 198.51.100.0/24 --for 2h --reason 'calls at night'"
ex 0 "calls at night" "rung ban"
rung ban add 192.0.2.7 >/dev/null
ex 0 "by hand" "rung ban explain 192.0.2.7"
ex 0 "1 lifted" "rung ban del 192.0.2.7"
ex 0 "provider" "rung trunk"
ex 0 '"name":"provider"' "rung trunk show provider --json"
# shellcheck disable=SC2016 # expanded when it is played
ex 0 '"items":[' 'curl -H "Authorization: Bearer $(cat ~/.local/share/rung/api.token)" http://127.0.0.1:5080/v1/registrations'
ex 0 '"openapi"' "curl http://127.0.0.1:5080/openapi.json"

# ---- trunks
rung user add 4930200 --password secret --data "$work/up" >/dev/null
rung user add 6000 --password secret --data "$work/up" >/dev/null
echo 'users: {"4930200": , "6000": {numbers: ["+4930123"]}}' >up.yaml
provides() {
	start up_pid up rung serve --listen "udp:$UP:5060" --data "$work/up" --api off --config up.yaml
	wait_for 15 grep -qs ^ready "$work/up.log" && answers phone6000 6000 "$UP" secret
}
changes() { stop_child "$server_pid" && as_here "$(yaml_of trunks 1)" >trunks.yaml && serves trunks.yaml; }
yaml_of trunks 2 >carrier.yaml
check "a provider" provides
check "rung serve --config trunks.yaml" changes
ex 0 "1 trunks" "rung check trunks.yaml"
check "registers at the provider" wait_for 8 eval 'rung trunk --json | grep "\"registered\":true"'
ex 0 "+4930123@" "rung route test 100 030123 --config trunks.yaml"
ex 0 "provider" "rung trunk"
LOGS=(server up phone6000)
ex 0 "answered" "rung call 030123 --from sip:100@192.0.2.57 --password P --hangup-after 1"
check "the provider's phone has answered" grep -q '"answered"' "$work/phone6000.log"
LOGS=(server up phone101)
check "a phone of 101's, which has registered again" wait_for 2 answers phone101b 101 "$SERVER" P --echo
check "in by the provider: to the group" rung call 4930200 --from "sip:6000@$UP" --password secret --hangup-after 1 --timeout 10
ex 0 "1 trunks" "rung check carrier.yaml"
ex 0 "100" "rung route test 0170555 +49307777 --config carrier.yaml --source 192.0.2.9 --online 100"
ex 0 "a.example.net is down" "rung route test 100 030123 --config carrier.yaml --down a.example.net"
for code in 4035 4036 4037; do ex 0 "Remedy" "rung explain $code"; done
LOGS=(server)
check "the exchange ends cleanly" server_stop

# ---- captures
captures
ex 0 "INVITE" "rung scope -r lab.pcap -Y 'ip.addr == 192.0.2.1 && sip'"
ex 0 "answered" "rung scope -r lab.pcap --calls"
ex 0 "INVITE (SDP)" "rung scope -r lab.pcap --ladder 3"
ex 0 '"code":"call-answered"' "rung scope -r lab.pcap --why --json"
ex 0 "" "rung scope -r lab.pcap --call 3 -o ticket.svg"
check "the picture" grep -q "<svg" ticket.svg
ex 0 "" "rung scope -r lab.pcap -o ticket.html"
check "the page" grep -qi "<html" ticket.html
ex 0 "busy-caller.xml" "rung scope -r lab.pcap --call 3 --sipp busy"
ex 0 "packets written to public.pcapng" "rung scope -r lab.pcap --call 3 -w public.pcapng --anonymize"
ex 0 "" "rung scope -r lab.pcap --call 3 --audio call.wav"
check "the sound" eval 'head -c 4 call.wav | grep -q RIFF'
ex 0 "MOS" "rung scope -r lab.pcap --streams --detail"
ex 0 "INVITE" "rung scope -r monday.pcap --compare 3 --with today.pcap 7"
ex 0 "frame" "rung scope -r lab.pcap --lint -Y 'ip.src == 192.0.2.21'"
ex 0 "" "rung scope -r lab.pcap -Y 'sip.Status-Code >= 400' -T fields -e frame.number -e sip.Call-ID"

# ---- the rest
ex 0 "INVITE" "rung tour --fast"
ex 0 "TRYING" "rung fsm"
ex 0 "digraph" "rung fsm --dot"
ex 0 "Remedy" "rung explain 4002"
ex 0 "Remedy" "rung explain 4001"
ex 0 "" "source <(rung completion bash)"

all_played() {
	{ man_examples; doc_examples; } | sort -u >"$work/stand"
	sort -u "$work/played" >"$work/sorted"
	echo "not played: <, stands nowhere: >"
	diff "$work/stand" "$work/sorted"
}
LOGS=()
check "all examples were played, and no others" all_played
a_page_each() { # made of the same examples
	local command missing=0
	for command in $(rung help | sed -n 's/^  \([a-z]*\) .*/\1/p'); do
		[ "$command" = help ] || grep -q "'$command'" "$top/docs/man/meson.build" || { echo "no manual page: $command"; missing=1; }
		rung help --roff "$command" >"$work/page" || missing=1
	done
	return $missing
}
check "each command has a manual page" a_page_each
finish
