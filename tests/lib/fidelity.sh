# fidelity.sh - a tree with one of everything, and two judges that are not waybill.  Source it after scenario.sh.
#
#   on_image KIND DIR [MIB]   mounts a fresh ext4, xfs or btrfs image at DIR; 1 where that is not possible (own_mounts first)
#   make_everything DIR       every inode type and attribute that the file system beneath DIR can hold, as root
#   matrix KIND               the whole of it: three routes, target and restore, on a file system of that kind
#   dump DIR                  tests/lib/dump_tree without what is never copied (sockets)
#   same_dump A B WHAT        the dumps are equal
#   same_by_mtree PLAN DIR WHAT   what the manifest says, by NetBSD's mtree and bsdtar
#   same_everything A B WHAT  the dump, and rsync -aHAXn --delete --checksum
DUMP_TREE=$WAYBILL_BUILD/tests/dump_tree

on_image() {
	local image=$TOP/image.${2##*/}.$1
	command -v "mkfs.$1" >/dev/null || return 1
	truncate -s "${3:-320}M" "$image" || return 1
	"mkfs.$1" -q $([ "$1" != ext4 ] || echo -b 4096 -I 256) "$image" >/dev/null 2>&1 || return 1
	mkdir -p "$2"
	mount -o loop "$image" "$2" 2>/dev/null || return 1
	rmdir "$2/lost+found" 2>/dev/null
	return 0
}

unlock() { chattr -R -f -i -a "$1" 2>/dev/null; return 0; }

everything_contents() {
	local d=$1
	mkdir -p "$d"/{content,sparse}
	: >"$d/content/empty"
	printf x >"$d/content/one-byte"
	head -c 4096 /dev/urandom >"$d/content/a-block"
	head -c 3000000 /dev/urandom >"$d/content/three-megabytes"
	head -c 2000000 /dev/zero >"$d/content/written-zeros"
	head -c 20971521 /dev/urandom >"$d/content/more-than-a-slice"
	truncate -s 1048576 "$d/sparse/only-hole"
	truncate -s 100 "$d/sparse/only-hole-short"
	truncate -s 1048576 "$d/sparse/hole-first"; echo end >>"$d/sparse/hole-first"
	head -c 65536 /dev/urandom >"$d/sparse/hole-last"; truncate -s 1048576 "$d/sparse/hole-last"
	head -c 4096 /dev/urandom >"$d/sparse/block-and-hole"; truncate -s 8192 "$d/sparse/block-and-hole"
	setfattr -n user.fills -v "$(head -c 1500 /dev/zero | tr '\0' x)" "$d/sparse/block-and-hole"
	local i
	truncate -s 4194304 "$d/sparse/comb"
	for i in {0..31}; do head -c 4096 /dev/urandom | dd of="$d/sparse/comb" bs=4096 seek=$((i * 32)) conv=notrunc status=none; done
	truncate -s 4194304 "$d/sparse/zeros-are-data"
	dd if=/dev/zero of="$d/sparse/zeros-are-data" bs=65536 seek=16 count=4 conv=notrunc status=none
	truncate -s 67108864 "$d/sparse/wide"; printf middle | dd of="$d/sparse/wide" bs=1 seek=43554432 conv=notrunc status=none
	fallocate -l 1048576 "$d/sparse/preallocated"
	truncate -s 4194304 "$d/sparse/mixed"; fallocate -n -o 1048576 -l 524288 "$d/sparse/mixed"
	printf data | dd of="$d/sparse/mixed" bs=1 seek=3145728 conv=notrunc status=none
	sync -f "$d"
}

everything_names() {
	local d=$1 n long
	mkdir -p "$d/names"
	for n in "${HOSTILE[@]}"; do echo "content of $n" >"$d/names/$n"; done
	long=$(printf 'n%.0s' {1..255})
	echo long >"$d/names/$long"
	mkdir -p "$d/names/repo/.git/objects" "$d/names/d$(printf 'd%.0s' {1..254})"
	echo 'ref: refs/heads/main' >"$d/names/repo/.git/HEAD"
	echo '*' >"$d/names/repo/.gitignore"
	# Deeper than any single call can name.
	(cd "$d/names" && for n in {1..22}; do mkdir "$long" 2>/dev/null || mkdir "p$long" 2>/dev/null
		n=$(printf 'p%.0s' {1..250}); mkdir -p "$n" && cd "$n" || exit 1; done
		echo deep >file; ln -s over-there link; mkfifo fifo; ln file hard
		setfattr -n user.depth -v deep file; touch -d '2003-03-03 03:03:03.030303030' file .) || fail 'no deep path'
}

everything_inodes() {
	local d=$1 target
	mkdir -p "$d"/{links,odd,links/elsewhere/far}
	target=$(printf 'a/%.0s' {1..2047})
	mkdir -p "$d/odd/empty"
	ln -s nowhere "$d/odd/dangling"; ln -s /etc/hostname "$d/odd/absolute"; ln -s .. "$d/odd/up"; ln -s . "$d/odd/loop"
	ln -s "$target" "$d/odd/long-link" 2>/dev/null || ln -s "${target:0:1000}" "$d/odd/long-link"
	ln -s $'\xff\xfe bytes\n' "$d/odd/byte-link"
	mkfifo "$d/odd/fifo"
	mknod "$d/odd/null" c 1 3; mknod "$d/odd/disk" b 7 200; mknod "$d/odd/big-minor" c 240 262143
	python3 -c 'import socket, sys; s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1])' "$d/odd/socket" 2>/dev/null ||
		perl -MIO::Socket::UNIX -e 'IO::Socket::UNIX->new(Local => $ARGV[0], Listen => 1) or exit 1' "$d/odd/socket"
	echo linked >"$d/links/z-first-made"
	ln "$d/links/z-first-made" "$d/links/a"; ln "$d/links/z-first-made" "$d/links/elsewhere/far/b"; ln "$d/links/z-first-made" "$d/odd/c"
	ln "$d/odd/fifo" "$d/links/fifo"; ln "$d/odd/null" "$d/links/null"; ln "$d/odd/dangling" "$d/links/dangling"
	head -c 20971521 /dev/urandom >"$d/links/large"; ln "$d/links/large" "$d/links/elsewhere/large"
}

everything_attributes() {
	local d=$1/attr f n
	mkdir -p "$d"
	for f in setuid setgid sticky none all owner capable acl xattr large-xattr empty-xattr xattr-limit xattr-many acl-mask; do echo "$f" >"$d/$f"; done
	chown 12345:54321 "$d/owner"; chown -h 12345:54321 "$1/odd/dangling" "$1/odd/fifo"; chown 4294967294:4294967294 "$d/all"
	chmod 4755 "$d/setuid"; chmod 2755 "$d/setgid"; chmod 1644 "$d/sticky"; chmod 0000 "$d/none"; chmod 7777 "$d/all"
	mkdir "$d"/{dir-setgid,dir-sticky,dir-none,dir-default-acl,dir-no-acl}
	chown 0:54321 "$d/dir-setgid"; chmod 2775 "$d/dir-setgid"; chmod 1777 "$d/dir-sticky"; chmod 0 "$d/dir-none"
	setfacl -m u:12345:r,g:54321:rw "$d/acl"; setfacl -m u:12345:rwx,m::r "$d/acl-mask"
	echo before >"$d/dir-default-acl/without-acl"; mkdir "$d/dir-default-acl/without-default"
	setfacl -d -m u:12345:rwx,g:54321:r-x "$d/dir-default-acl"; setfacl -m u:12345:rwx "$d/dir-default-acl"
	echo after >"$d/dir-default-acl/inherits"
	setfattr -n user.text -v 'old server' "$d/xattr"; setfattr -n user.binary -v 0x00ff0a1b "$d/xattr"
	setfattr -n trusted.secret -v 0x01 "$d/xattr"; setfattr -n $'user.\xe5\x90\x8d odd=name' -v v "$d/xattr"
	setfattr -n user.empty "$d/empty-xattr"
	setfattr -n user.large -v "$(head -c 2900 /dev/zero | tr '\0' y)" "$d/large-xattr"
	# As much as the file system takes: one block on ext4, 64 KiB on xfs, a node on btrfs.
	local size
	for size in 65536 32768 16000 8000 3900 3000; do
		setfattr -n user.limit -v "$(head -c "$size" /dev/zero | tr '\0' z)" "$d/xattr-limit" 2>/dev/null && break
	done
	for n in {1..40}; do setfattr -n "user.one-of-many-$n" -v "$n" "$d/xattr-many" || fail 'forty attributes'; done
	setfattr -n user.dir -v d "$d/dir-setgid"; setfattr -h -n trusted.link -v l "$1/odd/dangling"
	setfattr -n trusted.fifo -v f "$1/odd/fifo" 2>/dev/null
	setfattr -n security.capability -v 0x0100000200040000000000000000000000000000 "$d/capable"
	chmod 4755 "$d/capable"	# after the capability: both must stand
}

# Last, for these entries can no longer be changed.
everything_flags() {
	local d=$1/flags f
	mkdir -p "$d"/{dir-immutable,dir-append,dir-nodump}
	for f in immutable append nodump noatime both hard-1 dir-immutable/inside dir-append/inside; do echo "$f" >"$d/$f"; done
	ln "$d/hard-1" "$d/dir-immutable/hard-2"
	head -c 20971521 /dev/urandom >"$d/large-immutable"
	everything_times "$1"
	chattr +d "$d/nodump" "$d/dir-nodump"; chattr +A "$d/noatime"; chattr +di "$d/both"
	chattr +a "$d/append" "$d/dir-append"; chattr +i "$d/immutable" "$d/large-immutable" "$d/hard-1" "$d/dir-immutable"
}

everything_times() {
	touch -d '1999-12-31 23:59:59.123456789' "$1/content/one-byte"; touch -d '2038-01-20 00:00:00.000000001' "$1/content/empty"
	touch -d '1960-01-01 00:00:00.5' "$1/attr/none"; touch -d '1970-01-01 00:00:00 UTC' "$1/attr/acl"
	touch -h -d '2001-02-03 04:05:06.700000007' "$1/odd/dangling" "$1/odd/absolute"
	touch -d '2005-05-05 05:05:05.050505050' "$1/odd/fifo" "$1/odd/null" "$1/odd/empty" "$1/attr/dir-none" "$1/links" "$1/odd" "$1/flags"
}

make_everything() {
	everything_contents "$1"
	everything_names "$1"
	everything_inodes "$1"
	everything_attributes "$1"
	everything_flags "$1"
	chmod 0751 "$1"; chown 12345:54321 "$1"; setfattr -n user.root -v yes "$1"
	setfacl -d -m u:12345:rwx "$1"; setfacl -m u:54321:rx "$1"
	touch -d '2010-10-10 10:10:10.101010101' "$1"
	sync -f "$1"
}

# Accepted differences: a socket is an end point of a process, not data (reported as skipped).
dump() { "$DUMP_TREE" "$1" | grep -av '^[^ ]* socket '; return "${PIPESTATUS[0]}"; }

same_dump() {
	dump "$1" >"$TOP/dump.want" || fail "$3: no dump of $1"
	dump "$2" >"$TOP/dump.have" || fail "$3: no dump of $2"
	cmp -s "$TOP/dump.want" "$TOP/dump.have" ||
		{ diff "$TOP/dump.want" "$TOP/dump.have" | cut -c1-400 | head -n 40 >&2; fail "$3: the dumps of $1 and $2 differ"; }
}

# rsync cannot go deeper than PATH_MAX: that branch is the dump's alone.
same_everything() {
	same_dump "$1" "$2" "$3"
	rsync -aHAXn --delete --checksum --itemize-changes --exclude /odd/socket --exclude "/names/$(printf 'p%.0s' {1..250})" "$1/" "$2/" \
		>"$TOP/rsync.out" 2>"$TOP/rsync.err" || { cat -v "$TOP/rsync.err" >&2; fail "$3: rsync cannot compare"; }
	is_empty "$TOP/rsync.out" "$3: rsync's differences"
}

# A third judge that shares no code with the others: our own manifest, read by bsdtar, is what NetBSD's mtree checks the tree with.
# It cannot judge names with a pattern's signs, what it cannot chdir to, devices and flags; those rows are the dump's and rsync's.
same_by_mtree() {	# PLAN DIR WHAT
	command -v mtree >/dev/null && command -v bsdtar >/dev/null || return 0
	manifest "$1" www | grep -av '^#+' >"$TOP/spec"
	grep -a -e '^#mtree' -e '^\. ' -e '^\./content' -e '^\./links' -e '^\./attr' -e '^\./sparse' "$TOP/spec" >"$TOP/spec.part"
	[ "$(wc -l <"$TOP/spec.part")" -gt 40 ] || fail "$3: mtree has nothing to judge"
	mtree -p "$2" -k type,mode,uid,gid,time,nlink,size,sha256,link -f "$TOP/spec.part" >"$TOP/mtree.out" 2>&1
	grep -av '^extra: ' "$TOP/mtree.out" >"$TOP/mtree.differs"
	is_empty "$TOP/mtree.differs" "$3: mtree's differences"
	# bsdtar reads the whole list, names of every kind as well.
	same_text "$(grep -ac '^\.' "$TOP/spec")" "$(bsdtar -tf "$TOP/spec" 2>"$TOP/bsdtar.err" | wc -l)" "$3: entries that bsdtar reads in the manifest"
}

# ---- the matrix: SSH by libssh2 and by the OpenSSH client, and local ----

matrix_route() {
	case $1 in
	libssh2) HOST[old]=${LIBSSH2[0]/ssh:/client: libssh2, ssh:} HOST[new]=${LIBSSH2[1]/ssh:/client: libssh2, ssh:} ;;
	openssh) HOST[old]=${LIBSSH2[0]/ssh:/client: openssh, ssh:} HOST[new]=${LIBSSH2[1]/ssh:/client: openssh, ssh:} ;;
	esac
}

