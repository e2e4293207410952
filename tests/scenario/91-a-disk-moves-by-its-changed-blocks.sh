#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
own_mounts
scenario 'A disk or its image: zeros are not stored, later passes store changed blocks, and nothing is written to the wrong or to a used device'

LOOPS=()
loop_end() { local l; for l in "${LOOPS[@]}"; do losetup -d "$l" 2>/dev/null; done; }
trap 'rc=$?; umount "$TOP"/mnt.* 2>/dev/null; loop_end; (exit $rc); scenario_end' EXIT
loop() { losetup -f --show "$@" || skip 'no loop devices here'; }	# file
plan() {	# FROM TO [OPTIONS]
	{ printf 'waybill: 1\nname: disk\nkind: migration\nhosts:\n'; for n in "${!HOST[@]}"; do printf '  %s\n' "${HOST[$n]}"; done
	  printf 'datasets:\n  d:\n    block: {from: "%s", to: "%s"%s}\npasses: {max: 1}\n' "$1" "$2" "${3:+, $3}"; } >"$TOP/disk.yaml"
}
stored() { objects | xargs -r stat -c %s | awk '{s += $1} END {print s + 0}'; }
host far

A=$TOP/a.img B=$TOP/b.img
truncate -s 96M "$A"; mkfs.ext4 -q -F -E lazy_itable_init=0 "$A"
mkdir "$TOP/mnt.a" "$TOP/mnt.b"
mount -o loop "$A" "$TOP/mnt.a" || skip 'no loop mounts here'
head -c 30000000 /dev/urandom >"$TOP/mnt.a/data"

part 'a source that is mounted read-write'
plan "local:$A" "far:$B"
expect 6 run "$TOP/disk.yaml"
says "$ERR" 'in use (read-write)' 'mounted: yes'
[ ! -e "$B" ] || fail 'a target was made all the same'
plan "local:$A" "far:$B" 'mounted: yes'
expect 0 run "$TOP/disk.yaml"
umount "$TOP/mnt.a"

part 'at rest: image to an image that is made, sparse as it is, and as it is'
plan "local:$A" "far:$B"
expect 0 run "$TOP/disk.yaml"
same_file "$A" "$B"
[ $(($(stat -c %b "$B") * 512)) -lt 50000000 ] || fail "the target is not sparse: $(stat -c %b "$B") blocks"
before=$(stored)
[ "$before" -lt 40000000 ] || fail "$before bytes are stored for 30 MB of data"

part 'one block in a hundred changed'
python3 - "$A" <<'P'
import random, sys
r = random.Random(1)
with open(sys.argv[1], "r+b") as f:
    for p in r.sample(range(96 * 64), 61):
        f.seek(p * 16384 + 77); f.write(r.randbytes(100))
P
expect 0 run "$TOP/disk.yaml"
same_file "$A" "$B"
[ $(($(stored) - before)) -lt 1300000 ] || fail "$(($(stored) - before)) bytes were stored for 61 blocks of 16 KiB"
before=$(stored)
expect 0 run "$TOP/disk.yaml"
[ "$(stored)" = "$before" ] || fail 'something was stored when nothing had changed'
expect 0 --json verify "$TOP/disk.yaml" d --full
same_text match "$(jq -r .verdict "$OUT")" 'verdict'

part 'a byte that is another at the target is found, and sent again'
printf x | dd of="$B" bs=1 seek=5000000 conv=notrunc status=none
expect 4 verify "$TOP/disk.yaml" d --full
says "$OUT" image
expect 0/4 run "$TOP/disk.yaml"; [ "$RC" = 0 ] || expect 0 run "$TOP/disk.yaml"
same_file "$A" "$B"

part 'a pass that was cut in the middle of the target'
printf 'one more' | dd of="$A" bs=1 seek=60000000 conv=notrunc status=none
{ WAYBILL_FAULT=point@pass-stored:1:kill "$WAYBILL" -C "$WS" run "$TOP/disk.yaml" >"$OUT" 2>"$ERR" </dev/null; } 2>/dev/null
[ $? -gt 128 ] || fail "it was not killed"
printf 'ONE MORE' | dd of="$A" bs=1 seek=60000000 conv=notrunc status=none
printf 'and this' | dd of="$B" bs=1 seek=70000000 conv=notrunc status=none	# what a half-written pass may look like
expect 0 run "$TOP/disk.yaml"
same_file "$A" "$B"

part 'out of the archive'
expect 0 preview "$TOP/disk.yaml"; says "$OUT" '96.0 MiB'
"$WAYBILL" -C "$WS" restore "$TOP/disk.yaml" d image --to - 2>"$ERR" | cmp - "$A" || fail 'the restored image differs'
expect 0 verify "$TOP/disk.yaml" d --side archive

part 'device to a larger device that is full of other things'
C=$TOP/c.img; head -c 104857600 /dev/urandom >"$C"
LA=$(loop "$A") && LOOPS+=("$LA") && LC=$(loop "$C") && LOOPS+=("$LC")
sed 's/name: disk/name: disks/' "$TOP/disk.yaml" | sed "s|block: .*|block: {from: \"local:$LA\", to: \"far:$LC\"}|" >"$TOP/disks.yaml"
expect 0 run "$TOP/disks.yaml"
cmp -n "$(stat -c %s "$A")" "$A" "$LC" || fail 'the device differs'
printf 'changed' | dd of="$LA" bs=1 seek=123456 conv=notrunc status=none; sync
expect 0 run "$TOP/disks.yaml"
cmp -n "$(stat -c %s "$A")" "$LA" "$LC" || fail 'the device differs after a change'

part 'refused: a target that is mounted, too small, another than the plan says, or not there'
mount "$LC" "$TOP/mnt.b"
expect 6 run "$TOP/disks.yaml"; says "$ERR" 'in use'
umount "$TOP/mnt.b"
refused() {	# TO OPTIONS TEXT
	sed "s|block: .*|block: {from: \"local:$LA\", to: \"far:$1\"${2:+, $2}}|; s/name: disks/name: other/" "$TOP/disks.yaml" >"$TOP/other.yaml"
	expect 6 run "$TOP/other.yaml"
	says "$ERR" "$3"
}
truncate -s 20M "$TOP/small.img"; LS=$(loop "$TOP/small.img") && LOOPS+=("$LS")
refused "$LS" '' 'too small'
refused "$LC" 'serial: {to: NOT-THIS-ONE}' 'not the device of the plan'
refused /dev/waybill-no-such-disk '' 'does not exist'
[ ! -e /dev/waybill-no-such-disk ] || fail 'something was made beneath /dev'
refused "$TOP/small.img" '' 'in use'
