#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
own_mounts
. "$WAYBILL_SOURCE/tests/lib/residue.sh"
scenario 'On btrfs: trimmed and searched; blind where content is stored compressed; a snapshot is residue'
person zhang li

# Bytes that can be packed, and yet are unlike any others.
texts() {
	local n
	for n in {1..6}; do head -c 30000 /dev/urandom | base64 | sed 's/./&aaaa&/g' | head -c $((n * 20000)) >"$1/a-name-of-some-length-$n.txt"; done
}
nocow() { chattr +C "$M/src"; }
subvolume() { rmdir "$M/src"; btrfs -q subvolume create "$M/src" >/dev/null 2>&1 || btrfs subvolume create "$M/src" >/dev/null; }
snapshot() { btrfs subvolume snapshot -r "$M/src" "$M/snap" >/dev/null || fail snapshot; sync -f "$M"; }

cell btrfs cleared mkfs=btrfs size=144M
cell btrfs-nocow cleared mkfs=btrfs size=144M prepare=nocow
cell btrfs-zstd blind mkfs=btrfs size=144M mount=compress-force=zstd files=texts left=any
cell btrfs-snapshot residue-found mkfs=btrfs size=144M prepare=subvolume after=snapshot left=some
jq -e '.residue[0].hit_list | length > 0 and all(.[]; .owner | test("^metadata$|^file a-name-of-some-length-[0-9]+.dat of subvolume [0-9]+$"))' "$OUT" >/dev/null ||
	fail "the snapshot's files are not named: $(jq -c .residue "$OUT")"
