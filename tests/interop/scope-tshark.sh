#!/bin/bash
# rung's decode against tshark's, capture by capture: the same SIP messages, the same values of fields, the same RTP
# streams (packets and losses exactly, jitter within 1 %), and for a list of filters the same frames. TAP, five tests per capture, and at the end whether the list of filters says anything at all.
#
#   scope-tshark.sh [CAPTURE ...]     default: tests/data/captures, and where it is there $RUNG_SHARED/captures with its field
#
# All filters are asked of the tshark that says the fields; it is told them by scope-tshark.lua. Where we differ on purpose stands in
# scope-differences.tsv: a pattern for the capture, a pattern for the filter or field (both as of bash), why. A row that explains
# nothing any more is a failure when all captures are tried.
set -u
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(cd "$here/../.." && pwd)
RUNG=${RUNG-$top/build/rung}
shared=${RUNG_SHARED:-$top/../shared}/captures
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
. "$here/many.sh"
. "$here/tshark.sh"

mapfile -t differences < <(grep -v -e '^#' -e '^$' "$here/scope-differences.tsv")
declare -A used=()
known() { # capture, filter or field: whether a difference is expected
	local i file what
	for i in "${!differences[@]}"; do
		IFS=$'\t' read -r file what _ <<<"${differences[i]}"
		# shellcheck disable=SC2053 # patterns they are
		if [[ $1 == $file && $2 == $what ]]; then
			used[$i]=1
			return 0
		fi
	done
	return 1
}

# The filters that run with tshark as it is, and those of [rtp].
awk -v rtp="$work/rtp" -v plain="$work/plain" '
	/^# \[/ { to = /^# \[rtp\]/ ? rtp : plain }
	!/^#/ && NF { print > to }' "$here/scope-filters.txt"
cat "$work/plain" "$work/rtp" >"$work/filters"
mapfile -t filters <"$work/filters"
declare -A speaks=()

# The fields of a part of scope-fields.txt.
fields_of() { sed -n "/^# \\[$1\\]/,/^# \\[/p" "$here/scope-fields.txt" | grep -v -e '^#' -e '^$'; }
mapfile -t messages < <(fields_of messages)
mapfile -t frames < <(fields_of frames)
mapfile -t media < <(fields_of media)
in_plain=("${messages[@]}" "${frames[@]}")

# tshark takes long to start, so one run answers fields and filters: number and fields of each frame in $work/SET.fields, "filter
# number, its frames" in order in $work/SET.frames.
ask_tshark() { # set capture array-of-fields options ...
	local set=$1 file=$2 options=() f
	local -n asked=$3
	shift 3
	for f in "${asked[@]}"; do options+=(-e "$f"); done
	rm -f "$work/$set.frames"
	FILTERS=$work/$set FRAMES=$work/$set.frames tshark -r "$file" -X "lua_script:$here/scope-tshark.lua" "$@" \
		-T fields -e frame.number "${options[@]}" 2>/dev/null >"$work/$set.fields"
}

# The TLS secrets of X.pcap are those of X.keys beside it.
secrets_of() { # capture
	their_keys=() our_keys=()
	[ -e "${1%.pcap*}.keys" ] && their_keys=(-o "tls.keylog_file:${1%.pcap*}.keys") our_keys=(--keys "${1%.pcap*}.keys")
}

frames_of() { # variable capture filter: puts the numbers there, a line each, or what was said when there are none
	local -n numbers=$1
	if many "$work/frames" "$work/said" scope -r "$2" "${our_keys[@]}" -Y "$3" -T fields -e frame.number; then
		IFS= read -rd '' numbers <"$work/frames"
	else
		IFS= read -rd '' numbers < <(cat "$work/frames" "$work/said")
	fi
	numbers=${numbers%$'\n'}
}

