#!/bin/bash
# Attacks with the tools of attackers, while a call is up: sipvicious' three, floods from one and from many addresses, connections
# that never finish what they begin, by TCP, TLS, WS and WSS, or say nothing. The call goes on, the owner can register, memory is bounded, the attacker is named.
. "$(dirname "$0")/lib.sh"
need sipp python3 svmap svwar svcrack
users "$work/caller.csv" 1001 secret1001 1002
users "$work/callee.csv" 1002 secret1002
DATA=$work/data ATTACKER=$NET.66 LORIS=$NET.67 SLOW=$NET.68 IDLE=$NET.69
export ASAN_OPTIONS=${ASAN_OPTIONS+$ASAN_OPTIONS:}quarantine_size_mb=4

rung() { "$RUNG" "$@" --data "$DATA"; }
rss_kb() { awk '/^VmRSS:/ { print $2 }' "/proc/$server_pid/status"; }
is_banned() { rung ban list --filter "$1" | grep -F "$1"; }
lifted() { rung ban del "$1"; }
hears_nothing() { # of a program that scans: it lists nobody, and the exchange names it
	! grep -E "\| *$SERVER|$SERVER:5060 +\|" "$work/$1.log" && rung ban list --filter friendly-scanner --json | grep -F "$2"
}
scan() { # what, its words: friendly-scanner; some versions do not bind where they are told
	timeout 20 "$1" -b "$ATTACKER" "${@:2}" "$SERVER" >"$work/$1.log" 2>&1 </dev/null
	hears_nothing "$1" scanner
}
# The same with another name: what it does gives it away.
crack() {
	python3 "$here/attack.py" crack "$ATTACKER" "$SERVER" 1001 200 >"$work/crack.log" 2>&1
	wait_for 3 is_banned "$ATTACKER" && rung ban explain "$ATTACKER" | grep -F "wrong password"
}
enumerate() {
	python3 "$here/attack.py" users "$ATTACKER" "$SERVER" 300 >"$work/users.log" 2>&1
	wait_for 12 is_banned "$ATTACKER" && rung ban explain "$ATTACKER" | grep -F "user tried" && grep -x "one answer for all" "$work/users.log"
}
flood() { # method, addresses
	python3 "$here/attack.py" flood "$NET" "$SERVER" "$1" "$2" 12000 >"$work/flood.log" 2>&1
}
flood_of_one() { flood "$1" 1 && wait_for 3 is_banned "$NET.100"; }
flood_of_many() { flood "$1" 100; }
loris() { python3 "$here/attack.py" loris "$LORIS" "$SERVER" 300 >"$work/loris.log" 2>&1; }
begins_slowly() {
	start slow_pid slow python3 "$here/attack.py" slow "$SLOW" "$SERVER" 200
	sleep 3
}
ends_closed() { # all its connections, in time
	wait_for 45 eval "! kill -0 $slow_pid 2>/dev/null"
	wait "$slow_pid"
	local rc=$?
	unset "child[$slow_pid]"
	cat "$work/slow.log"
	return $rc
}
MOST=8192 # LIMIT_CONNECTIONS_PER_SOURCE, of two shards
idles() {
	start idle_pid idle python3 "$here/attack.py" idle "$IDLE" "$SERVER" $((MOST + 800))
	wait_for 30 grep -q stand "$work/idle.log"
}
is_bounded() {
	local n
	n=$(sed -n 's/ of .* stand$//p' "$work/idle.log")
	echo "$n connections of one source, at most $MOST"
	[ "$n" -le $MOST ] && [ "$n" -gt 1000 ]
}
owner_comes_by() { # transport
	timeout 10 "$RUNG" register "sip:1002@$SERVER:$2;transport=$1" --password secret1002 --bind "$CALLEE" --tls-insecure --remove
}
owner_registers() {
	sipp_run register "$CALLEE" "$work/callee.csv" -p 5070 -key expires 600 -key contact_host "$CALLEE" -key contact_port 5060
}
grew_little() {
	local now
	now=$(rss_kb)
	echo "resident before: $1 kB, after: $now kB"
	[ $((now - $1)) -lt 131072 ]
}

ulimit -n "$(ulimit -Hn)"
check "the exchange starts" server_start --never-ban none --shards 2 --listen "tls:$SERVER:5061" --listen "ws:$SERVER:8088" --listen "wss:$SERVER:8089" || finish
LOGS=(register server)
check "the owner registers" owner_registers
before=$(rss_kb)
LOGS=(svmap server)
check "svmap finds nobody and is named" scan svmap
check "one command lifts it" lifted all
LOGS=(svwar server)
check "svwar finds no extension" scan svwar -m REGISTER -e 1000-1010
lifted all >/dev/null
LOGS=(svcrack server)
check "svcrack finds no password" scan svcrack -u 1001 -r 1-20
lifted all >/dev/null
LOGS=(crack server)
check "guessing under another name is seen" crack
lifted "$ATTACKER" >/dev/null
LOGS=(users server)
check "trying users is seen, and tells nothing" enumerate
# A call for the time of the floods.
sipp_bg callee_pid callee-answers "$CALLEE" "$work/callee.csv" -p 5060 -timeout 120s
start call_pid caller-hangs-up timeout 120 sipp -sf "$here/sipp/caller-hangs-up.xml" -i "$CALLER" -inf "$work/caller.csv" -key domain "$SERVER" \
	-m 1 -nostdin -nd -p 5060 -d 22000 -default_behaviors -bye "$SERVER:5060"
sleep 2
for method in INVITE REGISTER SUBSCRIBE OPTIONS; do
	LOGS=(flood server)
	check "a flood of $method from one address is banned" flood_of_one $method
	LOGS=(register server)
	check "the owner registers" owner_registers
done
LOGS=(flood server)
check "a flood from a hundred addresses" flood_of_many INVITE
LOGS=(register server)
check "the owner registers in between" owner_registers
LOGS=(loris server)
check "connections that send a byte now and then" loris
check "the owner registers beside them" owner_registers
LOGS=(slow server)
check "half handshakes by TLS, half upgrades by WS and WSS, half messages, a little each second" begins_slowly
for way in "tcp 5060" "tls 5061" "ws 8088" "wss 8089"; do
	# shellcheck disable=SC2086 # two words
	check "the owner comes by ${way% *} beside them" owner_comes_by $way
done
check "all of them are closed in time" ends_closed
if [ "$(ulimit -n)" -gt $((MOST + 1000)) ]; then
	LOGS=(idle server)
	check "connections that say nothing, more than one source may have" idles
	check "are bounded" is_bounded
	for way in "tcp 5060" "tls 5061"; do
		# shellcheck disable=SC2086
		check "the owner comes by ${way% *} beside them" owner_comes_by $way
	done
	stop_child "$idle_pid"
fi
LOGS=(server)
check "memory is bounded" grew_little "$before"
check "neither the owner's nor the caller's address is banned" eval "! is_banned $CALLEE && ! is_banned $CALLER"
LOGS=(caller-hangs-up callee-answers server)
check "the call went on: the caller's side" wait "$call_pid"
unset "child[$call_pid]"
check "and the callee's" sipp_wait "$callee_pid"
LOGS=(server)
check "the exchange ends cleanly" server_stop
finish
