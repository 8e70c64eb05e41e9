#!/bin/bash
# The first minute of a new user, with nothing configured and no file edited: the exchange and baresip on a LAN, Linphone and
# rung's own phones behind a NAT, each in a network namespace; all over TLS with the accounts and the certificate that `rung
# serve` made. Calls both ways, hung up from either side, a message, a lamp, a mailbox; and what the exchange says of it.
#
#   198.51.100.1 exchange ─┬─ 198.51.100.2 baresip (this script runs there)
#                          └─ 198.51.100.9 NAT 192.168.7.1 ── 192.168.7.2 Linphone, rung
if [ -z "${STORY_NS-}" ]; then
	skip() { echo "1..0 # SKIP $*"; exit 0; }
	[ "$(id -u)" = 0 ] || skip "network namespaces need root"
	for tool in ip nft baresip linphonec; do command -v "$tool" >/dev/null || skip "no $tool here"; done
	export STORY_NS=story$$
	trap 'for n in x b n a; do ip netns del $STORY_NS$n; done 2>/dev/null' EXIT
	in_ns() { ip -n "$STORY_NS$1" "${@:2}"; }
	cable() { ip link add "$2" netns "$STORY_NS$1" type veth peer name "$4" netns "$STORY_NS$3" && in_ns "$1" link set "$2" up && in_ns "$3" link set "$4" up; }
	lan() {
		local n
		for n in x b n a; do ip netns add "$STORY_NS$n" && in_ns $n link set lo up || return 1; done
		in_ns x link add br0 type bridge && in_ns x link set br0 up &&
			cable b eth0 x port1 && cable n wan x port2 && cable a eth0 n lan &&
			in_ns x link set port1 master br0 && in_ns x link set port2 master br0 &&
			in_ns x addr add 198.51.100.1/24 dev br0 && in_ns b addr add 198.51.100.2/24 dev eth0 &&
			in_ns n addr add 198.51.100.9/24 dev wan && in_ns n addr add 192.168.7.1/24 dev lan &&
			in_ns a addr add 192.168.7.2/24 dev eth0 && in_ns a route add default via 192.168.7.1 &&
			in_ns x route add default via 198.51.100.9 && ip netns exec "${STORY_NS}n" sysctl -qw net.ipv4.ip_forward=1 &&
			ip netns exec "${STORY_NS}n" nft -f - <<-NFT
				table ip story {
				  chain post { type nat hook postrouting priority 100; oifname "wan" masquerade; }
				  chain pass { type filter hook forward priority 0; iifname "wan" ct state new drop; }
				}
			NFT
	}
	why=$(lan 2>&1) || skip "no network namespaces with a NAT here: ${why%%$'\n'*}"
	ip netns exec "${STORY_NS}b" bash "$0"
	exit
fi
. "$(dirname "$0")/lib.sh"
SERVER=198.51.100.1 CA=$work/.local/share/rung/tls-cert.pem

there() { ip netns exec "$STORY_NS$1" "${@:2}"; } # x: beside the exchange, a: behind the NAT
phone() { # command, user, further words: rung's own, behind the NAT
	there a "$RUNG" "$1" "${@:3}" --from "sip:$2@$SERVER;transport=tls" --password "$(password "$2")" --tls-ca "$CA" --timeout 10
}
password() { sed -n "s/^  user $1 *password \([^ ]*\).*/\1/p" "$work/server.log"; }
says() { grep -qE "$1" "$work/server.log" || { echo "expected: $1"; tail -n 20 "$work/server.log"; return 1; }; }

