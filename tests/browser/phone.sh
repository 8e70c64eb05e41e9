#!/bin/bash
# JsSIP, in headless Chromium, as a phone of the exchange over WS and WSS (phone.mjs, phone.js): registration, message-waiting,
# messages; calls from browser to browser with their media; a baresip on UDP and a browser, as far as signalling goes without a
# bridge for media. JsSIP comes from npm, by package-lock.json, into $NODE_WORK (a build folder).
. "$(dirname "${BASH_SOURCE[0]}")/../interop/lib.sh"
need node npm chromium baresip linphonec
browser=$top/tests/browser
NODE_WORK=${NODE_WORK-$top/build/tests/browser}

# Without npm's registry nothing can be tested here; a package that is not the pinned one is a failure.
jssip_install() {
	mkdir -p "$NODE_WORK"
	cmp -s "$browser/package-lock.json" "$NODE_WORK/node_modules/installed" && return
	cp "$browser/package.json" "$browser/package-lock.json" "$NODE_WORK" || return
	npm_config_cache=$work/npm timeout 120 npm ci --prefix "$NODE_WORK" --ignore-scripts --no-audit --no-fund --fetch-retries=1 \
		--fetch-timeout=30000 && cp "$browser/package-lock.json" "$NODE_WORK/node_modules/installed"
}
unreachable='E(AI_AGAIN|NOTFOUND|CONNREFUSED|CONNRESET|TIMEDOUT|NETUNREACH|HOSTUNREACH)|ERR_SOCKET_TIMEOUT|FETCH_ERROR'
if ! jssip_install >"$work/npm.log" 2>&1 </dev/null; then
	grep -qE "$unreachable" "$work/npm.log" && skip_all "npm cannot be reached for JsSIP: $(grep -oEm 1 "$unreachable" "$work/npm.log")"
	LOGS=(npm)
	check "JsSIP is installed from npm" false
	finish
fi

# --- the pages ---

n_asked=0
browser_start() {
	mkfifo "$work/pages.in" && exec {pages_fd}<>"$work/pages.in" || return 1
	node "$browser/phone.mjs" "$NODE_WORK/node_modules" "$work" "$work/data/tls-cert.pem" <"$work/pages.in" >"$work/pages.log" 2>&1 {net_lock}>&- &
	child[$!]=pages
	wait_for 60 grep -qs ^ready "$work/pages.log"
}
# One command for a page; what came of it is printed, and is the status.
page() { # verb, page, expression
	n_asked=$((n_asked + 1))
	echo "$n_asked $*" >&"$pages_fd"
	wait_for 30 grep -qs "^$n_asked " "$work/pages.log" || { echo "no answer to: $*"; return 1; }
	grep "^$n_asked " "$work/pages.log" | sed "s/^[0-9]* /$2: $(printf %s "${3-$1}" | tr -d '/&\\'): /" | tee "$work/said"
	grep -qs "^$n_asked ok " "$work/pages.log"
}
at() { page 'do' "$@"; }                                             # page, expression
is() { at "$1" "$2" && grep -qF ": ok $3" "$work/said"; }          # page, expression, its value in JSON
on() { at "$1" "until('$2')"; }                                    # page, what it sees, a regular expression of JavaScript
is_ladder() { # page, its messages of the last call (extended regular expression)
	at "$1" 'ladder()'
	echo "expected: $2"
	grep -qE ": ok \"$2\"$" "$work/said"
}

phone_start() { page open "$1" && at "$1" "start('$2', '$3', '$SERVER')"; } # page, URL, user
to() { echo "'sip:$1@$SERVER'"; }

# --- what is played ---

ring() { # from, to, user there
	at "$1" "call($(to "$3"))" && on "$2" 'incoming .*' && on "$1" 'progress 180'
}
established() { # from, to, user there
	ring "$@" && at "$2" 'answer()' && on "$2" 'confirmed remote' && on "$1" 'confirmed local'
}
both_hear() { at a 'hears()' && at b 'hears()'; }
hang_up() { # who, the other
	at "$1" 'hang_up()' && on "$2" 'ended remote .*' && on "$1" 'ended local .*'
}
call_media() { established a b 1002 && both_hear; }
hold() {
	at a 'session.hold()' && on b 'hold remote' && at a 'still()' && at a 'session.unhold()' && on b 'unhold remote' && both_hear &&
		at b 'session.hold()' && on a 'hold remote' && at b 'still()' && at b 'session.unhold()' && on a 'unhold remote' && both_hear
}
callee_ends() { established a b 1002 && both_hear && hang_up b a; }
canceled() { ring a b 1002 && at a 'hang_up()' && on b 'failed remote .*' && on a 'failed local .*'; }
declined() { ring a b 1002 && at b "decline($1)" && on a "failed remote $1"; }
in_order() {
	local i
	ring a b 1002 && at a 'hurry(20)' && at b 'answer()' && on b 'confirmed remote' || return
	for ((i = 1; i <= 20; i++)); do on b "info $i" || return; done
	is_ladder b '< INVITE > 100 > 180 > 200 < ACK( [<>] [A-Z0-9]+)* < INVITE( [<>] [A-Z0-9]+)* < ACK( [<>] [A-Z0-9]+)*'
}
# The connection of one side ends in mid-call; JsSIP opens another, registers anew, and the call goes on over that.
reconnected() {
	established a b 1002 && at b 'void sockets.at(-1).close()' && on b 'disconnected' && on b 'registered 200' &&
		at a 'session.hold()' && on b 'hold remote' && hang_up "$@"
}
# A page that was loaded again is another phone; the flow of the one before is closed.
reloaded() { page reload b && at b "start('wss://$SERVER:8089/', '1002', '$SERVER')" && messages; }
# In mid-call: what is meant for the page that was is answered at once, not after a time-out, and does not reach its successor.
reloaded_in_call() {
	established a b 1002 && page reload b && at a 'hang_up()' && on a 'ended local .*' && is_ladder a '.* > BYE < 430' &&
		at b "start('wss://$SERVER:8089/', '1002', '$SERVER')" && messages
}
gone() { at b 'ua.stop()' && on b 'unregistered' && is a "options($(to 1002))" 480; }

