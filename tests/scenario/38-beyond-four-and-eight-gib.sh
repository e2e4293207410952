#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
[ -n "${WAYBILL_LARGE:-}" ] || skip 'takes minutes and 15 GB; run it with WAYBILL_LARGE=1'
SCENARIO_TIMEOUT=900
scenario 'A file of more than 4 GiB and holes of more than 8 GiB arrive, are verified and come back with their exact layout'

mkdir "$TOP/src"
head -c 4500000000 /dev/zero | tr '\0' a >"$TOP/src/five"
truncate -s 9G "$TOP/src/data-last" && printf x | dd of="$TOP/src/data-last" bs=1 seek=9663676000 conv=notrunc status=none
printf x >"$TOP/src/data-first" && truncate -s 9G "$TOP/src/data-first"
truncate -s 9G "$TOP/src/hole-only"
migration "local:$TOP/src" "local:$TOP/dst" >"$TOP/move.yaml"
expect 0 run "$TOP/move.yaml"
expect 0 restore move www --to "$TOP/back"
"$WAYBILL_BUILD/tests/dump_tree" "$TOP/src" >"$TOP/want" || fail 'dump_tree'
for copy in dst back; do
	part "$copy"
	"$WAYBILL_BUILD/tests/dump_tree" "$TOP/$copy" >"$TOP/got" || fail 'dump_tree'
	same_file "$TOP/want" "$TOP/got"
	for f in five data-last data-first hole-only; do cmp "$TOP/src/$f" "$TOP/$copy/$f" || fail "$copy/$f"; done
	[ "$(du -s "$TOP/$copy" | cut -f1)" -lt 4500000 ] || fail "$copy has filled its holes"
done
