#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
own_mounts
scenario 'Disks and images as datasets are wiped as a whole: only as they were archived, and of an image what its file system keeps elsewhere is found'

[ "$(id -u)" = 0 ] || skip 'loop devices need root'
losetup -f >/dev/null 2>&1 || skip 'no loop devices here'
person zhang li
host old
under=$TOP/under.img raw=$TOP/raw.img m=$TOP/fs
LOOPS=() parted=
trap 'rc=$?; umount -l "$m" 2>/dev/null; [ -z "$parted" ] || delpart "$parted" 1 2>/dev/null; for l in "${LOOPS[@]}"; do losetup -d "$l" 2>/dev/null; done; (exit $rc); scenario_end' EXIT
attach() { local l; l=$(losetup -f --show "$1") || skip 'no free loop device'; LOOPS+=("$l"); NEW=$l; }
rows() { local k; for ((k = 0; k < $2; k++)); do echo "$1 row $k: nobody shall read this, $RANDOM$RANDOM$RANDOM"; done; }
plan() {	# NAME; DATASETS lines
	{ PLAN=$1 MORE='clear: {require: cleared-guest-level}' retirement x:/x | sed '/^datasets:/,/^    files/d'
	  printf 'datasets:\n%s\n' "$2"; } >"$TOP/$1.yaml"
}
voices() {
	expect 3 run "$TOP/$1.yaml"
	expect 0 approve "$1" clear --as zhang --key "$KEYS/zhang"
	expect 0 approve "$1" clear --as li --key "$KEYS/li"
}
marks() { grep -ac 'nobody shall read this' "$1"; }

truncate -s 16M "$raw"; rows 'of the disk' 4000 | dd of="$raw" bs=4096 seek=100 conv=notrunc status=none
attach "$raw"; disk=$NEW
truncate -s 64M "$under"; attach "$under"; below=$NEW
mkfs.ext4 -q "$below" && mkdir "$m" && mount "$below" "$m" || skip 'no mkfs.ext4, or no mounting here'
image=$m/disk.img
truncate -s 32M "$image"; rows 'of the image' 9000 | dd of="$image" bs=4096 seek=500 conv=notrunc status=none; sync -f "$m"

part 'what is signed names the devices, and no trees'
plan both "$(printf '  d: {block: {from: "old:%s"}}\n  i: {block: {from: "old:%s"}}' "$disk" "$image")"
voices both
ledger show "refs/heads/both:$(ledger ls-tree --name-only refs/heads/both approvals/ | grep '\.txt$' | head -n 1)" >"$TOP/signed"
says "$TOP/signed" "device: old:$disk" "device: old:$image"
! grep -q '^path:' "$TOP/signed" || fail "a tree stands in the scope: $(grep '^path:' "$TOP/signed")"

part 'another byte than archived; a disk in use: refused before anything is touched'
printf 'x' | dd of="$disk" bs=1 seek=9000000 conv=notrunc,fsync status=none
expect 6 run "$TOP/both.yaml"
says "$ERR" image sha256
printf '\0' | dd of="$disk" bs=1 seek=9000000 conv=notrunc,fsync status=none
attach "$image"
expect 6 run "$TOP/both.yaml"
says "$ERR" 'in use'
losetup -d "$NEW"
no_event both clear-started
[ "$(marks "$raw")" = 4000 ] || fail 'the disk was written to'

part 'both are wiped to the last byte; killed meanwhile; the image stays as sparse as it was'
blocks=$(stat -c %b "$image")
WAYBILL_FAULT=fsync@journal:5:kill timeout 600 "$WAYBILL" -C "$WS" run "$TOP/both.yaml" >"$OUT" 2>"$ERR" </dev/null
[ $? = 137 ] || fail "the kill did not strike: $(cat "$ERR")"
has_event both clear-started; no_event both clear-done
expect 6 certificate both
expect 0 run "$TOP/both.yaml"
expect 0 --json certificate both
jq -e '.proof and (.verdict as $v | ["cleared-full", "cleared-guest-level"] | index($v)) and ([.items[] | select(.read_back.other == 0 and .read_back.unreadable == 0)] | length == 2)' \
	"$OUT" >/dev/null || fail "certificate: $(jq '.verdict, .items, .residue' "$OUT")"
jq -e '[.control[] | select(.control.found == .control.expected and .control.expected > 50)] | length == 3' "$OUT" >/dev/null || fail "control: $(jq -c .control "$OUT")"
jq -e '[.residue[].hits] == [0]' "$OUT" >/dev/null || fail "the medium beneath the image: $(jq -c .residue "$OUT")"
sync -f "$m"
[ "$(marks "$raw") $(marks "$under")" = '0 0' ] || fail "the judge finds $(marks "$raw") on the disk, $(marks "$under") beneath the image"
[ "$(stat -c %b "$image")" -le $((blocks + 2048)) ] || fail "the image grew from $blocks to $(stat -c %b "$image") blocks"
expect 0 audit "$WS"
expect 0 restore both i --to "$TOP/back"
[ "$(cat "$TOP"/back/* 2>/dev/null | marks /dev/stdin)" = 9000 ] || [ "$(marks "$TOP/back")" = 9000 ] || fail 'the archive does not give it back'

part 'a partition that somebody wrote to after the clearing had begun is not wiped'
truncate -s 4M "$TOP/parts.img"; rows 'of a partition' 100 | dd of="$TOP/parts.img" bs=4096 seek=300 conv=notrunc status=none
attach "$TOP/parts.img"; parted=$NEW
printf 'a table of partitions' | dd of="$parted" bs=1 conv=notrunc,fsync status=none
# One, from 1 MiB on, of 2 MiB.
if addpart "$parted" 1 2048 4096 2>/dev/null && [ -e "/sys/block/${parted#/dev/}/${parted#/dev/}p1/start" ]; then
	plan parts "  p: {block: {from: \"old:$parted\"}}"
	voices parts
	WAYBILL_FAULT=point@wipe-writing:1:kill timeout 60 "$WAYBILL" -C "$WS" run "$TOP/parts.yaml" >"$OUT" 2>"$ERR" </dev/null
	[ $? = 137 ] || fail "the kill did not strike: $(cat "$ERR")"
	has_event parts clear-started
	printf 'new' | dd of="$parted" bs=1 seek=1100000 conv=notrunc,fsync status=none
	expect 6 run "$TOP/parts.yaml"
	says "$ERR" 'not the device that it was'
	[ "$(marks "$TOP/parts.img")" = 100 ] || fail 'it was written to'
	printf '\0\0\0' | dd of="$parted" bs=1 seek=1100000 conv=notrunc,fsync status=none
	expect 0/5 run "$TOP/parts.yaml"
	[ "$(marks "$TOP/parts.img")" = 0 ] || fail 'it was not wiped'
fi

part 'an earlier copy of an image in free space beneath it: found, though every byte of the image was overwritten'
rows 'of another image' 3000 >"$image"; truncate -s 8M "$image"; sync -f "$m"
plan left "  i: {block: {from: \"old:$image\"}}"
voices left
cp --reflink=never "$image" "$m/copy"; sync -f "$m"; rm "$m/copy"; sync -f "$m"
expect 4 run "$TOP/left.yaml"
expect 0 --json certificate left
jq -e '.verdict == "residue-found" and (.proof | not) and ([.residue[].hits] | add > 0) and .items[-1].read_back.other == 0' "$OUT" >/dev/null ||
	fail "certificate: $(jq '.verdict, .items, .residue' "$OUT")"
[ "$(marks "$under")" != 0 ] || fail 'the copy is not there: this test shows nothing'
