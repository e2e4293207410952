#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
scenario 'The archive alone gives everything back; a damaged object is noticed (4) and never restored'

make_tree "$TOP/src"
host old
printf 'waybill: 1\nname: keep\nkind: migration\nhosts:\n  %s\ndatasets:\n  www:\n    files: {from: "old:%s"}\n' "${HOST[old]}" "$TOP/src" >"$TOP/keep.yaml"
expect 0 run "$TOP/keep.yaml"
cp -a "$TOP/src" "$TOP/v1"
sleep 1
echo more >>"$TOP/src/docs/readme"
rm "$TOP/src/docs/sub/f1"
last1=$(ledger tag -l 'keep/www/*' | sed 's|.*/||' | sort -n | tail -n 1)
expect 0 run "$TOP/keep.yaml"
sshd_stop old
mv "$TOP/src" "$TOP/gone"

part 'everything, with the hosts away'
expect 0 restore keep www --to "$TOP/r1"
same_tree "$TOP/gone" "$TOP/r1"

part 'an older version'
expect 0 restore keep "www@$last1" --to "$TOP/r2"
same_tree "$TOP/v1" "$TOP/r2"

part 'one path; one directory; one file on standard output'
expect 0 restore keep www docs/readme --to "$TOP/r3"
f=$(find "$TOP/r3" -name readme); same_file "$TOP/gone/docs/readme" "$f"
expect 0 restore keep www odd --to "$TOP/r4"
d=$(find "$TOP/r4" -type d -name odd); [ -n "$d" ] || d=$TOP/r4
same_text "$(ls "$TOP/gone/odd" | wc -l)" "$(ls "$d" | wc -l)" 'entries of odd'
"$WAYBILL" -C "$WS" restore keep www big/nine-megabytes --to - >"$TOP/out.bin" 2>"$ERR" || fail 'restore to standard output'
same_file "$TOP/gone/big/nine-megabytes" "$TOP/out.bin"

part 'a directory that holds something is refused (6) unless --overwrite'
mkdir "$TOP/r5"; echo mine >"$TOP/r5/mine"
expect 6 restore keep www --to "$TOP/r5"
says "$ERR" "$TOP/r5"
same_text mine "$(ls "$TOP/r5")" 'the refused directory'
expect 0 restore keep www --to "$TOP/r5" --overwrite
[ -e "$TOP/r5/mine" ] || fail '--overwrite removed a foreign file'
expect 2 restore keep www no/such/path --to "$TOP/r6"
says "$ERR" no/such/path

part 'a damaged object'
expect 0 verify keep --side archive
o=$(objects | grep 'tar.zst$' | head -n 1)
chmod u+w "$o"
cp -p "$o" "$TOP/whole"
at=$(($(stat -c %s "$o") / 2))
byte=$(od -An -tu1 -j $at -N1 "$o")
printf "\\x$(printf %02x $((byte ^ 16)))" | dd of="$o" bs=1 seek=$at conv=notrunc status=none
id=${o##*/}; id=${id%%.*}
expect 4 restore keep www --to "$TOP/r7"
says "$ERR" "${id:0:12}"
if [ -d "$TOP/r7" ]; then	# whatever is there must be right
	(cd "$TOP/r7" && find . -type f -print0) | while IFS= read -r -d '' f; do
		cmp -s "$TOP/r7/$f" "$TOP/gone/$f" || { echo "damaged content was restored: $f" >&2; exit 1; }
	done || fail 'a damaged object was restored'
fi
expect 4 verify keep --side archive --full
says <(cat "$OUT" "$ERR") "${id:0:12}"

part 'a missing object'
rm -f "$o"
expect 4 restore keep www --to "$TOP/r8"
says "$ERR" "${id:0:12}"
cp -p "$TOP/whole" "$o"; chmod 400 "$o"
expect 0 restore keep www --to "$TOP/r9"
same_tree "$TOP/gone" "$TOP/r9"

part 'a damaged slice of a large file'
o=$(objects | grep -v 'tar.zst$' | grep '\.zst$' | xargs ls -S | head -n 1)
chmod u+w "$o"
printf 'damage' | dd of="$o" bs=1 seek=$(($(stat -c %s "$o") / 2)) conv=notrunc status=none
expect 4 restore keep www big/nine-megabytes --to "$TOP/r10"
