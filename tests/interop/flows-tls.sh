#!/bin/bash
# TLS, WS and WSS with foreign programs: openssl looks at the certificate, which is replaced while baresip is connected; two
# baresips call each other over TLS, where neither has a listener that its Contact names; baresip over TLS and Linphone over TLS
# call each other; node speaks WebSocket, to another node and across to UDP.
. "$(dirname "$0")/lib.sh"
need baresip linphonec openssl node
tls=$SERVER:5061
CA=$work/data/tls-cert.pem

a() { baresip_cmd tls-a "$@"; }
at_a() { baresip_wait tls-a 8 "$1"; }
at_b() { baresip_wait tls-b 8 "$1"; }

s_client() { timeout 10 openssl s_client -connect "$tls" -verify_return_error "$@" </dev/null >"$work/s_client.log" 2>&1; }
serial() { timeout 10 openssl s_client -connect "$tls" </dev/null 2>/dev/null | openssl x509 -noout -serial; }
spoken() { # version
	s_client -CAfile "$CA" -verify_ip "$SERVER" "-$1" && cat "$work/s_client.log" && grep -qE "^New, TLSv1|Protocol *: TLSv1" "$work/s_client.log"
}
refused() { # flags of s_client
	! s_client "$@"
}
key_is_private() { [ "$(stat -c %a "$work/data/tls-key.pem")" = 600 ]; }

register() {
	local baresip_config="sip_cafile $CA"
	baresip_start tls-a "$CALLER" 1001 440 ";transport=tls" && baresip_start tls-b "$CALLEE" 1002 660 ";transport=tls" &&
		baresip_registered tls-a 8 && baresip_registered tls-b 8
}
calls() {
	a dial "sip:1002@$SERVER" && at_b CALL_INCOMING && at_a CALL_RINGING && baresip_cmd tls-b accept && at_a CALL_ESTABLISHED &&
		at_b CALL_ESTABLISHED && sleep 1 && baresip_cmd tls-b hangup && at_a CALL_CLOSED
}
replaced() { # the certificate, while both are connected
	local before
	before=$(serial)
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj "/CN=$SERVER" \
		-addext "subjectAltName=IP:$SERVER,DNS:$SERVER" -keyout "$work/new.key" -out "$work/new.pem" 2>/dev/null
	mv "$work/new.key" "$work/data/tls-key.pem" && mv "$work/new.pem" "$CA"
	wait_for 15 grep -q 'certificates were read again' "$work/server.log" && [ "$before" != "$(serial)" ]
}
linphone_calls() {
	local linphone_transport=tls linphone_sip="root_ca=$CA"
	linphone_start phone-c "$THIRD" 1003 550 && linphone_registered phone-c 8 &&
		linphone_cmd phone-c "call sip:1001@$SERVER" && at_a CALL_INCOMING && a accept && at_a CALL_ESTABLISHED &&
		linphone_wait phone-c 8 'Media streams established' && sleep 1 && a hangup && linphone_wait phone-c 8 ended
}
baresip_calls_linphone() {
	a dial "sip:1003@$SERVER" && linphone_wait phone-c 8 'new incoming call' && at_a CALL_RINGING &&
		linphone_cmd phone-c answer && at_a CALL_ESTABLISHED && sleep 1 && linphone_cmd phone-c terminate && at_a CALL_CLOSED
}

ws() { # URL, user, further words
	CA=$CA timeout 20 node "$here/ws-client.mjs" "$1" "$2" "secret$2" "$SERVER" "${@:3}"
}
message_between() { # URL of the receiver, of the sender
	local pid
	start pid receiver env CA="$CA" node "$here/ws-client.mjs" "$1" 1003 secret1003 "$SERVER"
	wait_for 10 grep -q 'REGISTER 200' "$work/receiver.log" || return 1
	ws "$2" 1002 1003 'Grüße' >"$work/node.log" 2>&1
	grep -q 'upgraded true sip' "$work/node.log" && grep -q 'MESSAGE 200' "$work/node.log" || return 1
	wait_for 10 grep -q 'received Grüße' "$work/receiver.log"
}
no_websocket() {
	timeout 5 bash -c "exec 3<>/dev/tcp/$SERVER/8088; printf 'GET / HTTP/1.1\r\nHost: x\r\n\r\n' >&3; cat <&3" | tee "$work/http.log" |
		grep -q '^HTTP/1.1 426 '
}

check "the exchange starts" server_start --listen "tls:$tls" --listen "ws:$SERVER:8088" --listen "wss:$SERVER:8089" || finish
check "a key of its own, for its owner alone" key_is_private
check "TLS 1.3, with the exchange's address in the certificate" spoken tls1_3
check "TLS 1.2" spoken tls1_2
check "not TLS 1.1" refused -CAfile "$CA" -tls1_1 -cipher DEFAULT@SECLEVEL=0
check "another host's name is refused by its peer" refused -CAfile "$CA" -verify_hostname example.com
LOGS=(tls-a tls-b server)
check "baresip registers over TLS" register
check "baresip calls baresip over TLS, the callee hangs up" calls
check "the certificate is replaced" replaced
check "baresip is still connected" calls
LOGS=(tls-a phone-c server)
check "Linphone calls baresip, both over TLS" linphone_calls
check "baresip calls Linphone" baresip_calls_linphone
linphone_cmd phone-c quit
LOGS=(receiver node server)
check "WebSocket: a message between two clients" message_between "ws://$SERVER:8088/" "ws://$SERVER:8088/"
check "WebSocket: from WSS to WS" message_between "ws://$SERVER:8088/" "wss://$SERVER:8089/"
check "a browser that wants a page is told what this is" no_websocket
LOGS=(server)
check "the exchange ends cleanly" server_stop
finish
