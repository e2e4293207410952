#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
scenario 'A large file of a staged tree is patched where it stands; killed anywhere it is what it was, and then what it shall be'

S=$TOP/src STAGED=$TOP/.waybill-move-www
mkdir "$S"
head -c 24000000 /dev/urandom >"$S/image"
cp --reflink=always "$S/image" "$TOP/probe" 2>/dev/null && skip 'this file system shares blocks: nothing is patched in place'
rm -f "$TOP/probe"
export WAYBILL_PATIENCE=1	# an agent that is killed is started again, and killed again
DATASET='activate: swap' MORE='passes: {max: 1, verify: no}
stages: [copy]' migration "local:$S" "local:$TOP/dst" >"$TOP/move.yaml"
inode() { stat -c %i "$STAGED/image"; }
whole() { same_file "$S/image" "$STAGED/image"; same_text "$(stat -c %y "$S/image")" "$(stat -c %y "$STAGED/image")" 'its time'; }
poke() { local at; for at; do printf 'poked %s by %s' "$at" "$RANDOM" | dd of="$S/image" bs=1 seek="$at" conv=notrunc status=none; done; }
pokes() { poke 3 16390 5000000 17000000 20000000; }
shape() { pokes; fallocate --punch-hole --offset 8000000 --length 4000000 "$S/image"; truncate -s "$1" "$S/image"; }
was_in_place() { same_text "$1" "$(inode)" 'the inode, as it is patched in place'; is_empty <(find "$STAGED" -name '.waybill*') 'leftovers'; }

part 'the same inode has the new content, whatever changed'
expect 0 run "$TOP/move.yaml"
whole; ino=$(inode)
pokes; expect 0 run "$TOP/move.yaml"; whole; was_in_place "$ino"
shape 21000000; expect 0 run "$TOP/move.yaml"; whole; was_in_place "$ino"
poke 9; head -c 3000000 /dev/urandom >>"$S/image"; expect 0 run "$TOP/move.yaml"; whole; was_in_place "$ino"
chmod 640 "$S/image"; poke 77; expect 0 run "$TOP/move.yaml"; whole; was_in_place "$ino"

part 'killed: the next session puts back what was there, also when the source is what it was, and when it is killed again'
struck() {	# RULES CHANGE [ARGS]
	cp -p "$S/image" "$TOP/old"
	"${@:2}"
	WAYBILL_FAULT=$1 timeout 120 "$WAYBILL" -C "$WS" run "$TOP/move.yaml" >"$OUT" 2>"$ERR" </dev/null
	case $? in
	0) fail "nothing was struck by $1" ;;
	124) fail "a run hangs that was struck by $1" ;;
	esac
	cp -p "$S/image" "$TOP/new"
}
torn() { cmp -s "$TOP/old" "$STAGED/image" && fail 'the file is as it was: nothing was shown'; return 0; }
reverted() { cp -p "$TOP/old" "$S/image"; expect 0 run "$TOP/move.yaml"; whole; was_in_place "$ino"; }
finished() { expect 0 run "$TOP/move.yaml"; whole; was_in_place "$ino"; }
struck point@patch-undo:1:kill pokes; same_file "$TOP/old" "$STAGED/image"; reverted
struck point@patch-piece:1:kill pokes; torn; reverted
struck point@patch-piece:1:kill,point@patch-back:1:kill pokes; reverted
struck point@patch-done:1:kill shape 19000000; torn; reverted
# What was kept of one content comes back together or not at all; here not: what it is nobody was told, so it is no base of what comes next.
struck point@patch-drop:2:kill,rename@apply:1:kill shape 18000000; same_file "$TOP/new" "$STAGED/image"
cp -p "$TOP/old" "$S/image"; poke 5; expect 0 run "$TOP/move.yaml"; whole; ino=$(inode)
struck point@patch-piece:1:kill pokes; torn; finished
grow() { poke 7 18000000; head -c 1000000 /dev/urandom >>"$S/image"; }
struck point@patch-done:1:kill grow; same_file "$TOP/new" "$STAGED/image"; finished

part 'a write that fails leaves it as it was'
struck write@apply:3:EIO,write@apply:4:EIO,write@apply:5:EIO pokes
finished

part 'a file with another name is copied first'
ln "$STAGED/image" "$TOP/kept"; cp "$TOP/kept" "$TOP/before"
pokes; expect 0 run "$TOP/move.yaml"; whole
same_file "$TOP/before" "$TOP/kept"
[ "$(inode)" != "$ino" ] || fail 'it was patched in place'
