# The harness of the interop tests, sourced by each of them. A test is a bash script that prints TAP and leaves nothing behind:
# it runs in a folder of its own, on addresses of its own in 127/8 ($NET.x, so several run side by side), ends only
# its own children by their id, and everything it waits for has a limit.
#
#   server_start           the exchange on $SERVER:5060, UDP and TCP, with users 1001 to 1003 (password secret + name).
#                          RUNG names the program; SERVER_KIND=kamailio puts Kamailio in its place, to try the harness itself
#   capture_start/_stop    all packets of $NET.0/24 into $PCAP
#   sipp_run, sipp_bg      one scenario of sipp/, at an address
#   check NAME COMMAND     one test: passes when the command does
#   finish                 prints the plan; the exit status
set -u
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(cd "$here/../.." && pwd)
RUNG=${RUNG-$top/build/rung}
SERVER_KIND=${SERVER_KIND-rung}
work=$(mktemp -d "${TMPDIR:-/tmp}/rung-interop.XXXXXX")
PCAP=$work/all.pcap
n_tests=0 n_failed=0
declare -A child=() # pid -> what it is

# A network of our own: one /24 of 127/8 that nobody has locked.
claim_net() {
	local i dir=${TMPDIR:-/tmp}/rung-interop-nets
	mkdir -p "$dir"
	for ((i = 0; i < 200; i++)); do
		NET=127.$((RANDOM % 200 + 20)).$((RANDOM % 250 + 1))
		exec {net_lock}>"$dir/$NET"
		flock -n "$net_lock" && break
		exec {net_lock}>&-
	done
	SERVER=$NET.57 CALLER=$NET.21 CALLEE=$NET.43 THIRD=$NET.65
}

stop_child() { # pid [signal]: asks, waits three seconds, insists
	local i
	[ -n "${child[$1]-}" ] || return 0
	kill -"${2-TERM}" "$1" 2>/dev/null
	for ((i = 0; i < 60; i++)); do
		kill -0 "$1" 2>/dev/null || break
		sleep 0.05
	done
	kill -KILL "$1" 2>/dev/null
	wait "$1" 2>/dev/null
	local rc=$?
	unset "child[$1]"
	return $rc
}

clean_up() {
	local pid
	for pid in "${!child[@]}"; do stop_child "$pid"; done
	if [ -n "${KEEP-}" ]; then echo "# kept: $work"; else rm -rf "$work"; fi
	rm -f "${TMPDIR:-/tmp}/rung-interop-nets/$NET"
}
trap clean_up EXIT
trap 'exit 130' INT TERM
claim_net

start() { # variable for the pid, what it is, command ...; its output goes to $work/<what>.log
	local -n started=$1
	"${@:3}" >"$work/$2.log" 2>&1 </dev/null {net_lock}>&- &
	started=$!
	child[$started]=$2
}

wait_for() { # seconds, command ...
	local until=$((SECONDS + $1))
	shift
	until "$@"; do
		[ $SECONDS -le $until ] || return 1
		sleep 0.05
	done
}

skip_all() { echo "1..0 # SKIP $*"; exit 0; }
need() { local tool; for tool; do command -v "$tool" >/dev/null || skip_all "no $tool here"; done; }

result() { # status, name; the last lines of the logs named after it are shown on failure
	n_tests=$((n_tests + 1))
	if [ "$1" = 0 ]; then
		echo "ok $n_tests - $2"
		return 0
	fi
	n_failed=$((n_failed + 1))
	local log
	for log in "${@:3}" check; do
		[ -s "$work/$log.log" ] && { echo "# $log:"; tail -n 15 "$work/$log.log" | cut -c1-300 | sed 's/^/#   /'; }
	done
	echo "not ok $n_tests - $2"
}
check() { # name, command ...
	"${@:2}" >"$work/check.log" 2>&1 </dev/null
	result $? "$1" "${LOGS[@]-}"
}
LOGS=()

finish() {
	echo "1..$n_tests"
	[ $n_failed = 0 ]
	exit
}

