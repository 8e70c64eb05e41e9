#!/bin/bash
# Presence side by side: CPU of `rung serve` and of Kamailio's presence module at its best (in memory only) per SUBSCRIBE with digest
# and the NOTIFY that follows, while the subscriptions stay: 4,000 of as many users, each to another one, at 400 a second and at the
# 1,000 a second of the registrations in versus.sh.
#
#   tests/bench/events.sh [--runs 5] [--subscriptions 4000] [--workers 2] [rung] [before] [kamailio]
#
# rung runs with everything that is on by default: each subscription is on disk before its 200.
. "$(dirname "$0")/lib.sh"

runs=5 subscriptions=4000 servers=()
while [ $# -gt 0 ]; do
	case $1 in
	--runs | --subscriptions | --workers) declare "${1#--}=$2"; shift 2 ;;
	rung | before | kamailio) servers+=("$1"); shift ;;
	*) usage ;;
	esac
done
[ ${#servers[@]} -gt 0 ] || servers=(rung kamailio)
need_tools sipp "$(printf '%s\n' "${servers[@]}" | grep kamailio || echo sipp)"
KAMAILIO_CFG=$bench/kamailio-presence.cfg
mkdir "$work/db"
for table in version active_watchers presentity watchers xcap; do
	[[ ! " ${servers[*]} " = *" kamailio "* ]] || cp "/usr/share/kamailio/dbtext/kamailio/$table" "$work/db/" || die "no kamailio-presence-modules"
done
KAMAILIO_FLAGS=(-A "DBURL=\"text://$work/db\"")
make_users "$subscriptions"
subscribers "$subscriptions"
subscribe() { load subscribe-presence "$CALLER" "$work/lamps.csv" "$subscriptions" "$1" -l 5000; } # rate

for ((run = 1; run <= runs; run++)); do
	for server in "${servers[@]}"; do
		echo "run $run of $runs: $server" >&2
		for rate in 400 1000; do
			up "$server"
			measure "subscribe-$rate" "$subscriptions" subscribe "$rate"
			down
		done
	done
done
median_table "median of $runs runs, $workers workers" "${servers[@]}" <<-ROWS
	subscribe-400	CPU per SUBSCRIBE and NOTIFY, 400/s	µs
	subscribe-1000	CPU per SUBSCRIBE and NOTIFY, 1,000/s	µs
ROWS
