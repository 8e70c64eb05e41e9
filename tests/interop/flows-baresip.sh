#!/bin/bash
# The walkthrough between two baresips through the exchange, one capture per flow: registered, declined, given up, answered
# (either side hangs up), held and resumed; over UDP and over TCP.
. "$(dirname "$0")/lib.sh"
need baresip tshark tcpdump

REG="REGISTER 401 REGISTER 200"
OUT="INVITE (100 )?407 ACK INVITE (100 )?180"

a() { baresip_cmd "$t-a" "$@"; }
b() { baresip_cmd "$t-b" "$@"; }
at_a() { baresip_wait "$t-a" 8 "$1"; }
at_b() { baresip_wait "$t-b" 8 "$1"; }

register() {
	baresip_start "$t-a" "$CALLER" 1001 440 "$account" && baresip_start "$t-b" "$CALLEE" 1002 660 "$account" &&
		baresip_registered "$t-a" 8 && baresip_registered "$t-b" 8
}
declined() { a dial "sip:1002@$SERVER" && at_b CALL_INCOMING && at_a CALL_RINGING && b hangup && at_a CALL_CLOSED && sleep 0.2; }
given_up() { a dial "sip:1002@$SERVER" && at_b CALL_INCOMING && at_a CALL_RINGING && a hangup && at_b CALL_CLOSED && sleep 0.2; }
answered() { a dial "sip:1002@$SERVER" && at_b CALL_INCOMING && at_a CALL_RINGING && b accept && at_a CALL_ESTABLISHED && at_b CALL_ESTABLISHED; }
caller_hangs_up() { answered && sleep 1.5 && a hangup && at_b CALL_CLOSED && sleep 0.2; }
callee_hangs_up() { answered && sleep 1.5 && b hangup && at_a CALL_CLOSED && sleep 0.2; }
held() { answered && sleep 0.5 && a hold && sleep 0.5 && a resume && sleep 0.5 && a hangup && at_b CALL_CLOSED && sleep 0.2; }

both() {
	flow_is "registered" register "$REG" "$REG"
	flow_is "declined" declined "$OUT 486 ACK" "INVITE (100 )?180 486 ACK"
	flow_is "given up" given_up "$OUT CANCEL (200 487|487 200) ACK" "INVITE (100 )?180 CANCEL (200 487|487 200) ACK"
	flow_is "the caller hangs up" caller_hangs_up "$OUT 200 ACK BYE 200" "INVITE (100 )?180 200 ACK BYE 200"
	check "the caller hangs up ($t): the caller hears" hears "$CALLER" 50
	check "the caller hangs up ($t): the callee hears" hears "$CALLEE" 50
	flow_is "the callee hangs up" callee_hangs_up "$OUT 200 ACK BYE 200" "INVITE (100 )?180 200 ACK BYE 200"
	flow_is "held and resumed" held "$OUT 200 ACK INVITE (100 )?200 ACK INVITE (100 )?200 ACK BYE 200" \
		"INVITE (100 )?180 200 ACK INVITE (100 )?200 ACK INVITE (100 )?200 ACK BYE 200"
	baresip_stop "$t-a"
	baresip_stop "$t-b"
}

check "the exchange starts" server_start || finish
t=udp account= phones="udp-a udp-b"
both
t=tcp account=";transport=tcp" phones="tcp-a tcp-b"
[ "$SERVER_KIND" = kamailio ] || both # Kamailio's plain configuration does not reach a phone over its own connection
LOGS=(server)
check "the exchange ends cleanly" server_stop
finish
