#!/bin/bash
# The analyzer's screens in a real terminal (tmux): what a user sees, key by key.
. "$(dirname "$0")/lib.sh"
need tmux
export LC_ALL=C.UTF-8
captures=$top/tests/data/captures
term() { tmux -L "rung-$$" -f /dev/null "$@"; }
trap 'term kill-server 2>/dev/null; clean_up' EXIT

screen() { term capture-pane -p; }
has() { screen | grep -qF -- "$1"; }
has_not() { ! has "$1"; }
sees() { wait_for 10 has "$1" || { echo "not seen: $1"; screen | grep .; return 1; }; } # it appears
sees_not() { wait_for 10 has_not "$1" || { echo "still seen: $1"; screen | grep .; return 1; }; }
keys() { term send-keys "$@"; }
types() { term send-keys -l "$1"; }
# The pane's shell tells the exit code and whether the terminal takes lines again; WRAP runs it with other rights, say.
open_scope() { # columns, lines, flags ...; when it ends the shell tells its exit code
	term kill-server 2>/dev/null && wait_for 5 eval '! term has-session 2>/dev/null'
	term new-session -d -x "$1" -y "$2" "$(printf '%q ' ${WRAP-} "$RUNG" scope "${@:3}"); echo exit=\$?; stty -a | grep -oE ' -?(icanon|echo) '; exec sleep 60"
}
pid_of_scope() { pgrep -P "$(term display-message -p '#{pane_pid}')" -f 'rung scope'; }
main_screen() { [ "$(term display-message -p '#{alternate_on}')" = 0 ]; }

