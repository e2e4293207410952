#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
scenario 'A target whose root is that of a user namespace: owners that do not exist there are listed before the copy, and nothing fails late'

[ "$(id -u)" = 0 ] || skip 'somebody else'"'"'s files need root to be made'
unshare --user --map-root-user true 2>/dev/null || skip 'no user namespaces here'
S=$TOP/src
make_small "$S"
mkdir "$S/odd"
echo other >"$S/odd/other"; chown 4711:4712 "$S/odd/other"
echo group >"$S/odd/group"; chown 0:4712 "$S/odd/group"
echo owner >"$S/odd/owner"; chown 4711:0 "$S/odd/owner"
install -m 4755 /bin/true "$S/odd/suid"; chown 4711:0 "$S/odd/suid"; chmod 4755 "$S/odd/suid"
mknod "$S/odd/null" c 1 3
mkdir "$TOP/helper" "$TOP/dst"
printf '#!/bin/sh\nexec unshare --user --map-root-user %s "$@"\n' "$WAYBILL_BUILD/waybill-agent" >"$TOP/helper/agent"
chmod 755 "$TOP/helper" "$TOP/helper/agent"
host old; host new
HOST[new]=${HOST[new]%\}}", agent: $TOP/helper/agent}"
migration "old:$S" "new:$TOP/dst" >"$TOP/move.yaml"

part 'listed before the copy'
expect 0 preview "$TOP/move.yaml"
says "$OUT" 'owner of 3 entries' 'group of 2 entries' 'device of 1 entries' 'setid of 1 entries'

part 'run goes through; verify names these losses and nothing else'
expect 0 run "$TOP/move.yaml"
says "$ERR" 'in a user namespace there; cannot be kept: owner of 3 entries' 'known losses at the target'
silent_on "$ERR" 'not as it was'
same_text '0:0 0:0 0:0' "$(stat -c %u:%g "$TOP/dst/odd/other" "$TOP/dst/odd/group" "$TOP/dst/odd/owner" | paste -sd' ')" 'owners at the target'
expect 0 verify move --full
expect 0 --json verify move www --full
same_text 'match 0' "$(jq -r '"\(.verdict) \(.differences | length)"' "$OUT")" 'the verdict'
echo changed >"$TOP/dst/odd/other"
expect 4 verify move --full
says "$OUT" odd/other

part 'a source that sees nobody where there is somebody says so'
HOST[old]=${HOST[old]%\}}", agent: $TOP/helper/agent}"
migration "old:$S" "local:$TOP/dst2" | sed 's/^name: move/name: blind/' >"$TOP/blind.yaml"
mkdir "$TOP/dst2"
expect 0/1 run "$TOP/blind.yaml"
says "$ERR" 'in a user namespace there: owners that do not exist in it are read, and copied, as nobody'
