#!/bin/bash
# Bad input gets a clear error and loses nothing: flags, captures, ports, disks, databases.
. "$(dirname "$0")/lib.sh"

says() { # exit code, what the message must contain, command ...
	local want=$1 text=$2 out rc
	shift 2
	out=$(timeout 20 "$@" 2>&1)
	rc=$?
	printf '%s\n' "$out" "exit code $rc, expected $want, and the words: $text"
	[ $rc = "$want" ] && [[ $out == *$text* ]]
}
R=$RUNG
D=$work/data

check "no command: the list of them" says 2 "rung tour" "$R"
check "a mistyped command" says 2 'did you mean `serve`' "$R" serv
check "a mistyped flag" says 2 'did you mean `--tone`' "$R" call sip:1@127.0.0.1 --tonee 3
check "a flag without its value" says 2 "--from wants a value" "$R" call sip:1@127.0.0.1 --from
check "a number that is none" says 2 "whole number" "$R" answer --from sip:1@127.0.0.1 --calls many
check "a word too many" says 2 "one word too many" "$R" options a b
check "a URI that is none" says 2 "SIP URI" "$R" call sip:1@127.0.0.1 --from '<<<'
check "help of a command" says 0 "usage: rung serve" "$R" help serve
check "a listener that is none" says 2 "--listen wants" "$R" serve --listen foo --data "$D"
check "an address of another machine" says 1 "not one of this machine" "$R" serve --listen udp:192.0.2.1:5060 --data "$D"
check "a network that is none" says 2 "--trust wants" "$R" serve --trust 10.0.0.0/99 --data "$D"
check "a code that is none" says 2 "lists them all" "$R" explain 12345
check "nor is a word" says 2 'no code `abc`' "$R" explain abc
check "letters exchanged are one mistake" says 2 'did you mean `serve`' "$R" sevre
check "a status is no code of ours" says 2 "is a status of SIP" "$R" explain 486
check "a code that is one" says 0 "Remedy" "$R" explain 4002

printf 'users:\n  "100": {aor: x, forwrd: y}\nroutes: [{to: 1, trunk: provider}]\n' >"$work/bad.yaml"
check "a configuration: the nearest key, and where" says 1 'bad.yaml:2:19: error: unknown key `forwrd`, did you mean `forward`?' "$R" check "$work/bad.yaml"
check "all of its errors" says 1 'bad.yaml:3:25: error: no trunk `provider`' "$R" check "$work/bad.yaml"
check "the exchange does not start with it" says 1 'did you mean `forward`' "$R" serve --config "$work/bad.yaml" --data "$D"
check "a configuration that is not there" says 1 "there is no such file" "$R" check "$work/no.yaml"
check "check without a file" says 2 "needs a FILE" "$R" check
check "a reload without a server" says 1 "no exchange is running" "$R" reload --data "$work/nowhere"
check "a time that is none" says 2 "--at wants" "$R" route test 1 2 --at soon
check "a source that is none" says 2 "--source wants" "$R" route test 1 2 --source x
check "a method that is none" says 2 "--method wants" "$R" route test 1 2 --method 'a b'
check "an address to ban that is none" says 2 "expected an address" "$R" ban add nonsense --data "$work/nowhere"
check "a network that is none" says 2 "expected an address" "$R" ban del 192.0.2.0/99 --data "$work/nowhere"
check "a ban that is asked of nobody" says 7 "no exchange is running" "$R" ban add 192.0.2.1 --data "$work/nowhere"
check "a flag of another word" says 2 "go with add" "$R" ban list --for 5 --data "$work/nowhere"
for words in "call" "options" "message x" "subscribe" "register"; do
	# shellcheck disable=SC2086 # one word or two
	check "an address that is none: $words" says 2 "no SIP URI" "$R" ${words% *} '<<<' $([[ $words == *\ * ]] && echo x)
done
check "a codec that is none" says 2 "--codecs wants" "$R" call sip:1@127.0.0.1 --codecs opus
check "keys that are none" says 2 "--dtmf wants" "$R" call sip:1@127.0.0.1 --dtmf 12x
check "an event package that is none" says 2 "no name of an event package" "$R" subscribe sip:1@127.0.0.1 --event 'a b'
check "a media type that is none" says 2 "--type wants" "$R" message sip:1@127.0.0.1 x --type text
check "a user of a mailbox that is none" says 2 "cannot be a user name" "$R" mailbox set 'a b' 1 1
check "a domain that is none" says 2 "is not a domain" "$R" serve --domain 'a b' --listen "udp:$SERVER:5060" --data "$D"
check "a realm that is none" says 2 "no quotes" "$R" serve --realm 'a"b' --listen "udp:$SERVER:5060" --data "$D"
check "a name server that is none" says 2 "name servers are addresses" "$R" serve --dns x --listen "udp:$SERVER:5060" --data "$D"
check "an API's address that is none" says 2 "--api wants" "$R" serve --api x --listen "udp:$SERVER:5060" --data "$D"
for command in $("$R" help | sed -n 's/^  \([a-z]*\) .*/\1/p'); do
	check "a flag that no command has: $command" says 2 "--nonsense" "$R" "$command" --nonsense
done
check "a word of route that is none" says 2 "expected list, show or test" "$R" route tests 1 2

