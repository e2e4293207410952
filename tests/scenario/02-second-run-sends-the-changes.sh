#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
scenario 'A second run begins again at copy and sends only what changed'

make_tree "$TOP/src"
mkdir "$TOP/dst"
host old; host new
migration "old:$TOP/src" "new:$TOP/dst" >"$TOP/move.yaml"
expect 0 run "$TOP/move.yaml"
sleep 2.1	# beyond the time in which a change could hide behind an equal ctime
expect 0 run "$TOP/move.yaml"
first=$(versions move www)
stored=$(objects | wc -l)
total=$(balance move www | field scanned)

part 'nothing changed: nothing is sent'
expect 0 run "$TOP/move.yaml"
[ "$(versions move www)" -gt "$first" ] || fail 'the second run made no version'
same_text 0 "$(balance move www | field copied)" 'entries copied again'
same_text "$stored" "$(objects | wc -l)" 'objects in the store'

part 'a changed, a new, a renamed, a removed, a re-moded entry'
echo changed >>"$TOP/src/docs/sub/f1"
echo new >"$TOP/src/docs/brand new"
mv "$TOP/src/docs/sub/f2" "$TOP/src/docs/sub/g2"
rm -r "$TOP/src/order" "$TOP/src/docs/sub/f3"
mkdir "$TOP/src/order"
chmod 600 "$TOP/src/docs/sub/f4"
ln -sfn elsewhere "$TOP/src/docs/dangling"
rm "$TOP/src/docs/sub/deep/hard1"
printf 'other middle' | dd of="$TOP/src/big/nine-megabytes" bs=1 seek=5000000 conv=notrunc status=none
expect 0 run "$TOP/move.yaml"
same_tree "$TOP/src" "$TOP/dst"
balance move www >"$TOP/summary"
copied=$(field copied <"$TOP/summary")
[ "$copied" -gt 0 ] && [ "$copied" -lt $((total / 2)) ] || fail "copied $copied of $total entries for a handful of changes"
expect 0 verify move --full

part 'diff names them'
n=$(ledger tag -l 'move/www/*' | sed 's|.*/||' | sort -n | tail -n 1)
expect 0 diff move "www@$first" "www@$n"
grep -q '^A.*brand new' "$OUT" || fail "diff does not show the new file: $(cat "$OUT")"
grep -q '^D.*f3' "$OUT" || fail 'diff does not show the removed file'
grep -q '^M.*f1\b' "$OUT" || fail 'diff does not show the changed file'
grep -q '^M.*f4\b' "$OUT" || fail 'diff does not show the changed mode'

part 'what the manifest never knew stays at the target: it stops no run, and verify names it unless it was there first'
rm "$TOP/src/docs/sub/f5"
echo foreign >"$TOP/dst/docs/foreign"
expect 0 run "$TOP/move.yaml"
expect 4 verify move
says "$OUT" docs/foreign
[ -e "$TOP/dst/docs/foreign" ] || fail 'a foreign file was removed'
[ ! -e "$TOP/dst/docs/sub/f5" ] || fail 'a removed file is still there'
rm "$TOP/dst/docs/foreign"; touch -r "$TOP/src/docs" "$TOP/dst/docs"
expect 0 run "$TOP/move.yaml"
mkdir -p "$TOP/dst2/docs"; echo foreign >"$TOP/dst2/docs/foreign"
migration "old:$TOP/src" "new:$TOP/dst2" | sed 's/^name: move/name: beside/' >"$TOP/beside.yaml"
expect 0 run "$TOP/beside.yaml"
expect 0 verify beside --full
says "$OUT" docs/foreign
same_text foreign "$(cat "$TOP/dst2/docs/foreign")" 'the foreign file'

part 'an earlier version comes back from the archive alone'
expect 0 restore move "www@$first" order --to "$TOP/back"
find "$TOP/back" -name 'a.b' | grep -q . || fail 'order/a.b of the first version did not come back'
