#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
. "$WAYBILL_SOURCE/tests/lib/fidelity.sh"
own_mounts
scenario 'Large contents: a touched file costs no object, preallocated space stays unwritten, holes compare across block sizes, ranges are asked for again'

on_image ext4 "$TOP/fs" 400 || skip 'no ext4 image can be mounted here'
unwritten() { filefrag -v "$1" | grep -c unwritten; }
S=$TOP/fs/src D=$TOP/fs/dst
mkdir "$S"
head -c 40000000 /dev/urandom >"$S/image"
head -c 20000000 /dev/urandom >"$S/still"
fallocate -l 4194304 "$S/prealloc"
truncate -s 12582912 "$S/mixed"; fallocate -n -o 2097152 -l 2097152 "$S/mixed"; head -c 4194304 /dev/urandom | dd of="$S/mixed" bs=1M seek=6 conv=notrunc status=none
truncate -s 12582912 "$S/mixed"

part 'preallocated space arrives unwritten, at the target and from the archive'
migration "local:$S" "local:$D" >"$TOP/move.yaml"
expect 0 run "$TOP/move.yaml"
sync -f "$D"
same_dump "$S" "$D" 'after the first pass'
for f in prealloc mixed; do
	[ "$(unwritten "$S/$f")" -gt 0 ] || fail "the test's own $f is not preallocated"
	[ "$(unwritten "$D/$f")" -gt 0 ] || fail "$f was written out: $(filefrag -v "$D/$f")"
done
expect 0 restore move www --to "$TOP/fs/back"
sync -f "$TOP/fs/back"
same_dump "$S" "$TOP/fs/back" 'the restored tree'
[ "$(unwritten "$TOP/fs/back/mixed")" -gt 0 ] || fail 'the archive forgot what was preallocated'
rm -rf "$TOP/fs/back"

part 'random ranges of the two large ones are asked for'
expect 0 --json verify move www
same_text 6 "$(jq -r .challenged "$OUT")" 'questions: two whole contents, two ranges of each large one'

part 'a large file that was only touched: no new object, the old recipe'
objects | sort >"$TOP/before"
touch "$S/image"
chmod 640 "$S/still"
expect 0 run "$TOP/move.yaml"
objects | sort >"$TOP/after"
is_empty <(comm -13 "$TOP/before" "$TOP/after") 'new objects after touch'
same_text '0 0' "$(balance move www | jq -r '"\(.objects) \(.stored)"')" 'objects and bytes of the pass'
same_dump "$S" "$D" 'after the touch'

part "one that changed in place is stored"
printf 'changed' | dd of="$S/image" bs=1 seek=20000000 conv=notrunc status=none
expect 0 run "$TOP/move.yaml"
[ "$(balance move www | field objects)" -ge 1 ] || fail 'a changed content made no object'
same_dump "$S" "$D" 'after the change'

part 'other block sizes: holes of 1 KiB cannot be had in blocks of 4 KiB, and that is no difference'
truncate -s 100M "$TOP/small.img"
mkfs.ext4 -q -b 1024 "$TOP/small.img" >/dev/null 2>&1 && mkdir "$TOP/small" && mount -o loop "$TOP/small.img" "$TOP/small" || skip 'no ext4 of 1 KiB blocks here'
rmdir "$TOP/small/lost+found"; mkdir "$TOP/small/src"
truncate -s 8388608 "$TOP/small/src/comb"
for i in {0..63}; do head -c 1024 /dev/urandom | dd of="$TOP/small/src/comb" bs=1024 seek=$((i * 2 + 1)) conv=notrunc status=none; done
head -c 2048 /dev/urandom | dd of="$TOP/small/src/comb" bs=1024 seek=5001 conv=notrunc status=none
sync -f "$TOP/small"
migration "local:$TOP/small/src" "local:$TOP/fs/comb" | sed 's/^name: move/name: comb/' >"$TOP/comb.yaml"
expect 0 run "$TOP/comb.yaml"
expect 0 verify comb www --full
fallocate -p -n -o 5120000 -l 8192 "$TOP/fs/comb/comb"
expect 4 --json verify comb www --full
says <(jq -r '.differences[].what' "$OUT") sha256
expect 0/4 run "$TOP/comb.yaml"
expect 0 run "$TOP/comb.yaml"
part 'a hole of whole blocks that was filled is one'
dd if=/dev/zero of="$TOP/fs/comb/comb" bs=4096 seek=500 count=1 conv=notrunc status=none
touch -r "$TOP/small/src/comb" "$TOP/fs/comb/comb"
expect 4 --json verify comb www --full
same_text 'comb layout' "$(jq -r '.differences[] | "\(.path) \(.what)"' "$OUT")" 'differences'
