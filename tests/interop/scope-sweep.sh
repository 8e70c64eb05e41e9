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
echo "1..$n"
exit $failed
