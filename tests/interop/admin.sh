#!/bin/bash
# Administration of a running exchange: the commands, the API by curl, /metrics, and the records of calls that sipp made, also after
# kill -9.
. "$(dirname "$0")/lib.sh"
need sipp curl python3 openssl
users "$work/caller.csv" 1001 secret1001 1002
users "$work/callee.csv" 1002 secret1002
API=$SERVER:5080 DATA=$work/data

rung() { "$RUNG" "$@" --data "$DATA"; }
api() { # method, path, further flags of curl; prints the body, then the status in a line of its own
	curl -sS -m 10 -X "$1" -H "Authorization: Bearer $(cat "$DATA/api.token")" -w '\n%{http_code}\n' "${@:3}" "http://$API$2"
}
says() { grep -qF -- "$1" <<<"$2" || { echo "expected: $1"; echo "got: $2"; return 1; }; }
status() { # wanted, method, path ...: the status alone
	local got
	got=$(api "${@:2}" | tail -n 1)
	[ "$got" = "$1" ] || { echo "status $got, expected $1"; return 1; }
}
call() { sipp_bg callee_pid callee-answers "$CALLEE" "$work/callee.csv" -p 5060 &&
	sipp_run caller-hangs-up "$CALLER" "$work/caller.csv" -p 5060 -d "${1-300}" && sipp_wait "$callee_pid"; }
n_records() {
	local got
	got=$(rung cdr --json | wc -l)
	[ "$got" = "$1" ] || { echo "$got call records, not $1"; return 1; }
}

start_server() { server_start --api "$API" --hep "$THIRD:9060" --config "$work/rung.yaml" --listen "tls:$SERVER:5061" --tls-cert "$work/tls.pem"; }
config() { echo "groups: {hunt: {numbers: [\"$1\"], members: [\"1001\"]}}" >"$work/rung.yaml"; }
certificate() { # always the same inode, size and time: a file that has not changed, for who only looks at it from outside
	openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj "/CN=$SERVER" -keyout "$work/key.pem" -out "$work/crt.pem" 2>/dev/null &&
		cat "$work/crt.pem" "$work/key.pem" >"$work/both.pem" && { cat "$work/both.pem"; head -c $((8192 - $(stat -c %s "$work/both.pem"))) /dev/zero |
			tr '\0' '\n'; } >"$work/tls.pem" && touch -d 2026-01-01 "$work/tls.pem"
}
served_certificate() { openssl s_client -connect "$SERVER:5061" </dev/null 2>/dev/null | openssl x509 -noout -serial; }
config 300
certificate
# What an agent of Homer would get: heard by our own, which tests/interop/scope-live.sh holds against tshark's.
hep_start() {
	start hep_pid hep "$RUNG" scope -i "hep:udp:$THIRD:9060" -w "$work/hep.pcapng"
	wait_for 5 test -e "$work/hep.pcapng"
}
hep_saw_end() { says "talked 8.0 s" "$("$RUNG" scope -r "$work/hep.pcapng" --calls)"; }
hep_has_all() { # what went over the wire twice is one message here
	local n
	wait_for 5 hep_saw_end # copies leave when the exchange's scope looks, up to 0.1 s behind the call
	stop_child "$hep_pid" INT
	n=$("$RUNG" scope -r "$work/hep.pcapng" --messages | grep -c INVITE)
	echo "$n messages of INVITEs"
	[ "$n" -ge 8 ] && hep_saw_end
}

