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

# A fresh disk with what is to be lost on it: archive and target, or one of them alone, or of the archive the objects alone: else the sync
# of the one (of SQLite and git too) would cover what the other forgot.
fresh_disk() {
	umount "$TOP/disk" 2>/dev/null
	rm -f "$TOP/shelf/now" "$TOP/shelf/then"
	truncate -s 300M "$TOP/shelf/now"
	mkfs.ext4 -q -E lazy_itable_init=1 "$TOP/shelf/now" || fail 'mkfs.ext4'
	# Nothing gets to the disk because time has passed.
	mount -o loop,commit=600 "$TOP/shelf/now" "$TOP/disk" || fail 'mount'
	rm -rf "$DST" "$WS"
	DST=$TOP/dst-$PLAN WS=$TOP/ws-$PLAN
	case $1 in both|target) DST=$TOP/disk/dst ;; esac
	case $1 in both|archive) WS=$TOP/disk/ws ;; esac
	mkdir "$DST"; bare 0 init "$WS"
	[ "$1" != objects ] || { mv "$WS/.waybill/store" "$TOP/disk/store"; mkdir "$WS/.waybill/store"; shelve; }
	migration "local:$TOP/src" "local:$DST" | sed "s/^name: move/name: $PLAN/" >"$TOP/$PLAN.yaml"
	sync -f "$TOP/disk"
}

shelve() { mount --bind "$TOP/disk/store" "$WS/.waybill/store" || fail 'no bind mount'; }
unshelve() { ! mountpoint -q "$WS/.waybill/store" || umount "$WS/.waybill/store"; }

# What the disk holds now, and nobody who still writes.
cut_power() {
	local i
	cp --reflink=always "$TOP/shelf/now" "$TOP/shelf/then" || fail 'no reflink'
	kill -9 "$1" $(pgrep -f "agent.* --root $TOP/") 2>/dev/null; wait "$1" 2>/dev/null
	for ((i = 0; i < 600; i++)); do unshelve 2>/dev/null && umount "$TOP/disk" 2>/dev/null && break; nap 0.1; done
	mount -o loop "$TOP/shelf/then" "$TOP/disk" || fail 'the disk cannot be mounted any more'
	[ ! -d "$TOP/disk/store" ] || shelve
}

# The run, or an agent of it, stands still; false when the run ended before.
somebody_stopped() {
	local pid line
	while kill -0 "$1" 2>/dev/null; do
		for pid in "$1" $(pgrep -P "$1"); do
			{ read -r line <"/proc/$pid/stat"; } 2>/dev/null || continue
			line=${line##*) }
			case ${line%% *} in T) return 0 ;; Z) [ "$pid" != "$1" ] || return 1 ;; esac
		done
		nap 0.02
	done
	return 1
}

strike() {
	local run lost=(both archive objects target) n
	dice 4; lost=${lost[$DICE]}
	fresh_disk "$lost"
	dice "$CALLS"; n=$((DICE + 1))
	told "power of $lost lost at call $n of $CALLS of the run, or of an agent that gets so far"
	WAYBILL_FAULT=any:$n:stop "$WAYBILL" -C "$WS" run "$TOP/$PLAN.yaml" >"$OUT" 2>"$ERR" </dev/null & run=$!
	if somebody_stopped "$run"; then STRUCK=$((STRUCK + 1)); fi
	cut_power "$run"
	present_is_whole
	claims_hold
	resumed
	unshelve
	umount "$TOP/disk"
}

# Would a forgotten sync be found?  A disk that lies, and the power fails when the run is over.
unmasked() {
	PLAN=mute-$1
	fresh_disk "$1"
	WAYBILL_FAULT=fsync:1:mute "$WAYBILL" -C "$WS" run "$TOP/$PLAN.yaml" >"$OUT" 2>"$ERR" </dev/null || fail "with syncs that do nothing: $?"
	cut_power $$-none
	if (present_is_whole; claims_hold; resumed) >"$TOP/unmasked" 2>&1; then fail "the $1 lost what was not synced, and this loop does not find it"; fi
	echo "- without syncs, found of the $1: $(grep -m 1 FAILED "$TOP/unmasked")"
	unshelve
	umount "$TOP/disk"
}

MORE='passes: {verify: no}' PLAN=whole DST=$TOP/dst-whole WS=$TOP/ws-whole
mkdir "$DST"; bare 0 init "$WS"
migration "local:$TOP/src" "local:$DST" | sed "s/^name: move/name: $PLAN/" >"$TOP/$PLAN.yaml"
seam_calls "$WAYBILL" -C "$WS" run "$TOP/$PLAN.yaml"
unmasked target
unmasked objects
rounds 6 strike
