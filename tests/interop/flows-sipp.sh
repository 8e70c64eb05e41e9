#!/bin/bash
# The five flows of the walkthrough with sipp on both sides, through the exchange: register, mailbox, declined, given up,
# answered (caller hangs up, callee hangs up, hold), over UDP and TCP.
. "$(dirname "$0")/lib.sh"
need sipp tshark tcpdump
users "$work/caller.csv" 1001 secret1001 1002
users "$work/wrong.csv" 1001 not-the-password
users "$work/callee.csv" 1002 secret1002
LOGS=(server)

call() { # name, caller's scenario, callee's scenario, transport of sipp
	sipp_bg callee_pid "$3" "$CALLEE" "$work/callee.csv" -p 5060 -t "$4"
	LOGS=("$2" "$3" server)
	check "$1 ($4): the caller's side" sipp_run "$2" "$CALLER" "$work/caller.csv" -p 5060 -t "$4" -d 500
	check "$1 ($4): the callee's side" sipp_wait "$callee_pid"
}

flows() { # transport of sipp: u1 or t1
	local t=$1 kind=udp
	[ "$t" = t1 ] && kind=tcp
	PCAP=$work/$t.pcap
	capture_start || { result 1 "capture" capture; return; }
	LOGS=(register server)
	# always over UDP: a binding whose TCP connection ended (sipp's does, with its scenario) is no target any more
	check "register the callee ($t)" sipp_run register "$CALLEE" "$work/callee.csv" -p 5060 -t u1 \
		-key expires 600 -key contact_host "$CALLEE" -key contact_port "5060;transport=$kind"
	check "a wrong password stays out ($t)" sipp_run register-wrong "$CALLER" "$work/wrong.csv" -p 5060 -t "$t"
	[ "$SERVER_KIND" = kamailio ] ||
		check "mailbox ($t)" sipp_run subscribe-mwi "$CALLER" "$work/caller.csv" -p 5060 -t "$t"
	call "declined" caller-is-declined callee-declines "$t"
	call "given up" caller-gives-up callee-rings "$t"
	call "the caller hangs up" caller-hangs-up callee-answers "$t"
	call "the callee hangs up" caller-waits-for-bye callee-hangs-up "$t"
	call "held and resumed" caller-holds callee-is-held "$t"
	LOGS=(register server)
	check "un-register the callee ($t)" sipp_run register "$CALLEE" "$work/callee.csv" -p 5060 -t u1 \
		-key expires 0 -key contact_host "$CALLEE" -key contact_port "5060;transport=$kind"
	LOGS=()
	check "capture ($t)" capture_stop
	[ "$SERVER_KIND" = kamailio ] || check "rung scope lists what tshark lists ($t)" same_list "$PCAP"
}

check "the exchange starts" server_start || finish
flows u1
flows t1
LOGS=(server)
check "the exchange ends cleanly" server_stop
finish