matrix_one() {	# KIND ROUTE
	local kind=$1 from=old to=new name=$1-$2 mount=$TOP/$1 back
	[ "$2" != local ] || from=local to=local
	matrix_route "$2"
	unlock "$mount/to"; rm -rf "$mount/to"
	# A default ACL above the target, which must not leak in.
	mkdir -p "$mount/to/dst"; setfacl -d -m u:777:rwx "$mount/to/dst"
	migration "$from:$mount/src" "$to:$mount/to/dst" | sed "s/^name: .*/name: $name/" >"$TOP/$name.yaml"
	part "$kind, $2: target"
	expect 0 run "$TOP/$name.yaml"
	same_everything "$mount/src" "$mount/to/dst" "$name"
	balance "$name" www >"$TOP/summary"
	same_text '0 1' "$(jq -r '"\(.failed) \(.skipped)"' "$TOP/summary")" 'failed and skipped (the socket)'
	expect 0 show "$name" www --skipped
	says "$OUT" odd/socket socket
	expect 0 --json verify "$name" --full
	same_by_mtree "$name" "$mount/to/dst" "$name"
	part "$kind, $2: restore"
	unlock "$mount/to"; rm -rf "$mount/to"
	back=$mount/to/back
	mkdir -p "$back"; setfacl -d -m u:777:rwx "$back"
	expect 0 restore "$name" www --to "$back"
	same_everything "$mount/src" "$back" "$name restored"
}

matrix() {
	host old; host new
	LIBSSH2=("${HOST[old]}" "${HOST[new]}")
	on_image "$1" "$TOP/$1" 400 || skip "no $1 image can be mounted here"
	mkdir "$TOP/$1/src"
	make_everything "$TOP/$1/src"
	for way in ${WAYBILL_ROUTES:-libssh2 openssh local}; do matrix_one "$1" "$way"; done
	unlock "$TOP/$1"
	umount "$TOP/$1"
}
