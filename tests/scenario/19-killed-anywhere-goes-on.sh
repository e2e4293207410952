#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
scenario 'Killed with SIGKILL at many points of copy, verify and recording: the same command finishes, and nothing is wrong'

make_tree "$TOP/src"
head -c 25000000 /dev/urandom >"$TOP/src/big/another"
host old; host new

attempt() {	# RULE
	WAYBILL_FAULT=$1 timeout 600 "$WAYBILL" -C "$WS" run "$TOP/move.yaml" >"$OUT" 2>"$ERR" </dev/null
	[ $? != 137 ] || killed=$((killed + 1))
}
round() {	# NAME RULE...
	local name=$1 rule
	shift
	part "$name: $*"
	rm -rf "$TOP/dst"; mkdir "$TOP/dst"
	migration "old:$TOP/src" "new:$TOP/dst" | sed "s/^name: move/name: $name/" >"$TOP/move.yaml"
	for rule; do attempt "$rule"; done
	expect 0 run "$TOP/move.yaml"
	same_tree "$TOP/src" "$TOP/dst"
	same_text "$(find "$TOP/src" -printf x | wc -c)" "$(find "$TOP/dst" -printf x | wc -c)" 'names at the target (a killed run leaves none of its own)'
	expect 0 verify "$name" --full
}
killed=0
round writes write:5:kill write:40:kill write:200:kill
round syncs fsync:2:kill fsync:6:kill fsync:15:kill fsync:30:kill
round renames rename:1:kill rename:4:kill rename:9:kill
[ "$killed" -ge 4 ] || fail "the injected kills struck only $killed times: nothing was shown"
# Kills at moments of the clock, and of agents and connections, are the business of tests/fault/10.

expect 0 audit "$WS"
ledger fsck --strict --full >"$TOP/fsck" 2>&1 || fail "git fsck: $(cat "$TOP/fsck")"
while read -r o; do
	id=${o##*/}; same_text "${id%%.*}" "$(sha256sum <"$o" | cut -d' ' -f1)" "an object of the store"
done < <(objects)
