#!/bin/bash
# rung's decode against tshark's, capture by capture: the same SIP messages with the same frame, addresses, transport ports,
# method or status, Call-ID, CSeq, users; and for a list of filters the same frames. TAP, one test per capture and kind.
#
# The TLS secrets of X.pcap are those of X.keys beside it.
#
#   scope-tshark.sh [CAPTURE ...]     default: tests/data/captures, and where it is there $RUNG_SHARED/captures/field
#
# Where we differ on purpose stands in scope-differences.tsv: file, filter ("fields" is the comparison of fields, "*" any filter),
# which side has more, why. A line that is not needed any more is a failure, too ("*" aside). SCOPE_FILTERS=all takes every filter on every capture (long); by default each capture gets a few.
set -u
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(cd "$here/../.." && pwd)
RUNG=${RUNG-$top/build/rung}
field=${RUNG_SHARED:-$top/../shared}/captures/field
work=$(mktemp -d "${TMPDIR:-/tmp}/rung-scope.XXXXXX")
trap 'rm -rf "$work"' EXIT
n=0 failed=0

result() { # status name
	n=$((n + 1))
	if [ "$1" = 0 ]; then
		echo "ok $n - $2"
	else
		failed=$((failed + 1))
		echo "not ok $n - $2"
	fi
}

command -v tshark >/dev/null || { echo "1..0 # SKIP tshark is not installed"; exit 0; }
[ -x "$RUNG" ] || { echo "1..0 # SKIP no program at $RUNG"; exit 0; }

fields=()
for f in frame.number ip.src ip.dst ipv6.src ipv6.dst udp.srcport udp.dstport tcp.srcport tcp.dstport sip.Method \
	sip.Status-Code sip.Call-ID sip.CSeq sip.CSeq.method sip.from.user sip.to.user sip.from.tag sip.to.tag sip.r-uri \
	sip.Status-Line sip.Via.branch sip.Contact sip.User-Agent sip.Content-Length tls.record.content_type \
	tls.record.opaque_type tls.handshake.type; do
	fields+=(-e "$f")
done

expected() { # file, filter or "fields" [or the wildcard]: the reason for a difference, if it is known
	awk -F '\t' -v f="$1" -v q="$2" -v w="${3-$2}" \
		'!/^#/ && $1 == f && ($2 == q || $2 == w) { print $4; found = 1; exit } END { exit !found }' \
		"$here/scope-differences.tsv"
}

compare() { # capture name filter key fields ...: prints what differs
	local file=$1 name=$2 filter=$3 key=$4 why
	local secrets=${1%.pcap*}.keys with=() and=()
	shift 4
	[ -e "$secrets" ] && with=(-o "tls.keylog_file:$secrets") and=(--keys "$secrets")
	tshark -r "$file" "${with[@]}" -Y "$filter" -T fields "$@" 2>/dev/null >"$work/tshark"
	"$RUNG" scope -r "$file" "${and[@]}" -Y "$filter" -T fields "$@" 2>"$work/err" >"$work/rung"
	if cmp -s "$work/tshark" "$work/rung"; then
		if why=$(expected "$name" "$key"); then
			echo "# scope-differences.tsv expects a difference ($why), and there is none"
			return 1
		fi
		return 0
	fi
	if why=$(expected "$name" "$key" "*"); then
		echo "# known: $name, $key: $why"
		return 0
	fi
	diff "$work/tshark" "$work/rung" | sed 's/^/# /' | cut -c1-300 | head -n 12
	head -n 3 "$work/err" | sed 's/^/# /'
	return 1
}

mapfile -t filters < <(grep -v '^#' "$here/scope-filters.txt")
captures=("$@")
if [ $# = 0 ]; then
	captures=("$top"/tests/data/captures/*.pcap*)
	if [ -d "$field" ]; then
		captures+=("$field"/*.pcap*)
	else
		n=$((n + 1))
		echo "ok $n - captures of the field # SKIP not at $field"
	fi
fi

i=0
for file in "${captures[@]}"; do
	name=$(basename "$file")
	compare "$file" "$name" sip fields "${fields[@]}"
	result $? "messages of $name"
	bad=0
	for k in "${!filters[@]}"; do
		# a different sample for each capture, so that all are tried somewhere
		[ "${SCOPE_FILTERS-}" = all ] || [ $(((k + i) % 24)) = 0 ] || continue
		compare "$file" "$name" "${filters[k]}" "${filters[k]}" -e frame.number || { echo "# ${filters[k]}"; bad=1; }
	done
	result $bad "filters on $name"
	i=$((i + 1))
done
echo "1..$n"
exit $((failed > 0))
