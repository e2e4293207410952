#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
. "$WAYBILL_SOURCE/tests/lib/fidelity.sh"
own_mounts
scenario 'verify names every single mutation of a target, and nothing else'

on_image ext4 "$TOP/fs" 300 || mkdir -p "$TOP/fs"
S=$TOP/fs/src D=$TOP/fs/dst
make_everything "$S"
migration "local:$S" "local:$D" >"$TOP/move.yaml"
expect 0 run "$TOP/move.yaml"
expect 0 verify move --full

# mutation NAME "PATH WHAT; ..." COMMAND...: the differences are exactly these; $BACK undoes it.
mutation() {
	local name=$1 want=$2
	shift 2
	part "$name"
	"$@" || fail "the mutation itself failed: $*"
	sync -f "$D"
	expect 4 --json verify move www --full
	jq -r '.differences[] | "\(.path) \(.what)"' "$OUT" | sort >"$TOP/have"
	tr ';' '\n' <<<"$want" | sed 's/^ *//; s/ *$//; /^$/d' | sort >"$TOP/want"
	cmp -s "$TOP/want" "$TOP/have" || { diff "$TOP/want" "$TOP/have" >&2; fail "verify names other things than: $want"; }
	jq -e '.verdict == "mismatch" and .difference_count == (.differences | length) and all(.differences[]; .expected != .found)' \
		"$OUT" >/dev/null || fail "the JSON of verify: $(cat "$OUT")"
	# Without --full it is found too: the last good verification does not hide it.
	expect 4 verify move
	"$BACK" || fail 'putting back failed'
	expect 0 verify move
}

byte() {	# FILE OFFSET: one byte, same size, same mtime
	touch -r "$1" "$TOP/ref"
	local old; old=$(dd if="$1" bs=1 skip="$2" count=1 status=none | od -An -tu1)
	printf "$(printf '\\x%02x' $((old ^ 1)))" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
	touch -r "$TOP/ref" "$1"
}
with_parent_time() { touch -r "$(dirname "$1")" "$TOP/dirref"; "${@:2}"; local rc=$?; touch -r "$TOP/dirref" "$(dirname "$1")"; return $rc; }

f=$D/content/three-megabytes
back_byte() { byte "$f" 1500000; }
BACK=back_byte mutation 'one bit of one byte in 3 MB, size and times as before' 'content/three-megabytes sha256' byte "$f" 1500000
back_large() { byte "$D/content/more-than-a-slice" 20971520; }
BACK=back_large mutation 'the last byte of a content in slices' 'content/more-than-a-slice sha256' byte "$D/content/more-than-a-slice" 20971520

x_back() { setfattr -n user.text -v 'old server' "$D/attr/xattr"; }
BACK=x_back mutation 'one xattr' 'attr/xattr xattr' setfattr -n user.text -v 'old serves' "$D/attr/xattr"
acl_back() { setfacl -m u:12345:r "$D/attr/acl"; }
BACK=acl_back mutation 'one ACL entry' 'attr/acl acl' setfacl -m u:12345:- "$D/attr/acl"
d=$D/attr/dir-default-acl
dacl_back() { setfacl -d -m u:12345:rwx "$d"; }
BACK=dacl_back mutation 'one entry of a default ACL' 'attr/dir-default-acl acl' setfacl -d -m u:12345:rw "$d"
time_back() { touch -d '1999-12-31 23:59:59.123456789' "$D/content/one-byte"; }
BACK=time_back mutation 'one nanosecond of an mtime' 'content/one-byte mtime' touch -d '1999-12-31 23:59:59.123456788' "$D/content/one-byte"
ltime_back() { touch -h -d '2001-02-03 04:05:06.700000007' "$D/odd/absolute"; }
BACK=ltime_back mutation 'one nanosecond of a symlink' 'odd/absolute mtime' touch -h -d '2001-02-03 04:05:06.700000008' "$D/odd/absolute"
mode_back() { chmod 4755 "$D/attr/setuid"; }
BACK=mode_back mutation 'the set-user-id bit' 'attr/setuid mode' chmod 0755 "$D/attr/setuid"
own_back() { chown 12345:54321 "$D/attr/owner"; }
BACK=own_back mutation 'one owner' 'attr/owner uid' chown 12346 "$D/attr/owner"
grp_back() { chown 0:54321 "$D/attr/dir-setgid"; chmod 2775 "$D/attr/dir-setgid"; }
BACK=grp_back mutation 'one group of a directory' 'attr/dir-setgid gid' chgrp 54322 "$D/attr/dir-setgid"
flag_back() { chattr +i "$D/flags/immutable"; }
BACK=flag_back mutation 'one inode flag' 'flags/immutable flags' chattr -i "$D/flags/immutable"

