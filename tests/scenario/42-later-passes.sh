#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
. "$WAYBILL_SOURCE/tests/lib/fidelity.sh"
own_mounts
scenario 'Later passes: hidden changes, moves, other types, deletions, locked entries; the balance always closes'

on_image ext4 "$TOP/fs" 300 || mkdir -p "$TOP/fs"
S=$TOP/fs/src D=$TOP/fs/dst
make_small "$S"
for n in {1..40}; do echo "file $n" >"$S/a/f$n"; done
head -c 20000000 /dev/urandom >"$S/c/large"
mkdir -p "$S/t" "$S/moved/deep"; echo 1 >"$S/t/file-to-dir"; mkdir "$S/t/dir-to-file"; echo in >"$S/t/dir-to-file/x"; ln -s x "$S/t/link-to-file"
mkdir "$S/t/dir-to-link"; echo 2 >"$S/t/dir-to-link/y"; echo 3 >"$S/t/file-to-fifo"; head -c 5000000 /dev/urandom >"$S/moved/deep/five"
migration "local:$S" "local:$D" >"$TOP/move.yaml"

stored() { objects | xargs stat -c %s | awk '{s += $1} END {print s + 0}'; }
pass() {	# TEXT EXIT [ARGS]: run, and everything agrees
	part "$1"
	sleep 2.1	# beyond the time in which a change hides behind an equal ctime
	expect "$2" run "$TOP/move.yaml" "${@:3}"
	[ "$2" = 0 ] || return 0
	same_everything "$S" "$D" "$1"
	balance move www >"$TOP/summary"
	same_text 0 "$(field failed <"$TOP/summary")" 'failed'
}
pass 'the first' 0
pass 'nothing changed' 0
same_text 0 "$(field copied <"$TOP/summary")" 'copied'

echo FILE 1 >"$TOP/new"; touch -r "$S/a/f1" "$TOP/ref"; printf 'FILE 1\n' >"$S/a/f1"; touch -r "$TOP/ref" "$S/a/f1"
touch -r "$S/c/large" "$TOP/ref"; printf x | dd of="$S/c/large" bs=1 seek=9999999 conv=notrunc status=none; touch -r "$TOP/ref" "$S/c/large"
pass 'the same size and mtime, another content' 0
same_text 'FILE 1' "$(cat "$D/a/f1")" 'a/f1 at the target'

mv "$S/a/f2" "$S/a/g2"; mv "$S/moved/deep" "$S/c/deep"; mv "$S/a/f3" "$S/a/f4"; ln -f "$S/a/f5" "$S/c/f5"
pass 'renamed, moved, moved over another, a new link' 0

rm "$S/t/file-to-dir"; mkdir "$S/t/file-to-dir"; echo now >"$S/t/file-to-dir/inside"
rm -r "$S/t/dir-to-file"; echo now >"$S/t/dir-to-file"
rm "$S/t/link-to-file"; echo now >"$S/t/link-to-file"
rm -r "$S/t/dir-to-link"; ln -s /nowhere "$S/t/dir-to-link"
rm "$S/t/file-to-fifo"; mkfifo "$S/t/file-to-fifo"
pass 'other types' 0
rm -r "$S/t/file-to-dir"; echo back >"$S/t/file-to-dir"
rm "$S/t/dir-to-file"; mkdir -p "$S/t/dir-to-file/again"; echo back >"$S/t/dir-to-file/x"
rm "$S/t/dir-to-link"; mkdir "$S/t/dir-to-link"; rm "$S/t/file-to-fifo"; ln -s x "$S/t/file-to-fifo"
pass 'and back' 0

before=$(stored)
chmod 600 "$S/c/large"; chown 12345 "$S/c/deep/five"; touch -d '2001-01-01 01:01:01.000000001' "$S/a/f6"
setfattr -n user.new -v x "$S/c/many"; setfacl -m u:12345:r "$S/a/f7"; chmod 700 "$S/a"; chattr +d "$S/a/f8"
pass 'attributes only: no data' 0
[ $(($(stored) - before)) -lt 8192 ] || fail "$(($(stored) - before)) bytes were stored for changes of attributes"
[ "$(field copied <"$TOP/summary")" -ge 7 ] || fail 'the changed attributes are not counted'

echo secret >"$S/a/locked"; mkdir "$S/a/locked-dir" "$S/a/append-dir"; echo l >"$S/a/locked-dir/in"; echo m >"$S/a/append-dir/in"; ln "$S/a/locked" "$S/c/locked-too"
chattr +i "$S/a/locked" "$S/a/locked-dir/in" "$S/a/locked-dir"; chattr +a "$S/a/append-dir"
pass 'locked entries' 0
chattr -i "$S/a/locked" "$S/a/locked-dir" "$S/a/locked-dir/in"; echo other >"$S/a/locked"; rm "$S/a/locked-dir/in"; echo n >"$S/a/locked-dir/new"; echo more >>"$S/a/append-dir/in"
ln "$S/a/locked" "$S/a/locked-3"; chattr +i "$S/a/locked" "$S/a/locked-dir"; chattr +a "$S/a/append-dir/in"
pass 'locked at both ends, changed in between' 0
chattr -i "$S/a/locked" "$S/a/locked-dir"; chattr -a "$S/a/append-dir" "$S/a/append-dir/in"; rm -r "$S/a/locked-dir" "$S/a/append-dir" "$S/a/locked"
chattr +i "$S"
pass 'locked at the target only, gone at the source; the root locked' 0
chattr -i "$S"; echo r >"$S/a/after-root"
pass 'and the root open again' 0

part 'deletions: only what was known, the cap asks, an emptied source is refused'
rm "$S"/a/f{10..29}
expect 3 run "$TOP/move.yaml"
says "$ERR" limits.deletes --yes
[ -e "$D/a/f20" ] || fail 'deleted without an answer'
pass 'the cap answered' 0 --yes
[ ! -e "$D/a/f20" ] || fail 'not deleted'
n=$(versions move www)
mkdir "$TOP/fs/aside"; mv "$S"/* "$TOP/fs/aside/"
expect 6 run "$TOP/move.yaml" --yes
says "$ERR" 'is empty'
same_text "$n" "$(versions move www)" 'versions after the refusal'
[ -e "$D/c/large" ] || fail 'an emptied source emptied the target'
mv "$TOP/fs/aside"/* "$S/"
mv "$S" "$TOP/fs/gone"; mkdir "$S"; cp -a "$TOP/fs/gone/." "$S/"
expect 6 run "$TOP/move.yaml"
says "$ERR" 'another directory or file system'
rm -rf "$S"; mv "$TOP/fs/gone" "$S"
sleep 2.1
expect 0 run "$TOP/move.yaml" --yes
same_everything "$S" "$D" 'after all that'
