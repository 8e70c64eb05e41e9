#!/bin/bash
# What `rung scope -w` writes of TLS can be read without the key file: by tshark and by rung. TAP.
. "$(dirname "$0")/lib.sh"
need tshark
captures=$top/tests/data/captures
n_sip() { tshark -r "$1" -Y sip 2>/dev/null | wc -l; }
n_messages() { "$RUNG" scope -r "$1" --messages | wc -l; }
randoms() { strings -n 60 "$1" | grep -E '^(CLIENT|SERVER)_' | awk '{ print $2 }' | sort -u; } # whose secrets are in a file
hellos() { tshark -r "$1" -Y 'tls.handshake.type == 1' -T fields -e tls.handshake.random 2>/dev/null | sort -u; }
same_number() { # messages in the copy: tshark's and rung's count, and what it should be
	echo "tshark $(n_sip "$1"), rung $(n_messages "$1"), expected $2"
	[ "$2" -gt 0 ] && [ "$(n_sip "$1")" = "$2" ] && [ "$(n_messages "$1")" = "$2" ]
}
keys_of() { keys=(); [ -e "$captures/${1%.*}.keys" ] && keys=(--keys "$captures/${1%.*}.keys"); }

whole() { # capture: every frame of it
	keys_of "$1"
	"$RUNG" scope -r "$captures/$1" "${keys[@]}" -w "$work/whole.pcapng" || return 1
	same_number "$work/whole.pcapng" "$("$RUNG" scope -r "$captures/$1" "${keys[@]}" --messages | wc -l)"
}
filtered() { # one message brings its connection, and the secrets of no other; one that negotiated anew has two
	keys_of "$1"
	local id frame
	id=$("$RUNG" scope -r "$captures/$1" "${keys[@]}" -T fields -e sip.Call-ID -Y sip | tail -n 1)
	frame=$("$RUNG" scope -r "$captures/$1" "${keys[@]}" -T fields -e frame.number -Y "sip.Call-ID == \"$id\"" | tail -n 1)
	"$RUNG" scope -r "$captures/$1" "${keys[@]}" -Y "frame.number == $frame" -w "$work/one.pcapng" || return 1
	tshark -r "$work/one.pcapng" -Y sip -T fields -e sip.Call-ID 2>/dev/null | grep -qF "$id" || return 1
	"$RUNG" scope -r "$work/one.pcapng" -T fields -e sip.Call-ID | grep -qF "$id" || return 1
	randoms "$work/one.pcapng" >"$work/randoms"
	cat "$work/randoms"
	[ "$(wc -l <"$work/randoms")" -le 2 ] && hellos "$work/one.pcapng" | diff - "$work/randoms"
}
one_call() { # with its number
	keys_of "$1"
	"$RUNG" scope -r "$captures/$1" "${keys[@]}" --call 1 -w "$work/call.pcapng" || return 1
	local id
	id=$("$RUNG" scope -r "$captures/$1" "${keys[@]}" -T fields -e sip.Call-ID -Y sip | head -n 1)
	[ "$(n_messages "$work/call.pcapng")" -gt 0 ] && same_number "$work/call.pcapng" "$(n_sip "$work/call.pcapng")" &&
		tshark -r "$work/call.pcapng" -Y "sip.Call-ID == \"$id\"" 2>/dev/null | grep -q .
}
no_place() { # pcap: it is told
	keys_of tls-13.pcap
	"$RUNG" scope -r "$captures/tls-13.pcap" "${keys[@]}" -w "$work/x.pcap" 2>&1 | grep -F "write a .pcapng"
}
ring() { # each file of a ring has them
	keys_of tls-13.pcap
	local f n=0 sum=0
	"$RUNG" scope -r "$captures/tls-13.pcap" "${keys[@]}" -Y sip -w "$work/ring.pcapng" -b filesize:12 || return 1
	for f in "$work"/ring_*.pcapng; do
		n=$((n + 1))
		randoms "$f" | grep -q . || return 1
		sum=$((sum + $(n_messages "$f")))
	done
	echo "$n files, $sum messages"
	[ $n -gt 1 ]
}
anonymous() { # nothing encrypted, no secret
	keys_of tls-13.pcap
	"$RUNG" scope -r "$captures/tls-13.pcap" "${keys[@]}" -w "$work/anon.pcapng" --anonymize 2>&1 | grep -F "hold nothing that is kept" || return 1
	[ -z "$(randoms "$work/anon.pcapng")" ] && [ "$(tshark -r "$work/anon.pcapng" -Y tls 2>/dev/null | wc -l)" = 0 ] &&
		[ "$(n_messages "$work/anon.pcapng")" -gt 0 ]
}
for c in tls-12.pcap tls-13.pcap tls-resumed.pcap tls-wss.pcapng; do
	check "all of $c" whole "$c"
	check "one message of $c" filtered "$c"
	check "one call of $c" one_call "$c"
done
check "pcap cannot hold secrets" no_place
check "a ring" ring
check "without secrets where names are hidden" anonymous
finish