check "a capture that is not there" says 1 "no such file" "$R" scope -r "$work/nothing.pcap"
head -c 3000 /dev/urandom >"$work/random.pcap"
check "a file that is no capture" says 1 "not a capture file" "$R" scope -r "$work/random.pcap"
capture=$(find "$here/.." -name 'call-answered.pcap' | head -n 1)
head -c 3000 "$capture" >"$work/cut.pcap"
check "a capture that is cut off: told, and shown as far as it goes" says 1 "what was read so far is shown" "$R" scope -r "$work/cut.pcap"
check "an output that is nothing known" says 2 ".svg, .mmd, .html" "$R" scope -r "$capture" -o "$work/x.pdf"
check "an output that cannot be written" says 1 "cannot be written" "$R" scope -r "$capture" -o "$work/no/x.html"
check "a mistyped field" says 2 'did you mean `sip.Method`' "$R" scope -r "$capture" -Y 'sip.Methd == "INVITE"'
for view in "" --messages --flow --streams --stats --lint "-Y call.legs==1" "-w $work/x.pcap"; do
	# shellcheck disable=SC2086 # one word, two, or none
	check "calls joined by hand where none are shown: ${view:-no view}" says 2 "views of calls" "$R" scope -r "$capture" $view --split 1,99
done
check "calls joined by hand where they are shown: looked for" says 1 'number `99`' "$R" scope -r "$capture" --calls --split 1,99
check "a second capture is not passed over" says 2 "mergecap" "$R" scope -r "$capture" -r "$capture"
check "a value behind its letter, as tshark takes it" says 0 "INVITE" "$R" scope "-r$capture" '-Ysip.Method == "INVITE"' -Tfields -esip.Method
check "a number behind its letter that is none" says 2 "whole number" "$R" scope "-r$capture" -c3x
check "one hyphen too few" says 2 'did you mean `--calls`' "$R" scope -r "$capture" -calls
check "a field in another spelling" says 2 'did you mean `sip.Call-ID`' "$R" scope -r "$capture" -Y sip.call_id
check "a broken filter shows the place" says 2 "^" "$R" scope -r "$capture" -Y 'sip && ('

check "an account" says 0 "added 100" "$R" user add 100 --password secret --data "$D"
check "the same account again" says 1 "exists already" "$R" user add 100 --password other --data "$D"
check "an account that is not there" says 1 "999" "$R" user del 999 --data "$D"
start server_pid server "$R" serve --listen "udp:$SERVER:5060" --listen "tcp:$SERVER:5072" --data "$D"
wait_for 10 grep -qs ^ready "$work/server.log"
check "a port in use" says 1 "already in use" "$R" serve --listen "udp:$SERVER:5060" --data "$work/other"
check "a data folder in use" says 1 "another rung serve" "$R" serve --listen "udp:$SERVER:5070" --data "$D"
check "an account for the running server" says 0 "added 101" "$R" user add 101 --password secret --data "$D"
check "is known to it" wait_for 5 "$R" register "sip:101@$SERVER" --password secret --bind "$CALLER" -q
check "port and transport in an address are the way" says 0 "registered" "$R" register "sip:101@$SERVER:5072;transport=tcp" \
	--password secret --bind "$CALLER"
check "nobody there is not a 503 of somebody" says 7 "was not reached" "$R" register "sip:101@$SERVER:5073" --password secret \
	--bind "$CALLER"
check "the doctor: TCP is elsewhere, and that is no fault" says 0 "does not listen by TCP at that port" "$R" doctor "$SERVER" --data "$D"
check "... nor that UDP is" says 0 "does not listen by UDP at that port" "$R" doctor "$SERVER:5072" --data "$D"
check "the doctor finds the address himself" says 0 "SIP over UDP to $SERVER:5060" "$R" doctor --data "$D"
check "the server ends cleanly" server_stop

printf 'no database' >"$D/rung.db"
rm -f "$D"/rung.db-*
check "a corrupt database: told, untouched" says 1 "is damaged" "$R" serve --listen "udp:$SERVER:5060" --data "$D"
check "and nothing was changed in it" grep -qx 'no database' "$D/rung.db"

corrupt_journal() {
	local pid
	"$R" user add 100 --password secret --data "$work/j" && head -c 4000 /dev/urandom >"$work/j/bindings.00000001.0"
	start pid journal "$R" serve --listen "udp:$SERVER:5060" --data "$work/j"
	wait_for 10 grep -qs ^ready "$work/journal.log" || return 1
	stop_child "$pid"
	grep -q 'is damaged' "$work/journal.log" && [ -e "$work/j/bindings.00000001.0.damaged" ]
}
LOGS=(journal)
check "a corrupt journal: kept aside, told, the exchange starts" corrupt_journal

full_disk() {
	local pid rc
	mkdir "$work/full"
	mount -t tmpfs -o size=600k tmpfs "$work/full" || return 1
	"$R" user add 100 --password secret --data "$work/full" &&
		start pid full "$R" serve --listen "udp:$SERVER:5060" --data "$work/full" && wait_for 10 grep -qs ^ready "$work/full.log" &&
		"$R" register "sip:100@$SERVER" --password secret --bind "$CALLER" || return 1
	dd if=/dev/zero of="$work/full/rest" bs=1k
	local i n_refused=0 # what fits into the last page of the journal is still taken
	for ((i = 100; i < 130; i++)); do
		"$R" register "sip:100@$SERVER" --password secret --bind "$NET.$i" -q || n_refused=$((n_refused + 1))
	done
	echo "$n_refused of 30 registrations were refused"
	[ $n_refused -gt 0 ] && "$R" options "sip:$SERVER" --bind "$CALLER" && rm "$work/full/rest" &&
		"$R" register "sip:100@$SERVER" --password secret --bind "$CALLEE"
	rc=$?
	stop_child "$pid"
	umount "$work/full"
	return $rc
}
LOGS=(full)
if [ "$(id -u)" = 0 ] && unshare -m true 2>/dev/null; then
	check "a full disk: registrations are refused, the rest goes on, and all is well when there is room" full_disk
else
	n_tests=$((n_tests + 1))
	echo "ok $n_tests - a full disk # SKIP only root can mount one"
fi
finish
