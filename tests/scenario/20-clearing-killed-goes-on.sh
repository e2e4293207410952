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
		*)	WAYBILL_FAULT=$rule timeout 600 "$WAYBILL" -C "$WS" run "$TOP/$name.yaml" >"$OUT" 2>"$ERR" </dev/null
			[ $? != 137 ] || killed=$((killed + 1)) ;;
		esac
	done
	# Nothing is unlinked before that is on record: whatever is gone was gone by us.
	expect 0 run "$TOP/$name.yaml"
	same_text '' "$(find "$TOP/src-$name" -mindepth 1 2>/dev/null | head -n 3)" 'what is left at the source'
	expect 0 --json certificate "$name"
	same_text performed-not-provable "$(jq -r .verdict "$OUT")" "the verdict of $name"
	expect 0 restore "$name" www --to "$TOP/back-$name"
	same_tree "$TOP/copy-$name" "$TOP/back-$name"
	has_event "$name" clear-started; has_event "$name" clear-done
	same_text 1 "$(events "$name" | grep -c -- '-clear-done')" 'clear done events'
}
killed=0
round journal fsync@journal:1:kill fsync@journal:3:kill fsync@clear:2:kill
before=$killed
round unlinked write@journal:3:kill	# all of a batch is unlinked, and nothing says so but the intent
[ "$killed" -gt "$before" ] || fail 'the kill after the unlinking did not strike'
round writes fsync:3:kill fsync:12:kill write:60:kill
[ "$killed" -ge 2 ] || fail "the injected kills struck only $killed times: nothing was shown"
round time 0.4 0.8 1.2 1.6
round cut cut0.6 cut1.0 cut1.5
expect 0 audit "$WS"
