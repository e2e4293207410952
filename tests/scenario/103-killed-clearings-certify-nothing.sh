#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
own_mounts
# WAYBILL_KILLS=100 for the long form.
kills=${WAYBILL_KILLS:-4}
scenario "Clearing killed $kills times at random calls: no certificate from an unfinished record, and none that is false"

[ "$(id -u)" = 0 ] || skip 'loop devices need root'
losetup -f >/dev/null 2>&1 || skip 'no loop devices here'
person zhang li
host old
disk=$TOP/disk.img m=$TOP/data loop=''
trap 'rc=$?; umount -l "$m" 2>/dev/null; [ -z "$loop" ] || losetup -d "$loop" 2>/dev/null; (exit $rc); scenario_end' EXIT
mkdir "$m"
fresh() {	# NAME: a medium with contents, copied and authorized
	truncate -s 0 "$disk"; truncate -s 24M "$disk"
	loop=$(losetup -f --show "$disk") || skip 'no free loop device'
	mkfs.ext4 -q "$loop" && mount "$loop" "$m" || skip 'no mkfs.ext4, or no mounting here'
	rmdir "$m/lost+found"; mkdir "$m/src"
	for i in $(seq 60); do for k in $(seq 30); do echo "$1 file $i line $k: nobody shall read this"; done >"$m/src/file-number-$i"; done
	PLAN=$1 MORE='clear: {require: unknown}' retirement "old:$m/src" >"$TOP/$1.yaml"
	expect 3 run "$TOP/$1.yaml"
	expect 0 approve "$1" clear --as zhang --key "$KEYS/zhang"
	expect 0 approve "$1" clear --as li --key "$KEYS/li"
}
killed_at() { WAYBILL_FAULT=$2 timeout 600 "$WAYBILL" -C "$WS" run "$TOP/$1.yaml" >"$OUT" 2>"$ERR" </dev/null; [ $? = 137 ] || fail "no kill at $2: $(cat "$ERR")"; }
verdict_of() { expect 0 --json certificate "$1"; jq -r .verdict "$OUT"; }

part 'killed when all is unlinked and only the intent is on record: cleared by us all the same'
fresh intent
killed_at intent write@journal:3:kill
[ -z "$(find "$m/src" -mindepth 1 2>/dev/null)" ] || fail 'nothing was unlinked: this test shows nothing'
expect 0 run "$TOP/intent.yaml"
case $(verdict_of intent) in cleared-*) ;; *) fail "the verdict is $(jq -r .verdict "$OUT")" ;; esac
umount "$m"; losetup -d "$loop"

part 'a file that was moved to another medium meanwhile is not cleared, though nothing of it is left here'
fresh moved
killed_at moved point@clear-writing:1:kill
cp -p "$m/src/file-number-7" "$TOP/moved-away"; shred -u "$m/src/file-number-7"
expect 0 run "$TOP/moved.yaml"
same_text unknown "$(verdict_of moved)" 'verdict'
umount "$m"; losetup -d "$loop"

part 'all of it on another medium at the same path: unknown; another medium under the same name: refused'
fresh other
killed_at other point@clear-intended:1:kill
cp "$disk" "$TOP/clone.img"; cp -a "$m/src" "$TOP/kept"; umount "$m"; losetup -d "$loop"
losetup "$loop" "$TOP/clone.img" && mount "$loop" "$m" || skip 'the loop device is somebody else'"'"'s now'
expect 6 run "$TOP/other.yaml"
says "$ERR" 'is another medium than when the clearing began'
umount "$m"; losetup -d "$loop"; losetup "$loop" "$disk" || skip 'the loop device is somebody else'"'"'s now'
truncate -s 24M "$TOP/second.img"; mkfs.ext4 -q "$TOP/second.img"; mount -o loop "$TOP/second.img" "$m"; cp -a "$TOP/kept" "$m/src"
expect 0/6 run "$TOP/other.yaml"
[ "$(find "$m/src" -type f | wc -l)" = 60 ] || fail 'what lies on another medium was destroyed'
if [ "$RC" = 0 ]; then case $(verdict_of other) in cleared-*) fail 'cleared, and the objects lie on another medium' ;; esac; fi
umount "$m"; losetup -d "$loop"; loop=''

struck=0 round=0
while [ "$struck" -lt "$kills" ] && [ "$round" -lt $((kills * 3)) ]; do
	round=$((round + 1)) name=r$round
	fresh "$name"
	for try in 1 2 3; do
		# At a random call by which something is kept: a moment of the clock would be before all of it on one machine, and after it on another.
		calls=(fsync write fsync@journal fsync@clear fsync@ledger rename) call=${calls[RANDOM % 6]}
		rule=$call:$((RANDOM % 8 + 1)):kill
		WAYBILL_FAULT=$rule "$WAYBILL" -C "$WS" run "$TOP/$name.yaml" >"$OUT" 2>"$ERR" </dev/null
		rc=$?
		case $rc in
		137) struck=$((struck + 1)); echo "  killed at $rule" ;;
		0) ;;
		*) fail "a run that was to be killed at $rule ended with $rc" ;;
		esac
		[ "$struck" -lt "$kills" ] || break
		events "$name" | grep -q -- '-clear-done' && break
		expect 6 certificate "$name"
		ledger ls-tree -r --name-only "refs/heads/$name" certificates/ | grep -q . && fail 'a certificate of an unfinished clearing'
	done
	expect 0 run "$TOP/$name.yaml"
	expect 0 --json certificate "$name"
	verdict=$(jq -r .verdict "$OUT")
	[ -z "$(find "$m/src" -mindepth 1 2>/dev/null)" ] || fail "left: $(find "$m/src" | head -n 3)"
	same_text 1 "$(events "$name" | grep -c -- '-clear-done')" 'clear done events'
	umount "$m"
	left=$(grep -ac 'nobody shall read this' "$disk")
	case $verdict in
	cleared-*) [ "$left" = 0 ] || fail "certified as $verdict, and $left lines are still on the medium" ;;
	esac
	losetup -d "$loop"; loop=''
	expect 0 restore "$name" www --to "$TOP/back-$round"
	same_text 60 "$(find "$TOP/back-$round" -type f | wc -l)" 'files in the archive'
	rm -rf "$TOP/back-$round"
	echo "  round $round: $verdict"
done
[ "$struck" -ge "$kills" ] || fail "only $struck kills struck"
expect 0 audit "$WS"
