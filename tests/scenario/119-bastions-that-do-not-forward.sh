#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
scenario 'Past a bastion that does not forward: through a program there, or, where it has nothing but SFTP, as a package in a drop; and a host with one session behind one'

make_small "$TOP/src"
head -c 3000000 /dev/urandom >"$TOP/src/large"
host old
direct=${HOST[old]}

part 'refused, and both ways are named'
host closed --config 'AllowTcpForwarding no'
for client in libssh2 openssh; do
	HOST[old]=${direct%\}}", via: closed, client: $client}"
	migration "old:$TOP/src" "local:$TOP/none" | sed "s/^name: move/name: closed-$client/" >"$TOP/closed.yaml"
	expect 7 run "$TOP/closed.yaml"
	says "$ERR" 'host old' 'via closed' AllowTcpForwarding ProxyCommand 'waybill package'
done
unset 'HOST[closed]'

part 'through a program on the bastion: an alias with ProxyCommand'
sshd_client_config
sshd_known closed; sshd_known old
cat >"$TOP/there" <<-S
	#!/bin/bash
	exec 3<>/dev/tcp/127.0.0.1/${SSHD_PORT[old]}
	cat <&3 & cat >&3; kill \$!
S
chmod +x "$TOP/there"
cat >>"$WAYBILL_SSH_CONFIG" <<-C
	Host bastion
	 HostName 127.0.0.1
	 Port ${SSHD_PORT[closed]}
	Host behind
	 HostName 127.0.0.1
	 Port ${SSHD_PORT[old]}
	 User $(id -un)
	 ProxyCommand ssh -F $WAYBILL_SSH_CONFIG bastion $TOP/there
C
n=$(grep -c 'Accepted publickey' "${SSHD_LOG[closed]}")
HOST[old]="old: {ssh: behind}"
migration "old:$TOP/src" "local:$TOP/dst" | sed 's/^name: move/name: proxied/' >"$TOP/proxied.yaml"
expect 0 check "$TOP/proxied.yaml" --connect
says "$OUT" 'OpenSSH client' ProxyCommand
expect 0 run "$TOP/proxied.yaml"
same_tree "$TOP/src" "$TOP/dst"
[ "$(grep -c 'Accepted publickey' "${SSHD_LOG[closed]}")" -gt "$n" ] || fail 'the bastion was not used'
unset WAYBILL_SSH_CONFIG

part 'SFTP alone: a package goes into the drop, and is checked and accepted behind it'
mkdir "$TOP/drop" "$TOP/far"
host drop --config 'AllowTcpForwarding no' --config 'ForceCommand internal-sftp' --config 'Subsystem sftp internal-sftp'
unset 'HOST[drop]'
HOST[old]=$direct
person zhang liu
handover "old:$TOP/src" "$TOP/pkg" >"$TOP/hand.yaml"
expect 3 run "$TOP/hand.yaml"
files() { printf '%s\n' "$@" | sftp -q -b - -P "${SSHD_PORT[drop]}" -i "$SSHD_KEY" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null \
	-o LogLevel=ERROR "$(id -un)@127.0.0.1" >"$TOP/sftp.log" 2>&1; }
! ssh -p "${SSHD_PORT[drop]}" -i "$SSHD_KEY" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null 127.0.0.1 true >/dev/null 2>&1 || fail 'the bastion runs programs'
# Under its name only once all of it is there.
files "put -r $TOP/pkg $TOP/drop/hand.part" "rename $TOP/drop/hand.part $TOP/drop/hand" || fail "sftp: $(cat "$TOP/sftp.log")"
files "get -r $TOP/drop/hand $TOP/far/hand" || fail "sftp: $(cat "$TOP/sftp.log")"
sh "$TOP/far/hand/VERIFY.sh" >"$TOP/v.out" 2>&1 || fail "VERIFY.sh: $(tail -n 3 "$TOP/v.out")"
mkdir "$TOP/far/new" && sh "$TOP/far/hand/RESTORE.sh" "$TOP/far/new" >"$TOP/r.out" 2>&1 || fail "RESTORE.sh: $(tail -n 3 "$TOP/r.out")"
root=$TOP/far/new; [ -e "$root/large" ] || root=$TOP/far/new/www
same_tree "$TOP/src" "$root"
bare 0 accept "$TOP/far/hand" --as liu --key "$KEYS/liu" --to "$TOP/far/answer"
files "put -r $TOP/far/answer $TOP/drop/answer" "get -r $TOP/drop/answer $TOP/answer" || fail "sftp: $(cat "$TOP/sftp.log")"
expect 0 accept hand --import "$TOP/answer"
expect 0 run "$TOP/hand.yaml"
has_event hand accept-done

part 'one session at a time, behind a bastion that allows one too'
host gate --config 'MaxSessions 1'
host single --config 'MaxSessions 1'
HOST[single]=${HOST[single]%\}}", via: gate}"
unset 'HOST[old]'
migration "single:$TOP/src" "single:$TOP/dst3" | sed 's/^name: move/name: single/' >"$TOP/single.yaml"
# A database is summed up beside its dump: two commands at one host at a time.
sqlite3 "$TOP/app.db" "CREATE TABLE t (a); INSERT INTO t VALUES ('one'), ('two')" || fail 'sqlite3'
sed -i "s|^datasets:|&\n  db: {database: {driver: sqlite, from: single, to: single, name: $TOP/app.db, name_to: $TOP/app2.db}}|" "$TOP/single.yaml"
expect 0 run "$TOP/single.yaml"
same_tree "$TOP/src" "$TOP/dst3"
same_text 'one two' "$(sqlite3 "$TOP/app2.db" 'SELECT a FROM t' | paste -sd' ')" 'rows'
