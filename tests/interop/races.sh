#!/bin/bash
# Races, with scenarios for sipp of our own (races.py): CANCEL and 200 cross, re-INVITEs meet, ACK and PRACK are lost or late, two phones
# answer at once, BYEs cross. All of them at once, through the proxy and through the back-to-back user agent, each an exchange of its own.
# At the end no call and no transaction is left, and each call has one record that tells how it ended.
. "$(dirname "$0")/lib.sh"
need sipp python3
read -ra races <<<"${RACES-cancel glare lost-ack late-ack late-prack fork bye}"
read -ra modes <<<"${MODES-proxy b2bua}"
declare -A at=([proxy]=$NET.57 [b2bua]=$NET.58) pids=()
mkdir -p "$work/sipp"
python3 "$here/races.py" write "$work/sipp" || exit 1

exchange() { # mode
	local user flags=()
	[ "$1" = proxy ] || flags=(--b2bua)
	for user in 1001 "${races[@]}"; do
		users "$work/$user.csv" "$user" secret
		"$RUNG" user add "$user" --password secret --data "$work/$1" || return 1
	done
	start "pid_$1" "server-$1" "$RUNG" serve --listen "udp:${at[$1]}:5060" --domain "${at[$1]}" --data "$work/$1" --api off \
		--trust "$CALLER/32" "${flags[@]}"
	wait_for 15 grep -qs ^ready "$work/server-$1.log"
}
side() { # mode, race, side, port, further flags: plays it in the background
	local file=$work/sipp/$2-$3.xml
	[ -e "$file" ] || file=$work/sipp/$2-$3-$1.xml
	start "pids[$1-$2-$3]" "$1-$2-$3" sipp -sf "$file" -i "$CALLER" -p "$4" -key domain "${at[$1]}" -m "$(python3 "$here/races.py" calls "$2")" \
		-nostdin -nd -timeout 60s -timeout_error -trace_err -error_file "$work/$1-$2-$3.errors" -default_behaviors -bye -max_retrans 20 -max_non_invite_retrans 20 "${@:5}"
}
contact() { # mode, user, port: registers a phone of his, from where nobody is trusted
	SERVER=${at[$1]} sipp_run register "$CALLEE" "$work/$2.csv" -p 9999 -key expires 600 -key contact_host "$CALLER" -key contact_port "$3"
}
play() { # mode, number of the mode: begins all races
	local i port race
	for i in "${!races[@]}"; do
		race=${races[i]} port=$((20000 + $2 * 1000 + i * 10))
		side "$1" "$race" callee $((port + 1))
		contact "$1" "$race" $((port + 1)) || return 1
		if [ "$race" = fork ]; then
			side "$1" "$race" callee2 $((port + 2))
			contact "$1" "$race" $((port + 2)) || return 1
		fi
		side "$1" "$race" caller "$port" -s "$race" -cid_str "$race-%u-%p" -r 10 "${at[$1]}:5060"
	done
}
said() { grep -aoE "(while|receive timeout|timed out)[^']*(received '.*)?" "$1" | sort | uniq -c | head -n 8; }
ended() { # mode, race: each side has seen what it should
	local key rc=0 n=0
	for key in "${!pids[@]}"; do
		[[ $key == "$1-$2-c"* ]] || continue
		wait_for 60 eval "! kill -0 ${pids[$key]} 2>/dev/null"
		wait "${pids[$key]}" || { rc=1; echo "$key"; grep -aE '(--------->|<---------|Pause)' "$work/$key.log"; said "$work/$key.errors"; }
		unset "child[${pids[$key]}]"
		n=$((n + 1))
	done
	[ $n -ge 2 ] && return $rc
}
gauges() { "$RUNG" stats --json --data "$work/$1" | grep -E '"(calls|transactions|own_sessions|pending_requests)"' | tee "$work/gauges"; }
is_empty() { gauges "$1" >/dev/null && [ "$(grep -c '"value":0[,}]' "$work/gauges")" = 4 ]; }
nothing_left() {
	wait_for 45 is_empty "$1" && return
	gauges "$1"
	"$RUNG" calls --json --data "$work/$1"
	return 1
}
records() { "$RUNG" cdr --json --limit 1000 --data "$work/$1" >"$work/cdrs" && python3 "$here/races.py" check "$1" "$work/cdrs" "${races[@]}"; }
stops() { # mode
	local pid=pid_$1
	stop_child "${!pid}" && ! grep -E 'ERROR: (Address|Leak|Thread)Sanitizer|runtime error:' "$work/server-$1.log"
}

for mode in "${modes[@]}"; do
	LOGS=("server-$mode")
	check "the exchange starts ($mode)" exchange "$mode" || finish
done
for i in "${!modes[@]}"; do check "all races begin (${modes[i]})" play "${modes[i]}" "$i"; done
for mode in "${modes[@]}"; do
	LOGS=()
	for race in "${races[@]}"; do check "$race ($mode)" ended "$mode" "$race"; done
	LOGS=("server-$mode")
	check "no call and no transaction is left ($mode)" nothing_left "$mode"
	check "each call has one record, and it tells ($mode)" records "$mode"
	[ -z "${SHOW-}" ] || sed 's/^/# /' "$work/check.log"
	check "the exchange ends cleanly ($mode)" stops "$mode"
done
finish
