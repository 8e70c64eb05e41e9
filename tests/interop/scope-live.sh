#!/bin/bash
# Live capture, ring files, filtered copies and HEP of `rung scope`, against tcpdump, tshark and Kamailio. TAP.
# Needs the right to capture (CAP_NET_RAW); without it everything here is skipped.
. "$(dirname "$0")/lib.sh"

need tcpdump tshark editcap capinfos python3
[ -x "$RUNG" ] || skip_all "no program at $RUNG"
"$RUNG" scope -i lo -a duration:1 --stats >"$work/try.log" 2>&1 || { sed 's/^/# /' "$work/try.log"; skip_all "no right to capture here (CAP_NET_RAW)"; }

A=$NET.1 B=$NET.2
filter="net $NET.0/24"
scope_log="" # what the live scope said at its end

load() { # packets, rate, rtp pairs: what was sent, as "SIP RTP calls"
	python3 "$here/sip-load.py" --from "$A" --to "$B" --packets "$1" --rate "$2" --rtp "$3" | awk '{ print $1, $3, $5 }'
}
# The live scope, in the background; it is listening when its kernel socket is there.
scope_start() { # name, flags ...
	start scope_pid "$1" "$RUNG" scope -i lo -f "$filter" "${@:2}"
	scope_log=$work/$1.log
	packet_socket() { ls -l "/proc/$scope_pid/fd" 2>/dev/null | grep -q 'socket:'; }
	wait_for 10 packet_socket && sleep 0.3
}
scope_stop() { stop_child "$scope_pid" INT; }
n_frames() { capinfos -Mc "$1" 2>/dev/null | awk '/Number of packets/ { print $NF }'; }
same_frames() { # two captures: the same frames with the same times?
	local x n
	n=$(n_frames "$1")
	[ "$n" = "$(n_frames "$2")" ] || { echo "$1 has $n frames, $2 has $(n_frames "$2")"; return 1; }
	[ "$n" = 0 ] && return 0
	for x in 1 2; do editcap -F nsecpcap "${!x}" "$work/same$x.pcap" 2>&1 || return 1; done
	cmp "$work/same1.pcap" "$work/same2.pcap"
}

# --- what is wrong is said ---

fails_with() { # exit code, words, command ...
	"${@:3}" >"$work/fail.log" 2>&1
	local rc=$?
	cat "$work/fail.log"
	[ $rc = "$1" ] && grep -qF -- "$2" "$work/fail.log"
}
lists_lo() { "$RUNG" scope -D | grep -q '^lo .*127.0.0.1'; }
check "-D lists the interfaces" lists_lo
check "an interface that is not there" fails_with 1 "--interfaces" "$RUNG" scope -i rung-none0
check "a capture filter that cannot be read" fails_with 2 "pcap-filter(7)" "$RUNG" scope -i lo -f 'prot 5060'
check "a capture filter without an interface" fails_with 2 "-Y" "$RUNG" scope -r x.pcap -f 'port 5060'

# --- the same packets as tcpdump ---

scope_start live --stats -w "$work/live.pcapng"
start dump_pid dump tcpdump -i lo -n -U -B 8192 -s 0 --time-stamp-precision=nano -w "$work/dump.pcap" "$filter"
wait_for 10 grep -qs 'listening on' "$work/dump.log"
read -r n_sip n_rtp n_calls < <(load 1200 2000 7)
sleep 0.5
check "Ctrl-C ends a live capture well" scope_stop
# on a busy machine tcpdump is later
wait_for 10 eval '[ "$(n_frames "$work/dump.pcap")" = "$(n_frames "$work/live.pcapng")" ]'
stop_child "$dump_pid" INT
LOGS=(live)
check "the frames that tcpdump saw" same_frames "$work/dump.pcap" "$work/live.pcapng"
check "statistics at the end: messages" grep -qE "^ +$n_sip +SIP messages" "$scope_log"
check "statistics at the end: RTP" grep -qE "^ +$n_rtp +RTP packets" "$scope_log"
check "statistics at the end: calls" grep -qE "^ +$n_calls +call\$" "$scope_log"
check "the counters are told" grep -q "$((n_sip + n_rtp)) packets, 0 dropped by the kernel, 0 by the interface" "$scope_log"

