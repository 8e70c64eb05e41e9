#!/bin/bash
# rung's decode against tshark's, capture by capture: the same SIP messages with the same frame, addresses, transport ports,
# method or status, Call-ID, CSeq, users; the same RTP streams (packets and losses exactly, jitter within 1 %); and for a list
# of filters the same frames. TAP, one test per capture and kind.
#
#   scope-tshark.sh [CAPTURE ...]     default: tests/data/captures, and where it is there $RUNG_SHARED/captures/field
#
# Where we differ on purpose stands in scope-differences.tsv: file, filter ("fields" and "streams" are those comparisons, "*" any filter),
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
	sip.Status-Line sip.Via.branch sip.Contact sip.User-Agent sip.Content-Length; do
	fields+=(-e "$f")
done

expected() { # file, filter or "fields" [or the wildcard]: the reason for a difference, if it is known
	awk -F '\t' -v f="$1" -v q="$2" -v w="${3-$2}" \
		'!/^#/ && $1 == f && ($2 == q || $2 == w) { print $4; found = 1; exit } END { exit !found }' \
		"$here/scope-differences.tsv"
}

compare() { # capture name filter key fields ...: prints what differs
	local file=$1 name=$2 filter=$3 key=$4 why
	shift 4
	tshark -r "$file" -Y "$filter" -T fields "$@" 2>/dev/null >"$work/tshark"
	"$RUNG" scope -r "$file" -Y "$filter" -T fields "$@" 2>"$work/err" >"$work/rung"
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

# Streams: one line for each, sorted: source destination SSRC packets lost mean-jitter max-jitter [paths]. tshark counts without
# its conversations knowing of SDP too; a duplicate is a loss of -1 for it, which rung has as lost_rtcp.
tshark_streams() {
	tshark -r "$1" -o rtp.heuristic_rtp:TRUE --enable-heuristic rtp_udp -q -z rtp,streams 2>/dev/null | awk '
		{ for (i = 8; i <= NF; i++) if ($i ~ /^\(.*%\)$/) {
			j = $(i + 5) < 0 ? 0 : $(i + 5)
			print $3 ":" $4, $5 ":" $6, tolower($7), $(i - 2), $(i - 1), j, $(i + 6); break } }'
}
rung_streams() {
	"$RUNG" scope -r "$1" --streams --json 2>/dev/null | awk '
		function get(key) { # "key":value or "key":"value"
			if (!match($0, "\"" key "\":\"?[^,\"}]*")) return 0
			v = substr($0, RSTART, RLENGTH); sub(/^[^:]*:"?/, "", v); return v }
		{ print get("from"), get("to"), get("ssrc"), get("packets"), get("lost_rtcp"), get("mean_jitter_ms"),
			get("max_jitter_ms"), get("paths") }'
}
compare_streams() { # capture name: prints what differs
	local why
	tshark_streams "$1" >"$work/tshark"
	rung_streams "$1" >"$work/rung"
	awk '
		function off(a, b) { d = a - b; if (d < 0) d = -d; return d > 0.0011 && d > b / 100 }
		FNR == NR { at[$1, $2, $3] = $0; n[$3] += $4; paths[$3] = $8 > paths[$3] ? $8 : paths[$3]; left[$1 " " $2 " " $3]; next }
		paths[$3] > 1 { m[$3] += $4; delete left[$1 " " $2 " " $3]; next } # one stream over several paths: several for tshark
		!(($1, $2, $3) in at) { print "only tshark: " $0; next }
		{ split(at[$1, $2, $3], r, " "); delete left[$1 " " $2 " " $3] }
		r[4] != $4 || r[5] != $5 || off(r[6], $6) || off(r[7], $7) { print "tshark: " $0; print "rung:   " at[$1, $2, $3] }
		END { for (s in m) if (m[s] != n[s]) print "packets of " s ": tshark " m[s] ", rung " n[s]
			for (k in left) print "only rung: " k }' "$work/rung" "$work/tshark" >"$work/diff"
	if [ ! -s "$work/diff" ]; then
		! why=$(expected "$2" streams)
		return
	fi
	if why=$(expected "$2" streams); then
		echo "# known: $2, streams: $why"
		return 0
	fi
	sed 's/^/# /' "$work/diff"
	return 1
}

mapfile -t filters < <(grep -v '^#' "$here/scope-filters.txt")
captures=("$@")
if [ $# = 0 ]; then
	captures=("$top"/tests/data/captures/*.pcap)
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
	compare_streams "$file" "$name"
	result $? "streams of $name"
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
