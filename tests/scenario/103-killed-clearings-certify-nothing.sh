#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
own_mounts
# WAYBILL_KILLS=100 for the long form.
kills=${WAYBILL_KILLS:-4}
scenario "Clearing killed $kills times at random moments: no certificate from an unfinished record, and none that is false"

[ "$(id -u)" = 0 ] || skip 'loop devices need root'
losetup -f >/dev/null 2>&1 || skip 'no loop devices here'
person zhang li
host old
disk=$TOP/disk.img m=$TOP/data loop=''
trap 'rc=$?; umount -l "$m" 2>/dev/null; [ -z "$loop" ] || losetup -d "$loop" 2>/dev/null; (exit $rc); scenario_end' EXIT
mkdir "$m"
struck=0 round=0
while [ "$struck" -lt "$kills" ] && [ "$round" -lt $((kills * 3)) ]; do
	round=$((round + 1)) name=r$round
	truncate -s 0 "$disk"; truncate -s 24M "$disk"
	loop=$(losetup -f --show "$disk") || skip 'no free loop device'
	mkfs.ext4 -q "$loop" && mount "$loop" "$m" || skip 'no mkfs.ext4, or no mounting here'
	rmdir "$m/lost+found"; mkdir "$m/src"
	for i in $(seq 60); do for k in $(seq 30); do echo "round $round file $i line $k: nobody shall read this"; done >"$m/src/file-number-$i"; done
	PLAN=$name MORE='clear: {require: unknown}' retirement "old:$m/src" >"$TOP/$name.yaml"
	expect 3 run "$TOP/$name.yaml"
	expect 0 approve "$name" clear --as zhang --key "$KEYS/zhang"
	expect 0 approve "$name" clear --as li --key "$KEYS/li"
	for try in 1 2 3; do
		"$WAYBILL" -C "$WS" run "$TOP/$name.yaml" >"$OUT" 2>"$ERR" </dev/null & pid=$!
		SCENARIO_PIDS+=("$pid")
		# A clearing of this size takes from half a second to some seconds, as the machine is busy.
		sleep "$(printf '%d.%02d' $((RANDOM % 5 == 0)) $((RANDOM % 70 + 5)))"
		# The whole group of processes, or the runner alone: its agents find out by themselves.
		kill -9 "$pid" 2>/dev/null && struck=$((struck + 1)); wait "$pid" 2>/dev/null
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
