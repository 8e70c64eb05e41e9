# What the benches share that measure a running server with foreign load; sourced after `bench_usage` is known. On top of the
# harness of the interop tests: its addresses, its children, its limits.
#
#   up KIND [flags]      rung (also rung-b2bua; before: the program that BEFORE names), kamailio; with $users users u000000 ...
#   down                 ends it
#   measure WHAT N CMD   CPU of all threads of all processes of the server per unit, from the kernel's own accounting, until the
#                        server has come to rest (a store's drain included): a line "KIND WHAT µs" in $work/figures
#   grown WHAT N         growth of its proportional set size per unit since $before, the same way, in bytes
#   load ...             one scenario of sipp at a fixed rate; one that fails fails the bench
#   median_table         all figures, and the first server's part of the others'
. "$(dirname "${BASH_SOURCE[0]}")/../interop/lib.sh"
bench=$top/tests/bench
: >"$work/figures"
retransmitted=0 workers=2 KAMAILIO_FLAGS=()

die() { echo "${0##*/}: $*" >&2; exit 1; }
usage() { sed -n '2,/^\. /{/^\. /d;s/^# \{0,1\}//;p}' "$0" >&2; exit 2; }
need_tools() { local tool; for tool; do command -v "$tool" >/dev/null || die "no $tool here: tools/deps interop"; done; }

make_users() { # how many: users.csv for rung, all.csv for sipp
	awk -v n="$1" -v list="$work/users.csv" -v all="$work/all.csv" 'BEGIN {
		print "SEQUENTIAL" > all
		for (i = 0; i < n; i++) {
			u = sprintf("u%06d", i)
			printf "%s,secret%s\n", u, u > list
			printf "%s;[authentication username=%s password=secret%s];\n", u, u, u > all
		}
	}'
}
part() { { echo SEQUENTIAL; tail -n +$(($1 + 2)) "$work/all.csv" | head -n "$2"; } >"$work/part.csv"; } # from, how many

up() { # kind, further flags
	local program=$RUNG flags=()
	rm -rf "$work/data" "$work/server.log"
	server=$1
	case $1 in
	kamailio)
		start server_pid server kamailio -f "${KAMAILIO_CFG-$bench/kamailio.cfg}" -A "ADDR=$SERVER" -A "WORKERS=$workers" -x fm -X fm \
			-m 2048 -M 64 -DD -E -w "$work" -Y "$work" "${KAMAILIO_FLAGS[@]}"
		wait_for 10 grep -qs "udp: $SERVER" "$work/server.log" && sleep 1
		;;
	*)
		[ "$1" != before ] || program=$BEFORE
		[ "$1" != rung-b2bua ] || flags=(--b2bua)
		"$program" user import "$work/users.csv" --data "$work/data" >"$work/import.log" 2>&1 ||
			die "import: $(tail -n 3 "$work/import.log")"
		# since there is an API, it needs a port of its own
		! "$program" serve --help | grep -q -e --api || flags+=(--api off)
		start server_pid server "$program" serve --listen "udp:$SERVER:5060" --listen "tcp:$SERVER:5060" --domain "$SERVER" \
			--data "$work/data" --shards "$workers" "${flags[@]}" "${@:2}"
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
rss_kb() { awk '/^VmRSS:/ { print $2 }' "/proc/$server_pid/status"; }
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

figure() { # what, value
	echo "$server $1 $2" >>"$work/figures"
	echo "  $server $1 $2" >&2
}
measure() { # what, units, command ...
	local before after
	settle
	before=$(cpu_us)
	"${@:3}"
	settle
	after=$(cpu_us)
	[ "$retransmitted" = 0 ] || echo "  ($1: sipp resent $retransmitted messages)" >&2
	figure "$1" "$(awk -v us=$((after - before)) -v n="$2" 'BEGIN { printf "%.2f", us / n }')"
}
grown() { figure "$1" $((($(pss_kb) - before) * 1024 / $2)); } # what, units