scope_start calls --calls
read -r n_sip n_rtp n_calls < <(load 60 100 0)
all_calls() { [ "$(grep -c 'the caller hung up' "$scope_log")" = "$n_calls" ]; }
check "a call is shown when it has ended, without being asked" wait_for 5 all_calls
scope_stop

# frames wait for the end of their calls, and are shown then, without being asked
late() { start "$1_pid" "$1" "$RUNG" scope -i lo -f "$filter" "${@:2}"; }
late chosen -Y 'call.hangup == "caller"' -T fields -e sip.Call-ID -e call.code
late written -Y 'call.code == 200 && sip.CSeq.method == "BYE"' -w "$work/late.pcapng"
late refused -Y 'call.code == 486'
sleep 1
read -r n_sip n_rtp n_calls < <(load 60 100 0)
LOGS=(chosen written refused)
all_ended() { [ "$(grep -P '\t200$' "$work/chosen.log" | cut -f1 | sort -u | wc -l)" = "$n_calls" ]; }
check "a filter that asks how calls end" wait_for 5 all_ended
for pid in "$chosen_pid" "$written_pid" "$refused_pid"; do stop_child "$pid" INT; done
written_late() { [ "$(n_frames "$work/late.pcapng")" = $((2 * n_calls)) ] && [ "$(tshark -r "$work/late.pcapng" -Y 'sip.CSeq.method == "BYE"' 2>/dev/null | wc -l)" = $((2 * n_calls)) ]; }
check "what it chooses is written" written_late
none_refused() { ! grep -q "${NET//./\\.}" "$work/refused.log"; }
check "and nothing else is shown" none_refused

count_any() { # -c, and the cooked header of "any"
	"$RUNG" scope -i any -f "$filter" -c 12 -w "$work/any.pcapng" 2>&1 &
	local pid=$!
	sleep 0.7
	load 30 1000 0
	wait $pid && [ "$(tshark -r "$work/any.pcapng" -Y 'sll && sip' 2>/dev/null | wc -l)" = 12 ]
}
check "any interface, a number of packets" count_any
piped() {
	load 240 40 0 >/dev/null & # for longer than it takes to begin, and to capture
	local load_pid=$!
	"$RUNG" scope -i lo -f "$filter" -a duration:3 -w - 2>"$work/piped.log" | tshark -r - 2>/dev/null | wc -l >"$work/piped.n"
	wait $load_pid
	cat "$work/piped.log" "$work/piped.n"
	[ "$(cat "$work/piped.n")" -gt 0 ]
}
check "to standard output, for a time" piped

# --- under load (no assertion on time: the kernel's buffer holds all of it) ---

scope_start storm --stats -B 64
read -r n_sip n_rtp n_calls < <(load 40000 20000 10)
sleep 0.5
scope_stop
LOGS=(storm)
check "40,000 packets, none dropped" grep -q "$((n_sip + n_rtp)) packets, 0 dropped by the kernel" "$scope_log"
check "and all of them counted" grep -qE "^ +$n_sip +SIP messages" "$scope_log"

# --- rings ---

scope_start ring -w "$work/ring.pcapng" -b filesize:100 -b files:3
load 1500 3000 0 >/dev/null
sleep 0.5
scope_stop
LOGS=(ring)
ring_is_whole() {
	local f n=0
	ls "$work"/ring_*
	for f in "$work"/ring_*.pcapng; do
		[[ $f =~ ring_[0-9]{5}_[0-9]{14}\.pcapng$ ]] || return 1
		[ "$(stat -c %s "$f")" -le 100000 ] || return 1
		tshark -r "$f" -Y '!sip' 2>&1 | grep -v 'Running as user' && return 1
		n=$((n + 1))
	done
	[ $n = 3 ]
}
check "a ring of three files, each whole and none too large" ring_is_whole
too_large() (
	ulimit -f 20 # KiB
	"$RUNG" scope -r "$top/tests/data/captures/call-answered.pcap" -w "$work/cut.pcapng"
)
check "a full disk is told" fails_with 1 "what was written is whole" too_large
check "and leaves a capture that can be read" tshark -r "$work/cut.pcapng" -c 20

