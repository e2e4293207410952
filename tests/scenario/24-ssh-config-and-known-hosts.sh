#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
own_mounts
scenario 'Aliases of ~/.ssh/config, and known_hosts in its odd forms: hashed, revoked, a bad line first'

# OpenSSH takes the home directory from the user list and not from HOME: give root another home, in this namespace only.
dir=$(mktemp -d "$TOP/etc.XXXXXX")
sed "s|^root:.*|root:x:0:0:root:$TOP/home:/bin/bash|" /etc/passwd >"$dir/passwd"
chmod 644 "$dir/passwd"
mount --bind "$dir/passwd" /etc/passwd || skip 'no bind mounts here'
mkdir -m 700 "$TOP/home/.ssh"
make_small "$TOP/src"
sshd_start old --hostkey ed25519 --hostkey ecdsa || fail 'sshd'
cat >"$TOP/home/.ssh/config" <<CONF
Host depot
  HostName 127.0.0.1
  Port ${SSHD_PORT[old]}
  User root
  IdentityFile ~/.ssh/id_depot
CONF
cp "$SSHD_KEY" "$TOP/home/.ssh/id_depot"
chmod 600 "$TOP/home/.ssh/"*
known=$TOP/home/.ssh/known_hosts
HOST[old]='old: {ssh: depot}'
try() {	# CODE NAME
	mkdir -p "$TOP/t-$2"
	migration "old:$TOP/src" "local:$TOP/t-$2" | sed "s/^name: move/name: $2/" >"$TOP/$2.yaml"
	expect "$1" run "$TOP/$2.yaml"
	[ "$1" != 0 ] || same_tree "$TOP/src" "$TOP/t-$2"
}
part 'an unknown host key is refused (7), with the fingerprint and the line to add'
try 7 unknown
says "$ERR" SHA256: known_hosts
part 'known'
sshd_known old "$known"
try 0 plain
part 'hashed names'
ssh-keygen -q -H -f "$known" 2>/dev/null; rm -f "$known.old"
grep -q '^|1|' "$known" || fail 'ssh-keygen did not hash'
try 0 hashed
part 'a line that is none comes first'
{ echo 'this is no line'; cat "$known"; } >"$known.x" && mv "$known.x" "$known"
try 0 badline
part 'only the second host key is known'
: >"$known"; printf '[127.0.0.1]:%s %s\n' "${SSHD_PORT[old]}" "$(cut -d' ' -f1,2 "${SSHD_DIR[old]}/host_ecdsa.pub")" >"$known"
try 0 second
part 'revoked'
: >"$known"; sshd_known old "$known"
printf '@revoked * %s\n' "${SSHD_HOSTKEY[old]}" >>"$known"
printf '@revoked * %s\n' "$(cut -d' ' -f1,2 "${SSHD_DIR[old]}/host_ecdsa.pub")" >>"$known"
try 7 revoked
part 'changed'
ssh-keygen -q -t ed25519 -N '' -f "$TOP/other"
printf '[127.0.0.1]:%s %s\n' "${SSHD_PORT[old]}" "$(cut -d' ' -f1,2 "$TOP/other.pub")" >"$known"
try 7 changed
says "$ERR" "${SSHD_FP[old]}"