list_and_flow() {
	open_scope 80 24 -r "$captures/call-transfer-blind.pcap"
	sees "2 calls" && sees "1001 → 1002" && sees "1001 → 1003" && sees "? all keys" || return 1
	keys Enter
	sees "100 Trying" && sees "◀" || return 1
	sees "INVITE sip:1002@127.0.0.57" || return 1 # the message below
	keys j
	sees "SIP/2.0 407 Proxy Authentication Required" || return 1
	keys q
	sees "2 calls"
}
filter_as_typed() {
	keys /
	types 'sip.to.user == "1003"'
	sees "1 calls that fit" && sees_not "1001 → 1002" || return 1
	types ' &&'
	sees "^" && sees "the filter ends here" || return 1
	keys BSpace BSpace BSpace Enter
	sees 'sip.to.user == "1003"' && sees_not "1001 → 1002" || return 1
	keys / C-u Enter
	sees "1001 → 1002"
}
filter_on_calls() { # how they ended, also beside what one message says
	keys /
	types 'call.hangup'
	sees "that fit" || return 1
	types ' == "nobody"'
	sees "no call fits" || return 1
	keys C-u
	types 'call.to == "1003" && sip.Method == "BYE"'
	sees "1 calls that fit" && sees_not "1001 → 1002" || return 1
	keys Enter / C-u Enter
	sees "1001 → 1002"
}
escape_brings_back() {
	keys /
	types 'sip.to.user == "1003"'
	sees_not "1001 → 1002" || return 1
	keys Escape
	sees "1001 → 1002"
}
all_kinds() {
	keys t
	sees "1001@127.0.0.57: registered" || return 1
	keys t
	sees_not "registered for"
}
why() {
	keys v
	sees "What happened, and why" && sees "call-answered" || return 1
	keys q
}
raw_and_search() {
	keys Home r
	sees "--- frame" || return 1
	keys /
	types "REFER sip"
	keys Enter
	sees "REFER sip:" || return 1
	keys q
}
two_messages() {
	keys Enter Space Down Down Down Space
	sees "What differs" && sees " * " || return 1
	keys q
	sees_not "What differs"
}
evidence() {
	keys e
	sees "answered after" || return 1
	keys q
}
two_calls() {
	keys Home Space Space d
	sees "call 4" && sees "call 5" || return 1
	keys q
}
save_as() { # file: the calls marked, or this one
	keys s
	types "$1"
	keys Enter
	sees "written to $1"
}
save_capture() { # what -w writes of the call: media, findings as comments, secrets of TLS
	open_scope 120 24 -r "$captures/call-rtp-loss-10pct.pcap"
	sees "1 calls" && save_as "$work/saved.pcapng" || return 1
	"$RUNG" scope -r "$captures/call-rtp-loss-10pct.pcap" --call "$("$RUNG" scope -r "$captures/call-rtp-loss-10pct.pcap" --calls --json | jq .no)" -w "$work/copied.pcapng" 2>&1 || return 1
	cmp "$work/saved.pcapng" "$work/copied.pcapng" || return 1
	tshark -r "$work/saved.pcapng" -Y 'frame.comment contains "rung: "' 2>/dev/null | grep -q . || return 1
	keys q
	open_scope 120 24 -r "$captures/tls-13.pcap" --keys "$captures/tls-13.keys"
	sees "calls" && keys t && save_as "$work/tls.pcapng" || return 1
	[ "$(tshark -r "$work/tls.pcapng" -Y 'tls && sip' 2>/dev/null | wc -l)" -gt 0 ] || return 1
	save_as "$work/nowhere/x.pcapng" && return 1
	sees "nowhere/x.pcapng: " && keys q
}
save() {
	keys s
	types "$work/two.txt"
	keys Enter
	sees "2 calls written to" && grep -q "REFER" "$work/two.txt" || return 1
	keys s
	types "$work/nowhere/x.txt"
	keys Enter
	sees "cannot be written" || return 1
	keys s
	types "$work/x.doc"
	keys Enter
	sees "its end must say"
}
resized() {
	keys u Home Enter
	sees "INVITE sip:1002" || return 1
	term resize-window -x 140 -y 40
	sees "│INVITE sip:1002" || return 1 # the message stands beside the ladder
	term resize-window -x 40 -y 10
	sees "INVITE" || return 1
	term resize-window -x 80 -y 24
	keys q
	sees "2 calls"
}
legs() { # a B2BUA's two calls are one
	open_scope 80 24 -r "$captures/made-b2bua.pcap"
	sees "6 calls" || return 1
	keys Home Enter
	sees "100 Trying" && sees_not "192.0.2.43" || return 1
	keys q x
	sees "192.0.2.43" || return 1
	keys q Home Space Space s
	types "$work/whole.svg"
	keys Enter
	sees "1 call written to" && grep -q "192.0.2.43" "$work/whole.svg" || return 1
	keys q
	sees "exit=0"
}
by_hand() { # legs joined and broken, on keys and by flags
	local capture=$captures/made-b2bua.pcap
	open_scope 80 24 -r "$capture"
	sees "6 calls" || return 1
	keys Home S
	sees "1 join broken" || return 1
	keys x
	sees "100 Trying" && sees_not "192.0.2.43" || return 1
	keys q Home Space Space J
	sees "2 calls are one now, by hand" || return 1
	keys u Home x
	sees "192.0.2.43" || return 1
	keys q q
	sees "exit=0" || return 1
	"$RUNG" scope -r "$capture" --split 1,2 --ladder 1 >"$work/split.txt" && ! grep -q "192.0.2.43" "$work/split.txt" || return 1
	"$RUNG" scope -r "$capture" --split 1,2 --join in-1@a,3 --ladder 1 | grep -q "joined to 1: by hand" || return 1
	"$RUNG" scope -r "$capture" --join 1,99 --ladder 1 2>&1 | grep -q 'no call has the Call-ID or number `99`' || return 1
	! "$RUNG" scope -r "$capture" --split 1,3 --calls >"$work/none.txt" 2>&1 && grep -q "no join leads" "$work/none.txt"
}
whole_call() { # the same for files
	local capture=$captures/made-b2bua.pcap one='sip.Call-ID == "in-1@a" || sip.Call-ID == "out-1@p"' form
	for form in svg mmd html json; do
		"$RUNG" scope -r "$capture" -Y "$one" --ladder -o "$work/whole.$form" && grep -q "192.0.2.43" "$work/whole.$form" || return 1
		"$RUNG" scope -r "$capture" --leg --call 1 --ladder -o "$work/leg.$form" || return 1
		! grep -q "192.0.2.43" "$work/leg.$form" || return 1
	done
	[ "$(wc -l <"$work/whole.json")" = 1 ] && "$RUNG" scope -r "$capture" --compare 1 | grep -q "^B  call 2"
}
leaves() {
	keys q
	sees "exit=0" && main_screen
}
plain() {
	LC_ALL=C open_scope 80 24 -r "$captures/call-busy-486.pcap" --ascii
	sees "1 calls" || return 1
	keys Enter
	sees "|<" && sees "->" || return 1
	! screen | LC_ALL=C grep -q '[^ -~]' || return 1
	keys q s # what is saved looks as what -o writes
	types "$work/plain.txt"
	keys Enter
	sees "1 call written" || return 1
	"$RUNG" scope -r "$captures/call-busy-486.pcap" --ascii --ladder 3 -o "$work/plain-o.txt" && cmp "$work/plain.txt" "$work/plain-o.txt"
}
takes_lines() { main_screen && screen | grep -q '^ icanon' && screen | grep -q '^ echo'; }
survives() { # signal
	open_scope 80 24 -r "$captures/call-busy-486.pcap"
	sees "1 calls" || return 1
	kill -"$1" "$(pid_of_scope)" || return 1
	wait_for 10 takes_lines && sees "exit="
}
ctrl_c_leaves() {
	open_scope 80 24 -r "$captures/call-busy-486.pcap"
	sees "1 calls" || return 1
	keys C-c
	sees "exit=0" && wait_for 5 takes_lines
}
plain_by_locale() {
	open_scope 80 24 -r "$captures/call-busy-486.pcap"
	term kill-server
	wait_for 5 eval '! term has-session 2>/dev/null'
	term new-session -d -x 80 -y 24 "LC_ALL=C $(printf '%q ' "$RUNG" scope -r "$captures/call-busy-486.pcap"); exec sleep 60"
	sees "1 calls" || return 1
	keys Enter
	sees "|<" && sees "->" || return 1
	! screen | LC_ALL=C grep -q '[^ -~]'
}
gone_by_q() { keys q; sleep 0.1; ! pid_of_scope >/dev/null; } # a screen each, the program last
tiny() {
	local size
	for size in "20 6" "5 3" "1 1" "2 40" "200 2"; do
		open_scope 80 24 -r "$captures/call-transfer-blind.pcap"
		sees "2 calls" || return 1
		term resize-window -x "${size% *}" -y "${size#* }"
		keys Enter
		sleep 0.1
		keys Down Enter v
		sleep 0.1
		keys q q /
		types "sip"
		sleep 0.1
		keys Escape
		pid_of_scope >/dev/null || { echo "gone at $size"; return 1; }
		term resize-window -x 80 -y 24
		wait_for 10 gone_by_q && sees "exit=0" || return 1
	done
}
mouse() {
	open_scope 80 24 -r "$captures/call-transfer-blind.pcap"
	sees "2 calls" || return 1
	types "$(printf '\033[M %%$')" # button 1 at column 5, line 4: the second call
	keys Enter
	sees "1001 → 1003" && sees "INVITE sip:1003" || return 1
	types "$(printf '\033[Ma%%%%')" # the wheel, downwards: three rows on
	sees "Proxy-Authorization" && has_not "2 calls" # the same INVITE, with credentials
}
compare_json() { # one object, on the standard output and in a file
	"$RUNG" scope -r "$captures/call-transfer-blind.pcap" --compare 4 5 --json >"$work/diff.json" || return 1
	"$RUNG" scope -r "$captures/call-transfer-blind.pcap" --compare 4 5 -o "$work/file.json" && cmp "$work/diff.json" "$work/file.json" || return 1
	"$RUNG" scope -r "$captures/call-transfer-blind.pcap" --compare 4 5 >"$work/diff.txt" || return 1
	! "$RUNG" scope -r "$captures/call-transfer-blind.pcap" --compare 4 5 -o "$work/x.svg" 2>/dev/null || return 1
	python3 - "$work/diff.json" "$work/diff.txt" <<-'PY'
		import json, sys
		d, text = json.load(open(sys.argv[1])), open(sys.argv[2]).read()
		at = d["first_divergence"]
		both = [m for m in d["messages"] if m["a"] and m["b"]]
		assert (d["a"]["call"], d["b"]["call"]) == (4, 5) and d["a"]["verdict"]["findings"]
		assert all(m["a"] and m["b"] for m in d["messages"][:at]) and not (d["messages"][at]["a"] and d["messages"][at]["b"])
		assert sum(len(m["headers"]) for m in both) == text.count("\n    ~ ") + text.count("\n    - ") + text.count("\n    + ")
		assert all("a" in h or "b" in h for m in both for h in m["headers"])
		assert len(d["messages"]) == len(text.split("\nMessages\n")[1].split("\n\n")[0].splitlines()) - 1
	PY
}
writes_and_compares() { # these are no screens, on a terminal either
	open_scope 80 24 -r "$captures/made-b2bua.pcap" -w "$work/copy.pcapng"
	sees "exit=0" && [ -s "$work/copy.pcapng" ] || return 1
	open_scope 80 24 -r "$captures/made-b2bua.pcap" --compare 1
	sees "exit=0"
}