# --- filtered copies ---

copies_as_tshark() { # capture, passes (tshark writes what a message is made of only with two), filter
	tshark "${@:2:$#-2}" -r "$1" -Y "${!#}" -w "$work/tshark.pcapng" 2>/dev/null
	"$RUNG" scope -r "$1" -Y "${!#}" -w "$work/rung.pcapng" && same_frames "$work/tshark.pcapng" "$work/rung.pcapng"
}
captures=$top/tests/data/captures field=${RUNG_SHARED:-$top/../shared}/captures/field
LOGS=()
for c in call-answered call-tcp call-jssip-ws-dtls mwi-baresip call-transfer-blind; do
	check "a copy of what fits, as tshark's: $c" copies_as_tshark "$captures/$c.pcap" 'sip.CSeq.method == "INVITE"'
	check "... and with what messages are made of" copies_as_tshark "$captures/$c.pcap" -2 'sip.Method || sip.Status-Code >= 400'
done
if [ -d "$field" ]; then
	for c in aboutsip__pkts--fragmented_udp_sip sipcapture__heplify--sip_tcp_websocket; do
		check "fragments and segments, as tshark's: $c" copies_as_tshark "$field/$c.pcap" -2 sip
	done
fi
media_too() {
	"$RUNG" scope -r "$captures/call-answered.pcap" --call 3 -w "$work/call.pcapng" &&
		"$RUNG" scope -r "$work/call.pcapng" --streams | awk '{ print $3, $4, $5, $6, $7, $8 }' >"$work/streams.copy" &&
		"$RUNG" scope -r "$captures/call-answered.pcap" --streams | awk '{ print $3, $4, $5, $6, $7, $8 }' | diff - "$work/streams.copy" &&
		[ "$(tshark -r "$work/call.pcapng" -Y 'sip.CSeq.method == "REGISTER"' 2>/dev/null | wc -l)" = 0 ]
}
check "a call with its media, and nothing else" media_too
remarks() {
	"$RUNG" scope -r "$captures/call-busy-486.pcap" --call 3 -w "$work/busy.pcapng" &&
		tshark -r "$work/busy.pcapng" -Y 'frame.comment contains "call-busy" && sip.Status-Code == 486' 2>/dev/null | grep -q .
}
check "the verdict stands as a comment at the frame that proves it" remarks
check "never over the capture that is read" fails_with 2 "another name" "$RUNG" scope -r "$work/call.pcapng" -w "$work/call.pcapng"

# --- HEP ---

call_ids() { "$RUNG" scope -r "$1" -T fields -e sip.Call-ID -e sip.CSeq -e ip.src -e udp.dstport -Y sip; }
round_trip() { # proto, address, key of the sender, pattern of what the receiver says
	start hep_pid hep "$RUNG" scope -i "hep:$1:$2" --hep-key secret -w "$work/hep.pcapng"
	sleep 0.7
	"$RUNG" scope -r "$captures/call-transfer-blind.pcap" --hep-to "$1:$2" --hep-key "$3" --hep-id 7 || return 1
	sleep 0.5
	stop_child "$hep_pid" INT
	cat "$work/hep.log"
	grep -qE "$4" "$work/hep.log" || return 1
	[ "$3" = secret ] || return 0
	call_ids "$captures/call-transfer-blind.pcap" >"$work/ids.in"
	call_ids "$work/hep.pcapng" >"$work/ids.out"
	diff "$work/ids.in" "$work/ids.out"
}
check "HEP over UDP, from rung to rung" round_trip udp "$A:9060" secret ', 0 refused'
check "HEP over TCP" round_trip tcp "$A:9061" secret ', 0 refused'
check "HEP over IPv6" round_trip udp "[::1]:$((20000 + RANDOM % 10000))" secret ', 0 refused'
check "a wrong key" round_trip udp "$A:9062" public '^rung scope: ([0-9]+) packets of HEP, \1 refused'
dissects() { [ "$(tshark -r "$work/hep.pcapng" -Y sip 2>/dev/null | wc -l)" = "$(wc -l <"$work/ids.in")" ]; }
round_trip udp "$A:9063" secret 0 >/dev/null
check "Wireshark reads what was received" dissects

