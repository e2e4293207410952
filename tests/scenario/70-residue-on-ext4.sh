#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
own_mounts
. "$WAYBILL_SOURCE/tests/lib/residue.sh"
scenario 'What a clearing leaves on ext4 is found, and nothing is certified as cleared that an independent search still reads'
person zhang li

renamed() { mkdir "$M/old"; random_files "$TOP/ref"; cp -r "$TOP/ref/." "$M/src"; sync -f "$M"; }
# Version 1 is in the ledger; then every file is replaced by rename, as editors do, and version 2 is what is cleared.
replaced_v1() {
	local f
	mkdir "$TOP/v1" && cp -r "$TOP/ref/." "$TOP/v1"
	for f in "$M"/src/*; do head -c "$(stat -c %s "$f")" /dev/urandom >"$M/new"; mv "$M/new" "$f"; done
	sync -f "$M"
	expect 0/3/6 run "$TOP/renamed.yaml"
}
linked() { ln "$M/src/a-name-of-some-length-5.dat" "$M/outside"; }

cell plain cleared
cell one-kilobyte cleared mkfs='ext4 -b 1024'
cell journalled cleared mkfs='ext4 -b 4096' mount=data=journal
cell inlined cleared mkfs='ext4 -b 4096 -I 256 -O inline_data'
cell partition cleared mkfs='ext4 -b 4096' offset=31744
cell linked residue-found after=linked left=some
