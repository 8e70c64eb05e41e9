#!/bin/bash
# Calls through the back-to-back user agent (serve --b2bua --farewell) with programs of others: baresip transfers a call blind, and
# joins two of his calls, and both sides hear each other afterwards; the callee hangs up, and the caller is re-INVITEd to the exchange
# before his BYE.
. "$(dirname "$0")/lib.sh"
need baresip tshark tcpdump

a() { baresip_cmd a "$@"; }
b() { baresip_cmd b "$@"; }
c() { baresip_cmd c "$@"; }
talk() {
	a dial "sip:1002@$SERVER" && baresip_wait b 8 CALL_INCOMING && b accept && baresip_wait a 8 CALL_ESTABLISHED &&
		baresip_wait b 8 CALL_ESTABLISHED && sleep 0.5
}
transfer() {
	talk && b transfer "sip:1003@$SERVER" && baresip_wait c 8 CALL_INCOMING && c accept && baresip_wait c 8 CALL_ESTABLISHED &&
		baresip_wait b 8 CALL_CLOSED && sleep 1 && a hangup && baresip_wait c 8 CALL_CLOSED && sleep 0.2
}
echo_test() {
	talk && b transfer "sip:echo@$SERVER" && baresip_wait b 8 CALL_CLOSED && sleep 2 && a hangup && baresip_wait a 8 CALL_CLOSED && sleep 0.2
}
# The dialog of b's first call as it is escaped in Refer-To: baresip itself knows nothing of Replaces.
first_dialog() {
	tshark -r "$PCAP" -Y "ip.src == $CALLEE && sip.CSeq.method == INVITE && sip.Status-Code == 200" -T fields -e sip.Call-ID \
		-e sip.from.tag -e sip.to.tag 2>/dev/null | head -n 1 | tr '\t' ' '
}
# b holds a, asks c, and brings the two together.
attended() {
	local id from to
	talk && b hold && sleep 0.5 && b dial "sip:1003@$SERVER" && baresip_wait c 8 CALL_INCOMING && c accept &&
		baresip_wait c 8 CALL_ESTABLISHED && sleep 1 && read -r id from to < <(first_dialog) &&
		b transfer "<sip:1001@$SERVER?Replaces=${id//@/%40}%3Bto-tag%3D$from%3Bfrom-tag%3D$to>" && baresip_wait b 8 CALL_CLOSED &&
		baresip_wait b 8 CALL_CLOSED && sleep 2 && a hangup && baresip_wait c 8 CALL_CLOSED && sleep 0.2
}
# From one's port to the other, more than a second of it; on a loopback the source is not his address.
audio() {
	local port
	port=$(tshark -r "$PCAP" -Y "ip.src == $1 && sdp" -T fields -e sdp.media.port 2>/dev/null | tail -n 1)
	[ "$(tshark -n -r "$PCAP" -Y "udp.length == 180 && udp.srcport == $port && ip.dst == $2" 2>/dev/null | wc -l)" -ge 50 ]
}
# To where his packets come from, which on a loopback is not his address.
echoes() {
	[ "$(tshark -n -r "$PCAP" -Y "udp.length == 180 && ip.src == $SERVER" 2>/dev/null | wc -l)" -ge 50 ]
}
# The two UUIDs of a call stand in all messages of both its sides, each peer's own first.
one_name() {
	tshark -r "$PCAP" -Y "ip.addr == $CALLER && sip.CSeq.method == INVITE && sip.Status-Code == 200" -T fields -e sip.Session-ID \
		2>/dev/null | sort -u | tee "$work/name.log" | grep -Eq '^[0-9a-f]{32};remote=[0-9a-f]{32}$'
}
farewell() { talk && b hangup && baresip_wait a 8 CALL_CLOSED && sleep 0.2; }
sees() { # address, regular expression over its messages in order
	tshark -r "$PCAP" -Y "ip.addr == $1 && sip && !(sip.Method == REGISTER || sip.CSeq.method == REGISTER)" -T fields -e sip.Method \
		-e sip.Status-Code 2>/dev/null | tr -d '\t' | tr '\n' ' ' | tee "$work/seen.log" | grep -Eq "$2"
}

SERVER_FLAGS="--b2bua --farewell"
check "the exchange starts" server_start || finish
baresip_start a "$CALLER" 1001 440 "" && baresip_start b "$CALLEE" 1002 660 "" && baresip_start c "$THIRD" 1003 880 "" &&
	baresip_registered a 8 && baresip_registered b 8 && baresip_registered c 8
result $? "three phones register" a b c
PCAP=$work/transfer.pcap
capture_start
LOGS=(a b c server seen)
check "blind transfer" transfer
capture_stop
check "the transferor is told how it goes" sees "$CALLEE" "REFER 202 (NOTIFY 200 )+"
check "the transferee is re-INVITEd and keeps his dialog" sees "$CALLER" "INVITE (100 )?200 ACK BYE 200"
check "the target gets an INVITE without offer, the answer in its ACK" sees "$THIRD" "INVITE (100 )?180 200 ACK BYE 200"
PCAP=$work/attended.pcap
capture_start
check "attended transfer between phones without Replaces" attended
capture_stop
check "the transferor is told that they are joined" sees "$CALLEE" "REFER 202 NOTIFY .*NOTIFY "
check "the one on hold is asked for an offer" sees "$CALLER" "INVITE (100 )?200 ACK INVITE (100 )?200 ACK BYE 200"
check "the target is not called again" sees "$THIRD" "^INVITE (100 )?180 200 ACK INVITE (100 )?200 ACK BYE 200 $"
check "they hear each other" audio "$CALLER" "$THIRD"
check "and the other way" audio "$THIRD" "$CALLER"
PCAP=$work/echo.pcap
capture_start
check "blind transfer to the echo test" echo_test
capture_stop
check "the transferor is told that it is there" sees "$CALLEE" "REFER 202 (NOTIFY 200 )+"
check "the transferee is re-INVITEd by the exchange" sees "$CALLER" "INVITE (100 )?200 ACK BYE 200"
check "who hears himself" echoes
LOGS+=(name)
check "the call has a Session-ID though the phones know none" one_name
PCAP=$work/farewell.pcap
capture_start
check "the callee hangs up" farewell
capture_stop
check "the caller hears a farewell first" sees "$CALLER" "200 ACK INVITE (100 )?200 ACK BYE 200"
baresip_stop a
baresip_stop b
baresip_stop c
check "the exchange ends cleanly" server_stop
finish
