#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
. "$WAYBILL_SOURCE/tests/lib/fault.sh"
scenario 'The n-th write, fsync, rename, unlink or read fails at source, archive, ledger or target, or moves half its bytes: never done and wrong, and the same command finishes'

fault_tree "$TOP/src"
calls=(write@store fsync@store rename@store read@store write@apply fsync@apply rename@apply unlink@apply read@apply
	write@file fsync@file rename@file write@ledger fsync@ledger read@read fsync@read write@scan unlink@store)
errors=(ENOSPC EIO EDQUOT kill short)

strike() {
	local call error n rc
	migration "local:$TOP/src" "local:$DST" | sed "s/^name: move/name: $PLAN/" >"$TOP/$PLAN.yaml"
	dice ${#calls[@]}; call=${calls[$DICE]}
	dice ${#errors[@]}; error=${errors[$DICE]}
	dice 9; dice $((1 << DICE)); n=$((DICE + 1))
	told "$call:$n:$error"
	WAYBILL_PATIENCE=5 WAYBILL_FAULT=$call:$n:$error timeout 600 "$WAYBILL" -C "$WS" run "$TOP/$PLAN.yaml" >"$OUT" 2>"$ERR" </dev/null
	rc=$?
	[ "$rc" != 124 ] || fail 'the run hangs'
	clean_text "$ERR" 'a run with a failing call'
	if [ "$rc" = 0 ]; then
		grep -q 'trying again' "$ERR" && STRUCK=$((STRUCK + 1))
		same_tree "$TOP/src" "$DST"
	else
		STRUCK=$((STRUCK + 1))
		case $error:$rc in
		kill:137|kill:7|kill:8|short:*) [ "$error" != short ] || fail "a short $call ended the run with $rc" ;;
		kill:*) fail "the run ended with $rc" ;;
		*) grep -qE 'No space left|Input/output error|Disk quota' "$ERR" || fail "the run ended with $rc and does not say why" ;;
		esac
	fi
	claims_hold
	resumed
}
rounds 14 strike
