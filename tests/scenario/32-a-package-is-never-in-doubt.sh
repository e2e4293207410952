#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
scenario 'Package and answer: a kill between writing and recording, somebody else'"'"'s directory, tampered exceptions'

make_small "$TOP/src"
person zhang liu
handover "local:$TOP/src" "$TOP/pkg/" >"$TOP/hand.yaml"

part 'what stands at the place, and what stands beside it under a likely name, is nobody'"'"'s to remove'
mkdir "$TOP/pkg" "$TOP/pkg.part"; echo mine >"$TOP/pkg/mine"; echo mine >"$TOP/pkg.part/mine"
expect 6 run "$TOP/hand.yaml"
says "$ERR" 'not empty'
[ -e "$TOP/pkg/mine" ] && [ -e "$TOP/pkg.part/mine" ] || fail 'a foreign directory was removed'
rm "$TOP/pkg/mine"

part 'killed after the package had its name: the next run takes it over'
WAYBILL_FAULT=point@package-written:1:kill "$WAYBILL" -C "$WS" run "$TOP/hand.yaml" >"$OUT" 2>"$ERR" </dev/null
[ -e "$TOP/pkg/bagit.txt" ] || fail 'the kill came before the package'
no_event hand package-done
number=$(sha256sum <"$TOP/pkg/tagmanifest-sha256.txt" | cut -c1-64)
expect 3 run "$TOP/hand.yaml"
same_text 1 "$(events hand | grep -c -- package-done)" 'package done events'
event hand "$(events hand | grep -n package-done | cut -d: -f1)" >"$TOP/done"
grep -q "$number" "$TOP/done" || fail 'another package was recorded'
files=$(find "$TOP/pkg/data" -type f | wc -l)
same_text "$files" "$(jq .files "$TOP/pkg/waybill/package.json")" 'payload files in package.json'
[ -e "$TOP/pkg.part/mine" ] || fail 'a foreign directory was removed'

part 'one byte of it changed: not signed (4)'
cp -a "$TOP/pkg" "$TOP/bad"
printf X | dd of="$TOP/bad/data/www/tree.mtree" bs=1 seek=20 conv=notrunc status=none
bare 4 accept "$TOP/bad" --as liu --key "$KEYS/liu" --to "$TOP/bad-answer"
[ ! -e "$TOP/bad-answer" ] || fail 'an answer was written'

part 'exceptions are signed by digest: another list is refused (4), a lost one too (5), the signed one recorded'
printf 'c/many is too long\n' >"$TOP/except"
bare 0 accept "$TOP/pkg" --as liu --key "$KEYS/liu" --except "$TOP/except" --to "$TOP/answer"
cp -a "$TOP/answer" "$TOP/forged"; echo 'everything is fine' >"$TOP/forged/exceptions"
expect 4 accept hand --import "$TOP/forged"
says "$ERR" liu
rm "$TOP/forged/exceptions"
expect 5 accept hand --import "$TOP/forged"
no_event hand approval-recorded
expect 0 accept hand --import "$TOP/answer"
expect 0 run "$TOP/hand.yaml"
has_event hand accept-done
expect 0 run "$TOP/hand.yaml"
expect 0 audit "$WS"
expect 0 audit "$TOP/pkg"
