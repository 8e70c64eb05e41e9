#!/bin/bash
# Live capture under load on loopback: 20,000 packets a second (short calls with their media) for 60 s, tracked with their media, and
# a second time written to a file besides. Prints what was sent, what arrived, what was dropped, the CPU time and the memory of the
# live scope. Fails when a packet was dropped, or when memory still grew in the second
# half of the time.
#
#   tests/bench/live.sh [--rate 20000] [--seconds 60] [--rtp 10]
. "$(dirname "$0")/../interop/lib.sh"

rate=20000 seconds=60 rtp=10
while [ $# -gt 0 ]; do
	case $1 in
	--rate | --seconds | --rtp) declare "${1#--}=$2"; shift 2 ;;
	*) sed -n '2,/^\. /{/^\. /d;s/^# \{0,1\}//;p}' "$0" >&2; exit 2 ;;
	esac
done
need python3
GROWTH_KB=2048 # of memory, that is noise

memory() { awk '/^RssAnon/ { print $2 }' "/proc/$scope_pid/status"; }
run() { # name, flags ...
	start scope_pid "$1" "$RUNG" scope -i lo -f "net $NET.0/24" --stats "${@:2}"
	sleep 1
	start load_pid load python3 "$here/sip-load.py" --from $NET.1 --to $NET.2 --packets $((rate * seconds)) --rate "$rate" --rtp "$rtp"
	sleep $((seconds / 2))
	local warm cpu end
	warm=$(memory)
	wait_for $((3 * seconds)) eval "! kill -0 $load_pid 2>/dev/null"
	unset "child[$load_pid]"
	sleep 0.5
	end=$(memory)
	cpu=$(awk -v hz="$(getconf CLK_TCK)" '{ printf "%.1f", ($14 + $15) / hz }' "/proc/$scope_pid/stat")
	stop_child "$scope_pid" INT
	echo "$1: sent $(cat "$work/load.log")"
	echo "$1: $(grep dropped "$work/$1.log" | sed 's/^rung scope: //'); CPU $cpu s; memory $warm kB after $((seconds / 2)) s, $end kB at the end"
	grep -qE ' 0 dropped by the kernel, 0 by' "$work/$1.log" && [ "$end" -le $((warm + GROWTH_KB)) ]
}
here=$(cd "$(dirname "$0")/../interop" && pwd)
failed=0
run tracked || failed=1
run written -w "$work/ring.pcapng" -b filesize:50000 -b files:4 || failed=1
exit $failed
