#!/bin/bash
# Side by side: `rung serve` and Debian's Kamailio at its best (no database, bindings in memory, the fast allocator) under the same
# load from sipp on the same machine, at fixed rates, with as many shards as the other has workers. What counts is the CPU time of
# all threads of all processes of the server per unit of work, from the kernel's own accounting, until the server has come to rest
# (a store's drain included), and the growth of proportional set size per binding: at the end of the registrations, when those of the
# last half minute still have a transaction each where the server keeps one, and when these are gone. A failed call or registration fails the bench.
#
#   tests/bench/versus.sh [--runs 5] [--seconds 10] [--workers 2] [--bindings 100000] [rung] [rung-b2bua] [kamailio]
#
# rung-b2bua: the same calls through two dialogs each.
#
# # rung runs with everything that is on by default: bindings on disk before the 200, tap, verdicts.
. "$(dirname "$0")/../interop/lib.sh"

runs=5 seconds=10 workers=2 bindings=100000 servers=() floors=()
REG_RATE=1000 CALL_RATE=500 CALLEES=200
while [ $# -gt 0 ]; do
	case $1 in
	--runs | --seconds | --workers | --bindings) declare "${1#--}=$2"; shift 2 ;;
	rung | rung-b2bua | kamailio) servers+=("$1"); shift ;;
	*) sed -n '2,/^\. /{/^\. /d;s/^# \{0,1\}//;p}' "$0" >&2; exit 2 ;;
	esac
done
[ ${#servers[@]} -gt 0 ] || servers=(rung kamailio)
die() { echo "versus.sh: $*" >&2; exit 1; }
for tool in sipp "${servers[@]/rung*/}"; do [ -z "$tool" ] || command -v "$tool" >/dev/null || die "no $tool here: tools/deps interop"; done

n_regs=$((REG_RATE * seconds))
n_users=$((1000 + (bindings > n_regs ? bindings : n_regs)))
awk -v n=$n_users -v list="$work/users.csv" -v all="$work/all.csv" 'BEGIN {
	print "SEQUENTIAL" > all
	for (i = 0; i < n; i++) {
		u = sprintf("u%06d", i)
		printf "%s,secret%s\n", u, u > list
		printf "%s;[authentication username=%s password=secret%s];\n", u, u, u > all
	}
}'
awk -v n=$((CALL_RATE * seconds)) -v callees=$CALLEES 'BEGIN {
	print "SEQUENTIAL"
	for (i = 0; i < n; i++) {
		u = sprintf("u%06d", 1000 + i % 1000)
		printf "%s;[authentication username=%s password=secret%s];u%06d;\n", u, u, u, i % callees
	}
}' >"$work/calls.csv"
part() { { echo SEQUENTIAL; tail -n +$(($1 + 2)) "$work/all.csv" | head -n "$2"; } >"$work/part.csv"; } # from, how many

up() { # server
	rm -rf "$work/data" "$work/server.log"
	case $1 in
	kamailio)
		start server_pid server kamailio -f "$here/../bench/kamailio.cfg" -A "ADDR=$SERVER" -A "WORKERS=$workers" -x fm -X fm \
			-m 2048 -M 64 -DD -E -w "$work" -Y "$work"
		wait_for 10 grep -qs "udp: $SERVER" "$work/server.log" && sleep 1
		;;
	rung | rung-b2bua)
		local flags=()
		[ "$1" = rung ] || flags=(--b2bua)
		"$RUNG" user import "$work/users.csv" --data "$work/data" >"$work/import.log" 2>&1 ||
			die "import: $(tail -n 3 "$work/import.log")"
		start server_pid server "$RUNG" serve --listen "udp:$SERVER:5060" --listen "tcp:$SERVER:5060" --domain "$SERVER" \
			--data "$work/data" --shards "$workers" "${flags[@]}"
		wait_for 30 grep -qs ^ready "$work/server.log" || die "serve: $(tail -n 3 "$work/server.log")"
		;;
	esac || die "$1 does not start: $(tail -n 3 "$work/server.log")"
}
down() { stop_child "$server_pid" 2>/dev/null || true; }

