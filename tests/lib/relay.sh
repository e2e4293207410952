# relay.sh - links that misbehave, for the scenario tests (after scenario.sh).  See relay.c for the commands.
#
#   relay NAME HOST [COMMAND]...   a relay in front of the sshd HOST (of sshd.sh); ${HOST[NAME]} is its line for a plan, ${RELAY_PORT[NAME]} its port
#   relay_do NAME COMMAND...       in force when it returns
#   relay_count NAME               prints "CONNECTIONS UP DOWN"
# shellcheck disable=SC2034  # read by the scripts that source this
declare -gA RELAY_PORT=() RELAY_PID=()

relay() {
	local name=$1 to=$2 dir=$TOP/relay-$1 i
	shift 2
	mkdir "$dir" && mkfifo "$dir/control" || fail "no place for the relay $name"
	"$WAYBILL_BUILD/tests/relay" --to "${SSHD_PORT[$to]}" --control "$dir/control" "$@" >"$dir/port" 2>"$dir/err" &
	RELAY_PID[$name]=$!
	SCENARIO_PIDS+=($!)
	for ((i = 0; i < 200; i++)); do [ -s "$dir/port" ] && break; sleep 0.02; done
	RELAY_PORT[$name]=$(cat "$dir/port")
	[ -n "${RELAY_PORT[$name]}" ] || fail "the relay $name does not listen: $(cat "$dir/err")"
	HOST[$name]="$name: {ssh: ${SSHD_LOGIN[$to]}@127.0.0.1, port: ${RELAY_PORT[$name]}, host_key: \"${SSHD_HOSTKEY[$to]}\", identity: \"$SSHD_KEY\"}"
}

relay_do() {
	local name=$1 i
	shift
	rm -f "$TOP/relay-$name/sync"
	printf '%s\nsync %s\n' "$*" "$TOP/relay-$name/sync" >"$TOP/relay-$name/control"
	for ((i = 0; i < 500; i++)); do [ -e "$TOP/relay-$name/sync" ] && return; sleep 0.01; done
	fail "the relay $name does not answer: $(cat "$TOP/relay-$name/err")"
}

relay_count() { relay_do "$1" "count $TOP/relay-$1/count"; cat "$TOP/relay-$1/count"; }
