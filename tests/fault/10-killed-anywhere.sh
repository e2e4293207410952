#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
. "$WAYBILL_SOURCE/tests/lib/fault.sh"
scenario 'SIGKILL at random moments to the orchestrator, an agent or a connection: the same command finishes, and nothing ever claims more than there is'

fault_tree "$TOP/src"
host old; host new
MORE='passes: {verify: no}'
plan() { migration "old:$TOP/src" "new:$DST" | sed "s/^name: move/name: $PLAN/" >"$TOP/$PLAN.yaml"; }

# How long a run takes that nobody disturbs: the dice fall within it.
PLAN=whole WS=$TOP/ws-whole DST=$TOP/dst-whole
mkdir "$DST"; bare 0 init "$WS"; plan
begin=$(date +%s%N); expect 0 run "$TOP/whole.yaml"; span=$((($(date +%s%N) - begin) / 1000000))
rm -rf "$WS" "$DST"

victims() {
	local host=new role=apply pid
	case $1 in
	orchestrator) echo "$run"; return ;;
	source-*) host=old role=read ;;
	esac
	case $1 in
	*-connection) sshd__children "${SSHD_PID[$host]}" ;;
	*) for pid in $(sshd__descendants "${SSHD_PID[$host]}"); do
		{ tr '\0' ' ' <"/proc/$pid/cmdline"; } 2>/dev/null | grep -q "agent.* --root" && echo "$pid"
	done ;;
	esac
}

strike() {
	local kinds=(orchestrator source-agent target-agent source-connection target-connection) kind again pids
	plan
	dice ${#kinds[@]}; kind=${kinds[$DICE]}
	dice 3; again=$DICE
	dice $((span * 2 / 3))
	told "kill -9 of $kind after $DICE of $span ms or later$([ "$again" = 0 ] && echo ', and of the orchestrator later')"
	"$WAYBILL" -C "$WS" run "$TOP/$PLAN.yaml" >"$OUT" 2>"$ERR" </dev/null & run=$!
	sleep "$((DICE / 1000)).$(printf %03d $((DICE % 1000)))"
	while pids=$(victims "$kind"); [ -z "$pids" ] && kill -0 "$run" 2>/dev/null; do sleep 0.02; done
	[ -z "$pids" ] || { kill -9 $pids 2>/dev/null && STRUCK=$((STRUCK + 1)); }
	if [ "$again" = 0 ]; then dice "$span"; sleep "0.$(printf %03d $((DICE % 1000)))"; kill -9 "$run" 2>/dev/null; fi
	wait "$run" 2>/dev/null
	case $? in
	0|137) ;;
	7|8) grep -q 'preflight: failed' "$OUT" || [ "$kind" = orchestrator ] || [ "$again" = 0 ] ||	# a first log-in is not tried again
		fail "the run did not get over the loss of $kind" ;;
	*) [ "$kind" = orchestrator ] || [ "$again" = 0 ] || fail "the run did not get over the loss of $kind" ;;
	esac
	claims_hold
	resumed
}
rounds 6 strike
