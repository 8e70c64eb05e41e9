#!/bin/bash
# What `rung serve` holds in memory, as a whole, with everything that is on by default (the tap and the tracker of live calls count):
#
#   calls    bytes per held call, as a proxy and as a back-to-back user agent: the slope between N and 2 N calls that talk, when their
#            transactions have ended, and when what is bounded has filled before: the lint remembers 1,000 calls, of those that it
#            has time for
#   office   VmRSS with 100,000 bindings and 20,000 subscriptions, a minute after the last
#   tls      bytes per idle TLS connection: 1,000 of them, each of which has had its OPTIONS answered
#
#   tests/bench/memory.sh [--held 6000] [--rate 500] [--bindings 100000] [--subscriptions 20000] [--connections 1000] [--workers 2]
#                         [calls] [office] [tls]
. "$(dirname "$0")/lib.sh"

held=6000 rate=500 bindings=100000 subscriptions=20000 connections=1000 parts=() servers=()
while [ $# -gt 0 ]; do
	case $1 in
	--held | --rate | --bindings | --subscriptions | --connections | --workers) declare "${1#--}=$2"; shift 2 ;;
	calls | office | tls) parts+=("$1"); shift ;;
	*) usage ;;
	esac
done
[ ${#parts[@]} -gt 0 ] || parts=(calls office tls)
need_tools sipp python3

talk() { # caller's port: calls that last longer than the bench
	start caller_pid "talk-$1" sipp -sf "$here/sipp/caller-hangs-up.xml" -i "$CALLER" -p "$1" -inf "$work/calls.csv" -key domain "$SERVER" \
		-m "$held" -r "$rate" -l "$held" -d 600000 -nostdin -nd -buff_size 4194304 -trace_stat -stf "$work/talk-$1.csv" -fd 1 "$SERVER:5060"
	wait_for $((held / rate + 60)) talks "$1" || die "not all calls began: $(tail -n 1 "$work/talk-$1.csv" | cut -c1-200)"
}
# All are there; one that is not answered within 8 s has failed by the time this is asked again, after calm.
talks() {
	awk -F';' -v held="$held" 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == "CurrentCall") c = i; next } { now = $c } END { exit now < held }' \
		"$work/talk-$1.csv" 2>/dev/null
}
held_calls() {
	make_users 2000
	make_calls "$held" 200
	for server in rung rung-b2bua; do
		echo "held calls: $server" >&2
		up "$server"
		register 0 1000 1000
		callee_up
		load caller-hangs-up "$CALLER" "$work/calls.csv" 1000 10 -l 1000 -d 100
		talk 5060
		calm
		before=$(pss_kb)
		talk 5062
		calm
		talks 5060 && talks 5062 || die "calls have failed"
		grown held "$held"
		local pid
		for pid in "${!child[@]}"; do [[ ${child[$pid]} != talk-* ]] || stop_child "$pid" KILL 2>/dev/null || true; done
		callee_down
		down
	done
	servers+=(rung rung-b2bua)
}
office() {
	echo "office" >&2
	make_users $((bindings > subscriptions ? bindings : subscriptions))
	subscribers "$subscriptions"
	up rung
	register 0 "$bindings" 1000
	load subscribe-presence "$CALLER" "$work/lamps.csv" "$subscriptions" 500 -l 5000
	calm
	figure office "$(rss_kb)"
}
idle_tls() {
	echo "TLS" >&2
	make_users 10
	up rung --listen "tls:$SERVER:5061"
	start clients_pid clients python3 "$bench/tls-clients.py" "$SERVER" 5061 100 "$connections"
	wait_for 60 grep -qs '^100 ' "$work/clients.log" || die "clients: $(tail -n 2 "$work/clients.log")"
	calm
	before=$(pss_kb)
	kill -USR1 "$clients_pid"
	wait_for 120 grep -qs "^$((connections + 100)) " "$work/clients.log" || die "clients: $(tail -n 2 "$work/clients.log")"
	grown tls-at-once "$connections"
	calm
	grown tls "$connections"
	stop_child "$clients_pid" KILL 2>/dev/null || true
	down
}
for part in "${parts[@]}"; do
	case $part in
	calls) held_calls ;;
	office) office; down ;;
	tls) idle_tls ;;
	esac
done
[[ " ${servers[*]} " = *" rung "* ]] || servers+=(rung)
median_table "$workers shards" "${servers[@]}" <<-ROWS
	held	memory per held call	bytes
	office	VmRSS with $bindings bindings and $subscriptions subscriptions	kB
	tls-at-once	memory per TLS connection, at once	bytes
	tls	memory per TLS connection, a minute later	bytes
ROWS
