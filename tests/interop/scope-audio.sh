#!/bin/bash
# Audio of captures that others made: G.726 at four rates, each in both packings. The same recording went through all eight, so the
# two packings of a rate must give the same samples, no tenth of a second may be as loud as a decoder out of step is, and the speech
# must be there. TAP.
#
#   scope-audio.sh      needs $RUNG_SHARED/captures/field
set -u
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(cd "$here/../.." && pwd)
RUNG=${RUNG-$top/build/rung}
file=${RUNG_SHARED:-$top/../shared}/captures/field/ajbanjara__Wireshark--sip-rtp-g726.pcap
[ -x "$RUNG" ] || { echo "1..0 # SKIP no program at $RUNG"; exit 0; }
[ -e "$file" ] || { echo "1..0 # SKIP no capture at $file"; exit 0; }
work=$(mktemp -d "${TMPDIR:-/tmp}/rung-audio.XXXXXX")
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

loudness() { # wav: the loudest and the median tenth of a second, in dB of full scale, of the right channel
	tail -c +45 "$1" | od -An -v -t d2 -w4 | awk '
		{ sum += $2 * $2; if (NR % 800 == 0) { print 10 * log(sum / 800 / 536870912 + 1e-12) / log(10); sum = 0 } }' |
		sort -n | awk '{ v[NR] = $1 } END { printf "%.1f %.1f\n", v[NR], v[int((NR + 1) / 2)] }'
}

names=("" G726-16 G726-24 G726-32 G726-40 AAL2-G726-16 AAL2-G726-24 AAL2-G726-32 AAL2-G726-40)
for call in 1 2 3 4 5 6 7 8; do
	"$RUNG" scope -r "$file" --call $call --audio "$work/$call.wav" >"$work/said" 2>/dev/null
	grep -q "right  the callee: ${names[call]}, 425 packets" "$work/said"
	result $? "${names[call]} is written"
	read -r loudest median < <(loudness "$work/$call.wav")
	awk -v l="$loudest" -v m="$median" 'BEGIN { exit !(l < -20 && l > -25 && m < -27 && m > -32) }'
	result $? "${names[call]} is speech without bursts ($loudest dB at most, $median dB in the middle)"
	[ $call -le 4 ] || { cmp -s "$work/$call.wav" "$work/$((call - 4)).wav"; result $? "${names[call]} and ${names[call - 4]} sound the same"; }
done
! "$RUNG" scope -r "$file" --audio "$work/all.wav" 2>"$work/err" >/dev/null && grep -q "several calls fit" "$work/err" && [ ! -e "$work/all.wav" ]
result $? "several calls: an error, no file"
echo "1..$n"
exit $((failed > 0))
