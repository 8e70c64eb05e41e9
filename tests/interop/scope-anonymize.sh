#!/bin/bash
# `-w --anonymize` from end to end: tokens planted wherever an anonymizer may miss them are in the output in no spelling; what it
# writes is well-formed to tshark; and what rung finds in it is what it finds in the original, over all captures here. TAP.
. "$(dirname "$0")/lib.sh"
need tshark mergecap python3
. "$here/tshark.sh"
captures=$top/tests/data/captures
anonymize() { "$RUNG" scope -r "$1" -w "$2" --anonymize; }

planted() { # kind: a capture of it holds no token afterwards
	python3 "$here/scope-anonymize.py" make "$1" "$work/$1.pcapng" >"$work/$1.tokens" || return 1
	anonymize "$work/$1.pcapng" "$work/$1.out.pcapng" || return 1
	python3 "$here/scope-anonymize.py" find "$work/$1.pcapng" <"$work/$1.tokens" >"$work/$1.before"
	[ -s "$work/$1.before" ] || { echo "the test's own capture holds no token"; return 1; }
	python3 "$here/scope-anonymize.py" find "$work/$1.out.pcapng" <"$work/$1.tokens" >"$work/$1.found"
	cat "$work/$1.found"
	[ ! -s "$work/$1.found" ]
}
is_kept() { [ "$("$RUNG" scope -r "$work/$1.out.pcapng" --messages | wc -l)" -ge "$2" ]; } # messages at least
blemishes() { # what tshark calls wrong in a capture, counted
	tshark -r "$1" -o ip.check_checksum:TRUE -o udp.check_checksum:TRUE -o tcp.check_checksum:TRUE \
		-Y '_ws.malformed || ip.checksum.status == "Bad" || udp.checksum.status == "Bad" || tcp.checksum.status == "Bad"' 2>/dev/null | wc -l
}
well_formed() { # capture
	local before after
	before=$(blemishes "$1") after=$(blemishes "$2")
	echo "wrong or malformed: $before before, $after after"
	[ "$after" -le "$before" ]
}
# Findings and flows, without what must differ: the rules that fired, and each message with its kind and its time.
findings() { "$RUNG" scope -r "$1" "${@:2}" --why --json 2>/dev/null | python3 "$here/scope-anonymize.py" rules; }
flow() { "$RUNG" scope -r "$1" "${@:2}" --messages --json 2>/dev/null | python3 "$here/scope-anonymize.py" messages; }
same_calls() { # capture
	local keys=()
	[ -e "${1%.*}.keys" ] && keys=(--keys "${1%.*}.keys")
	local same=$work/same/${1##*/}
	"$RUNG" scope -r "$1" "${keys[@]}" -w "$same" --anonymize 2>/dev/null || return 1
	findings "$1" "${keys[@]}" >"$work/rules.before"
	findings "$same" >"$work/rules.after"
	flow "$1" "${keys[@]}" >"$work/flow.before"
	flow "$same" >"$work/flow.after"
	diff "$work/rules.before" "$work/rules.after" && diff "$work/flow.before" "$work/flow.after"
}
all_well_formed() { # one run of tshark for all captures before, and one for all after
	mergecap -a -w "$work/before.pcapng" "$captures"/*.pcap "$captures"/*.pcapng
	mergecap -a -w "$work/after.pcapng" "$work"/same/*
	well_formed "$work/before.pcapng" "$work/after.pcapng"
}

for kind in headers sdp digest bodies transports packets; do
	check "nothing of what was planted is left: $kind" planted $kind
	check "... and it is well-formed: $kind" well_formed "$work/$kind.pcapng" "$work/$kind.out.pcapng"
	[ $kind = packets ] || check "... and its messages are there: $kind" is_kept $kind 2
done
mkdir "$work/same"
for c in "$captures"/*.pcap "$captures"/*.pcapng; do
	check "the same flow and findings: $(basename "$c")" same_calls "$c"
done
check "... and all of them are well-formed" all_well_formed
finish
