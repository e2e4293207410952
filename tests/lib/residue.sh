# residue.sh - one cell of the residue matrix: a file system on a loop device, contents, a retirement, and an independent judge.
#
#   cell NAME WANT [KEY=VALUE]...     WANT: cleared, or a verdict;  a/b: either
#
#     mkfs="ext4 -b 1024"     mount=data=journal     size=64M     offset=BYTES (the file system begins there: a partition)
#     prepare=FUNCTION        called when $M/src exists and is empty
#     after=FUNCTION          called when the contents are there and copied
#     files=FUNCTION          makes the contents in $1 instead of random_files
#     left=some               the judge must find something; none: must find nothing (default: none for cleared, any else)
#     require=VERDICT         clear.require of the plan (performed-not-provable)
#
# A verdict that begins with "cleared" while the judge still finds something fails the test, whatever was wanted.
[ "$(id -u)" = 0 ] || skip 'loop devices need root'
JUDGE=$WAYBILL_BUILD/tests/raw_search
[ -x "$JUDGE" ] || fail "$JUDGE is not built"
loops() { losetup -f >/dev/null 2>&1 || skip 'this machine has no free loop device'; }

random_files() {
	local n
	for n in {1..12}; do head -c $((n * 7001 + 300)) /dev/urandom >"$1/a-name-of-some-length-$n.dat"; done
	for n in {1..20}; do head -c $((n * 19 + 24)) /dev/urandom >"$1/little-one-$n"; done
}

# The kernel detaches the loop device with the last user of it.
cell_mount() {
	local image=$TOP/image
	rm -f "$image"; truncate -s "${size:-64M}" "$image"
	set -- ${mkfs:-ext4}
	command -v "mkfs.$1" >/dev/null || skip "no mkfs.$1 here"
	DEV=$(losetup --show ${offset:+-o $offset} -f "$image") || skip 'no loop device here'
	"mkfs.$1" -q "${@:2}" "$DEV" >/dev/null 2>"$TOP/mkfs.err" || { losetup -d "$DEV"; fail "mkfs.$1: $(cat "$TOP/mkfs.err")"; }
	mkdir -p "$M"
	mount ${mount:+-o $mount} "$DEV" "$M" 2>/dev/null || { losetup -d "$DEV"; skip "this kernel does not mount $1${mount:+ with $mount}"; }
	losetup -d "$DEV"	# lazily: when it is unmounted
}

cell() {
	local name=$1 want=$2 mkfs= mount= size= offset= prepare= after= files=random_files left= require=performed-not-provable word found verdict rc
	shift 2
	for word; do local "$word"; done
	part "$name: $want"
	loops
	M=$TOP/m-$name
	cell_mount
	mkdir "$M/src"
	[ -z "$prepare" ] || $prepare
	rm -rf "$TOP/ref"; mkdir "$TOP/ref"
	$files "$TOP/ref"
	cp -r "$TOP/ref/." "$M/src/"
	sync -f "$M"
	PLAN=$name MORE="clear: {require: $require}" retirement "local:$M/src" >"$TOP/$name.yaml"
	expect 3 run "$TOP/$name.yaml"
	expect 0 approve "$name" clear --as zhang --key "$KEYS/zhang"
	expect 0 approve "$name" clear --as li --key "$KEYS/li"
	[ -z "$after" ] || $after
	expect 0/4/5 run "$TOP/$name.yaml"; rc=$RC
	expect 0 --json certificate "$name"
	verdict=$(jq -r .verdict "$OUT")
	sync -f "$M"
	found=$("$JUDGE" "$DEV" "$TOP/ref") || fail "the judge cannot read $DEV"
	echo "  $verdict; the judge finds $found; $(jq -rc '[.control[0].control.cells[]? | "\(.class) \(.storage) \(.found)/\(.expected)"] | join(", ")' "$OUT")"
	umount "$M" || fail "umount $M"
	rm -f "$TOP/image"
	case $verdict in
	cleared-*)	[ "$found" = '0 0' ] || fail "$name: $verdict, and the judge finds $found: $(jq -c .residue "$OUT")"
		left=${left:-none} ;;
	esac
	case /$want/ in
	*/$verdict/*) ;;
	*/cleared/*)	case $verdict in
		cleared-full|cleared-guest-level) ;;
		*)	fail "$name: $verdict, expected cleared: $(jq -c '{items: [.items[] | {decided_by, results, errors, limits}], control, canaries, residue}' "$OUT")" ;;
		esac ;;
	*)	fail "$name: $verdict, expected $want: $(jq -c '{items: [.items[] | {decided_by, results, errors}], control, canaries, residue}' "$OUT")" ;;
	esac
	case ${left:-any} in
	none)	[ "$found" = '0 0' ] || fail "$name: the judge finds $found" ;;
	some)	[ "$found" != '0 0' ] || fail "$name: the judge finds nothing, so this cell shows nothing" ;;
	esac
	CELL_RC=$rc
}
