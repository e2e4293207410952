#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
own_mounts
scenario 'A host retires, and what it forgot is found: an old tarball, a deleted file that is still open, a replaced version, a backup nobody vouches for'

[ "$(id -u)" = 0 ] || skip 'loop devices need root'
losetup -f >/dev/null 2>&1 || skip 'no loop devices here'
person zhang li wang
host pa-tj01
disk=$TOP/disk.img m=$TOP/data loop=''
trap 'rc=$?; umount -l "$m" 2>/dev/null; [ -z "$loop" ] || losetup -d "$loop" 2>/dev/null; (exit $rc); scenario_end' EXIT
mkdir "$m"
truncate -s 64M "$disk"
loop=$(losetup -f --show "$disk") || skip 'no free loop device'
mkfs.ext4 -q "$loop" && mount "$loop" "$m" || skip 'no mkfs.ext4, or no mounting here'
rows() { for ((k = 0; k < 300; k++)); do echo "$1 record $k of tjtb $RANDOM$RANDOM, $(date +%N)"; done; }
mkdir -p "$m/tjtb/db" "$m/root" "$m/var/backups" "$m/tmp"
for i in 1 2 3 4 5 6; do rows "table $i" >"$m/tjtb/db/table-of-the-system-$i"; done
retire() { PLAN=$1 MORE="clear: {require: cleared-guest-level${2:+, $2}}" retirement "pa-tj01:$m/tjtb" >"$TOP/$1.yaml"; }
both() { expect 0 approve "$1" clear --as zhang --key "$KEYS/zhang"; expect 0 approve "$1" clear --as li --key "$KEYS/li"; }
whole() { [ "$(find "$m/tjtb" -type f | wc -l)" = "${1:-6}" ] || fail "something was destroyed: $(find "$m/tjtb")"; no_event "$name" clear-started; }

part 'refused: the same person as operator and verifier'
name=same
retire same 'operator: wang, verifier: wang'
expect 2 check "$TOP/same.yaml"
part 'refused: no authorization; one of two; one by the wrong namespace'
name=tjtb
retire tjtb 'operator: wang, verifier: li, copies: [{what: "backups on bk01", held_by: provider}]'
expect 3 --as wang --key "$KEYS/wang" run "$TOP/tjtb.yaml"
whole
expect 0 approve tjtb clear --as zhang --key "$KEYS/zhang"
expect 0 approve tjtb clear --as li --request "$TOP/li.txt"
ssh-keygen -q -Y sign -f "$KEYS/li" -n git "$TOP/li.txt" 2>/dev/null
expect 6 approve tjtb clear --as li --signature "$TOP/li.txt.sig"
expect 3 --as wang --key "$KEYS/wang" run "$TOP/tjtb.yaml"
whole
part 'refused: somebody else than the operator, and the verifier'
expect 0 approve tjtb clear --as li --key "$KEYS/li"
expect 6 --as zhang --key "$KEYS/zhang" run "$TOP/tjtb.yaml"
expect 6 --as li --key "$KEYS/li" run "$TOP/tjtb.yaml"
whole
part 'refused: data that came after the authorization, and an authorization for another manifest'
echo 'a row that came late' >"$m/tjtb/db/late"
expect 6 --as wang --key "$KEYS/wang" run "$TOP/tjtb.yaml"
says "$ERR" late
whole 7
rm "$m/tjtb/db/late"
cp -p "$m/tjtb/db/table-of-the-system-1" "$m/root/v1"		# what table 1 held before
part 'refused: the period of retention is not over; a place that is reached through a symlink only'
name=early
retire early 'retain_until: 2099-01-01'
expect 3 run "$TOP/early.yaml"
both early
expect 6 run "$TOP/early.yaml"
says "$ERR" 2099
whole
ln -s tjtb "$m/alias"
name=alias
PLAN=alias MORE='clear: {require: unknown}' retirement "pa-tj01:$m/alias" >"$TOP/alias.yaml"
expect 0/3/6 run "$TOP/alias.yaml"
if [ "$RC" = 3 ]; then both alias; expect 6 run "$TOP/alias.yaml"; fi
whole
rm "$m/alias"
part 'refused: an archive that cannot be read'
name=broken
retire broken
expect 3 run "$TOP/broken.yaml"
both broken
# all of them: which of them are of this plan only their contents tell
cp -a "$WS" "$TOP/ws-whole"
objects | grep 'tar.zst$' | while read -r object; do
	chmod u+w "$object"; printf 'XXXX' | dd of="$object" bs=1 seek=100 conv=notrunc status=none
done
expect 4/5/6 run "$TOP/broken.yaml"
whole
(cd "$TOP/ws-whole" && find . -name '*.tar.zst' -exec cp -p {} "$WS/{}" \;)
rm -rf "$TOP/ws-whole"

part 'the leftovers: old tarball, deleted file that is open, a version that was replaced'
tar cf "$m/root/old.tar" -C "$m" tjtb
cp "$m/tjtb/db/table-of-the-system-2" "$m/tmp/open"
exec 9<"$m/tmp/open"; rm "$m/tmp/open"
cp "$m/tjtb/db/table-of-the-system-3" "$m/var/backups/new"; mv "$m/var/backups/new" "$m/var/backups/dump"; : >"$m/var/backups/new"; mv "$m/var/backups/new" "$m/var/backups/dump"
sync
name=tjtb
expect 4 --as wang --key "$KEYS/wang" run "$TOP/tjtb.yaml"
[ -z "$(find "$m/tjtb" -mindepth 1 2>/dev/null)" ] || fail 'the scope was not cleared'
expect 0 --json certificate tjtb
jq -e '.verdict == "residue-found" and .result == "not passed" and .title_zh == "处置记录(未证实)" and .operator == "wang" and .verifier == "li"' "$OUT" >/dev/null ||
	fail "certificate: $(jq '.verdict,.result' "$OUT")"
jq -e '[.copies[] | select(.what == "backups on bk01") | .grade] == ["E4"]' "$OUT" >/dev/null || fail "copies: $(jq .copies "$OUT")"
jq -r '.residue[].hit_list[] | "\(.offset) \(.owner) \(.path)"' "$OUT" >"$TOP/hits"
says "$TOP/hits" 'root/old.tar' 'table-of-the-system-2' 'table-of-the-system-3'
# The judge: where the certificate says that content lies, it does.
for at in $(awk '$1 ~ /^[0-9]+$/ { print $1 }' "$TOP/hits" | head -n 5); do
	[ "$(dd if="$disk" iflag=skip_bytes,count_bytes skip="$at" count=4096 status=none | grep -ac 'tjtb\|table-of-the-system')" != 0 ] ||
		fail "nothing lies at $at: $(cat "$TOP/hits")"
done

part 'the same leftovers from outside, by residue; and a marker found is 4'
expect 4 --json residue tjtb --on "pa-tj01:$loop"
jq -e '.hits > 0 and .verdict == "residue-found"' "$OUT" >/dev/null || fail "residue: $(head -c 500 "$OUT")"
exec 9<&-
expect 0 audit "$WS"
