# relay.sh - links that misbehave, for the scenario tests (after scenario.sh).  See relay.c for the commands.
#
#   relay NAME HOST [COMMAND]...   a relay in front of the sshd HOST (of sshd.sh); ${HOST[NAME]} is its line for a plan, ${RELAY_PORT[NAME]} its port
#   relay_do NAME COMMAND...       in force when it returns
#   relay_count NAME               prints "CONNECTIONS UP DOWN STALLED"
#   held NAME                      waits until the link stands still, as "hold up|down N" has it do; "stall off" lets it go on
#   two_links PLAN                 old and new behind relays of 16 MB a second; files in $TOP/src/big; a plan $TOP/plan.yaml
#   start / finish [CODE]          that plan's run in the background
# shellcheck disable=SC2034  # read by the scripts that source this
declare -gA RELAY_PORT=() RELAY_PID=()

relay() {
	local name=$1 to=$2 dir=$TOP/relay-$1
	shift 2
	mkdir "$dir" && mkfifo "$dir/control" || fail "no place for the relay $name"
	"$WAYBILL_BUILD/tests/relay" --at "${SSHD_ADDR[$to]}" --to "${SSHD_PORT[$to]}" --control "$dir/control" "$@" >"$dir/port" 2>"$dir/err" &
	RELAY_PID[$name]=$!
	SCENARIO_PIDS+=($!)
	await "the port of the relay $name" test -s "$dir/port"
	RELAY_PORT[$name]=$(cat "$dir/port")
	[ -n "${RELAY_PORT[$name]}" ] || fail "the relay $name does not listen: $(cat "$dir/err")"
	HOST[$name]="$name: {ssh: ${SSHD_LOGIN[$to]}@127.0.0.1, port: ${RELAY_PORT[$name]}, host_key: \"${SSHD_HOSTKEY[$to]}\", identity: \"$SSHD_KEY\"}"
}

relay_do() {
	local name=$1
	shift
	rm -f "$TOP/relay-$name/sync"
	printf '%s\nsync %s\n' "$*" "$TOP/relay-$name/sync" >"$TOP/relay-$name/control"
	await "an answer of the relay $name" test -e "$TOP/relay-$name/sync"
}

relay_count() { relay_do "$1" "count $TOP/relay-$1/count"; cat "$TOP/relay-$1/count"; }

# The link stands still after an exact number of bytes, so that whatever is done to it then falls into the middle of a run on any machine.
stands_still() {
	[ "$(relay_count "$1" | cut -d' ' -f4)" = 1 ] && return
	kill -0 "$run" 2>/dev/null || fail "the run ended before $1 stood still"
	return 1
}
held() { await "the link $1 standing still" stands_still "$1"; }

two_links() {
	make_small "$TOP/src"
	mkdir "$TOP/src/big" "$TOP/dst"
	host near; host far
	relay old near 'rate 16000000'
	relay new far 'rate 16000000'
	MORE='passes: {verify: no}' migration "old:$TOP/src" "new:$TOP/dst" | sed "s/^name: move/name: $1/" >"$TOP/plan.yaml"
}
start() { "$WAYBILL" -C "$WS" run "$TOP/plan.yaml" >"$OUT" 2>"$ERR" </dev/null & run=$!; SCENARIO_PIDS+=("$run"); }
finish() { wait "$run"; same_text "${1:-0}" $? "the run's exit code"; clean_text "$ERR" 'a run with cut connections'; }

# The plan's run whose link through RELAY stands still: SERVER's sessions are cut there, and it must go on over new ones to its end.
cut_and_good_again() {	# RELAY SERVER
	start; held "$1"
	sshd_cut "$2"; relay_do "$1" stall off
	finish 0
	says "$ERR" 'trying again in'
	[ "$(relay_count "$1" | cut -d' ' -f1)" -ge 2 ] || fail 'no new connection was made'
}
