#!/bin/bash
# kill -9 at any moment, under load: KILLS=50 tests/interop/kill.sh plays as many rounds (tests/interop/kill.py).
. "$(dirname "$0")/lib.sh"
need python3
accounts() {
	local i
	for i in {2000..2039} {3000..3009}; do echo "$i,secret$i"; done >"$work/accounts.csv"
	"$RUNG" user import "$work/accounts.csv" --data "$work/data"
}
kills() {
	python3 "$here/kill.py" --rung "$RUNG" --data "$work/data" --server "$SERVER" --phones "$CALLER" --rounds "${KILLS-5}" \
		--seed "${SEED-1}" --log "$work/server.log" || return 1
}
check "accounts" accounts
LOGS=(server)
check "what was answered is there after kill -9, and the exchange in under two seconds" kills
sed 's/^/# /' "$work/check.log"
no_findings() { ! grep -E 'ERROR: (Address|Leak|Thread)Sanitizer|runtime error:|assert' "$work/server.log"; }
check "no round broke it" no_findings
finish
