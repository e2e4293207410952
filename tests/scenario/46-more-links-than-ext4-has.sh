#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
. "$WAYBILL_SOURCE/tests/lib/fidelity.sh"
own_mounts
scenario 'An inode with more than 65000 names: on xfs all of them are links, on ext4 the rest share a copy, and that is said'

on_image xfs "$TOP/xfs" 400 && on_image ext4 "$TOP/ext4" 400 || skip 'no xfs and ext4 images can be mounted here'
S=$TOP/xfs/src
mkdir -p "$S"/{a,b}
head -c 3000 /dev/urandom >"$S/a/0"; setfattr -n user.x -v y "$S/a/0"; chmod 640 "$S/a/0"
python3 - "$S" <<'PY' 2>/dev/null || perl -e 'link "$ARGV[0]/a/0", sprintf("%s/%s/%d", $ARGV[0], $_ % 2 ? "a" : "b", $_) or die for 1..65010' "$S"
import os, sys
for n in range(1, 65011):
    os.link(sys.argv[1] + '/a/0', '%s/%s/%d' % (sys.argv[1], 'a' if n % 2 else 'b', n))
PY
[ "$(stat -c %h "$S/a/0")" = 65011 ] || fail 'the source has not its links'

migration "local:$S" "local:$TOP/ext4/dst" >"$TOP/move.yaml"
expect 0 run "$TOP/move.yaml"
says "$ERR" 'no more hard links to a/0'
D=$TOP/ext4/dst
same_text 65011 "$(find "$D" -type f | wc -l)" 'names at the target'
same_text 2 "$(find "$D" -type f -printf '%i\n' | sort -u | wc -l)" 'inodes at the target'
same_text 1 "$(find "$D" -type f -exec md5sum {} + | cut -d' ' -f1 | sort -u | wc -l)" 'contents at the target'
same_text 1 "$(find "$D" -type f -printf '%m %U %G %T@\n' | sort -u | wc -l)" 'attributes at the target'
last=$(find "$D" -type f -links -100 | head -n 1)
same_text y "$(getfattr --only-values -n user.x "$last" 2>/dev/null)" 'the xattr of the copy'
balance move www >"$TOP/summary"
same_text 0 "$(field failed <"$TOP/summary")" failed
expect 0 verify move --full
printf x | dd of="$last" bs=1 seek=5 conv=notrunc status=none
expect 4 verify move --full

part 'back on xfs they are one inode again'
expect 0 restore move www --to "$TOP/xfs/back"
same_text 1 "$(find "$TOP/xfs/back" -type f -printf '%i\n' | sort -u | wc -l)" 'inodes restored to xfs'
