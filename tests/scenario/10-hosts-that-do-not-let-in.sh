#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
. "$WAYBILL_SOURCE/tests/lib/relay.sh"
scenario 'A host that is down, has the wrong key, or knows nobody of that name: 7, named, nothing recorded as done'

make_small "$TOP/src"
host old
good=${HOST[old]}
try() {	# WHAT HOSTLINE WORD...
	local what=$1
	part "$what"
	HOST[old]=$2
	shift 2
	migration "old:$TOP/src" "local:$TOP/dst-${what// /-}" | sed "s/^name: move/name: ${what// /-}/" >"$TOP/${what// /-}.yaml"
	mkdir -p "$TOP/dst-${what// /-}"
	expect 7 run "$TOP/${what// /-}.yaml"
	says "$ERR" old "$@"
	[ "$(grep -c . "$ERR")" -le 12 ] || fail 'the reason is drowned'
	same_text '' "$(ls -A "$TOP/dst-${what// /-}")" 'the target'
	expect 7 check "$TOP/${what// /-}.yaml" --connect
}
port=${SSHD_PORT[old]}
other=$(ssh-keygen -q -t ed25519 -N '' -f "$TOP/otherhost" && cut -d' ' -f1,2 "$TOP/otherhost.pub")
try 'wrong host key' "${good/${SSHD_HOSTKEY[old]}/$other}" "${SSHD_FP[old]}"
try 'wrong fingerprint' "${good/${SSHD_HOSTKEY[old]}/SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA}" "${SSHD_FP[old]}"
try 'wrong user' "${good/ssh: ${SSHD_LOGIN[old]}@/ssh: no-such-user@}" no-such-user
sshd_keygen ed25519 "$TOP/stranger"
stranger=$TOP/stranger
try 'wrong key' "${good/"$SSHD_KEY"/"$stranger"}" "${SSHD_LOGIN[old]}"
try 'unknown host key' "old: {ssh: ${SSHD_LOGIN[old]}@127.0.0.1, port: $port, identity: \"$SSHD_KEY\"}" "${SSHD_FP[old]}"
try 'openssh wrong host key' "$(sed "s|}\$|, client: openssh}|" <<<"${good/${SSHD_HOSTKEY[old]}/$other}")"
sshd_stop old
try 'host down' "$good" "$port"

part 'the same command goes on once the host is back'
sshd_start old --port "$port" || fail 'sshd does not come back'
expect 0 run "$TOP/host-down.yaml"
same_tree "$TOP/src" "$TOP/dst-host-down"

part 'a connection that is cut in mid-stream is a passing fault, and is made good'
head -c 30000000 /dev/urandom >"$TOP/src/large"
relay between old 'hold down 9000000'
HOST=([old]="old${HOST[between]#between}")
mkdir "$TOP/dst-cut"
migration "old:$TOP/src" "local:$TOP/dst-cut" | sed 's/^name: move/name: cut/' >"$TOP/plan.yaml"
cut_and_good_again between old
same_tree "$TOP/src" "$TOP/dst-cut"
