#!/bin/bash
# The walkthrough between baresip and Linphone through the exchange, one capture per flow, each of them calling the other:
# registered, declined (603, 486), given up, answered (either side hangs up), held and resumed by Linphone.
. "$(dirname "$0")/lib.sh"
need baresip linphonec tshark tcpdump
t=udp phones="phone-a phone-b"

REG="REGISTER 401 REGISTER 200"
OUT="INVITE (100 )?407 ACK INVITE (100 )?180"
IN="INVITE (100 )?180"

a() { baresip_cmd phone-a "$@"; }
b() { linphone_cmd phone-b "$1"; }
at_a() { baresip_wait phone-a 8 "$1"; }
at_b() { linphone_wait phone-b 8 "$1"; }
b_calls() { b "call sip:1001@$SERVER" && at_a CALL_INCOMING; }
a_calls() { a dial "sip:1002@$SERVER" && at_b 'new incoming call' && at_a CALL_RINGING; }

register() {
	baresip_start phone-a "$CALLER" 1001 440 && linphone_start phone-b "$CALLEE" 1002 660 &&
		baresip_registered phone-a 8 && linphone_registered phone-b 8
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

check "the exchange starts" server_start || finish
flow_is "registered" register "$REG" "$REG"
flow_is "Linphone declines" linphone_declines "$OUT 603 ACK" "$IN 603 ACK"
flow_is "baresip declines" baresip_declines "$IN 486 ACK" "$OUT 486 ACK"
flow_is "baresip gives up" baresip_gives_up "$OUT CANCEL (200 487|487 200) ACK" "$IN CANCEL (200 487|487 200) ACK"
flow_is "Linphone gives up" linphone_gives_up "$IN CANCEL (200 487|487 200) ACK" "$OUT CANCEL (200 487|487 200) ACK"
flow_is "the caller hangs up" caller_hangs_up "$OUT 200 ACK BYE 200" "$IN 200 ACK BYE 200"
check "baresip hears Linphone" hears "$CALLER" 50
check "Linphone hears baresip" hears "$CALLEE" 50
flow_is "the callee hangs up" callee_hangs_up "$OUT 200 ACK BYE 200" "$IN 200 ACK BYE 200"
flow_is "Linphone calls" linphone_called_us "$IN 200 ACK BYE 200" "$OUT 200 ACK BYE 200"
flow_is "Linphone holds and resumes" linphone_holds "$IN 200 ACK INVITE (100 )?200 ACK INVITE (100 )?200 ACK BYE 200" \
	"$OUT 200 ACK INVITE (100 )?200 ACK INVITE (100 )?200 ACK BYE 200"
b quit
LOGS=(server)
check "the exchange ends cleanly" server_stop
finish
