#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
. "$WAYBILL_SOURCE/tests/lib/fault.sh"
scenario 'SIGKILL at random moments to the orchestrator, an agent or a connection: the same command finishes, and nothing ever claims more than there is'

# WAYBILL_FAULT_ROUNDS=1200 makes 200 kills and more of each kind; with WAYBILL_TEST_DIR on a tmpfs that takes half an hour.
fault_tree "$TOP/src"
host old; host new
MORE='passes: {verify: no}'
plan() { migration "old:$TOP/src" "new:$DST" | sed "s/^name: move/name: $PLAN/" >"$TOP/$PLAN.yaml"; }

PLAN=whole WS=$TOP/ws-whole DST=$TOP/dst-whole
mkdir "$DST"; bare 0 init "$WS"; plan
expect 0 run "$TOP/whole.yaml"	# uploads the agents
rm -rf "$WS" "$DST"; mkdir "$DST"; bare 0 init "$WS"
seam_calls "$WAYBILL" -C "$WS" run "$TOP/whole.yaml"
rm -rf "$WS" "$DST"

victims() {
	case $1 in
	source-agent) pgrep -f "agent.* --root $TOP/src( |\$)" ;;
	target-agent) pgrep -f "agent.* --root $DST( |\$)" ;;
	source-connection) pgrep -P "${SSHD_PID[old]}" ;;
	target-connection) pgrep -P "${SSHD_PID[new]}" ;;
	esac
}

# The orchestrator stands still at its n-th call, and a little later if nobody is there yet; then somebody else is killed.
kill_another() {
	local run=$1 pids
	while stopped "$run"; do
		pids=$(victims "$kind")
		if [ -n "$pids" ] && kill -9 $pids 2>/dev/null; then struck; pids=found; fi
		kill -CONT "$run"
		[ "$pids" != found ] || return 0
		nap 0.03	# its state has changed by then, or it is seen stopped once more
	done
}

declare -A KILLS=()
struck() { STRUCK=$((STRUCK + 1)); KILLS[$kind]=$((${KILLS[$kind]:-0} + 1)); }

strike() {
	local kinds=(orchestrator source-agent target-agent source-connection target-connection) kind n again rules run rc k
	plan
	kind=${kinds[$(((FAULT_SEED + ROUND - 1) % 5))]}
	dice "$CALLS"; n=$((DICE + 1))
	rules=any:$n:kill
	if [ "$kind" != orchestrator ]; then
		rules=any:$n:stop
		for ((k = 1; k < 9; k++)); do rules+=,any:$((n + k * CALLS / 12)):stop; done
	fi
	dice 4; again=$DICE
	if [ "$again" = 0 ]; then dice "$CALLS"; rules+=,any:$((n + DICE + 1)):kill; fi
	told "kill -9 of $kind at call $n of $CALLS or later$([ "$again" != 0 ] || echo ", and of the orchestrator $((DICE + 1)) calls later")"
	WAYBILL_FAULT=$rules "$WAYBILL" -C "$WS" run "$TOP/$PLAN.yaml" >"$OUT" 2>"$ERR" </dev/null & run=$!
	[ "$kind" = orchestrator ] || kill_another "$run"
	while stopped "$run"; do kill -CONT "$run"; nap 0.03; done
	wait "$run" 2>/dev/null; rc=$?
	case $rc in
	0) ;;
	137) [ "$kind" != orchestrator ] || struck ;;
	7|8) grep -q 'preflight: failed' "$OUT" || fail "the run did not get over the loss of $kind" ;;	# a first log-in is not tried again
	*) fail "the run did not get over the loss of $kind" ;;
	esac
	claims_hold
	resumed
}
rounds 14 strike
for kind in "${!KILLS[@]}"; do echo "- $kind: ${KILLS[$kind]}"; done
