#!/bin/bash
# The walkthrough between baresip and Linphone through the exchange, one capture per flow, each of them calling the other:
# registered, declined (603, 486), given up, answered (either side hangs up), held and resumed by Linphone, each
# transferred blind by the other, and messages; over UDP, and what depends on the way also over TCP and TLS.
. "$(dirname "$0")/lib.sh"
need baresip linphonec tshark tcpdump

REG="REGISTER 401 REGISTER 200"
OUT="INVITE (100 )?407 ACK INVITE (100 )?180"
IN="INVITE (100 )?180"

a() { baresip_cmd "$t-a" "$@"; }
b() { linphone_cmd "$t-b" "$1"; }
at_a() { baresip_wait "$t-a" 8 "$1"; }
at_b() { linphone_wait "$t-b" 8 "$1"; }
b_calls() { b "call sip:1001@$SERVER" && at_a CALL_INCOMING; }
a_calls() { a dial "sip:1002@$SERVER" && at_b 'new incoming call' && at_a CALL_RINGING; }

register() {
	local CA=$work/data/tls-cert.pem
	local baresip_config="sip_cafile $CA" linphone_transport=$t linphone_sip="root_ca=$CA"
	baresip_start "$t-a" "$CALLER" 1001 440 ";transport=$t" && linphone_start "$t-b" "$CALLEE" 1002 660 &&
		baresip_registered "$t-a" 8 && linphone_registered "$t-b" 8
}
linphone_declines() { a_calls && b terminate && at_a CALL_CLOSED && sleep 0.3; }
baresip_declines() { b_calls && a hangup && at_b 'busy|declined|ended|error' && sleep 0.3; }
baresip_gives_up() { a_calls && a hangup && at_b 'ended|Call .* missed|error' && sleep 0.3; }
linphone_gives_up() { b_calls && at_b 'ringing' && b terminate && at_a CALL_CLOSED && sleep 0.3; }
baresip_called() { b_calls && a accept && at_a CALL_ESTABLISHED && at_b 'Media streams established'; }
linphone_answers() { a_calls && b answer && at_a CALL_ESTABLISHED && at_b 'Media streams established'; }
caller_hangs_up() { linphone_answers && sleep 1.5 && a hangup && at_b ended && sleep 0.3; }
callee_hangs_up() { linphone_answers && sleep 1.5 && b terminate && at_a CALL_CLOSED && sleep 0.3; }
linphone_called_us() { baresip_called && sleep 1.5 && b terminate && at_a CALL_CLOSED && sleep 0.3; }
linphone_holds() {
	baresip_called && sleep 0.5 && b pause && at_b 'paused' && sleep 0.5 && b resume && at_b 'Media streams established' &&
		sleep 0.5 && b terminate && at_a CALL_CLOSED && sleep 0.3
}

# The transferee goes on with the echo test, and hangs up there.
baresip_is_transferred() {
	baresip_called && sleep 0.5 && b "transfer sip:echo@$SERVER" && at_a CALL_ESTABLISHED && sleep 0.5 && a hangup && at_a CALL_CLOSED
}
linphone_is_transferred() {
	linphone_answers && sleep 0.5 && a transfer "sip:echo@$SERVER" && at_b 'connected' && sleep 0.5 && b terminate && at_b ended
}
message() { # to a user
	"$RUNG" message "sip:$1@$SERVER" "hello $1" --from "sip:1003@$SERVER" --password secret1003 --bind "$THIRD" --timeout 10
}

ladders() {
	flow_is "registered" register "$REG" "$REG"
	flow_is "Linphone declines" linphone_declines "$OUT 603 ACK" "$IN 603 ACK"
	flow_is "baresip declines" baresip_declines "$IN 486 ACK" "$OUT 486 ACK"
	flow_is "baresip gives up" baresip_gives_up "$OUT CANCEL (200 487|487 200) ACK" "$IN CANCEL (200 487|487 200) ACK"
	flow_is "Linphone gives up" linphone_gives_up "$IN CANCEL (200 487|487 200) ACK" "$OUT CANCEL (200 487|487 200) ACK"
	flow_is "the caller hangs up" caller_hangs_up "$OUT 200 ACK BYE 200" "$IN 200 ACK BYE 200"
	check "baresip hears Linphone ($t)" hears "$CALLER" 50
	check "Linphone hears baresip ($t)" hears "$CALLEE" 50
	flow_is "the callee hangs up" callee_hangs_up "$OUT 200 ACK BYE 200" "$IN 200 ACK BYE 200"
	flow_is "Linphone calls" linphone_called_us "$IN 200 ACK BYE 200" "$OUT 200 ACK BYE 200"
	flow_is "Linphone holds and resumes" linphone_holds "$IN 200 ACK INVITE (100 )?200 ACK INVITE (100 )?200 ACK BYE 200" \
		"$OUT 200 ACK INVITE (100 )?200 ACK INVITE (100 )?200 ACK BYE 200"
}
calls() { # without captures: over TCP, Linphone calls from an address that the system chooses
	check "registered ($t)" register
	check "the caller hangs up ($t)" caller_hangs_up
	check "Linphone calls ($t)" linphone_called_us
	check "Linphone holds and resumes ($t)" linphone_holds
}
both() {
	phones="$t-a $t-b"
	"$1"
	read -ra LOGS <<<"$phones server"
	if [ -z "${SERVER_FLAGS-}" ]; then # the B2BUA transfers to phones (b2bua.sh), not to the echo test
		check "Linphone transfers baresip ($t)" baresip_is_transferred
		check "baresip transfers Linphone ($t)" linphone_is_transferred
	fi
	check "a message to Linphone ($t)" eval 'message 1002 && at_b "hello 1002"'
	check "a message to baresip ($t)" message 1001
	baresip_stop "$t-a"
	b quit
}

check "the exchange starts" server_start --listen "tls:$SERVER:5061" || finish
t=udp
both ladders
for t in tcp tls; do
	LOGS=("$t-a" "$t-b" server)
	[ "$SERVER_KIND" = kamailio ] || both calls
done
LOGS=(server)
check "the exchange ends cleanly" server_stop
finish
