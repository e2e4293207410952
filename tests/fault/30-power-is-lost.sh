#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
. "$WAYBILL_SOURCE/tests/lib/fault.sh"
own_mounts
command -v mkfs.xfs >/dev/null || skip 'no mkfs.xfs'
scenario 'The power fails at random moments: what the disk holds then is enough to go on, and nothing there claims more than it holds'

# Archive, ledger and target lie on a disk that is a file; a reflink of that file at some moment is what the disk had then: what was
# written and not synced is lost, and the journal is replayed at the next mount.
truncate -s 1500M "$TOP/outer"
mkfs.xfs -q -m reflink=1 "$TOP/outer" 2>"$TOP/mkfs.err" || mkfs.xfs -q -f "$TOP/outer" || skip 'mkfs.xfs fails'
mkdir "$TOP/shelf" "$TOP/disk"
mount -o loop "$TOP/outer" "$TOP/shelf" || skip 'no loop mounts here'
fault_tree "$TOP/src"

# Under its final name a file at the target is the file of the source, or it is not there.
present_is_whole() {
	(cd "$DST" && find . -name '.waybill*' -prune -o -type f -print0) >"$TOP/present"
	(cd "$DST" && xargs -0r sha256sum) <"$TOP/present" >"$TOP/sums"
	[ ! -s "$TOP/sums" ] || (cd "$TOP/src" && sha256sum --quiet -c "$TOP/sums" 2>&1) >"$TOP/wrong" || fail "present and not whole: $(head -n 5 "$TOP/wrong")"
}

strike() {
	local run i lost what=(both archive target)
	umount "$TOP/disk" 2>/dev/null
	rm -f "$TOP/shelf/now" "$TOP/shelf/then"
	truncate -s 300M "$TOP/shelf/now"
	mkfs.ext4 -q -E lazy_itable_init=1 "$TOP/shelf/now" || fail 'mkfs.ext4'
	mount -o loop "$TOP/shelf/now" "$TOP/disk" || fail 'mount'
	# Both, or one of them alone: else the sync of the one would cover what the other forgot.
	dice 3; lost=$DICE
	[ "$lost" = 1 ] || { rm -rf "$DST"; DST=$TOP/disk/dst; mkdir "$DST"; }
	[ "$lost" = 2 ] || { rm -rf "$WS"; WS=$TOP/disk/ws; bare 0 init "$WS"; }
	MORE='passes: {verify: no}'
	migration "local:$TOP/src" "local:$DST" | sed "s/^name: move/name: $PLAN/" >"$TOP/$PLAN.yaml"
	sync -f "$TOP/disk"
	dice 1500
	told "power of ${what[$lost]} lost after $DICE ms"
	"$WAYBILL" -C "$WS" run "$TOP/$PLAN.yaml" >"$OUT" 2>"$ERR" </dev/null & run=$!
	sleep "$((DICE / 1000)).$(printf %03d $((DICE % 1000)))"
	kill -0 "$run" 2>/dev/null && STRUCK=$((STRUCK + 1))
	cp --reflink=always "$TOP/shelf/now" "$TOP/shelf/then" || fail 'no reflink'
	kill -9 "$run" 2>/dev/null; wait "$run" 2>/dev/null
	for ((i = 0; i < 100; i++)); do umount "$TOP/disk" 2>/dev/null && break; sleep 0.1; done
	mount -o loop "$TOP/shelf/then" "$TOP/disk" || fail 'the disk cannot be mounted any more'
	present_is_whole
	claims_hold
	resumed
	umount "$TOP/disk"
}
rounds 6 strike
