# The harness of the interop tests, sourced by each of them. A test is a bash script that prints TAP and leaves nothing behind:
# it runs in a folder of its own, on addresses of its own in 127/8 ($NET.x, so several run side by side), ends only
# its own children by their id, and everything it waits for has a limit.
#
#   server_start           the exchange on $SERVER:5060, UDP and TCP, with users 1001 to 1003 (password secret + name).
#                          RUNG names the program; SERVER_KIND=kamailio puts Kamailio in its place, to try the harness itself
#                          SERVER_FLAGS: further flags for it, as --b2bua
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
	mkdir -p "$dir/.local/share/linphone"
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
	rm -f "$work/$2.log" # what an earlier one said must not be taken for this one's
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
	return 1
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
		start server_pid server kamailio -f "$here/../bench/kamailio.cfg" -A "ADDR=$SERVER" -A WORKERS=2 -x fm -X fm \
			-m 256 -M 16 -DD -E -w "$work" -Y "$work"
		wait_for 10 grep -q "udp: $SERVER" "$work/server.log" && sleep 0.5
		return
	fi
	local user
	for user in 1001 1002 1003; do
		"$RUNG" user add $user --password secret$user --data "$work/data" >"$work/user.log" 2>&1 ||
			{ sed 's/^/# /' "$work/user.log"; return 1; }
	done
	start server_pid server "$RUNG" serve --listen "udp:$SERVER:5060" --listen "tcp:$SERVER:5060" --domain "$SERVER" \
		--data "$work/data" ${SERVER_FLAGS-} "$@"
	wait_for 15 grep -qs ^ready "$work/server.log" || { sed 's/^/# /' "$work/server.log"; return 1; }
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
	wait_for 10 grep -qs 'listening on' "$work/capture.log"
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

# Does `rung scope` list the messages of a capture that tshark lists: frame, addresses, method or status, Call-ID, CSeq?
same_list() { # capture
	local fields=(-T fields -e frame.number -e ip.src -e ip.dst -e sip.Method -e sip.Status-Code -e sip.Call-ID -e sip.CSeq)
	tshark -n -r "$1" -Y sip "${fields[@]}" >"$work/list.tshark" 2>/dev/null
	"$RUNG" scope -r "$1" -Y sip "${fields[@]}" >"$work/list.rung" || return 1
	echo "$(wc -l <"$work/list.tshark") messages according to tshark, $(wc -l <"$work/list.rung") to rung (< tshark, > rung):"
	[ -s "$work/list.tshark" ] && diff "$work/list.tshark" "$work/list.rung"
}
# How many packets of G.711 (160 bytes after 12 of RTP) went to an address. Not tshark's "rtp": a phone that binds no address
# sends from 127.0.0.1, and a STUN request from an RTP port hides what follows.
rtp_count() { # destination
	tshark -n -r "$PCAP" -Y "udp.length == 180 && ip.dst == $1" 2>/dev/null | wc -l
}
# The start lines seen between two addresses, in order, one word each: "INVITE 407 ACK INVITE 100 180 200 ACK BYE 200".
flow() { # address, address
	tshark -n -r "$PCAP" -Y "sip && ip.addr == $1 && ip.addr == $2" -T fields -e sip.Method -e sip.Status-Code 2>/dev/null |
		awk '{ printf "%s%s", sep, $1 == "" ? $2 : $1; sep = " " } END { print "" }'
}
# Is the flow between a phone and the exchange exactly this? (extended regular expression)
is_flow() { # address, expected
	local seen
	seen=$(flow "$1" "$SERVER")
	echo "seen:     $seen"
	echo "expected: $2"
	[[ $seen =~ ^($2)$ ]]
}
# Did enough audio arrive? An exchange that relays nothing must still let it flow.
hears() { # address, packets at least
	local n
	n=$(rtp_count "$1")
	echo "$n packets of audio arrived at $1"
	[ "$n" -ge "$2" ]
}

# A flow: begins a capture, plays, ends the capture, compares what both sides exchanged with the server. $t names the round (udp,
# tcp, ...), $phones the logs to show.
flow_is() { # name, function that plays, flow at the caller, flow at the callee
	PCAP="$work/$t-$2.pcap"
	LOGS=($phones server)
	capture_start
	check "$1 ($t)" "$2"
	capture_stop
	LOGS=(server)
	check "$1 ($t): the caller's ladder" is_flow "$CALLER" "$3"
	check "$1 ($t): the callee's ladder" is_flow "$CALLEE" "$4"
	[ "$SERVER_KIND" = kamailio ] || check "$1 ($t): rung scope lists what tshark lists" same_list "$PCAP"
}

tone() { # file, Hz: 20 s of a tone at -12 dBFS as a WAV of 8 kHz
	python3 - "$1" "$2" <<-'PY'
		import math, struct, sys, wave
		with wave.open(sys.argv[1], "wb") as w:
		    w.setparams((1, 2, 8000, 0, "NONE", "NONE"))
		    f = float(sys.argv[2])
		    w.writeframes(b"".join(struct.pack("<h", int(8231 * math.sin(2 * math.pi * f * i / 8000))) for i in range(160000)))
	PY
}

