#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
scenario 'Clearing killed in the middle goes on by its journal, and the certificate still tells the truth'

person zhang li
host old
round() {	# NAME RULE...
	local name=$1 rule
	shift
	part "$name: $*"
	make_tree "$TOP/src-$name"
	cp -a "$TOP/src-$name" "$TOP/copy-$name"
	PLAN=$name MORE='clear: {require: performed-not-provable}' retirement "old:$TOP/src-$name" >"$TOP/$name.yaml"
	expect 3 run "$TOP/$name.yaml"
	expect 0 approve "$name" clear --as zhang --key "$KEYS/zhang"
	expect 0 approve "$name" clear --as li --key "$KEYS/li"
	for rule; do
		case $rule in
		[0-9]*)	"$WAYBILL" -C "$WS" run "$TOP/$name.yaml" >"$OUT" 2>"$ERR" </dev/null & pid=$!
			SCENARIO_PIDS+=("$pid"); sleep "$rule"; kill -9 "$pid" 2>/dev/null; wait "$pid" 2>/dev/null ;;
		cut*)	"$WAYBILL" -C "$WS" run "$TOP/$name.yaml" >"$OUT" 2>"$ERR" </dev/null & pid=$!
			SCENARIO_PIDS+=("$pid"); sleep "${rule#cut}"; sshd_cut old; wait "$pid" ;;
		*)	WAYBILL_FAULT=$rule timeout 100 "$WAYBILL" -C "$WS" run "$TOP/$name.yaml" >"$OUT" 2>"$ERR" </dev/null
			[ $? != 137 ] || killed=$((killed + 1)) ;;
		esac
	done
	# A file that was gone before its overwriting was recorded is certified as unknown (5), never as better.
	case $name in
	time|cut) expect 0/5 run "$TOP/$name.yaml" ;;
	*)	expect 0 run "$TOP/$name.yaml" ;;
	esac
	same_text '' "$(find "$TOP/src-$name" -mindepth 1 2>/dev/null | head -n 3)" 'what is left at the source'
	expect 0 --json certificate "$name"
	case $name-$(jq -r .verdict "$OUT") in
	*-performed-not-provable) ;;
	time-unknown|cut-unknown)	# and the ledger says how many
		ledger show "refs/heads/$name:$(events "$name" | grep -- '-clear-done')" >"$TOP/done"
		grep -q '"absent_at_resume": [1-9]' "$TOP/done" || fail "unknown without a reason: $(cat "$TOP/done")" ;;
	*) fail "the verdict of $name is $(jq -r .verdict "$OUT")" ;;
	esac
	expect 0 restore "$name" www --to "$TOP/back-$name"
	same_tree "$TOP/copy-$name" "$TOP/back-$name"
	has_event "$name" clear-started; has_event "$name" clear-done
	same_text 1 "$(events "$name" | grep -c -- '-clear-done')" 'clear done events'
}
killed=0
round journal fsync@journal:1:kill fsync@journal:3:kill fsync@clear:2:kill
round writes fsync:3:kill fsync:12:kill write:60:kill
[ "$killed" -ge 2 ] || fail "the injected kills struck only $killed times: nothing was shown"
round time 0.4 0.8 1.2 1.6
round cut cut0.6 cut1.0 cut1.5
expect 0 audit "$WS"
