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
	python3 "$here/kill.py" --rung "$RUNG" --data "$work/data" --server "$SERVER" --phones "$CALLER" --seed "${SEED-1}" \
		--log "$work/server.log" "$@"
}
check "accounts" accounts
LOGS=(server)
n=${KILLS-5}
check "what was answered is there after kill -9, and the exchange in under two seconds" kills --rounds "$n"
sed 's/^/# /' "$work/check.log"
check "the same of calls through the back-to-back user agent" kills --rounds $(((n + 4) / 5)) --flag=--b2bua
sed 's/^/# /' "$work/check.log"
no_findings() { ! grep -E 'ERROR: (Address|Leak|Thread)Sanitizer|runtime error:|assert' "$work/server.log"; }
check "no round broke it" no_findings
finish
