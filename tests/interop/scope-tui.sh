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
open_scope() { # columns, lines, flags ...; when it ends the shell tells its exit code
	term kill-server 2>/dev/null && wait_for 5 eval '! term has-session 2>/dev/null'
	term new-session -d -x "$1" -y "$2" "$(printf '%q ' "$RUNG" scope "${@:3}"); echo exit=\$?; exec sleep 60"
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
	! screen | LC_ALL=C grep -q '[^ -~]'
}
survives_a_crash() {
	open_scope 80 24 -r "$captures/call-busy-486.pcap"
	sees "1 calls" || return 1
	kill -SEGV "$(pid_of_scope)" || return 1
	wait_for 10 main_screen && sees "exit="
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
check "the legs of one call on a key, and in one drawing" legs
check "the legs of one call in files, or each for itself" whole_call
check "plain characters" plain
check "the terminal is given back after a crash" survives_a_crash
check "no screens for a pipe" no_screen_for_a_pipe
check "a file that is not there" no_file
finish