check "an agent of Homer listens" hep_start
check "the exchange starts" start_server || finish
LOGS=(server)
mode() { [ "$(stat -c %a "$DATA/api.token" "$DATA/cdr.db" | sort -u)" = 600 ]; }
check "token and call records are nobody else's to read" mode
check "health needs no token" curl -sSf -m 10 "http://$API/healthz"
no_token() { [ "$(curl -sS -o /dev/null -w '%{http_code}' "http://$API/v1/accounts")" = 401 ]; }
check "accounts need it" no_token

check "a phone registers" sipp_run register "$CALLEE" "$work/callee.csv" -p 5060 -key expires 600 -key contact_host "$CALLEE" \
	-key contact_port 5060
reg_list() { says "$CALLEE:5060" "$(rung reg)" && says "\"source\":\"$CALLEE:5060\"" "$(rung reg show 1002 --json)"; }
check "rung reg lists it" reg_list
api_reg() { says "\"source\":\"$CALLEE:5060\"" "$(api GET /v1/registrations)"; }
check "so does the API" api_reg

LOGS=(caller-hangs-up callee-answers server)
check "a call" call
check "rung cdr has it within a second of its end" wait_for 2 n_records 1
cdr() { says '"verdict_code":"call-answered"' "$(rung cdr --json --user 1001)" &&
	says '"ended_by":"caller"' "$(api GET '/v1/cdrs?user=1002&limit=5')" &&
	says call-answered "$(rung cdr --csv)" && says call-answered "$(api GET "/v1/cdrs?since=2h")" &&
	! says call-answered "$(api GET "/v1/cdrs?until=2026-01-01")" && status 400 GET "/v1/cdrs?since=soon"; }
check "with its verdict, as JSON, by the API, as CSV" cdr

under_way() { # a call that stands while it is asked for, by slow programs, too
	local id seen
	sipp_bg callee_pid callee-answers "$CALLEE" "$work/callee.csv" -p 5060
	sipp_run caller-hangs-up "$CALLER" "$work/caller.csv" -p 5060 -d 8000 >"$work/long.log" 2>&1 &
	local long=$!
	wait_for 5 eval 'rung calls | grep -q " up "' || return 1
	seen=$(rung calls --json)
	id=$(python3 -c 'import json,sys; print(json.loads(sys.stdin.readline())["call_id"])' <<<"$seen")
	says '"state":"up"' "$seen" && says "$id" "$(rung calls show "$id")" && says "only passes" "$(rung calls hangup "$id" 2>&1)" &&
		status 409 DELETE "/v1/calls/$id"
	local rc=$?
	wait $long && sipp_wait "$callee_pid" && return $rc
}
check "a call under way is listed, and not ours to hang up" under_way

LOGS=(hep server)
check "all signalling went to Homer" hep_has_all
cards() {
	says 'sipp' "$(rung lint)" && says '"agent":"sipp","grade":"' "$(rung lint --json)" &&
		says 'invite-no-allow' "$(rung lint show sipp)" && says '"agent":"sipp"' "$(api GET /v1/scorecards)" &&
		status 405 DELETE '/v1/scorecards/sipp'
}
check "rung lint shows how well phones keep to the RFCs, and so does the API" cards
same_accounts() { # one object model
	rung user list --json >"$work/list.jsonl" && api GET /v1/accounts | head -n -1 | python3 -c '
import json, sys
rows = [json.loads(l) for l in open(sys.argv[1])]
assert rows and json.load(sys.stdin)["items"] == rows, rows' "$work/list.jsonl"
}
check "rung user list tells of the same objects as the API" same_accounts
account() {
	status 201 POST /v1/accounts -d '{"name":"2001","password":"secret-of-2001"}' &&
		status 409 POST /v1/accounts -d '{"name":"2001"}' && status 400 POST /v1/accounts -d '{"nane":"2001"}' &&
		status 200 PATCH /v1/accounts/2001 -d '{"enabled":false}' && says 'disabled' "$(rung user list | grep 2001)" &&
		status 204 DELETE /v1/accounts/2001 && status 404 DELETE /v1/accounts/2001
}
check "accounts by the API" account
refusals() {
	status 404 GET /v1/registration && status 405 DELETE /v1/cdrs/x && status 400 GET '/v1/calls?limit=5000' &&
		status 413 POST /v1/accounts -d "$(head -c 20000 /dev/zero | tr '\0' x)"
}
check "what cannot be is refused with the right status" refusals
# RFC 9110: 405 tells the methods that there are (15.5.6), HEAD is GET without the body (9.3.2)
heads() { curl -sS -m 10 "$@" -H "Authorization: Bearer $(cat "$DATA/api.token")" -D - -o /dev/null | tr -d '\r'; }
methods() {
	says 'allow: GET, HEAD' "$(heads -X DELETE "http://$API/v1/cdrs/x")" &&
		says 'allow: GET, HEAD, PATCH, DELETE' "$(heads -X PUT "http://$API/v1/accounts/x")" &&
		says 'allow: POST' "$(heads "http://$API/v1/reload")" && says '200 OK' "$(heads -I "http://$API/v1/accounts")" &&
		says 'content-length' "$(heads -I "http://$API/metrics")"
}
check "405 tells which methods there are, and HEAD is one of them" methods
ban() {
	status 201 POST /v1/bans -d '{"address":"198.51.100.0/24","seconds":600,"reason":"calls at night"}' &&
		says 'calls at night' "$(rung ban list)" && status 400 POST /v1/bans -d '{"address":"nowhere"}' &&
		status 400 POST /v1/bans -d '{"adress":"192.0.2.7"}' && status 204 DELETE /v1/bans/198.51.100.0%2F24 &&
		status 404 DELETE /v1/bans/198.51.100.0%2F24
}
check "bans by the API" ban
openapi() {
	curl -sS "http://$API/openapi.json" | python3 -c '
import json, sys
d = json.load(sys.stdin)
assert d["openapi"].startswith("3."), d["openapi"]
refs = set()
def walk(x):
    if isinstance(x, dict):
        refs.update([x["$ref"]] if "$ref" in x else [])
        [walk(v) for v in x.values()]
    elif isinstance(x, list):
        [walk(v) for v in x]
walk(d)
for r in refs:
    at = d
    for part in r.split("/")[1:]:
        at = at[part]
for path, item in d["paths"].items():
    for method in set(item) - {"parameters"}:
        assert item[method]["responses"], (path, method)
ids = [o["operationId"] for i in d["paths"].values() for m, o in i.items() if m != "parameters"]
assert len(ids) == len(set(ids)), ids'
}
check "the OpenAPI document is whole" openapi
metrics() { # [Prometheus, text format 0.0.4]
	api GET /metrics | python3 -c '
import re, sys
lines = sys.stdin.read().splitlines()
assert lines.pop() == "200"
typed, values = {}, {}
for l in filter(None, lines):
    if l.startswith("# TYPE "):
        name, kind = l.split()[2:]
        assert name not in typed and kind in ("counter", "gauge", "histogram"), l
        assert (kind == "counter") == name.endswith("_total"), l
        typed[name] = kind
    elif not l.startswith("# HELP "):
        m = re.fullmatch(r"([a-zA-Z_:][\w:]*)(\{\w+=\"[^\"]*\"\})? ([0-9.e+]+)", l)
        assert m, l
        assert re.sub("_(bucket|sum|count)$", "", m[1]) in typed or m[1] in typed, l
        values[m[1] + (m[2] or "")] = float(m[3])
assert values["rung_calls_total"] == 2 and values["rung_bindings"] == 1, values
assert values["rung_call_setup_seconds_count"] == values["rung_call_setup_seconds_bucket{le=\"+Inf\"}"] == 2'
}
check "/metrics is what Prometheus reads, and counts" metrics
# Is that the hunt's number? 1001 is not registered (480); a number of nobody is 404.
is_hunt() {
	"$RUNG" call "sip:$1@$SERVER" --from "sip:1002@$SERVER" --password secret1002 --bind "$THIRD" --timeout 5 >"$work/hunt.log" 2>&1
	grep -q 480 "$work/hunt.log"
}
reloads() { # by the API, as by SIGHUP: configuration, certificates, accounts
	local body
	config 301 && body=$(api POST /v1/reload) && says '{"notes":[' "$body" && says 200 "$body" && is_hunt 301 && ! is_hunt 300 || return 1
	config 302 && body=$(api POST '/v1/reload?confirm=2') && says "goes back in 2 s" "$body" && is_hunt 302 && wait_for 10 is_hunt 301 || return 1
	body=$(api POST '/v1/reload?confirm=60') && says "goes back in 60 s" "$body" && status 200 POST /v1/reload/confirmed &&
		status 409 POST /v1/reload/confirmed && is_hunt 302 || return 1
	echo 'grups: {}' >"$work/rung.yaml"
	body=$(api POST /v1/reload)
	says 'did you mean `groups`' "$body" && says 409 "$body" && is_hunt 302 && status 400 POST '/v1/reload?confirm=soon' &&
		status 400 POST '/v1/reload?confirm=86401' && status 405 GET /v1/reload && config 300
}
check "the API reads configuration, certificates and accounts again, with going back" reloads
certificate_changes() {
	local old
	old=$(served_certificate) && certificate && status 200 POST /v1/reload || return 1
	new_one() { [ "$(served_certificate)" != "$old" ]; }
	wait_for 5 new_one # by the reload: what looks after the files sees no change
}
check "a new certificate is in force then" certificate_changes
LOGS=(server)
reg_del() { rung reg del 1002 && ! rung reg del 1002 && [ "$(rung reg --json | wc -l)" = 0 ]; }
check "rung reg del ends a registration" reg_del

doctor() {
	says "ok     UDP" "$(rung doctor "$SERVER")" && says "OK" "$(rung doctor "$SERVER" --json)" && rung doctor "$SERVER" &&
		! rung doctor "$THIRD"
}
check "rung doctor reaches it, and does not where nobody is" doctor
completes() {
	(
		# shellcheck source=/dev/null
		. <("$RUNG" completion bash)
		COMP_WORDS=(rung reg sh) COMP_CWORD=2
		_rung
		[ "${COMPREPLY[*]}" = show ] || exit 1
		COMP_WORDS=(rung ser) COMP_CWORD=1
		_rung
		[ "${COMPREPLY[*]}" = serve ] || exit 1
		COMP_WORDS=(rung help ser) COMP_CWORD=2
		_rung
		[ "${COMPREPLY[*]}" = serve ] || exit 1
		COMP_WORDS=(rung route te) COMP_CWORD=2
		_rung
		[ "${COMPREPLY[*]}" = test ]
	)
}
check "bash completes commands, verbs and flags" completes
flags() { grep -oE "$1--[a-z0-9-]+" | grep -oE -- '--[a-z0-9-]+' | sort -u; }
manual() {
	local c
	for c in $("$RUNG" help | sed -n 's/^  \([a-z]*\)  .*/\1/p'); do
		[ "$("$RUNG" help "$c" | flags '^ +(-[a-zA-Z], )?')" = "$("$RUNG" help --roff "$c" | sed 's/\\-/-/g' | flags '^\\fB(-[a-zA-Z]\\fR, \\fB)?')" ] ||
			{ echo "# $c" && return 1; }
	done
}
check "a command has the same flags in its help and its manual" manual

# A call that ended a second ago is on the disk, whatever happens then.
killed() {
	sleep 1 # for the records of the calls before
	n_before=$(rung cdr --json | wc -l)
	for ((i = 0; i < 5; i++)); do
		"$RUNG" call 4711 --from "sip:1001@$SERVER" --password secret1001 --bind "$CALLER" -q
	done
	sleep 1
	kill -KILL "$server_pid"
	stop_child "$server_pid"
	n_records $((n_before + 5))
}
check "kill -9 takes no call that ended a second ago" killed
again() {
	start server_pid server "$RUNG" serve --listen "udp:$SERVER:5060" --domain "$SERVER" --data "$DATA" --api "$API"
	wait_for 15 grep -qs ^ready "$work/server.log"
}
check "it starts again" again
check "and has them all" n_records $((n_before + 5))
check "the exchange ends cleanly" server_stop

# A call of two phones through the exchange, which passes it on or is an end of both its sides.
talk() { # further flags of the exchange
	start server_pid server "$RUNG" serve --listen "udp:$SERVER:5060" --domain "$SERVER" --data "$DATA" --api off "$@" &&
		wait_for 15 grep -qs ^ready "$work/server.log" &&
		start answer_pid answer "$RUNG" answer --from "sip:1002@$SERVER" --password secret1002 --bind "$CALLEE" &&
		wait_for 5 grep -qs registered "$work/answer.log" || return 1
	start call_pid call "$RUNG" call "sip:1002@$SERVER" --from "sip:1001@$SERVER" --password secret1001 --bind "$CALLER" --hangup-after 60
	wait_for 5 eval 'rung calls | grep -q " up "'
}
last_is() { says "\"verdict_code\":\"$1\"" "$(rung cdr --json --limit 1)" && [ "$(rung cdr --json | wc -l)" = "$2" ]; }
n_now() { rung cdr --json | wc -l; }
phones_stop() { stop_child "$call_pid"; stop_child "$answer_pid"; true; }
LOGS=(server call answer)
hung_up() { # both sides, within two seconds
	talk --b2bua || return 1
	kill -TERM "$server_pid"
	wait_for 2 grep -q 'The exchange stops' "$work/call.log" && wait_for 2 grep -q 'The exchange stops' "$work/answer.log" &&
		server_stop && last_is call-answered $((n + 1)) && says 'The exchange stops' "$(rung cdr --json --limit 1)"
}
n=$(n_now)
check "SIGTERM hangs up what goes through the back-to-back user agent" hung_up
server_stop >/dev/null
phones_stop
unanswered() { # a phone that is silent: the exchange says what it waits for, and a second signal is enough
	talk --b2bua || return 1
	kill -STOP "$call_pid"
	kill -TERM "$server_pid"
	wait_for 2 grep -q 'another signal ends it at once' "$work/server.log" && kill -TERM "$server_pid" &&
		wait_for 1 eval '! kill -0 "$server_pid" 2>/dev/null'
}
check "to whom a phone does not answer it says so, and a second signal ends it" unanswered
kill -CONT "$call_pid" 2>/dev/null
server_stop >/dev/null
phones_stop
cut() {
	talk --b2bua || return 1
	kill -KILL "$server_pid"
	stop_child "$server_pid"
	again && [ -z "$(rung calls | grep ' up ')" ] && wait_for 3 last_is call-cut-by-restart $((n + 1))
}
n=$(n_now)
check "after kill -9 such a call is known to be cut: recorded, and not listed" cut
server_stop >/dev/null
phones_stop
passed_on() {
	talk && kill -TERM "$server_pid" && server_stop && last_is call-exchange-stopped $((n + 1)) &&
		! grep -q 'ended' "$work/call.log"
}
n=$(n_now)
check "what it only passes on goes on, and its record says that the exchange stopped" passed_on
phones_stop
outlives() {
	talk || return 1
	kill -KILL "$server_pid"
	stop_child "$server_pid"
	again && rung calls | grep -q ' up ' && stop_child "$call_pid" INT
	wait_for 5 last_is call-answered $((n + 1))
}
n=$(n_now)
check "and outlives kill -9: one record, of the whole call" outlives
phones_stop
check "the exchange ends cleanly once more" server_stop
gone() { rung calls; [ $? = 7 ]; }
check "without an exchange: 7, unreachable" gone
finish
