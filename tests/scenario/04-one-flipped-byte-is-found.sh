#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
scenario 'Whatever differs at the target is found and named: 4, never good'

make_tree "$TOP/src"
mkdir "$TOP/dst"
host old; host new
migration "old:$TOP/src" "new:$TOP/dst" >"$TOP/move.yaml"
expect 0 run "$TOP/move.yaml"

differs() {	# WHAT PATH-AS-SHOWN WORD...
	part "$1"
	expect 4 verify move --full
	says <(cat "$OUT" "$ERR") "$2"
	expect 4 --json verify move www --full
	jq -e --arg p "$2" '.verdict == "mismatch" and ([.differences[].path] | index($p))' "$OUT" >/dev/null || fail "JSON: $(cat "$OUT")"
}
flip() {	# FILE OFFSET: invert one bit of one byte, leaving size and time as they are
	local byte
	byte=$(od -An -tu1 -j "$2" -N1 "$1")
	touch -r "$1" "$TOP/stamp"
	printf "\\x$(printf %02x $((byte ^ 1)))" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
	touch -r "$TOP/stamp" "$1"
}

flip "$TOP/dst/big/nine-megabytes" 4711000
differs 'one bit inside a large file, size and time unchanged' big/nine-megabytes
flip "$TOP/dst/big/nine-megabytes" 4711000
expect 0 verify move --full

flip "$TOP/dst/docs/sub/f7" 2
differs 'one bit inside a small file' docs/sub/f7
flip "$TOP/dst/docs/sub/f7" 2

cp -p --sparse=always "$TOP/dst/big/sparse" "$TOP/sparse"
flip "$TOP/dst/big/sparse" 10
differs 'a bit inside a hole' big/sparse
fallocate --punch-hole --offset 0 --length 4096 "$TOP/dst/big/sparse"
touch -r "$TOP/sparse" "$TOP/dst/big/sparse"

mv "$TOP/dst/docs/sub/f8" "$TOP/f8"
differs 'a missing file' docs/sub/f8
mv "$TOP/f8" "$TOP/dst/docs/sub/f8"

chmod 777 "$TOP/dst/docs/sub/f9"
differs 'a mode' docs/sub/f9
chmod --reference="$TOP/src/docs/sub/f9" "$TOP/dst/docs/sub/f9"

ln -sfn /etc/passwd "$TOP/dst/docs/absolute"
differs 'a link that points elsewhere' docs/absolute
ln -sfn /etc/hostname "$TOP/dst/docs/absolute"; touch -hr "$TOP/src/docs/absolute" "$TOP/dst/docs/absolute"

flip "$TOP/dst/odd/"$'new\nline' 0
differs 'a file whose name would break a line' 'odd/new\012line'
flip "$TOP/dst/odd/"$'new\nline' 0

touch -d '2011-11-11' "$TOP/dst/empty"
differs 'the time of a directory' empty
touch -r "$TOP/src/empty" "$TOP/dst/empty"

touch -r "$TOP/src/docs" "$TOP/dst/docs"; touch -r "$TOP/src/docs/sub" "$TOP/dst/docs/sub"
same_tree "$TOP/src" "$TOP/dst"
expect 0 verify move --full
part 'the source too can be compared'
expect 0 verify move --side source
expect 0 verify move --side archive