whole_ladders() { # live, the legs of one call are drawn together and once, as of a file
	start hep_pid hep "$RUNG" scope -i "hep:udp:$A:9066" --ladder
	sleep 0.7
	"$RUNG" scope -r "$captures/made-b2bua.pcap" --hep-to "udp:$A:9066" || return 1
	sleep 1.5
	stop_child "$hep_pid" INT
	grep -cE '^ +[0-9.]+ +.* INVITE' "$work/hep.log" >"$work/live.n"
	"$RUNG" scope -r "$captures/made-b2bua.pcap" --ladder | grep -cE '^ +[0-9.]+ +.* INVITE' >"$work/file.n"
	echo "INVITEs drawn, of the file and live:" && cat "$work/file.n" "$work/live.n"
	[ "$(cat "$work/file.n")" -gt 2 ] && cmp "$work/file.n" "$work/live.n"
}
check "the legs of one call are drawn once, live" whole_ladders

captured_hep() { # the agent's own packets, captured
	scope_start seen -w "$work/seen.pcapng"
	"$RUNG" scope -r "$captures/call-transfer-blind.pcap" --hep-to "udp:$A:9064"
	sleep 0.5
	scope_stop
	"$RUNG" scope -r "$work/seen.pcapng" -Y 'hep && sip && !icmp' -T fields -e sip.Call-ID -e sip.CSeq >"$work/ids.out"
	"$RUNG" scope -r "$captures/call-transfer-blind.pcap" -Y sip -T fields -e sip.Call-ID -e sip.CSeq | diff - "$work/ids.out"
}
check "HEP inside a capture shows the SIP" captured_hep # Wireshark 4.0 knows no HEP

if command -v kamailio >/dev/null && [ -n "$(find /usr/lib -path '*kamailio/modules/siptrace.so' 2>/dev/null | head -n 1)" ]; then
	cat >"$work/trace.cfg" <<-CFG
		debug=0
		log_stderror=yes
		children=1
		disable_tcp=yes
		auto_aliases=no
		listen=udp:$SERVER:5060
		loadmodule "tm.so"
		loadmodule "sl.so"
		loadmodule "pv.so"
		loadmodule "siptrace.so"
		modparam("siptrace", "duplicate_uri", "sip:$A:9065")
		modparam("siptrace", "send_sock_addr", "sip:$SERVER:5060")
		modparam("siptrace", "hep_mode_on", 1)
		modparam("siptrace", "hep_version", 3)
		modparam("siptrace", "hep_capture_id", 42)
		modparam("siptrace", "trace_to_database", 0)
		modparam("siptrace", "trace_on", 1)
		request_route {
			sip_trace_mode("t");
			t_newtran();
			t_reply("404", "Nobody");
		}
	CFG
	from_kamailio() {
		start kam_pid kamailio kamailio -f "$work/trace.cfg" -DD -E -w "$work" -Y "$work" -m 64 -M 8
		start hep_pid hep "$RUNG" scope -i "hep:udp:$A:9065"
		wait_for 10 grep -q "udp: $SERVER" "$work/kamailio.log"
		sleep 1
		printf '%s\r\n' "OPTIONS sip:nobody@$SERVER SIP/2.0" "Via: SIP/2.0/UDP $B:5060;branch=z9hG4bKtraced" "From: <sip:a@$B>;tag=1" \
			"To: <sip:nobody@$SERVER>" "Call-ID: traced@$B" "CSeq: 1 OPTIONS" "Max-Forwards: 70" "Content-Length: 0" "" |
			python3 -c 'import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind((sys.argv[1], 5060))
s.sendto(sys.stdin.buffer.read(), (sys.argv[2], 5060))
s.settimeout(5)
s.recv(9999)' "$B" "$SERVER"
		traced() { grep -q "$SERVER:5060 .*404" "$work/hep.log"; }
		wait_for 5 traced
		stop_child "$hep_pid" INT
		stop_child "$kam_pid"
		cat "$work/hep.log"
		grep -qE "$B:5060 .*OPTIONS.*traced@" "$work/hep.log" && traced
	}
	LOGS=(kamailio)
	check "HEP from Kamailio" from_kamailio
fi
finish