break_link() { cp -p --preserve=all "$D/links/elsewhere/far/b" "$D/links/elsewhere/far/.new" && mv "$D/links/elsewhere/far/.new" "$D/links/elsewhere/far/b"; }
break_one() { with_parent_time "$D/links/elsewhere/far/b" break_link; }
link_back() { with_parent_time "$D/links/elsewhere/far/b" ln -f "$D/links/a" "$D/links/elsewhere/far/b"; }
BACK=link_back mutation 'one hard link broken: it and the names that are left' \
	'links/a nlink; links/elsewhere/far/b nlink; links/elsewhere/far/b link; links/z-first-made nlink; odd/c nlink' break_one

add() { with_parent_time "$D/odd/empty/added" touch "$D/odd/empty/added"; }
add_back() { with_parent_time "$D/odd/empty/added" rm "$D/odd/empty/added"; }
BACK=add_back mutation 'one entry added' 'odd/empty/added extra' add
gone() { mv "$D/content/empty" "$TOP/fs/taken"; touch -r "$S/content" "$D/content"; }
gone_back() { mv "$TOP/fs/taken" "$D/content/empty"; touch -r "$S/content" "$D/content"; }
BACK=gone_back mutation 'one entry removed' 'content/empty missing' gone
other() { ln -sfn elsewhere "$D/odd/up"; touch -h -r "$S/odd/up" "$D/odd/up"; touch -r "$S/odd" "$D/odd"; }
other_back() { ln -sfn .. "$D/odd/up"; touch -h -r "$S/odd/up" "$D/odd/up"; touch -r "$S/odd" "$D/odd"; }
BACK=other_back mutation 'one symlink retargeted' 'odd/up target' other
dev() { rm "$D/odd/big-minor"; mknod "$D/odd/big-minor" c 240 7; touch -r "$S/odd/big-minor" "$D/odd/big-minor"; touch -r "$S/odd" "$D/odd"; setfacl -b "$D/odd/big-minor"; chmod --reference="$S/odd/big-minor" "$D/odd/big-minor"; }
dev_back() { rm "$D/odd/big-minor"; mknod "$D/odd/big-minor" c 240 262143; touch -r "$S/odd/big-minor" "$D/odd/big-minor"; touch -r "$S/odd" "$D/odd"; setfacl -b "$D/odd/big-minor"; chmod --reference="$S/odd/big-minor" "$D/odd/big-minor"; }
BACK=dev_back mutation 'another device number' 'odd/big-minor device' dev
fill() { dd if=/dev/zero of="$D/sparse/comb" bs=4096 seek=1 count=1 conv=notrunc status=none; touch -r "$S/sparse/comb" "$D/sparse/comb"; }
fill_back() { fallocate -p -o 4096 -l 4096 "$D/sparse/comb"; touch -r "$S/sparse/comb" "$D/sparse/comb"; }
BACK=fill_back mutation 'one hole filled with zeros' 'sparse/comb layout' fill
punch() { fallocate -p -o 65536 -l 4096 "$D/content/written-zeros"; touch -r "$S/content/written-zeros" "$D/content/written-zeros"; }
punch_back() { dd if=/dev/zero of="$D/content/written-zeros" bs=4096 seek=16 count=1 conv=notrunc status=none; touch -r "$S/content/written-zeros" "$D/content/written-zeros"; }
BACK=punch_back mutation 'written zeros turned into a hole' 'content/written-zeros layout' punch
kind() { rm "$D/content/empty"; mkfifo "$D/content/empty"; touch -r "$S/content" "$D/content"; }
kind_back() { rm "$D/content/empty"; cp -p --preserve=all "$S/content/empty" "$D/content/empty"; touch -r "$S/content" "$D/content"; }
BACK=kind_back mutation 'another type' 'content/empty type' kind
part 'the archive: one flipped byte of an object'
o=$(objects | grep '\.tar\.zst$' | head -n 1)
chmod 600 "$o"; byte "$o" 300; chmod 400 "$o"
expect 4 --json verify move www --side archive
jq -e '.verdict == "mismatch" and .difference_count > 0' "$OUT" >/dev/null || fail "the archive's JSON: $(cat "$OUT")"
chmod 600 "$o"; byte "$o" 300; chmod 400 "$o"
expect 0 verify move www --side archive
same_everything "$S" "$D" 'after all'
