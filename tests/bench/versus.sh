#!/bin/bash
# Side by side: `rung serve` and Debian's Kamailio at its best (no database, bindings in memory, the fast allocator) under the same
# load from sipp on the same machine, at fixed rates, with as many shards as the other has workers. What counts is CPU time per unit
# of work, and the growth of memory per binding: at the end of the registrations, when those of the last half minute still have a
# transaction each where the server keeps one, and when these are gone. A failed call or registration fails the bench.
#
#   tests/bench/versus.sh [--runs 5] [--seconds 10] [--workers 2] [--bindings 100000] [rung] [rung-b2bua] [before] [kamailio]
#
# rung-b2bua: the same calls through two dialogs each. before: another build of rung, which BEFORE names.
# rung runs with everything that is on by default: bindings on disk before the 200, tap, verdicts.
. "$(dirname "$0")/lib.sh"

runs=5 seconds=10 bindings=100000 servers=() floors=()
REG_RATE=1000 CALL_RATE=500 OPTIONS_RATE=1000
while [ $# -gt 0 ]; do
	case $1 in
	--runs | --seconds | --workers | --bindings) declare "${1#--}=$2"; shift 2 ;;
	rung | rung-b2bua | before | kamailio) servers+=("$1"); shift ;;
	*) usage ;;
	esac
done
[ ${#servers[@]} -gt 0 ] || servers=(rung rung-b2bua kamailio)
need_tools sipp $(printf "%s\n" "${servers[@]}" | grep kamailio)
n_regs=$((REG_RATE * seconds)) n_calls=$((CALL_RATE * seconds)) n_options=$((OPTIONS_RATE * seconds))
make_users $((1000 + (bindings > n_regs ? bindings : n_regs)))
make_calls $n_calls 200
calls() { load caller-hangs-up "$CALLER" "$work/calls.csv" $n_calls $CALL_RATE -l 5000 -d 100; }
options() { load options "$CALLER" "$work/all.csv" $n_options $OPTIONS_RATE -l 5000; }

cc -O2 -D_GNU_SOURCE -o "$work/udp_floor" "$bench/udp_floor.c" || die "udp_floor.c does not compile"
for ((run = 1; run <= runs; run++)); do
	floors+=("$("$work/udp_floor")")
	for server in "${servers[@]}"; do
		echo "run $run of $runs: $server" >&2
		up "$server"
		register 0 1000 1000
		measure registration $n_regs register 1000 $n_regs $REG_RATE
		measure options $n_options options
		callee_up
		measure call $n_calls calls
		callee_down
		down
	done
done
if [ "$bindings" -gt 0 ]; then
	for server in "${servers[@]/rung-b2bua/}"; do
		[ -n "$server" ] || continue
		echo "memory: $server" >&2
		up "$server"
		register 0 1000 1000
		calm
		before=$(pss_kb)
		register 1000 "$bindings" 2500
		grown binding-at-once "$bindings"
		calm
		grown binding "$bindings"
		down
	done
fi

median_table "median of $runs runs, $workers workers" "${servers[@]}" <<-ROWS
	registration	CPU per registration with digest, 1,000/s	µs
	options	CPU per OPTIONS answered, 1,000/s	µs
	call	CPU per authenticated call, 500/s	µs
	binding-at-once	memory per binding, at 2,500/s, at the end	bytes
	binding	memory per binding, a minute later	bytes
ROWS
[ ${#floors[@]} -eq 0 ] || printf 'A bare UDP echo costs %s µs per datagram on this machine (median), %s.\n' \
	"$(printf '%s\n' "${floors[@]}" | sort -n | sed -n "$(((${#floors[@]} + 1) / 2))p")" "$(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1)"