load() { # scenario, address, users, how many, rate, further flags; every one must succeed
	timeout $(($4 / $5 + 60)) sipp -sf "$here/sipp/$1.xml" -i "$2" -p 5060 -inf "$3" -key domain "$SERVER" -m "$4" -r "$5" \
		-nostdin -nd -timeout_error -trace_err -error_file "$work/$1.errors" -buff_size 4194304 \
		"${@:6}" "$SERVER:5060" >"$work/$1.log" 2>&1 </dev/null {net_lock}>&- ||
		die "$1 at $5/s: $(grep -E 'Failed call' "$work/$1.log" | tail -n 1) $(tail -n 2 "$work/$1.errors" 2>/dev/null)"
	local good
	good=$(awk -F'|' '/Successful call/ { gsub(/ /, "", $3); print $3 }' "$work/$1.log" | tail -n 1)
	[ "$good" = "$4" ] || die "$1: $good of $4 succeeded"
	retransmitted=$(awk '/---------->/ { gsub(/[BE]-RTD[0-9]/, ""); sum += $4 } END { print sum + 0 }' "$work/$1.log")
}
register() { # from, how many, rate
	part "$1" "$2"
	load register "$CALLER" "$work/part.csv" "$2" "$3" -l 5000 -key expires 3600 -key contact_host "$CALLEE" -key contact_port 5060
}
make_calls() { # how many, callees: calls.csv, from the thousand users behind the first thousand to the first ones
	awk -v n="$1" -v callees="$2" 'BEGIN {
		print "SEQUENTIAL"
		for (i = 0; i < n; i++) {
			u = sprintf("u%06d", 1000 + i % 1000)
			printf "%s;[authentication username=%s password=secret%s];u%06d;\n", u, u, u, i % callees
		}
	}' >"$work/calls.csv"
}
subscribers() { # how many: lamps.csv, each user and whom he watches
	awk -v n="$1" 'BEGIN {
		print "SEQUENTIAL"
		for (i = 0; i < n; i++) {
			u = sprintf("u%06d", i)
			printf "%s;[authentication username=%s password=secret%s];u%06d;\n", u, u, u, (i + 1) % n
		}
	}' >"$work/lamps.csv"
}
callee_up() {
	start callee_pid callee sipp -sf "$here/sipp/callee-answers.xml" -i "$CALLEE" -p 5060 -inf "$work/all.csv" -nostdin -nd \
		-key domain "$SERVER" -buff_size 4194304
	sleep 1
}
callee_down() { stop_child "$callee_pid" KILL 2>/dev/null || true; }

# Lines "what title unit" from stdin: median of each figure per server, and the first server's part of each other's.
median_table() { # heading, server ...
	local heading=$1
	shift
	cat >"$work/rows"
	sort -k1,1 -k2,2 -k3,3n "$work/figures" | awk -v servers="$*" -v heading="$heading" -v rows="$work/rows" '
		{ v[$1, $2, ++n[$1, $2]] = $3 }
		function median(s, w) { k = n[s, w]; return k == 0 ? "-" : k % 2 ? v[s, w, (k + 1) / 2] : (v[s, w, k / 2] + v[s, w, k / 2 + 1]) / 2 }
		END {
			ns = split(servers, name, " ")
			line = sprintf("| %-52s |", heading)
			rule = "|---|"
			for (i = 1; i <= ns; i++) { line = line sprintf(" %14s |", name[i]); rule = rule "--:|" }
			for (i = 2; i <= ns; i++) { line = line sprintf(" / %10s |", name[i]); rule = rule "--:|" }
			print line; print rule
			while ((getline row < rows) > 0) {
				split(row, f, "\t")
				line = sprintf("| %-52s |", f[2])
				for (i = 1; i <= ns; i++) line = line sprintf(" %8s %-5s |", median(name[i], f[1]), f[3])
				for (i = 2; i <= ns; i++) {
					m = median(name[i], f[1])
					line = line (m != "-" && m > 0 && median(name[1], f[1]) != "-" ? sprintf(" %12.2f |", median(name[1], f[1]) / m) : "            - |")
				}
				print line
			}
		}'
}