# baresip, commanded over its ctrl_tcp module (netstrings with JSON); its events go to $work/<name>.events. $baresip_config: a
# further line of its configuration; BARESIP_MODULES names further applications of it, BARESIP_CONTACTS the lines of its address book.
baresip_start() { # name, address, user, tone in Hz, further parameters of the account
	local dir=$work/$1
	mkdir -p "$dir/.local/share/linphone"
	tone "$dir/tone.wav" "$4"
	cat >"$dir/config" <<-CFG
		poll_method epoll
		sip_listen $2:5060
		rtp_ports 10000-10100
		audio_source aufile,$dir/tone.wav
		audio_alert aufile,$dir/tone.wav
		audio_player nothing,
		call_max_calls 4
		module_path $(dirname "$(find /usr/lib -path '*baresip*' -name g711.so | head -n 1)")
		module g711.so
		module aufile.so
		module ctrl_tcp.so
		module_app account.so
		module_app menu.so
		$(printf 'module_app %s.so\n' ${BARESIP_MODULES-} | grep -v ' .so$')
		ctrl_tcp_listen $2:4444
		net_interface $2
		${baresip_config-}
	CFG
	echo "<sip:$3@$SERVER>;auth_pass=${phone_password-secret$3};regint=600${5-}" >"$dir/accounts"
	printf '%s\n' "${BARESIP_CONTACTS-}" >"$dir/contacts"
	local pid fd
	start pid "$1" baresip -4 -f "$dir"
	wait_for 10 baresip_connect "$1" "$2" || return 1
}
baresip_registered() { wait_for "$2" grep -qs '200 OK' "$work/$1.log"; } # name, seconds
declare -A baresip_fd=()
baresip_connect() {
	local fd
	{ exec {fd}<>"/dev/tcp/$2/4444"; } 2>/dev/null || return 1
	baresip_fd[$1]=$fd
	cat <&"$fd" >"$work/$1.events" 2>/dev/null {net_lock}>&- &
	child[$!]="$1-events"
}
baresip_cmd() { # name, command, parameter
	local json="{\"command\":\"$2\",\"params\":\"${3-}\",\"token\":\"t\"}"
	printf '%d:%s,' ${#json} "$json" >&"${baresip_fd[$1]}"
}
baresip_stop() { # name
	local pid fd=${baresip_fd[$1]-}
	for pid in "${!child[@]}"; do
		[[ ${child[$pid]-} == "$1" ]] && stop_child "$pid"
	done
	for pid in "${!child[@]}"; do
		[[ ${child[$pid]-} == "$1-events" ]] && stop_child "$pid"
	done
	[ -z "$fd" ] || exec {fd}>&-
	unset "baresip_fd[$1]" "baresip_seen[$1]"
}
# Waits for an event of that type; events that an earlier wait has seen do not count again.
declare -A baresip_seen=()
baresip_wait() { # name, seconds, type of the event (extended regular expression)
	local n
	baresip_event() {
		n=$(grep -oE '"type":"[A-Z_]*"' "$work/$1.events" | tail -n +$((${baresip_seen[$1]-0} + 1)) | grep -nE "\"$2\"" | head -n 1 | cut -d: -f1)
		[ -n "$n" ]
	}
	wait_for "$2" baresip_event "$1" "$3" || return 1
	baresip_seen[$1]=$((${baresip_seen[$1]-0} + n))
}

# linphonec, commanded over its standard input; what it says goes to $work/<name>.log. $linphone_transport: udp, tcp, tls;
# $linphone_sip: further lines of its section [sip]; $linphone_more: further sections.
declare -A linphone_fd=()
linphone_start() { # name, address, user, tone in Hz
	local dir=$work/$1 fd
	mkdir -p "$dir/.local/share/linphone"
	tone "$dir/tone.wav" "$4"
	cat >"$dir/rc" <<-CFG
		[sip]
		bind_address=$2
		sip_port=5060
		sip_tcp_port=5060
		sip_tls_port=$([ "${linphone_transport-udp}" = tls ] && echo 5061 || echo 0)
		${linphone_sip-}
		default_proxy=0
		use_ipv6=0
		guess_hostname=0
		contact="$3" <sip:$3@$2>
		register_only_when_network_is_up=0
		auto_net_state_mon=0
		[net]
		firewall_policy=0
		[rtp]
		bind_address=$2
		audio_rtp_port=7078
		[sound]
		playback_dev_id=
		capture_dev_id=
		[video]
		enabled=0
		capture=0
		display=0
		[misc]
		${linphone_more-}
		[proxy_0]
		reg_proxy=<sip:$SERVER;transport=${linphone_transport-udp}>
		reg_identity=sip:$3@$SERVER
		reg_expires=600
		reg_sendregister=1
		publish=0
		[auth_info_0]
		username=$3
		passwd=${phone_password-secret$3}
		domain=$SERVER
	CFG
	mkfifo "$dir/in"
	exec {fd}<>"$dir/in"
	linphone_fd[$1]=$fd
	HOME=$dir ${phone_runs_in-} linphonec -c "$dir/rc" <"$dir/in" >"$work/$1.log" 2>&1 {net_lock}>&- &
	child[$!]=$1
	linphone_cmd "$1" "soundcard use files"
	linphone_cmd "$1" "play $dir/tone.wav"
}
linphone_registered() { # name, seconds
	linphone_asks() { linphone_cmd "$1" "status register"; sleep 0.1; grep -q 'registered, identity' "$work/$1.log"; }
	wait_for "$2" linphone_asks "$1"
}
linphone_cmd() { echo "$2" >&"${linphone_fd[$1]}"; } # name, command
# Waits until it says that, after what the wait before has seen.
declare -A linphone_seen=()
linphone_wait() { # name, seconds, extended regular expression
	local n
	linphone_says() {
		n=$(tail -n +$((${linphone_seen[$1]-0} + 1)) "$work/$1.log" | grep -nE "$2" | head -n 1 | cut -d: -f1)
		[ -n "$n" ]
	}
	wait_for "$2" linphone_says "$1" "$3" || return 1
	linphone_seen[$1]=$((${linphone_seen[$1]-0} + n))
}
