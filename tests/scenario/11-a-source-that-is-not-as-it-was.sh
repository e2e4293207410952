#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
scenario 'A source that is missing or was emptied is refused (6), and the target keeps what it has'

make_tree "$TOP/src"
mkdir "$TOP/dst"
host old; host new
migration "old:$TOP/src" "new:$TOP/dst" >"$TOP/move.yaml"

part 'missing from the start'
mv "$TOP/src" "$TOP/away"
expect 6 run "$TOP/move.yaml"
says "$ERR" old "$TOP/src"
same_text '' "$(ls -A "$TOP/dst")" 'the target'
same_text 0 "$(versions move www)" versions
mv "$TOP/away" "$TOP/src"

expect 0 run "$TOP/move.yaml"
before=$(versions move www)
refused() {
	part "$1"
	expect 6 run "$TOP/move.yaml"
	says "$ERR" old "$TOP/src"
	same_text "$before" "$(versions move www)" 'versions'
	same_tree "$TOP/keep" "$TOP/dst"
}
cp -a "$TOP/src" "$TOP/keep"
mv "$TOP/src" "$TOP/away"
refused 'gone'
mkdir "$TOP/src"
refused 'another, empty directory in its place, as an unmounted file system leaves it'
rmdir "$TOP/src"; mv "$TOP/away" "$TOP/src"
mkdir "$TOP/hidden"; find "$TOP/src" -mindepth 1 -maxdepth 1 -exec mv -t "$TOP/hidden" {} +
refused 'emptied'
find "$TOP/hidden" -mindepth 1 -maxdepth 1 -exec mv -t "$TOP/src" {} +
touch -r "$TOP/keep" "$TOP/src"
part 'and as it was again'
expect 0 run "$TOP/move.yaml"
same_tree "$TOP/src" "$TOP/dst"

part 'a file in its place; a symbolic link in its place'
printf 'waybill: 1\nname: odd\nkind: migration\ndatasets:\n  d:\n    files: {from: "local:%s", to: "local:%s"}\n' "$TOP/src/docs/readme" "$TOP/d2" >"$TOP/odd.yaml"
expect 6 run "$TOP/odd.yaml"
says "$ERR" docs/readme