server_start() { # further flags for `rung serve`
	if [ "$SERVER_KIND" = kamailio ]; then
		start server_pid server kamailio -f "$top/test/bench/kamailio.cfg" -A "ADDR=$SERVER" -A WORKERS=2 -x fm -X fm \
			-m 256 -M 16 -DD -E -w "$work" -Y "$work"
		wait_for 10 grep -q "udp: $SERVER" "$work/server.log" && sleep 0.5
		return
	fi
	local user
	for user in 1001 1002 1003; do
		"$RUNG" user add $user --password secret$user --data "$work/data" --domain "$SERVER" >"$work/user.log" 2>&1 ||
			{ sed 's/^/# /' "$work/user.log"; return 1; }
	done
	start server_pid server "$RUNG" serve --listen "udp:$SERVER:5060" --listen "tcp:$SERVER:5060" --domain "$SERVER" \
		--data "$work/data" "$@"
	wait_for 15 grep -q ^ready "$work/server.log" || { sed 's/^/# /' "$work/server.log"; return 1; }
}

# The exchange must have ended well: no sanitizer finding, no leak, no crash.
server_stop() {
	stop_child "$server_pid"
	local rc=$?
	[ "$SERVER_KIND" = kamailio ] && return 0
	[ $rc = 0 ] || echo "serve ended with status $rc"
	! grep -E 'ERROR: (Address|Leak|Thread)Sanitizer|runtime error:' "$work/server.log" && [ $rc = 0 ]
}

capture_start() {
	start capture_pid capture tcpdump -i lo -n -U --immediate-mode -B 8192 -s 0 -w "$PCAP" "net $NET.0/24"
	wait_for 10 grep -q 'listening on' "$work/capture.log"
}
capture_stop() {
	sleep 0.3 # the last packet is on its way through the kernel
	stop_child "$capture_pid" INT
	[ -s "$PCAP" ]
}

sipp_args() { # scenario, local address, users file
	printf '%s\0' -sf "$here/sipp/$1.xml" -i "$2" -inf "$3" -key domain "$SERVER" -m 1 -nostdin -nd -timeout 30s -timeout_error \
		-trace_err -error_file "$work/$1.errors" -default_behaviors -bye
}
# What of sipp's screens tells why: the counts per message of the scenario, and its errors.
sipp_log() { # scenario
	{ grep -E '(--------->|<---------|Pause)' "$work/$1.log"; cat "$work/$1.errors"; } >"$work/sipp.tmp" 2>/dev/null
	mv "$work/sipp.tmp" "$work/$1.log"
}
# The caller's side, in the foreground: scenario, address, users file, further flags of sipp.
sipp_run() {
	local args
	mapfile -d '' args < <(sipp_args "$1" "$2" "$3")
	timeout 60 sipp "${args[@]}" "${@:4}" "$SERVER:5060" >"$work/$1.log" 2>&1 </dev/null {net_lock}>&-
	local rc=$?
	sipp_log "$1"
	return $rc
}
# The callee's side, in the background: variable for the pid, scenario, address, users file, flags.
sipp_bg() {
	local args
	mapfile -d '' args < <(sipp_args "$2" "$3" "$4")
	start "$1" "$2" sipp "${args[@]}" "${@:5}"
	sleep 0.3
}
sipp_wait() { # pid: its exit status
	local what=${child[$1]} rc
	wait_for 30 eval "! kill -0 $1 2>/dev/null" || { stop_child "$1"; sipp_log "$what"; return 1; }
	wait "$1"
	rc=$?
	unset "child[$1]"
	sipp_log "$what"
	return $rc
}

users() { # file, name, password, callee: one line of users for sipp (see sipp/register.xml)
	printf 'SEQUENTIAL\n%s;[authentication username=%s password=%s];%s;\n' "$2" "$2" "$3" "${4-}" >"$1"
}

# Message lists of a capture, one message a line: frame, source, destination, method or status, Call-ID, CSeq.
sip_list_tshark() {
	tshark -n -r "$1" -Y sip -T fields -E separator='|' -e frame.number -e ip.src -e ip.dst -e sip.Method -e sip.Status-Code \
		-e sip.Call-ID -e sip.CSeq 2>/dev/null
}
# How many packets of RTP went from one address to another.
rtp_count() { # source, destination
	tshark -n -r "$PCAP" -o rtp.heuristic_rtp:TRUE -Y "rtp && ip.src == $1 && ip.dst == $2" 2>/dev/null | wc -l
}
# The start lines seen between two addresses, in order, one word each: "INVITE 407 ACK INVITE 100 180 200 ACK BYE 200".
flow() { # address, address
	tshark -n -r "$PCAP" -Y "sip && ip.addr == $1 && ip.addr == $2" -T fields -e sip.Method -e sip.Status-Code 2>/dev/null |
		awk '{ printf "%s%s", sep, $1; sep = " " } END { print "" }'
}