# --- live ---

can_capture() { "$RUNG" scope -i lo -c 1 -a duration:1 --stats >"$work/try.log" 2>&1; }
call_by_sipp() { # caller's address, callee's: one call of half a second
	start uas_pid uas sipp -sn uas -i "$2" -p 5060 -m 1 -nostdin
	sleep 0.3
	timeout 20 sipp -sn uac -i "$1" -p 5060 -m 1 -d 500 -nostdin "$2:5060" >"$work/uac.log" 2>&1 </dev/null
	stop_child "$uas_pid"
	return 0
}
live_call() {
	open_scope 120 30 -i lo -f "net $NET.0/24"
	sees "live" && sees "packets/s" && sees "0 dropped" && sees "no call yet" || return 1
	call_by_sipp "$NET.1" "$NET.2"
	sees "sipp → service" && sees "1 calls" && sees "the caller hung up" || return 1
	keys Enter
	sees "100 Trying" || sees "180 Ringing" || return 1
	sees "│INVITE sip:service@$NET.2" || return 1 # the message, from what was put aside
	keys G
	sees "200 OK"
}
live_flow_follows() {
	open_scope 120 40 -i lo -f "net $NET.0/24"
	sees "no call yet" || return 1
	start uas_pid uas sipp -sn uas -i "$NET.4" -p 5060 -m 1 -nostdin
	sleep 0.3
	start uac_pid uac sipp -sn uac -i "$NET.3" -p 5060 -m 1 -d 4000 -nostdin "$NET.4:5060"
	sees "sipp → service" || return 1
	keys Enter
	sees "ACK" && has_not "BYE" || return 1
	sees "BYE" || return 1 # in the flow that is open
	stop_child "$uac_pid"
	stop_child "$uas_pid"
	keys q
	sees "1 calls"
}
live_filter() {
	keys /
	types 'sip.to.user == "nobody"'
	sees_not "sipp → service" && sees "no call fits" || return 1
	keys C-u
	types 'sip.to.user == "service" && ip.src == '"$NET.3"
	sees "sipp → service" || return 1
	keys Enter
	call_by_sipp "$NET.5" "$NET.6"
	call_by_sipp "$NET.3" "$NET.6"
	sees "2 calls that fit" || return 1
	keys / C-u Enter
	sees "3 calls"
}
live_pause() {
	keys p
	sees "pausing, 0 more" || return 1
	call_by_sipp "$NET.7" "$NET.8"
	sees "pausing, 1 more" && sees "3 calls" || return 1
	keys p
	sees "4 calls"
}
live_filter_on_calls() { # while a call goes on, and when it is over
	keys /
	types 'call.code == 200'
	keys Enter
	sees "4 calls that fit" || return 1
	keys / C-u
	types 'call.state != "ended"'
	keys Enter
	sees "no call fits" || return 1
	call_by_sipp "$NET.7" "$NET.8" &
	local pid=$!
	sees "1 calls that fit" || { wait $pid; return 1; }
	wait $pid
	sees "no call fits" || return 1
	keys / C-u Enter
	sees "5 calls"
}
live_save() {
	keys s
	types "$work/live.html"
	keys Enter
	sees "1 call written to" && grep -q "INVITE sip:service" "$work/live.html" || return 1
	keys s
	types "$work/live.txt"
	keys Enter
	sees "live.txt" && grep -q "BYE" "$work/live.txt" || return 1
	keys s
	types "$work/live.pcapng"
	keys Enter
	sees "packets written to $work/live.pcapng" || return 1
	[ "$(tshark -r "$work/live.pcapng" -Y 'sip.CSeq.method == "BYE"' 2>/dev/null | wc -l)" = 2 ] || return 1
	tshark -r "$work/live.pcapng" -Y 'frame.comment contains "rung: "' 2>/dev/null | grep -q .
}
live_killed() {
	kill -TERM "$(pid_of_scope)" || return 1
	wait_for 10 takes_lines && sees "exit=143"
}
live_leaves() {
	open_scope 80 24 -i lo -f "net $NET.0/24"
	sees "no call yet" || return 1
	keys q
	sees "exit=0" && sees "dropped by the kernel" && wait_for 5 takes_lines
}
live_stops_itself() {
	open_scope 80 24 -i lo -f "net $NET.0/24" -a duration:1
	sees "ended" && keys q && sees "exit=0"
}
no_right() { # says so, and opens no screen
	WRAP="setpriv --bounding-set=-net_raw --inh-caps=-net_raw --ambient-caps=-net_raw" open_scope 100 24 -i lo
	sees "CAP_NET_RAW" && sees "exit=1" && main_screen
}
live_exchange() {
	server_start || return 1
	open_scope 120 30 --live "$work/data"
	sees "live" && sees "no call yet" || return 1
	start callee_pid callee "$RUNG" answer --from "sip:1002@$SERVER" --password secret1002 --bind "$CALLEE" --calls 1
	wait_for 10 grep -qi regist "$work/callee.log"
	timeout 20 "$RUNG" call 1002 --from "sip:1001@$SERVER" --password secret1001 --bind "$CALLER" --hangup-after 1 >"$work/caller.log" 2>&1 </dev/null
	sees "1001 → 1002" || { cat "$work/caller.log" "$work/callee.log"; return 1; }
	keys Enter
	sees "│INVITE sip:1002@" || return 1
	stop_child "$callee_pid"
	keys q
	server_stop
	sees "ended" || return 1 # the exchange is gone, what was seen stays
	sees "1001 → 1002" && keys q && sees "messages, 0 dropped by the exchange" && sees "exit=0"
}
no_screen_for_a_pipe() {
	"$RUNG" scope -r "$captures/call-busy-486.pcap" | grep -q INVITE
}
no_file() {
	open_scope 80 24 -r "$captures/nothing.pcap"
	sees "there is no such" && sees "exit=1"
}

