#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
. "$WAYBILL_SOURCE/tests/lib/fidelity.sh"
own_mounts
scenario 'verify asks for some contents with a nonce: what was remembered as good is no answer'

on_image ext4 "$TOP/fs" 300 || skip 'no ext4 image can be mounted here'
S=$TOP/src D=$TOP/fs/dst
mkdir "$S"
for n in 1 2 3 4; do head -c 100000 /dev/urandom >"$S/f$n"; done
truncate -s 2000000 "$S/sparse"; echo data >>"$S/sparse"; : >"$S/empty"
migration "local:$S" "local:$D" >"$TOP/move.yaml"
expect 0 run "$TOP/move.yaml"
sleep 2.1	# younger entries are read again in any case
expect 0 --json verify move www --full
same_text 5 "$(jq -r .challenged "$OUT")" 'contents asked for'
expect 0 --json verify move www
same_text '0 match 5' "$(jq -r '"\(.reread) \(.verdict) \(.challenged)"' "$OUT")" 'nothing is read again, all five that have a content are asked for'

part 'a medium that rots beneath the file system: no time, no size, no inode tells'
block=$(debugfs -R 'bmap /dst/f2 3' "$TOP/image.fs.ext4" 2>/dev/null)
[ "${block:-0}" -gt 0 ] || fail "no block of f2: $block"
printf 'rot' | dd of="$TOP/image.fs.ext4" bs=1 seek=$((block * 4096 + 100)) conv=notrunc status=none
expect 4 --json verify move www
same_text 'f2 challenge' "$(jq -r '.differences[] | "\(.path) \(.what)"' "$OUT")" 'differences'
expect 4 --json verify move www --full
same_text 'f2 sha256' "$(jq -r '.differences[] | "\(.path) \(.what)"' "$OUT")" 'differences of --full'

part 'what was only read from memory satisfies nothing'
before=$(events move | wc -l)
expect 4 --json verify move www --cached
same_text cached "$(jq -r .read "$OUT")" 'how it was read'
same_text "$before" "$(events move | wc -l)" 'events after verify --cached'
expect 0 run "$TOP/move.yaml"
expect 0 verify move www --full