# Lamps: somebody else's registration, as presence [RFC3863].
presence() {
	at a "subscribe($(to 1002), 'presence', 'application/pidf+xml')" && on a 'subscribed' && on a 'notify presence .*<basic>open</basic>.*' &&
		at b 'ua.unregister()' && on b 'unregistered' && on a 'notify presence .*<basic>closed</basic>.*' &&
		at b 'ua.register()' && on b 'registered 200' && on a 'notify presence .*<basic>open</basic>.*' &&
		at a 'subscribe.last.terminate()' && on a 'notify final presence .*'
}

# On UDP, with neither DTLS nor ICE: baresip, and Linphone for messages.
udp_start() {
	baresip_start udp "$THIRD" 1003 440 && baresip_registered udp 10
}
udp_options() {
	is a "options($(to 1003))" 200 && baresip_cmd udp options "sip:1001@$SERVER" && on a 'asked'
}
udp_from_browser() { at a "call($(to 1003))" && on a 'failed remote 488'; }
udp_to_browser() { baresip_cmd udp dial "sip:1001@$SERVER" && on a 'incoming 1003' && baresip_wait udp 8 CALL_RINGING; }
udp_no_media() { udp_to_browser && at a 'answer()' && on a 'failed system .*' && baresip_wait udp 8 CALL_CLOSED; }
udp_declined() { udp_to_browser && at a 'decline(603)' && baresip_wait udp 8 CALL_CLOSED && grep -q '"param":"603 ' "$work/udp.events"; }
udp_cancelled() { udp_to_browser && baresip_cmd udp hangup && on a 'failed remote .*'; }
udp_messages() {
	linphone_start linphone "$CALLEE" 1003 550 && linphone_registered linphone 10 &&
		linphone_cmd linphone "chat sip:1001@$SERVER hallo" && on a 'message hallo' &&
		is a "message($(to 1003), 'hello')" 200 && linphone_wait linphone 8 'hello'
}

quiet() { page quiet a && page quiet b; }
register() { phone_start a "ws://$SERVER:8088/" 1001 && phone_start b "wss://$SERVER:8089/" 1002; }
messages() {
	is a "message($(to 1002), 'Grüße')" 200 && on b 'message Grüße' && is b "message($(to 1001), 'zurück')" 200 && on a 'message zurück'
}
mailbox() {
	at a "subscribe($(to 1001), 'message-summary', 'application/simple-message-summary')" && on a 'subscribed' &&
		on a 'notify message-summary .*Messages-Waiting.*' && at a 'subscribe.last.terminate()' && on a 'notify final message-summary .*'
}

LOGS=(pages server)
check "the exchange starts" server_start --listen "ws:$SERVER:8088" --listen "wss:$SERVER:8089" || finish
check "the browser starts" browser_start || finish
check "JsSIP registers, over WS and over WSS" register || finish
check "messages both ways, from WS to WSS" messages
check "message-waiting" mailbox
check "presence" presence

check "a call with media both ways" call_media
check "the caller's ladder" is_ladder a '> INVITE < 407 > ACK > INVITE( < 100)? < 180 < 200 > ACK'
check "the callee's ladder" is_ladder b '< INVITE > 100 > 180 > 200 < ACK'
check "hold by either side" hold
check "the caller hangs up" hang_up a b
check "the callee hangs up" callee_ends
check "cancelled" canceled
check "declined" declined 603
check "busy" declined 486
check "what is right behind the ACK comes behind it, in order" in_order
check "the hurried caller hangs up" hang_up a b
check "a connection that is lost in a call, the caller hangs up" reconnected a b
check "the same, the callee hangs up" reconnected b a
check "a page that is loaded again" reloaded
check "a page that is loaded again in a call" reloaded_in_call
check "a phone that has gone" gone
LOGS=(pages server udp)
check "baresip registers over UDP" udp_start
check "OPTIONS both ways, between WS and UDP" udp_options
check "a call from the browser: no media in common" udp_from_browser
check "a call to the browser: no media in common" udp_no_media
check "a call to the browser, declined" udp_declined
check "a call to the browser, cancelled" udp_cancelled
baresip_stop udp
LOGS=(pages server linphone)
check "messages both ways, between WS and UDP" udp_messages
LOGS=(pages server)
check "no page complained or asked for more than itself" quiet
LOGS=(server)
check "the exchange ends cleanly" server_stop
finish