check "the list of calls, a flow, a message" list_and_flow
check "a filter is applied as it is typed, a broken one shown with a caret" filter_as_typed
check "a filter on how calls ended" filter_on_calls
check "Escape brings the old filter back" escape_brings_back
check "registrations on a key" all_kinds
check "why" why
check "raw messages, searched" raw_and_search
check "two messages compared" two_messages
check "evidence" evidence
check "two calls compared" two_calls
check "saved, or told why not" save
check "resized to wide and to tiny" resized
check "the terminal is given back" leaves
check "saved as a capture" save_capture
check "the legs of one call on a key, and in one drawing" legs
check "legs joined and broken by hand" by_hand
check "a comparison as JSON" compare_json
check "the legs of one call in files, or each for itself" whole_call
check "plain characters" plain
check "plain characters where the locale has no others" plain_by_locale
check "smaller than anything can be shown in" tiny
check "a mouse chooses" mouse
check "the terminal is given back after a crash" survives SEGV
check "... when it is told to end" survives TERM
check "... and by Ctrl-C" ctrl_c_leaves
check "no screens where something is written or compared" writes_and_compares
check "no screens for a pipe" no_screen_for_a_pipe
check "a file that is not there" no_file
if can_capture; then
	check "live: a call appears, its flow with the message beside it" live_call
	check "live: a flow goes on while it is open" live_flow_follows
	check "live: a filter looks at what is kept and at what comes" live_filter
	check "live: a pause loses nothing" live_pause
	check "live: a filter on how calls end, while they go on" live_filter_on_calls
	check "live: saved" live_save
	check "live: told to end, it gives the terminal back" live_killed
	check "live: left, it tells the counters" live_leaves
	check "live: stops after its time" live_stops_itself
	check "live: without the right it says so, before any screen" no_right
else
	echo "# no right to capture here: nothing live is tested"
fi
check "live from an exchange" live_exchange
finish
