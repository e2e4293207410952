#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
own_mounts
. "$WAYBILL_SOURCE/tests/lib/residue.sh"
scenario 'Leftovers on xfs, of replaced versions and in tmpfs; a medium that never held the data raises no alarm'
person zhang li

cell xfs cleared mkfs=xfs size=320M
cloned() { cp --reflink=always "$M/src/a-name-of-some-length-7.dat" "$M/clone" || skip 'no reflinks here'; sync -f "$M"; }
cell xfs-clone residue-found mkfs=xfs size=320M after=cloned left=some
jq -e '.residue[0].hit_list | length > 0 and all(.[]; .owner | endswith("/clone"))' "$OUT" >/dev/null || fail "the clone is not named: $(jq -c .residue "$OUT")"

part 'the file is replaced by rename, as editors do; version 1 stays behind in free space'
# Both versions are in the ledger; what is cleared is version 2, and the judge looks for version 1.
M=$TOP/m-renamed; mkfs='ext4 -b 4096'; size=64M; mount=; offset=; loops; cell_mount
mkdir "$M/src" "$TOP/v1"; random_files "$TOP/v1"; cp -r "$TOP/v1/." "$M/src/"; sync -f "$M"
PLAN=renamed MORE='clear: {require: performed-not-provable}' retirement "local:$M/src" >"$TOP/renamed.yaml"
expect 0 run "$TOP/renamed.yaml" --until copy
for f in "$M"/src/a-*; do head -c "$(stat -c %s "$f")" /dev/urandom >"$M/new"; mv "$M/new" "$f"; done; sync -f "$M"
expect 3 run "$TOP/renamed.yaml"
expect 0 approve renamed clear --as zhang --key "$KEYS/zhang"; expect 0 approve renamed clear --as li --key "$KEYS/li"
expect 4/5 run "$TOP/renamed.yaml"
expect 0 --json certificate renamed
found=$("$JUDGE" "$DEV" "$TOP/v1"); [ "$found" != '0 0' ] || fail 'the judge finds nothing of version 1: this shows nothing'
same_text residue-found "$(jq -r .verdict "$OUT")" "verdict; the judge finds $found"
jq -e '.residue[0].hit_list | length > 0 and all(.[]; .version == 1 and .owner == "free")' "$OUT" >/dev/null || fail "the leftovers are not told as version 1 in free space: $(jq -c .residue "$OUT")"
part 'trimmed, residue finds nothing more there, and may say so, for its control was good'
fstrim "$M" 2>/dev/null && {
	expect 0 --json residue renamed --on "$DEV"
	jq -e '.hits == 0 and .control.found >= 0 and .bytes_read == 67108864 and (.verdict | startswith("cleared-"))' "$OUT" >/dev/null || fail "residue: $(cat "$OUT")"
	same_text '0 0' "$("$JUDGE" "$DEV" "$TOP/v1")" 'what the judge finds after fstrim'
}
umount "$M"

part 'a fresh file system with other data: no alarm, and no claim either'
M=$TOP/m-fresh; cell_mount
mkdir "$M/other"; random_files "$M/other"; cp -r "$WAYBILL_SOURCE/orchestrator" "$M/text"; sync -f "$M"
expect 5 --json residue renamed --on "$DEV"
jq -e '.hits == 0 and .hit_list == [] and .verdict == "blind"' "$OUT" >/dev/null || fail "residue: $(cat "$OUT")"
part 'the same content in it, in an archive of tar: found, and where'
tar -cf "$M/backup.tar" -C "$TOP" v1; sync -f "$M"
expect 4 --json residue renamed www@1 --on "$DEV"
jq -e '.hits > 0 and .verdict == "residue-found" and (.hit_list | all(.dataset == "www" and .version == 1 and (.owner | endswith("/backup.tar"))))
	and ([.hit_list[].path] | unique | length >= 12)' "$OUT" >/dev/null || fail "residue: $(cat "$OUT")"
umount "$M"

part "waybill's own archive on the medium that is cleared: told, and no residue"
M=$TOP/m-own; cell_mount
mkdir "$M/src"; random_files "$M/src"; sync -f "$M"
other=$WS; WS=$M/ws; bare 0 init "$WS"
PLAN=own MORE='clear: {require: performed-not-provable}' retirement "local:$M/src" >"$TOP/own.yaml"
expect 3 run "$TOP/own.yaml"
expect 0 approve own clear --as zhang --key "$KEYS/zhang"; expect 0 approve own clear --as li --key "$KEYS/li"
fstrim "$M" || skip 'no fstrim here'	# what the restore test put there and removed is residue indeed
expect 0 run "$TOP/own.yaml"
expect 0 --json certificate own
jq -e '(.verdict | startswith("cleared-")) and .residue[0].own_copies > 0 and .residue[0].hits == 0' "$OUT" >/dev/null || fail "$(jq -c '{verdict, residue}' "$OUT")"
cp -r "$WS/.waybill/store" "$M/stolen"; sync -f "$M"
part '... but a copy of that archive is'
expect 4 --json residue own --on "$DEV"
jq -e '.hits > 0 and (.hit_list | all(.owner | contains("/stolen/")))' "$OUT" >/dev/null || fail "residue: $(cat "$OUT")"
WS=$other
umount "$M"

part 'tmpfs has no raw medium: performed, not provable'
mkdir -p "$TOP/tmpfs"; mount -t tmpfs none "$TOP/tmpfs" || skip 'no tmpfs here'
mkdir "$TOP/tmpfs/src"; random_files "$TOP/tmpfs/src"
PLAN=memory MORE='clear: {require: performed-not-provable}' retirement "local:$TOP/tmpfs/src" >"$TOP/memory.yaml"
expect 3 run "$TOP/memory.yaml"
expect 0 approve memory clear --as zhang --key "$KEYS/zhang"; expect 0 approve memory clear --as li --key "$KEYS/li"
expect 0 run "$TOP/memory.yaml"
expect 0 --json certificate memory
same_text performed-not-provable "$(jq -r .verdict "$OUT")" verdict
expect 0 audit "$WS"
