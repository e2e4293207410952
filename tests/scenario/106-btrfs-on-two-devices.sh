#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
own_mounts
scenario 'A btrfs on two devices: both are searched, a snapshot on them is residue, and one of them is not wiped for the whole'

[ "$(id -u)" = 0 ] || skip 'loop devices need root'
losetup -f >/dev/null 2>&1 || skip 'no loop devices here'
command -v mkfs.btrfs >/dev/null || skip 'no mkfs.btrfs here'
person zhang li
host old
JUDGE=$WAYBILL_BUILD/tests/raw_search
[ -x "$JUDGE" ] || fail "$JUDGE is not built"
m=$TOP/data DEVS=()
trap 'rc=$?; umount -l "$m" 2>/dev/null; for l in "${DEVS[@]}"; do losetup -d "$l" 2>/dev/null; done; (exit $rc); scenario_end' EXIT
for i in 1 2; do
	truncate -s 160M "$TOP/disk$i"
	l=$(losetup -f --show "$TOP/disk$i") || skip 'no free loop device'
	DEVS+=("$l")
done
mkfs.btrfs -q -d single -m raid1 "${DEVS[@]}" >/dev/null 2>&1 && mkdir "$m" && mount -o device="${DEVS[1]}" "${DEVS[0]}" "$m" || skip 'this kernel mounts no btrfs of two devices'
contents() { local n; mkdir "$TOP/ref$1"; for n in {1..8}; do head -c $((n * 500000 + 300)) /dev/urandom >"$TOP/ref$1/file-number-$n-of-round-$1"; done; cp "$TOP/ref$1"/* "$m/$1/"; sync -f "$m"; }
voices() {
	expect 3 run "$TOP/$1.yaml"
	expect 0 approve "$1" clear --as zhang --key "$KEYS/zhang"
	expect 0 approve "$1" clear --as li --key "$KEYS/li"
}
judged() { for l in "${DEVS[@]}"; do "$JUDGE" "$l" "$TOP/ref$1" || fail "the judge cannot read $l"; done | tr '\n' ' '; }

part 'both devices are searched before and after'
btrfs -q subvolume create "$m/a" 2>/dev/null || btrfs subvolume create "$m/a" >/dev/null
contents a
PLAN=one MORE='clear: {require: performed-not-provable}' retirement "old:$m/a" >"$TOP/one.yaml"
voices one
expect 0/4/5 run "$TOP/one.yaml"
expect 0 --json certificate one
verdict=$(jq -r .verdict "$OUT") found=$(judged a)
echo "  $verdict; the judge finds $found"
jq -e '.media | length == 2' "$OUT" >/dev/null || fail "media: $(jq -c .media "$OUT")"
case $verdict in
cleared-*) [ "$found" = '0 0 0 0 ' ] || fail "$verdict, and the judge finds $found" ;;
residue-found|blind|unknown|performed-not-provable) ;;
*) fail "verdict $verdict" ;;
esac
[ "$found" != '0 0 0 0 ' ] || case $verdict in cleared-*) ;; *) fail "$verdict: $(jq -c '{items: [.items[] | {decided_by, results}], control, residue}' "$OUT")" ;; esac

part 'a snapshot of it is residue, named'
btrfs -q subvolume create "$m/b" 2>/dev/null || btrfs subvolume create "$m/b" >/dev/null
contents b
PLAN=two MORE='clear: {require: performed-not-provable}' retirement "old:$m/b" >"$TOP/two.yaml"
voices two
btrfs subvolume snapshot -r "$m/b" "$m/forgotten" >/dev/null; sync -f "$m"
expect 4 run "$TOP/two.yaml"
expect 0 --json certificate two
jq -e '.verdict == "residue-found" and ([.residue[].hits] | add > 0)' "$OUT" >/dev/null || fail "verdict: $(jq '.verdict, .residue' "$OUT")"
[ "$(judged b)" != '0 0 0 0 ' ] || fail 'nothing is left: this test shows nothing'

part 'one device of two as a whole: refused, nothing is touched'
mkdir "$m/c"; echo 'only this' >"$m/c/file"; sync -f "$m"
PLAN=three MORE="clear: {require: cleared-guest-level, devices: [{at: \"old:${DEVS[0]}\"}]}" retirement "old:$m" >"$TOP/three.yaml"
sed -i "s|from: \"old:$m\"|from: \"old:$m\", exclude: [\"forgotten/**\"]|" "$TOP/three.yaml"
expect 3 run "$TOP/three.yaml"
expect 0 approve three clear --as zhang --key "$KEYS/zhang"
expect 0 approve three clear --as li --key "$KEYS/li"
umount "$m"
sum=$(sha256sum <"$TOP/disk1")
expect 6 run "$TOP/three.yaml"
says "$ERR" 'several devices'
no_event three clear-started
[ "$(sha256sum <"$TOP/disk1")" = "$sum" ] || fail 'the device was written to'
