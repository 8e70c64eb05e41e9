# Many command lines of one program, sourced by the scripts that ask it thousands of times: RUNG_MANY names the server of them
# (many.c); without it each is a start of $RUNG.
#
#   many OUT ERR ARGUMENT ...     runs `rung ARGUMENT ...`; the status is the command's
if [ -n "${RUNG_MANY-}" ]; then
	coproc many_server { LD_BIND_NOW=1 exec "$RUNG_MANY"; } # bound once, not in each child
	many() {
		local status
		printf '%s\0' "$@" '' >&"${many_server[1]}"
		read -r status <&"${many_server[0]}" || { echo "no answer of $RUNG_MANY" >"$2"; return 125; }
		return "$status"
	}
else
	many() { "$RUNG" "${@:3}" >"$1" 2>"$2"; }
fi
