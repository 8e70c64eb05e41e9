#!/bin/bash
# `rung scope` against tshark and sngrep on a large capture: CPU (user + system), memory, and the same answers.
#
#   scope-size.sh                  1,000,000 messages: the table of docs/performance.md; a figure beyond its budget fails
#   scope-size.sh --small          20,000 messages, answers only (in ./test)
#   MESSAGES=7800000 scope-size.sh --open     a file of 5 GB is opened: CPU and memory only
#
# RUNG, GEN, FIND: the programs (default: those of build/bench, release). Needs tshark and sngrep; without them their column is empty.
set -u
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(cd "$here/../.." && pwd)
bin=${BUILD-$top/build/bench}
RUNG=${RUNG-$bin/rung} GEN=${GEN-$bin/tests/bench/gen_capture} FIND=${FIND-$bin/tests/bench/find_capture}
mode=${1-}
work=$(mktemp -d "${TMPDIR:-/tmp}/rung-size.XXXXXX")
trap 'rm -rf "$work"' EXIT
A=192.0.2.11
filter="ip.addr == $A && sip"
n=0 bad=0

ok() { # name: the status before
	local rc=$?
	n=$((n + 1))
	if [ $rc = 0 ]; then echo "ok $n - $1"; else echo "not ok $n - $1"; bad=1; fi
}

# CPU seconds and kB of a command; its output goes to $work/out, which is what everybody's does. Sets cpu, rss.
run() {
	local t
	/usr/bin/time -o "$work/time" -f '%U %S %M' "$@" >"$work/out" 2>"$work/err" </dev/null
	t=$(tail -n 1 "$work/time")
	read -r cpu rss < <(awk '{ printf "%.2f %d\n", $1 + $2, $3 }' <<<"$t")
}

# What tshark says of the messages that fit, in the words of `rung scope -T fields`.
fields=(-T fields -e frame.number -e ip.src -e ip.dst -e sip.Method -e sip.Status-Code -e sip.Call-ID)

same_messages() {
	tshark -r "$1" -Y "$filter" "${fields[@]}" 2>/dev/null | cmp -s - <("$RUNG" scope -r "$1" -Y "$filter" "${fields[@]}")
}

# Number of messages, by method and by status, as "name count" lines.
stats_of_tshark() {
	awk '/^Number of SIP messages/ { print "messages", $NF }
		/^  SIP [1-6][0-9][0-9]/ { print $2, $(NF - 1) } /^  [A-Z]+ +: / { print $1, $3 }' "$1" | sort
}
stats_of_rung() {
	awk '/SIP messages/ { print "messages", $1 } /^(requests|responses)/ { on = 1; next }
		/^what/ { on = 0 } on && NF { print $2, $1 }' "$1" | sort
}

same_stats() {
	tshark -r "$1" -q -z sip,stat 2>/dev/null >"$work/tshark"
	"$RUNG" scope -r "$1" --stats >"$work/rung"
	diff <(stats_of_tshark "$work/tshark") <(stats_of_rung "$work/rung")
}

filters=("$filter" 'sip.Method == "INVITE"' 'sip.Status-Code >= 400 && ip.src == 192.0.2.12' 'sip.Method != "ACK"'
	'!(udp.port == 5060)' 'frame.number in {100 .. 2000}' 'sip.Call-ID contains "a1b"' 'sip contains "1234@10"'
	'sip.from.user == "1234"' 'sip.User-Agent matches "x86_64"' 'sip.User-Agent matches "[a-z]+/[0-9]"' 'frame contains "7f3"'
	'frame matches "x86[0-9]"')

if [ "$mode" = --small ]; then
	"$GEN" sip 20000 7 >"$work/sip.pcap" 2>/dev/null
	ok "a capture is made"
	CHECK=1 "$FIND" "$work/sip.pcap" "${filters[@]}" >"$work/find"
	ok "filters over rows and over frames agree"
	if command -v tshark >/dev/null; then
		same_messages "$work/sip.pcap"
		ok "tshark finds the same messages"
		same_stats "$work/sip.pcap"
		ok "tshark counts the same"
	fi
	echo "1..$n"
	exit $bad
