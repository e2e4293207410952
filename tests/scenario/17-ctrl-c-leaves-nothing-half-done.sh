#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
scenario 'Ctrl-C and SIGTERM: 8, nothing half-recorded, no helper left behind, and the same command goes on'

mkdir "$TOP/src" "$TOP/dst"
make_tree "$TOP/src/tree"
for n in {1..6}; do head -c 40000000 /dev/urandom >"$TOP/src/large$n"; done
host old; host new
migration "old:$TOP/src" "new:$TOP/dst" >"$TOP/move.yaml"
interrupted=0
no_session() { [ "$(sshd_sessions new)" = 0 ]; }
arrived() { ended "$pid" || [ "$(sshd_sessions new)" -gt 0 -a "$(find "$TOP/dst" -size +1M | wc -l)" -ge "$1" ]; }
# After so many large files: the first time long before the end, the later ones the later the more.
for try in INT:0 INT:1 TERM:3 INT:5; do
	# env, because a script's background jobs start with SIGINT ignored, and a person's do not
	env --default-signal=INT "$WAYBILL" -C "$WS" run "$TOP/move.yaml" >"$OUT" 2>"$ERR" </dev/null & pid=$!
	SCENARIO_PIDS+=("$pid")
	await "${try#*:} large files at the target" arrived "${try#*:}"
	kill -"${try%:*}" "$pid" 2>/dev/null
	await "the end after SIG${try%:*}" ended "$pid"
	wait "$pid"; rc=$?
	part "SIG${try%:*} after ${try#*:} large files: exit $rc"
	case $rc in
	8) interrupted=$((interrupted + 1)) ;;
	0) ;;
	*) fail "exit $rc, expected 8" ;;
	esac
	clean_text "$ERR" 'an interrupted run'
	await 'that no session is left at the target' no_session
	expect 0 status move
done
[ "$interrupted" -gt 0 ] || fail 'no run was interrupted in time: nothing was shown'
expect 0 run "$TOP/move.yaml"
same_tree "$TOP/src" "$TOP/dst"
same_text "$(cd "$TOP/src" && find . -printf x | wc -c)" "$(cd "$TOP/dst" && find . -printf x | wc -c)" 'names at the target'
expect 0 verify move --full
expect 0 audit "$WS"
