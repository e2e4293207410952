#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
own_mounts
scenario 'A full disk ends a run with 8; after space was made the same command goes on'

mkdir "$TOP/src" "$TOP/full"
for n in {1..60}; do head -c 300000 /dev/urandom >"$TOP/src/f$n"; done
head -c 20000000 /dev/urandom >"$TOP/src/large"
mount -t tmpfs -o size=12m tmpfs "$TOP/full" || skip 'no mounts here'
mkdir "$TOP/full/dst"
host old; host new
migration "old:$TOP/src" "new:$TOP/full/dst" >"$TOP/move.yaml"
expect 8 run "$TOP/move.yaml"
says "$ERR" new 'No space left'
n=$(versions move www)
expect 8 run "$TOP/move.yaml"
same_text "$n" "$(versions move www)" 'versions recorded by a failed pass'
ls -A "$TOP/full/dst" | grep -v '^f[0-9]\|^large$' >"$TOP/strange"
for f in "$TOP/full/dst"/f* "$TOP/full/dst"/large; do	# what stands under its own name is whole
	[ ! -f "$f" ] || cmp -s "$f" "$TOP/src/${f##*/}" || fail "half a file stands at the target: $f"
done
mount -o remount,size=80m "$TOP/full"
expect 0 run "$TOP/move.yaml"
same_tree "$TOP/src" "$TOP/full/dst"
same_text "$(ls -A "$TOP/src" | sort)" "$(ls -A "$TOP/full/dst" | sort)" 'names at the target'
expect 0 verify move --full

part 'a full workspace'
mkdir "$TOP/wsfull"
mount -t tmpfs -o size=12m tmpfs "$TOP/wsfull" || skip 'no second mount'
bare 0 init "$TOP/wsfull/ws"
mkdir "$TOP/dst2"
migration "old:$TOP/src" "new:$TOP/dst2" >"$TOP/move.yaml"
bare 8 -C "$TOP/wsfull/ws" run "$TOP/move.yaml"
says "$ERR" 'No space left'
mount -o remount,size=120m "$TOP/wsfull"
bare 0 -C "$TOP/wsfull/ws" run "$TOP/move.yaml"
same_tree "$TOP/src" "$TOP/dst2"
bare 0 -C "$TOP/wsfull/ws" audit
git --git-dir="$TOP/wsfull/ws/.waybill/ledger.git" fsck --strict --full >"$TOP/fsck" 2>&1 || fail "git fsck: $(cat "$TOP/fsck")"
