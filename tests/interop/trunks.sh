#!/bin/bash
# Trunks with foreign upstreams: Kamailio and another rung, at which the exchange registers; calls both ways with digest; the
# upstream dies and comes back.
. "$(dirname "$0")/lib.sh"
need kamailio
UP2=$NET.67

says() { # exit code, what the output must contain, command ...
	local want=$1 text=$2 out rc
	shift 2
	out=$("$@" 2>&1)
	rc=$?
	printf '%s\n' "$out" "exit code $rc, expected $want, and the words: $text"
	[ $rc = "$want" ] && [[ $out == *"$text"* ]]
}
trunk() { "$RUNG" trunk --data "$work/data" --json "$@"; }
trunk_is() { trunk show "$1" | grep -q "$2"; } # name, part of its row
dial() { # number, user, server, address: a call that is answered, through a server as that user
	timeout 40 "$RUNG" call "sip:$1@$3" --from "sip:$2@$3" --password "secret$2" --bind "$4" --timeout 20 --hangup-after 0.5
}
answers() { # user, server, address: a phone that answers; its pid is in phone_USER
	start "phone_$1" "phone$1" "$RUNG" answer --from "sip:$1@$2" --password "secret$1" --bind "$3" --timeout 200 --json
	wait_for 10 grep -qs '"registered"' "$work/phone$1.log"
}
kamailio_start() {
	start kamailio_pid kamailio kamailio -f "$here/../bench/kamailio.cfg" -A "ADDR=$THIRD" -A WORKERS=2 -x fm -X fm \
		-m 64 -M 8 -DD -E -w "$work" -Y "$work"
	wait_for 10 grep -q "udp: $THIRD" "$work/kamailio.log"
}
rung_start() { # another one as upstream
	local user
	for user in 7000 7001; do
		"$RUNG" user add $user --password secret$user --data "$work/up" || return 1
	done
	start up_pid up "$RUNG" serve --listen "udp:$UP2:5060" --domain "$UP2" --data "$work/up" --api off
	wait_for 15 grep -qs ^ready "$work/up.log"
}

cat >"$work/rung.yaml" <<YAML
users: {"1001": , "1002": }
trunks:
  kam: {hosts: ["$THIRD"], register: yes, user: "5000", password: secret5000, probe: 5s, out: {"0...": "..."}, otherwise: "1002"}
  other: {hosts: ["$UP2"], register: yes, user: "7000", password: secret7000, max_calls: 1, out: {"9...": "..."}, numbers: {"7000": "1002"}}
routes:
  - {name: to kam, to: "0...", trunk: kam}
  - {name: to other, to: "9...", trunk: other}
YAML
check "the upstreams start" eval "kamailio_start && rung_start" || finish
check "the file is good" says 0 "2 trunks, 2 routes" "$RUNG" check "$work/rung.yaml"
check "the exchange starts" server_start --config "$work/rung.yaml" --api off || finish
LOGS=(server kamailio up)
check "it registers at Kamailio, with digest" wait_for 10 trunk_is kam '"registered":true'
check "and at the other rung" wait_for 10 trunk_is other '"registered":true'
check "rung route lists the rules" says 0 "trunk kam" "$RUNG" route list --data "$work/data"

check "a phone of ours" answers 1002 "$SERVER" "$CALLEE"
check "a phone of Kamailio's" answers 6000 "$THIRD" "$NET.66"
check "a phone of the other rung's" answers 7001 "$UP2" "$NET.68"
LOGS=(server phone6000 kamailio)
check "out by Kamailio, which asks for a password" dial 06000 1001 "$SERVER" "$CALLER"
check "its phone has answered" grep -q '"answered"' "$work/phone6000.log"
LOGS=(server phone1002 kamailio)
check "in by Kamailio" dial 5000 6001 "$THIRD" "$NET.69"
check "our phone has answered" grep -q '"answered"' "$work/phone1002.log"
LOGS=(server phone7001 up)
check "out by the other rung" dial 97001 1001 "$SERVER" "$CALLER"
check "in by the other rung" dial 7000 7001 "$UP2" "$NET.70"
check "no seat is left taken" trunk_is other '"calls":0'

LOGS=(server kamailio)
stop_child "$kamailio_pid"
check "Kamailio dies: down within a probe" wait_for 15 trunk_is kam '"state":"down"'
check "a call knows it at once" says 3 "503" timeout 3 "$RUNG" call "sip:06000@$SERVER" --from "sip:1001@$SERVER" --password secret1001 \
	--bind "$CALLER" --timeout 2
check "Kamailio comes back" kamailio_start
check "up, and registered, without being told" wait_for 20 trunk_is kam '"state":"up","registered":true'
stop_child "$phone_6000" # the upstream has lost its bindings
check "its phone is back" answers 6000 "$THIRD" "$NET.71"
check "out again" dial 06000 1001 "$SERVER" "$CALLER"

sed -i '/^  kam:/d; /to kam/d' "$work/rung.yaml"
check "a trunk is taken out of the file" says 0 ok "$RUNG" reload --data "$work/data"
check "its registration is ended" wait_for 5 eval "! trunk | grep -q '\"kam\"'"
check "the other one goes on" dial 97001 1001 "$SERVER" "$CALLER"
check "the server ends cleanly" server_stop
finish
