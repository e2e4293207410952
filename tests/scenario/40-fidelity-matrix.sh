#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
. "$WAYBILL_SOURCE/tests/lib/fidelity.sh"
own_mounts
scenario 'What was at the source is at the target and comes back out of the archive: every type, attribute, name and hole'

# SSH by libssh2 and by the OpenSSH client, and local; three file systems at each end.
host old; host new
LIBSSH2=("${HOST[old]}" "${HOST[new]}")
route() {
	case $1 in
	libssh2) HOST[old]=${LIBSSH2[0]/ssh:/client: libssh2, ssh:} HOST[new]=${LIBSSH2[1]/ssh:/client: libssh2, ssh:} ;;
	openssh) HOST[old]=${LIBSSH2[0]/ssh:/client: openssh, ssh:} HOST[new]=${LIBSSH2[1]/ssh:/client: openssh, ssh:} ;;
	esac
}

one() {	# KIND ROUTE
	local kind=$1 from=old to=new name=$1-$2 mount=$TOP/$1 back
	[ "$2" != local ] || from=local to=local
	route "$2"
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
	part "$kind, $2: restore"
	unlock "$mount/to"; rm -rf "$mount/to"
	back=$mount/to/back
	mkdir -p "$back"; setfacl -d -m u:777:rwx "$back"
	expect 0 restore "$name" www --to "$back"
	same_everything "$mount/src" "$back" "$name restored"
}

done_any=0
for kind in ${WAYBILL_FIDELITY:-ext4 xfs btrfs}; do
	on_image "$kind" "$TOP/$kind" 400 || { part "$kind: skipped, no such image can be mounted here"; continue; }
	done_any=1
	mkdir "$TOP/$kind/src"
	make_everything "$TOP/$kind/src"
	for way in ${WAYBILL_ROUTES:-libssh2 openssh local}; do one "$kind" "$way"; done
	unlock "$TOP/$kind"
	umount "$TOP/$kind"
done
if [ "$done_any" = 0 ]; then
	mkdir -p "$TOP/here/src"
	make_everything "$TOP/here/src"
	for way in ${WAYBILL_ROUTES:-libssh2 openssh local}; do one here "$way"; done
fi
