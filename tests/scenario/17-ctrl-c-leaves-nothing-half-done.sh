#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
scenario 'Ctrl-C and SIGTERM: 8, nothing half-recorded, no helper left behind, and the same command goes on'

mkdir "$TOP/src" "$TOP/dst"
make_tree "$TOP/src/tree"
for n in {1..6}; do head -c 40000000 /dev/urandom >"$TOP/src/large$n"; done
host old; host new
migration "old:$TOP/src" "new:$TOP/dst" >"$TOP/move.yaml"
interrupted=0
for try in INT:0.3 INT:0.8 TERM:1.2 INT:1.8; do
	# env, because a script's background jobs start with SIGINT ignored, and a person's do not
	env --default-signal=INT "$WAYBILL" -C "$WS" run "$TOP/move.yaml" >"$OUT" 2>"$ERR" </dev/null & pid=$!
	SCENARIO_PIDS+=("$pid")
	sleep "${try#*:}"
	kill -"${try%:*}" "$pid" 2>/dev/null
	for i in {1..100}; do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
	kill -0 "$pid" 2>/dev/null && fail "SIG${try%:*} after ${try#*:} s: still running 10 s later"
	wait "$pid"; rc=$?
	part "SIG${try%:*} after ${try#*:} s: exit $rc"
	case $rc in
	8) interrupted=$((interrupted + 1)) ;;
	0) ;;
	*) fail "exit $rc, expected 8" ;;
	esac
	clean_text "$ERR" 'an interrupted run'
	n=$(sshd_sessions new)
	for i in {1..50}; do [ "$n" = 0 ] && break; sleep 0.1; n=$(sshd_sessions new); done
	same_text 0 "$n" 'sessions left at the target'
	expect 0 status move
done
[ "$interrupted" -gt 0 ] || fail 'no run was interrupted in time: nothing was shown'
expect 0 run "$TOP/move.yaml"
same_tree "$TOP/src" "$TOP/dst"
same_text "$(cd "$TOP/src" && find . -printf x | wc -c)" "$(cd "$TOP/dst" && find . -printf x | wc -c)" 'names at the target'
expect 0 verify move --full
expect 0 audit "$WS"
