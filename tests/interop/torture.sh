#!/bin/bash
# The 61 torture messages of RFC 4475 and RFC 5118 against a running exchange, over UDP and TCP: what comes back is what
# tests/msg/torture.tbl says, and an OPTIONS is answered after each.
. "$(dirname "$0")/lib.sh"
TORTURE=${TORTURE-$top/build/rung-torture}
[ -x "$TORTURE" ] || skip_all "no torture client: $TORTURE"
torture() { "$TORTURE" "$top/tests/msg/torture.tbl" "$top/tests/data/torture" "$SERVER" "$CALLER" "$1"; }

# An exchange for each: over the other transport the same message would be a repetition to the same transaction.
LOGS=(server)
for kind in udp tcp; do
	check "the exchange starts ($kind)" server_start --shards 2 || finish
	check "61 of 61 over $kind" torture $kind
	check "the exchange ends cleanly ($kind)" server_stop
	rm -rf "$work/data"
done
finish
