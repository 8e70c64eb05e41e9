#!/bin/bash
# Each view, and what writes files, over every capture, with the sanitized program: each ends well, no sanitizer says anything,
# and what claims to be JSON is JSON. TAP, a test per capture.
#
#   scope-sweep.sh [CAPTURE ...]      default: tests/data/captures, and where it is there $RUNG_SHARED/captures/field
#
# All filters of scope-filters.txt are asked at once, all fields of scope-fields.txt in parts: what they answer is held
# against tshark by scope-tshark.sh; here it only must not break anything.
set -u
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(cd "$here/../.." && pwd)
RUNG=${RUNG-$top/build/rung}
field=${RUNG_SHARED:-$top/../shared}/captures/field
work=$(mktemp -d "${TMPDIR:-/tmp}/rung-sweep.XXXXXX")
trap 'rm -rf "$work"' EXIT

[ -x "$RUNG" ] || { echo "1..0 # SKIP no program at $RUNG"; exit 0; }
. "$here/many.sh"
captures=("$@")
[ $# -gt 0 ] || captures=("$top"/tests/data/captures/*.pcap*)
[ $# -gt 0 ] || [ ! -d "$field" ] || captures+=("$field"/*.pcap*)

all=$(grep -v -e '^#' -e '^$' "$here/scope-filters.txt" | sed 's/.*/(&)/' | paste -sd'|' | sed 's/)|(/) || (/g')
mapfile -t fields < <(grep -v -e '^#' -e '^$' "$here/scope-fields.txt")

# Runs rung over the capture; what a user would get is thrown away, what must not be is shown.
run() { # arguments
	local code
	many "$work/out" "$work/err" scope -r "$file" "${keys[@]}" "$@"
	code=$?
	[ $code -le 1 ] && ! grep -qE 'Sanitizer|runtime error' "$work/err" && return
	echo "# rung scope $*: status $code"
	sed 's/^/#   /' "$work/err" | head -n 20
	bad=1
}

# What asks how calls end reads twice: a pipe, packed or not, tells and writes the same as the file.
same_of_pipe() { # arguments
	local how
	run -w "$work/file.pcapng" -Y 'call.state == "ended" || call.code >= 400' "$@"
	mv "$work/out" "$work/of-file"
	for how in cat 'gzip -c'; do
		$how "$file" | "$RUNG" scope -r - "${keys[@]}" -w "$work/pipe.pcapng" -Y 'call.state == "ended" || call.code >= 400' "$@" \
			>"$work/out" 2>"$work/err"
		cmp "$work/out" "$work/of-file" && cmp "$work/pipe.pcapng" "$work/file.pcapng" && ! grep -qE 'Sanitizer|runtime error' "$work/err" && continue
		echo "# from a pipe ($how): other calls"
		sed 's/^/#   /' "$work/err" | head -n 20
		bad=1
	done
}

# A pipe that stays open until Ctrl-C: what came is shown as of the file. It came when it has been put aside.
interrupted() {
	local file=$top/tests/data/captures/call-answered.pcap pid aside code
	mkfifo "$work/fifo"
	"$RUNG" scope -r - --calls -Y 'call.state == "ended"' <"$work/fifo" >"$work/out" 2>"$work/err" &
	pid=$!
	exec 9>"$work/fifo"
	cat "$file" >&9
	for ((i = 0; i < 500; i++)); do
		aside=$(find /proc/$pid/fd -lname '*rung-spool*' 2>/dev/null)
		[ -n "$aside" ] && [ "$(stat -L -c %s "$aside")" = "$(stat -c %s "$file")" ] && break
		sleep 0.02
	done
	kill -INT $pid
	wait $pid
	code=$?
	exec 9>&-
	"$RUNG" scope -r "$file" --calls -Y 'call.state == "ended"' | cmp - "$work/out" && [ $code = 130 ] && return
	echo "# status $code"
	sed 's/^/#   /' "$work/err"
	return 1
}

# As of tshark, an empty filter is one that everything fits.
empty_filter() {
	local file=$top/tests/data/captures/call-answered.pcap text
	for text in '' ' '; do
		"$RUNG" scope -r "$file" -Y "$text" | cmp - <("$RUNG" scope -r "$file" -Y frame) || return
	done
}

n=0 failed=0
for file in "${captures[@]}"; do
	bad=0 keys=()
	[ -e "${file%.pcap*}.keys" ] && keys=(--keys "${file%.pcap*}.keys")
	: >"$work/json"
	for view in --messages --ladder --registrations --lint; do run $view; done
	for view in --calls --flow --stats --why; do
		run $view --json
		cat "$work/out" >>"$work/json"
	done
	if ! python3 -c 'import json, sys
for line in sys.stdin: json.loads(line)' <"$work/json" 2>"$work/err"; then
		echo "# not JSON: $(tail -n 1 "$work/err")"
		bad=1
	fi
	run --streams --detail
	run -o "$work/o.html"
	run -w "$work/a.pcapng" --anonymize
	run -Y "$all"
	same_of_pipe --messages
	for ((i = 0; i < ${#fields[@]}; i += 60)); do
		chosen=()
		for f in "${fields[@]:i:60}"; do chosen+=(-e "$f"); done
		run -T fields "${chosen[@]}"
	done
	n=$((n + 1))
	said=ok
	[ $bad = 0 ] || { said="not ok"; failed=1; }
	echo "$said $n - $(basename "$file")"
done
n=$((n + 1))
if interrupted; then echo "ok $n - a pipe, interrupted"; else echo "not ok $n - a pipe, interrupted"; failed=1; fi
n=$((n + 1))
if empty_filter; then echo "ok $n - an empty filter"; else echo "not ok $n - an empty filter"; failed=1; fi
echo "1..$n"
exit $failed
