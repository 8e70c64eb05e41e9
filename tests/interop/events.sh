#!/bin/bash
# Presence, lamps, mailboxes and messages over real sockets: rung's own commands, every document read by an XML parser that is
# not ours; kill -9 in between; baresip's message-waiting lamp; presence as baresip and Linphone show it.
. "$(dirname "$0")/lib.sh"
need xmllint python3 baresip linphonec

agent() { # command, user, further words
	"$RUNG" "$1" "${@:3}" --from "sip:$2@$SERVER" --password "secret$2" --bind "$CALLER" --timeout 20
}
# Watches in the background; each NOTIFY is a line of JSON in $work/<name>.log.
watch() { # name, user, URI's user, package, further flags
	local pid
	start pid "$1" "$RUNG" subscribe "sip:$3@$SERVER" --event "$4" --keep --json --from "sip:$2@$SERVER" --password "secret$2" \
		--bind "$CALLER" "${@:5}"
	wait_for 5 grep -qs '"notify"' "$work/$1.log"
}
heard() { wait_for 5 grep -qsE "$2" "$work/$1.log"; } # name, expression
# Is every document that a watcher got well-formed, with that root?
are_xml() { # name, root
	python3 - "$work/$1.log" "$2" <<-'PY'
		import json, sys, xml.etree.ElementTree as et
		n = 0
		for line in open(sys.argv[1]):
		    ev = json.loads(line)
		    if ev.get("event") != "notify" or not ev.get("body"):
		        continue
		    root = et.fromstring(ev["body"].encode())
		    n += 1
		    assert root.tag.split("}")[1] == sys.argv[2], root.tag
		print(n, "documents")
		assert n
	PY
}
exits_with() { # code, command ...
	"${@:2}"
	local rc=$?
	echo "exit code $rc, expected $1"
	[ $rc = "$1" ]
}
published() { watch presence 1001 1002 presence && agent publish 1002 open --activity meeting --note 'a < b & "c"' && heard presence 'rpid:meeting'; }
call() {
	local pid
	watch lamp 1003 1002 dialog || return 1
	start pid answer "$RUNG" answer --from "sip:1002@$SERVER" --password secret1002 --bind "$CALLEE" --ring 0.5 --calls 1
	wait_for 5 grep -qs registered "$work/answer.log" || return 1
	agent call 1001 "sip:1002@$SERVER" --hangup-after 1
	heard lamp 'confirmed' && heard lamp 'terminated'
}
messages_wait() { agent message 1001 "sip:1003@$SERVER" one && agent message 1001 "sip:1003@$SERVER" two; }
crash() {
	kill -9 "$server_pid"
	wait "$server_pid" 2>/dev/null
	unset "child[$server_pid]"
	: >"$work/presence.log"
	start server_pid server "$RUNG" serve --listen "udp:$SERVER:5060" --listen "tcp:$SERVER:5060" --domain "$SERVER" --data "$work/data"
	wait_for 15 grep -qs ^ready "$work/server.log"
}
lamp_again() { agent publish 1002 closed --activity away && heard presence 'rpid:away'; }
delivered() {
	local pid
	start pid inbox "$RUNG" answer --from "sip:1003@$SERVER" --password secret1003 --bind "$THIRD" --json
	heard inbox '"body":"one"' && heard inbox '"body":"two"' || return 1
	stop_child "$pid" INT
	[ "$(grep -c '"event":"message"' "$work/inbox.log")" = 2 ]
}
shows_online() { baresip_cmd mwi contacts && sleep 0.3 && grep -qi 'Online.*Bob' "$work/mwi.events"; }
lamp() { "$RUNG" mailbox set 1001 "$1" 0 --data "$work/data" && wait_for 5 grep -qs "Messages-Waiting: $2" "$work/mwi.log"; }

check "the exchange starts" server_start || finish
LOGS=(server presence)
check "a publication reaches a watcher" published
check "it is XML" are_xml presence presence
LOGS=(server lamp answer)
check "a lamp follows a call" call
check "its documents are XML" are_xml lamp dialog-info
watch reg 1002 1002 reg
check "registrations are XML" are_xml reg reginfo
watch winfo 1002 1002 presence.winfo
check "watchers are XML" are_xml winfo watcherinfo
LOGS=(server)
check "another's registrations are refused" exits_with 3 agent subscribe 1001 "sip:1002@$SERVER" --event reg
check "messages for somebody who is away are taken" messages_wait
check "kill -9, and it is up again" crash
LOGS=(server presence)
check "a watcher from before is told of what happens after" lamp_again
LOGS=(server inbox)
check "messages from before are delivered once, in order" delivered
LOGS=(server mwi)
BARESIP_MODULES="mwi contact presence"
BARESIP_CONTACTS="\"Bob\" <sip:1003@$SERVER>;presence=p2p"
check "baresip registers" eval 'baresip_start mwi "$NET.99" 1001 440 ";mwi=yes" && baresip_registered mwi 8'
check "its lamp is lit" lamp 2 yes
check "and put out" lamp 0 no
check "it sees a colleague" eval 'agent publish 1003 open && wait_for 8 shows_online'
baresip_stop mwi
# Linphone of Debian 12 has no message-waiting lamp: it does not subscribe to message-summary.
linphone_more="[friend_0]
url=\"Bob\" <sip:1003@$SERVER>
pol=accept
subscribe=1"
LOGS=(server lin)
check "Linphone registers, with a friend" eval 'linphone_start lin "$NET.98" 1002 550 && linphone_registered lin 8'
check "it sees what he does" eval 'agent publish 1003 open --activity busy && linphone_wait lin 8 "Friend .*1003@.* is Busy"'
linphone_cmd lin quit
LOGS=(server)
check "the exchange ends cleanly" server_stop
finish