begins() {
	start server_pid server env HOME="$work" ip netns exec "${STORY_NS}x" "$RUNG" serve --no-qr
	wait_for 15 grep -qs ^ready "$work/server.log"
}
told() { says "user 100 .*server $SERVER$" && says "user 101 .*server $SERVER$" && says "TLS to $SERVER:5061, wss://$SERVER:8089.* trust $CA" && ! says 'read again'; }
distrusts() {
	local flags
	flags=("sip:100@$SERVER;transport=tls" --password "$(password 100)" --timeout 10)
	there a "$RUNG" register "${flags[@]}" 2>&1 | grep 'self-signed certificate (--tls-ca' &&
		there a "$RUNG" register "${flags[@]}" --tls-insecure
}
lan_phone() {
	local baresip_config="sip_cafile $CA" phone_password
	phone_password=$(password 101)
	baresip_start b 198.51.100.2 101 440 ";transport=tls" && baresip_registered b 8
}
nat_phone() {
	local linphone_transport=tls linphone_sip="root_ca=$CA" phone_password phone_runs_in="there a"
	phone_password=$(password 100)
	linphone_start a 192.168.7.2 100 550 && linphone_registered a 8 && says '100 registered from 198.51.100.9:'
}
b() { baresip_cmd b "$@"; }
at_b() { baresip_wait b 8 "$1"; }
a() { linphone_cmd a "$1"; }
at_a() { linphone_wait a 8 "$1"; }
a_calls() { a "call sip:101@$SERVER" && at_b CALL_INCOMING && b accept && at_b CALL_ESTABLISHED && at_a 'Media streams established' && sleep 0.5; }
b_calls() { b dial "sip:100@$SERVER" && at_a 'new incoming call' && at_b CALL_RINGING && a answer && at_b CALL_ESTABLISHED && sleep 0.5; }
b_hangs_up() { b hangup && at_a ended; }
a_hangs_up() { a terminate && at_b CALL_CLOSED; }
line() { wait_for 3 says "$1 → $2: answered after .*, the $3 hung up"; } # caller, callee, who
n_lines() { [ "$(grep -cE ': answered after .* hung up' "$work/server.log")" = "$1" ]; }

watch() { # name, user, event: what somebody behind the NAT is told of that user
	local pid
	start pid "$1" ip netns exec "${STORY_NS}a" "$RUNG" subscribe "sip:$2@$SERVER;transport=tls" --event "$3" --keep \
		--from "sip:$2@$SERVER;transport=tls" --password "$(password "$2")" --tls-ca "$CA"
	wait_for 5 grep -qs notify "$work/$1.log"
}
shows() { wait_for 5 grep -qE "$2" "$work/$1.log"; } # name, expression
lamp() {
	watch lamp 101 dialog && b_calls && shows lamp '<state[^>]*>confirmed' && a_hangs_up && shows lamp '<state[^>]*>terminated'
}
mailbox() { watch mailbox 101 message-summary && HOME=$work "$RUNG" mailbox set 101 2 0 && shows mailbox 'Messages-Waiting: yes'; }
messages() {
	phone message 100 "sip:101@$SERVER;transport=tls" 'from behind the NAT' && wait_for 3 says '100 → 101: MESSAGE accepted: 200' &&
		phone message 101 "sip:100@$SERVER;transport=tls" 'to behind it' && at_a 'to behind it' && wait_for 3 says '101 → 100: MESSAGE accepted: 200'
}

LOGS=(server)
check "rung serve, nothing configured" begins || finish
check "it tells accounts, addresses, and what to do about the certificate" told
check "a phone that does not trust it says so, and what helps" distrusts
LOGS=(server a b)
check "baresip on the LAN registers over TLS" lan_phone
check "Linphone behind the NAT registers over TLS, from the NAT's address" nat_phone
check "the LAN is called, and hangs up" eval 'a_calls && b_hangs_up && line 100 101 callee'
check "it is called, the caller hangs up" eval 'a_calls && a_hangs_up && line 100 101 caller'
check "the phone behind the NAT is called, and hangs up" eval 'b_calls && a_hangs_up && line 101 100 callee'
check "it is called, the caller hangs up" eval 'b_calls && b_hangs_up && line 101 100 caller'
check "one line for each call" n_lines 4
check "no call's line finds fault with the Contact of a phone behind a NAT" eval '! says "the Contact names"'
LOGS=(server lamp mailbox a b)
check "a lamp behind the NAT follows a call" lamp
check "the lamp of a mailbox" mailbox
check "messages, both ways" messages
baresip_stop b
a quit
LOGS=(server)
check "the exchange ends cleanly" server_stop
finish
