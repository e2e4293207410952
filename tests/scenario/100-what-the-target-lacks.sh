#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
own_mounts
scenario 'Preflight surveys both hosts; the form and the list of what the target lacks come from the ledger'

# The old host is this machine with another /etc, seen by its sshd alone.
make_small "$TOP/src"
cp -a /etc "$TOP/etc" || fail 'no copy of /etc'
echo 'legacy:x:4711:4711::/srv/legacy:/bin/false' >>"$TOP/etc/passwd"
printf '15 3 * * *\tlegacy\t/srv/legacy/nightly --password=geheim\n' >>"$TOP/etc/crontab"
mkdir -p "$TOP/etc/sysctl.d" "$TOP/etc/systemd/system/multi-user.target.wants"
echo 'kernel.pid_max = 1' >"$TOP/etc/sysctl.d/99-legacy.conf"
ln -s /lib/systemd/system/legacy.service "$TOP/etc/systemd/system/multi-user.target.wants/"
mount --bind "$TOP/etc" /etc || skip 'no bind mounts here'
host old --prefix 'unshare --mount --propagation private'
umount /etc || fail 'umount'
migration "old:$TOP/src" "local:$TOP/dst" >"$TOP/move.yaml"

part 'preflight takes it'
expect 0 run "$TOP/move.yaml"
says "$OUT" 'waybill survey move'
events move | grep -q survey-recorded || fail 'no survey event'

part 'what only the source has is named, and nothing else'
expect 0 survey move --json
jq -r '.drift[] | "\(.section) \(.name) \(.what)"' "$OUT" | sort >"$TOP/got"
sort >"$TOP/want" <<END
kernel kernel.pid_max missing
schedule etc/crontab: 15 3 * * * legacy /srv/legacy/nightly missing
unit legacy.service missing
user legacy missing
END
# A package cache or a mount that comes and goes between the two looks is not this test's business.
grep -v '^port\|^mount' "$TOP/got" >"$TOP/named"
same_file "$TOP/want" "$TOP/named"
same_text "$(</proc/sys/kernel/pid_max)" "$(jq -r '.hosts.old.kernel["kernel.pid_max"]' "$OUT")" 'the value that the kernel has'
same_text "$(dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' | grep -c '^ii')" "$(jq '.hosts.local.package | length' "$OUT")" 'installed packages (foreign architectures aside)'
jq -e --arg p "${SSHD_PORT[old]}" '.hosts.old.port["tcp 127.0.0.1:" + $p] | startswith("sshd")' "$OUT" >/dev/null || fail 'the port of sshd'

part 'a password in a command line reaches neither ledger nor paper'
expect 0 --lang zh survey move
says "$OUT" '系统现状调研表' 'legacy: uid=4711' '敏感数据类别'
ledger grep -q geheim move && fail 'the password is in the ledger'
silent_on "$OUT" geheim

part 'the same hosts again: no second event'
expect 0 run "$TOP/move.yaml"
same_text 1 "$(events move | grep -c survey-recorded)" 'survey events'
expect 0 audit "$WS/.waybill/ledger.git"
