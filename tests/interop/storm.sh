#!/bin/bash
# One client storms with thousands of SUBSCRIBEs a second, each a new dialog. The others register and call as if nothing were; the
# exchange names the storm, and its memory stays bounded.
. "$(dirname "$0")/lib.sh"
need sipp
users "$work/storm.csv" 1003 secret1003
users "$work/caller.csv" 1001 secret1001 1002
users "$work/callee.csv" 1002 secret1002
RATE=4000 SECONDS_OF_STORM=12
# What is measured is the memory of the exchange, not what a sanitizer keeps back of it after it was freed.
export ASAN_OPTIONS=${ASAN_OPTIONS+$ASAN_OPTIONS:}quarantine_size_mb=4

rss_kb() { awk '/^VmRSS:/ { print $2 }' "/proc/$server_pid/status"; }
storm() { # in the background; sipp itself may fall behind, what counts is that it is far above what any phone does
	storm_since=$SECONDS
	start storm_pid storm sipp -sf "$here/sipp/subscribe-storm.xml" -i "$THIRD" -p 5060 -inf "$work/storm.csv" -key domain "$SERVER" \
		-r $RATE -m $((RATE * SECONDS_OF_STORM)) -nostdin -nd -default_behaviors none -buff_size 4194304 "$SERVER:5060"
	sleep 2
}
storms_on() { kill -0 "$storm_pid"; }
# Before: kB. Who storms fills what is kept for requests under way (16 MB; 36 to 60 with a sanitizer, at once), and then only what the
# analyzer remembers of an unanswered request for half a minute: 0.9 kB each, 1.1 to 1.5 with a sanitizer.
grew_little() {
	local now most
	now=$(rss_kb)
	most=$((64 * 1024 + RATE * (SECONDS - storm_since + 1) * 3 / 2))
	echo "resident before: $1 kB, after: $now kB; at most $most kB more"
	[ $((now - $1)) -lt $most ]
}
call() {
	LOGS=(caller-hangs-up callee-answers server)
	sipp_bg callee_pid callee-answers "$CALLEE" "$work/callee.csv" -p 5060
	check "$1: the caller's side" sipp_run caller-hangs-up "$CALLER" "$work/caller.csv" -p 5060 -d 300
	check "$1: the callee's side" sipp_wait "$callee_pid"
}

check "the exchange starts" server_start || finish
LOGS=(register server)
check "a phone registers before the storm" sipp_run register "$CALLEE" "$work/callee.csv" -p 5060 -key expires 600 \
	-key contact_host "$CALLEE" -key contact_port 5060
call "a call before the storm"
before=$(rss_kb)
storm
LOGS=(storm server)
check "the storm is on" storms_on
LOGS=(register server)
check "a phone registers in the storm" sipp_run register "$CALLEE" "$work/callee.csv" -p 5060 -key expires 600 \
	-key contact_host "$CALLEE" -key contact_port 5060
call "a call in the storm"
LOGS=(storm server)
check "the storm is still on" storms_on
check "the exchange names it, with its source" grep -E "storm.*$THIRD|$THIRD.*storm" "$work/server.log"
check "and says it once, not for each request" test "$(grep -c storm "$work/server.log")" -le 3
check "its memory stays bounded" grew_little "$before"
stop_child "$storm_pid" KILL 2>/dev/null
call "a call after the storm"
LOGS=(server)
check "the exchange ends cleanly" server_stop
finish