# One filter: whether tshark's frames ($3, with commas) are ours.
compare_filter() { # capture name frames filter
	local theirs=${3//,/$'\n'} ours lines
	frames_of ours "$1" "$4"
	# messages that were found behind a gap come last
	[ "$ours" = "$theirs" ] || ours=$(sort -nu <<<"$ours")
	if [ "$ours" = "$theirs" ]; then
		lines=${ours//[!$'\n']/}
		[ -n "$ours" ] && [ ${#lines} -lt $((all - 1)) ] && speaks[$4]=1
		return 0
	fi
	known "$2" "$4" && return 0
	echo "# $4"
	echo "#   tshark: ${3:0:150}"
	echo "#   rung:   $(paste -sd, <<<"${ours:0:150}")"
	return 1
}

compare_filters() { # capture name
	local file=$1 name=$2 bad=0 i=0 all theirs none=() either= any
	frames_of any "$file" frame
	all=$(wc -l <"$work/frames")
	while IFS=$'\t' read -r _ theirs; do
		if [ "$theirs" ]; then
			compare_filter "$file" "$name" "$theirs" "${filters[i]}" || bad=1
		else
			none+=("${filters[i]}")
			either+="${either:+ || }(${filters[i]})"
		fi
		i=$((i + 1))
	done < <(cat "$work/plain.frames" "$work/rtp.frames")
	[ "$i" = "${#filters[@]}" ] || { echo "# tshark answered $i filters of ${#filters[@]}"; bad=1; }
	# those that fit nothing are asked at once, and one by one only when something fits
	[ -z "$either" ] || frames_of any "$file" "$either"
	if [ "$either" ] && [ "$any" ]; then
		for theirs in "${none[@]}"; do
			compare_filter "$file" "$name" "" "$theirs" || bad=1
		done
	fi
	return $bad
}

# The columns from 2 on that are not the same in two files of lines with the same first column; all, when the lines are not the same.
differing() { # file file number-of-columns
	awk -F'\t' -v all="$3" '
		FNR == NR { line[n = FNR] = $0; next }
		line[FNR] "" == $0 "" { next }
		{ split(line[FNR], other, FS); for (i = 1; i <= all; i++) if (other[i] "" != $i "") differs[i] }
		END { for (i = 2; i <= all; i++) if (i in differs || 1 in differs || FNR != n) print i }' "$1" "$2"
}

compare_part() { # set capture name first-column field ...: one line per frame, each field compared apart
	local theirs=$1 file=$2 name=$3 column=$4 options=() f bad=0 i
	shift 4
	for f; do options+=(-e "$f"); done
	"$RUNG" scope -r "$file" "${our_keys[@]}" -Y frame -T fields -e frame.number "${options[@]}" 2>/dev/null >"$work/r"
	cut -f "1,$column-$((column + $# - 1))" "$work/$theirs.fields" >"$work/t"
	cmp -s "$work/t" "$work/r" && return 0
	for i in $(differing "$work/t" "$work/r" $(($# + 1))); do
		f=${*:i-1:1}
		known "$name" "$f" && continue
		echo "# $f"
		diff <(cut -f "1,$i" "$work/t") <(cut -f "1,$i" "$work/r") | sed 's/^/#   /' | cut -c1-200 | head -n 6
		bad=1
	done
	return $bad
}

# Ours are asked in parts, since -e may be repeated 64 times.
compare_fields() { # array-of-fields set capture name first-column
	local what=$1 set=$2 file=$3 name=$4 column=$5 bad=0 i
	local -n fields=$1
	for ((i = 0; i < ${#fields[@]}; i += 60)); do
		compare_part "$set" "$file" "$name" $((column + i)) "${fields[@]:i:60}" || bad=1
	done
	result $bad "$what of $name"
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
	[ ! -s "$work/diff" ] || known "$2" streams && return 0
	sed 's/^/# /' "$work/diff"
	return 1
}

captures=("$@")
if [ $# = 0 ]; then
	captures=("$top"/tests/data/captures/*.pcap*)
	if [ -d "$shared/field" ]; then
		captures+=("$shared"/field/*.pcap*)
	else
		n=$((n + 1))
		echo "ok $n - captures of the field # SKIP not at $shared"
	fi
fi

for file in "${captures[@]}"; do
	name=$(basename "$file")
	secrets_of "$file"
	ask_tshark plain "$file" in_plain "${their_keys[@]}"
	ask_tshark rtp "$file" media "${their_keys[@]}" --disable-heuristic stun_udp
	compare_fields messages plain "$file" "$name" 2
	compare_fields frames plain "$file" "$name" $((2 + ${#messages[@]}))
	compare_fields media rtp "$file" "$name" 2
	compare_streams "$file" "$name"
	result $? "streams of $name"
	compare_filters "$file" "$name"
	result $? "filters on $name"
done

if [ $# = 0 ] && [ -d "$shared/field" ]; then
	bad=0
	for f in "${filters[@]}"; do
		[ "${speaks[$f]-}" ] || { echo "# $f"; bad=1; }
	done
	result $bad "each of ${#filters[@]} filters fits some frames of a capture, but not all"
	bad=0
	for i in "${!differences[@]}"; do
		[ "${used[$i]-}" ] || { echo "# ${differences[i]}"; bad=1; }
	done
	result $bad "each of ${#differences[@]} known differences is one"
fi
echo "1..$n"
exit $((failed > 0))