fi

"$GEN" sip "${MESSAGES:-1000000}" >"$work/sip.pcap" || exit 1
cat "$work/sip.pcap" >/dev/null
"$GEN" sip 10 >"$work/none.pcap" 2>/dev/null
run "$RUNG" scope -r "$work/none.pcap" --stats
fixed=$rss

per_message() { awk -v r="$1" -v f="$fixed" -v n="${MESSAGES:-1000000}" 'BEGIN { printf "%.1f", (r - f) * 1024 / n }'; }

if [ "$mode" = --open ]; then
	ls -l "$work/sip.pcap" | awk '{ printf "%.2f GB\n", $5 / 1e9 }'
	for view in --calls --stats; do
		run "$RUNG" scope -r "$work/sip.pcap" $view
		echo "$view: $cpu s, $((rss / 1024)) MB, $(per_message "$rss") bytes a message"
		[ "$rss" -lt 1048576 ] || bad=1
	done
	exit $bad
fi

# Ours take a second or less, in which what else the machine does weighs more than in the half minute of the others: the median of three.
ours() { # file, arguments
	local i of=() file=$1
	shift
	for i in 1 2 3; do
		run "$RUNG" scope -r "$file" "$@"
		of+=("$cpu")
	done
	cpu=$(printf '%s\n' "${of[@]}" | sort -n | sed -n 2p)
}

row() { # name, what ours takes: cpu rss; of the other: cpu rss; name of the other
	awk -v name="$1" -v c="$2" -v r="$3" -v oc="$4" -v or="$5" -v other="$6" -v per="$(per_message "$3")" 'BEGIN {
		printf "%-34s %6.2f s %5d MB %6s B/msg  %-7s %7.2f s %5d MB  1/%.0f%s\n", name, c, r / 1024, per, other, oc, or / 1024, oc / c,
			oc / c < 25 ? "  OVER" : "" ; exit oc / c < 25 }' || bad=1
}

declare -A c r
run tshark -r "$work/sip.pcap" -Y "$filter"; c[tf]=$cpu r[tf]=$rss
run tshark -r "$work/sip.pcap" -q -z sip,stat; c[ts]=$cpu r[ts]=$rss
run sngrep -N -q -l 2000000 -I "$work/sip.pcap" -O "$work/sngrep.pcap"; c[sn]=$cpu r[sn]=$rss
rm -f "$work/sngrep.pcap"
ours "$work/sip.pcap" -Y "$filter"; row "messages: $filter" "$cpu" "$rss" "${c[tf]}" "${r[tf]}" tshark
row "messages: $filter" "$cpu" "$rss" "${c[sn]}" "${r[sn]}" sngrep
ours "$work/sip.pcap" --calls; row "call list with verdicts" "$cpu" "$rss" "${c[sn]}" "${r[sn]}" sngrep
ours "$work/sip.pcap" --stats; row "statistics" "$cpu" "$rss" "${c[ts]}" "${r[ts]}" tshark
row "statistics" "$cpu" "$rss" "${c[sn]}" "${r[sn]}" sngrep
same_messages "$work/sip.pcap" && echo "the same messages as tshark" || { echo "OTHER messages than tshark"; bad=1; }
same_stats "$work/sip.pcap" && echo "the same counts as tshark" || { echo "OTHER counts than tshark"; bad=1; }
echo
"$FIND" "$work/sip.pcap" "$filter" "${filters[@]}"
echo
for streams in 40 2000; do
	"$GEN" rtp 1000000 $streams >"$work/rtp.pcap" 2>/dev/null
	cat "$work/rtp.pcap" >/dev/null
	ours "$work/rtp.pcap" --streams
	echo "1,000,000 RTP packets, $streams streams: $cpu s, $((rss / 1024)) MB"
done
exit $bad
