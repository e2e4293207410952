#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
own_mounts
scenario 'A whole device in the scope: refused while anything speaks against it, wiped once nothing does, read back to its last byte'

[ "$(id -u)" = 0 ] || skip 'loop devices need root'
losetup -f >/dev/null 2>&1 || skip 'no loop devices here'
person zhang li
host old
disk=$TOP/disk.img m=$TOP/data
loop=''
parts='' n=$TOP/parts
trap 'rc=$?; umount -l "$m" "$n/data" 2>/dev/null; [ -z "$parts" ] || losetup -d "$parts" 2>/dev/null; [ -z "$loop" ] || losetup -d "$loop" 2>/dev/null; (exit $rc); scenario_end' EXIT
truncate -s 48M "$disk"
loop=$(losetup -f --show "$disk") || skip 'no free loop device'
mkfs.ext4 -q -b 1024 "$loop" || skip 'no mkfs.ext4'
mkdir "$m" && mount "$loop" "$m" || skip 'no mounting here'
mkdir "$m/a"; rmdir "$m/lost+found"
for i in 1 2 3 4 5; do for k in $(seq 400); do echo "line $k of the secret file $i, which nobody shall read"; done >"$m/a/file-$i"; done
cp "$m/a/file-1" "$m/older"; sync; rm "$m/older"	# an earlier copy, in free space
plan() { MORE="clear: {require: cleared-guest-level, devices: [$1]}" PLAN=$2 retirement "old:$m" >"$TOP/$2.yaml"; }
voices() {
	expect 3 run "$TOP/$1.yaml"
	expect 0 approve "$1" clear --as zhang --key "$KEYS/zhang"
	expect 0 approve "$1" clear --as li --key "$KEYS/li"
}

part 'mounted: refused before anything is destroyed, whatever else the scope holds'
plan "{at: \"old:$loop\"}" mounted
voices mounted
expect 6 run "$TOP/mounted.yaml"
says "$ERR" 'it is mounted' 'unmount it'
no_event mounted clear-started; no_event mounted clear-probing
[ "$(find "$m/a" -type f | wc -l)" = 5 ] || fail 'something was destroyed'
part 'another serial number than authorized: refused, nothing is touched'
plan "{at: \"old:$loop\", serial: WD-1234}" serial
voices serial
expect 6 run "$TOP/serial.yaml"
says "$ERR" 'WD-1234' 'not known'
no_event serial clear-started
part 'a device from which no dataset is mounted: refused'
truncate -s 8M "$TOP/other.img"
plan "{at: \"old:$TOP/other.img\"}" other
voices other
expect 6 run "$TOP/other.yaml"
says "$ERR" 'nothing shows that what' 'is archived'
no_event other clear-started
part 'a device with a partition that nobody looked into: refused'
mkdir -p "$n/data"
truncate -s 24M "$n/disk"
# an MBR with two partitions: 8 MiB from sector 2048, 8 MiB from sector 18432
printf '%446s\0\0\0\0\x83\0\0\0\0\x08\0\0\0\x40\0\0\0\0\0\0\x83\0\0\0\0\x48\0\0\0\x40\0\0%32s\x55\xaa' '' '' | tr ' ' '\0' |
	dd of="$n/disk" conv=notrunc status=none
parts=$(losetup -fP --show "$n/disk")
first=/sys/block/${parts##*/}/${parts##*/}p1
if [ -e "$first/dev" ]; then
	mknod "$n/p1" b $(tr ':' ' ' <"$first/dev")
	mkfs.ext4 -q "$n/p1" && mount "$n/p1" "$n/data" || fail 'the first partition cannot be mounted'
	rmdir "$n/data/lost+found"; echo secret >"$n/data/f"
	MORE="clear: {require: cleared-guest-level, devices: [{at: \"old:$parts\"}]}" PLAN=parts retirement "old:$n/data" >"$TOP/parts.yaml"
	voices parts
	umount "$n/data"
	expect 6 run "$TOP/parts.yaml"
	says "$ERR" "${parts##*/}p2" 'is archived'
	no_event parts clear-started
fi
umount "$n/data" 2>/dev/null; losetup -d "$parts"; parts=''
part 'the device that the archive stands on: refused'
mkdir "$m/ws"
bare 0 init "$m/ws"
plan "{at: \"old:$loop\"}" own
sed -i "s|datasets:|datasets:\n  x:\n    files: {from: \"old:$TOP/keys\"}|; s|\"old:$m\"}|\"old:$m\", exclude: [\"ws/**\"]}|" "$TOP/own.yaml"
bare 3 -C "$m/ws" run "$TOP/own.yaml"
bare 0 -C "$m/ws" approve own clear --as zhang --key "$KEYS/zhang"
bare 0 -C "$m/ws" approve own clear --as li --key "$KEYS/li"
bare 6 -C "$m/ws" run "$TOP/own.yaml"
says "$ERR" 'stands on it'
rm -rf "$m/ws"
[ "$(find "$m/a" -type f | wc -l)" = 5 ] || fail 'something was destroyed'

part 'what came to it after it was archived is seen though nobody has it mounted: refused'
plan "{at: \"old:$loop\"}" whole
voices whole
echo late >"$m/late"
umount "$m"
expect 6 run "$TOP/whole.yaml"
says "$ERR" late unaccounted
no_event whole clear-started
grep -aq 'which nobody shall read' "$disk" || fail 'it was wiped'
mount "$loop" "$m"; rm "$m/late"; umount "$m"
expect 6 certificate whole

part 'killed while it is wiped, it goes on; nothing is certified meanwhile'
WAYBILL_FAULT=fsync@journal:1:kill timeout 600 "$WAYBILL" -C "$WS" run "$TOP/whole.yaml" >"$OUT" 2>"$ERR" </dev/null
[ $? = 137 ] || fail "the kill did not strike: $(cat "$ERR")"
has_event whole clear-started; no_event whole clear-done
expect 6 certificate whole
part 'another medium of that size under its name: refused, and nothing of it is touched'
losetup -d "$loop"
truncate -s 48M "$TOP/stranger"; mkfs.ext4 -q "$TOP/stranger"; sum=$(sha256sum <"$TOP/stranger")
losetup "$loop" "$TOP/stranger"
expect 6 run "$TOP/whole.yaml"
says "$ERR" 'is not the device that it was'
[ "$(sha256sum <"$TOP/stranger")" = "$sum" ] || fail 'another medium was written to'
losetup -d "$loop"; losetup "$loop" "$disk"
expect 0 run "$TOP/whole.yaml"

part 'an independent reader finds neither content nor names, nor a block that was not written'
! grep -aq 'nobody shall' "$disk" || fail 'content is still there'
! grep -aq 'file-1' "$disk" || fail 'a name is still there'
expect 0 --json certificate whole
jq -e '.verdict as $v | (["cleared-full","cleared-guest-level"] | index($v)) and .proof and ([.items[] | select(.read_back.pattern == 50331648 and .read_back.other == 0)] | length == 1)' \
	"$OUT" >/dev/null || fail "certificate: $(jq '.verdict,.items' "$OUT")"
jq -e '[.items[] | select(.model != null) | .device_says] | length == 1 and (.[0] | startswith("discard afterwards"))' "$OUT" >/dev/null || fail "discard: $(jq .items "$OUT")"
expect 0 audit "$WS"