family() { # the server's process and its descendants
	local pid
	echo "$1"
	for pid in $(cat /proc/"$1"/task/*/children 2>/dev/null); do family "$pid"; done
}
# CPU of all threads in µs: nanoseconds from schedstat where the kernel has them, else ticks.
cpu_us() {
	local pid
	for pid in $(family "$server_pid"); do
		cat /proc/"$pid"/task/*/schedstat 2>/dev/null || awk '{ print ($14 + $15) * 10000000 }' "/proc/$pid/stat"
	done | awk '{ sum += $1 } END { printf "%d", sum / 1000 }'
}
pss_kb() {
	local pid
	for pid in $(family "$server_pid"); do cat "/proc/$pid/smaps_rollup"; done 2>/dev/null | awk '/^Pss:/ { sum += $2 } END { print sum }'
}
settle() { # until a second costs less than 5 ms
	local before now i
	before=$(cpu_us)
	for ((i = 0; i < 15; i++)); do
		sleep 1
		now=$(cpu_us)
		[ $((now - before)) -lt 5000 ] && return
		before=$now
	done
}

calm() { sleep 50; settle; } # transactions have ended (Timer J: 32 s) and memory was tidied up
grown() { # what: bytes per binding since $before
	awk -v s="$server" -v w="$1" -v kb=$(($(pss_kb) - before)) -v n="$bindings" 'BEGIN { printf "%s %s %.0f\n", s, w, kb * 1024 / n }' >>"$work/figures"
	tail -n 1 "$work/figures" | sed 's/^/  /' >&2
}

load() { # scenario, address, users, how many, rate, further flags; every one must succeed
	timeout $(($4 / $5 + 60)) sipp -sf "$here/sipp/$1.xml" -i "$2" -p 5060 -inf "$3" -key domain "$SERVER" -m "$4" -r "$5" -l 5000 \
		-nostdin -nd -timeout_error -trace_err -error_file "$work/$1.errors" -buff_size 4194304 \
		"${@:6}" "$SERVER:5060" >"$work/$1.log" 2>&1 </dev/null {net_lock}>&- ||
		die "$1 at $5/s: $(grep -E 'Failed call' "$work/$1.log" | tail -n 1) $(tail -n 2 "$work/$1.errors" 2>/dev/null)"
	local good
	good=$(awk -F'|' '/Successful call/ { gsub(/ /, "", $3); print $3 }' "$work/$1.log" | tail -n 1)
	[ "$good" = "$4" ] || die "$1: $good of $4 succeeded"
	retransmitted=$(awk '/---------->/ { gsub(/[BE]-RTD[0-9]/, ""); sum += $4 } END { print sum + 0 }' "$work/$1.log")
}

measure() { # what, units, command ...: appends "server what µs-per-unit" to the figures
	local before after
	settle
	before=$(cpu_us)
	"${@:3}"
	settle
	after=$(cpu_us)
	awk -v s="$server" -v w="$1" -v us=$((after - before)) -v n="$2" -v r="$retransmitted" \
		'BEGIN { printf "%s %s %.2f\n", s, w, us / n; if (r > 0) printf "  (%s: sipp resent %d messages)\n", w, r > "/dev/stderr" }' >>"$work/figures"
	tail -n 1 "$work/figures" | sed 's/^/  /' >&2
}
register() { # from, how many, rate
	part "$1" "$2"
	load register "$CALLER" "$work/part.csv" "$2" "$3" -key expires 3600 -key contact_host "$CALLEE" -key contact_port 5060
}
calls() {
	load caller-hangs-up "$CALLER" "$work/calls.csv" $((CALL_RATE * seconds)) $CALL_RATE -d 100
}
callee_up() {
	start callee_pid callee sipp -sf "$here/sipp/callee-answers.xml" -i "$CALLEE" -p 5060 -inf "$work/all.csv" -nostdin -nd \
		-key domain "$SERVER" -buff_size 4194304
	sleep 1
}

cc -O2 -D_GNU_SOURCE -o "$work/udp_floor" "$(dirname "$0")/udp_floor.c" || die "udp_floor.c does not compile"
: >"$work/figures"
for ((run = 1; run <= runs; run++)); do
	floors+=("$("$work/udp_floor")")
	for server in "${servers[@]}"; do
		echo "run $run of $runs: $server" >&2
		up "$server"
		register 0 1000 1000
		measure registration $n_regs register 1000 $n_regs $REG_RATE
		callee_up
		measure call $((CALL_RATE * seconds)) calls
		stop_child "$callee_pid" KILL 2>/dev/null || true
		down
	done
done
if [ "$bindings" -gt 0 ]; then
	for server in "${servers[@]}"; do
		echo "memory: $server" >&2
		up "$server"
		register 0 1000 1000
		calm
		before=$(pss_kb)
		register 1000 "$bindings" 2500
		grown binding-at-once
		calm
		grown binding
		down
	done
fi

# Median of each figure, and rung's part of the other's.
sort -k1,1 -k2,2 -k3,3n "$work/figures" | awk -v servers="${servers[*]}" -v runs="$runs" -v workers="$workers" '
	{ v[$1, $2, ++n[$1, $2]] = $3 }
	function median(s, w) { k = n[s, w]; return k == 0 ? "-" : k % 2 ? v[s, w, (k + 1) / 2] : (v[s, w, k / 2] + v[s, w, k / 2 + 1]) / 2 }
	function row(w, title, unit,    i, line) {
		line = sprintf("| %-44s |", title)
		for (i = 1; i <= ns; i++)
			line = line sprintf(" %8s %-5s |", median(name[i], w), unit)
		if (ns == 2 && median(name[1], w) != "-" && median(name[2], w) > 0)
			line = line sprintf(" %5.2f |", median(name[1], w) / median(name[2], w))
		print line
	}
	END {
		ns = split(servers, name, " ")
		line = sprintf("| %-44s |", "median of " runs " runs, " workers " workers")
		rule = "|---|"
		for (i = 1; i <= ns; i++) { line = line sprintf(" %14s |", name[i]); rule = rule "--:|" }
		print line (ns == 2 ? " ratio |" : "")
		print rule (ns == 2 ? "--:|" : "")
		row("registration", "CPU per registration with digest, 1,000/s", "µs")
		row("call", "CPU per authenticated, proxied call, 500/s", "µs")
		row("binding-at-once", "memory per binding, at 2,500/s, at the end", "bytes")
		row("binding", "memory per binding, a minute later", "bytes")
	}'
[ ${#floors[@]} -eq 0 ] || printf 'A bare UDP echo costs %s µs per datagram on this machine (median), %s.\n' \
	"$(printf '%s\n' "${floors[@]}" | sort -n | sed -n "$(((${#floors[@]} + 1) / 2))p")" "$(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1)"
