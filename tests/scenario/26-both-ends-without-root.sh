#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
[ "$(id -u)" != 0 ] || own_mounts
[ "$(id -u)" = 0 ] || skip 'somebody else'"'"'s files need root to be made'
scenario 'Without root at either end: what cannot be kept is listed before the copy, counted in every version, and named by verify, and nothing else is'

plain_user
S=$TOP/src
make_small "$S"
mkdir "$S/odd"
echo own >"$S/odd/own"
echo root >"$S/odd/of-root"
echo grp >"$S/odd/group-only"
install -m 4755 /bin/true "$S/odd/suid"
mknod "$S/odd/null" c 1 3; ln "$S/odd/null" "$S/odd/null-again"
echo x >"$S/odd/cap"; setfattr -n security.capability -v 0x0100000200040000000000000000000000000000 "$S/odd/cap"
echo x >"$S/odd/both"; setfattr -n user.mine -v kept "$S/odd/both"; setfattr -n trusted.theirs -v lost "$S/odd/both" || skip 'no trusted attributes here'
echo frozen >"$S/odd/immutable"
chown -R "$PLAIN:" "$S"
setfattr -n security.capability -v 0x0100000200040000000000000000000000000000 "$S/odd/cap"
chown 0:0 "$S/odd/of-root" "$S/odd/suid" "$S/odd"; chown :0 "$S/odd/group-only"
chmod 4755 "$S/odd/suid"; chmod 755 "$S/odd"
chattr +i "$S/odd/immutable" || skip 'no inode flags here'
mkdir "$TOP/dst"; chown "$PLAIN" "$TOP/dst"
host old
host plain --as "$PLAIN"

part 'preview lists it'
migration "old:$S" "plain:$TOP/dst" >"$TOP/move.yaml"
expect 0 preview "$TOP/move.yaml"
says "$OUT" 'not root' 'owner of 3 entries' 'group of 4 entries' 'device of 2 entries' 'setid of 1 entries' 'xattr of 1 entries' 'capability of 1 entries' 'flags of 1 entries'
expect 0 --json preview "$TOP/move.yaml"
same_text 3 "$(jq -r '.datasets.www.losses.target.owner.entries' "$OUT")" 'owners in the JSON of preview'

part 'run lists it before the copy, goes through, and counts it'
expect 0 run "$TOP/move.yaml"
says "$ERR" 'is not root there; cannot be kept: owner of 3 entries (first odd)' 'known losses at the target: owner of 3 entries'
silent_on "$ERR" 'not as it was' 'verify names them'
event move 1 >/dev/null
ledger show "refs/heads/move:$(events move | grep preflight-done)" >"$TOP/preflight"
same_text 2 "$(jq -r '.data.datasets.www.losses.target.device.entries' "$TOP/preflight")" 'devices in the preflight event'
ledger show "refs/heads/move:$(events move | grep copy-version | head -n 1)" >"$TOP/version"
same_text '3 4 2 1 1 1 1' "$(jq -r '.data.losses | "\(.owner.entries) \(.group.entries) \(.device.entries) \(.setid.entries) \(.xattr.entries) \(.capability.entries) \(.flags.entries)"' "$TOP/version")" 'counts in the version'
same_text null "$(jq -r '.data.problem_count' "$TOP/version")" 'problems beside what was announced'
expect 0 status move
says "$OUT" 'known losses at the target: owner of 3 entries'
[ ! -u "$TOP/dst/odd/suid" ] || fail 'a program set-user-id root became one of the plain user'
[ -x "$TOP/dst/odd/suid" ] || fail 'its other rights are gone'
same_text kept "$(getfattr --only-values -n user.mine "$TOP/dst/odd/both" 2>/dev/null)" 'an attribute beside a lost one'
same_text "$PLAIN" "$(stat -c %U "$TOP/dst/odd/of-root")" 'owner at the target'

part 'verify names exactly these, and a real difference beside them'
expect 0 --json verify move www --full
same_text 'match 0 13' "$(jq -r '"\(.verdict) \(.difference_count) \(.loss_count)"' "$OUT")" 'verdict, differences, losses'
same_text 'odd/of-root gid uid' "$(jq -r '[.loss_list[] | select(.path == "odd/of-root") | .what] | "odd/of-root \(sort | join(" "))"' "$OUT")" 'losses of one file'
expect 0 verify move www
says "$OUT" 'odd/null: missing: expected char, found absent (a known loss' 'match, but for 13 known losses'
chown 1:1 "$TOP/dst/odd/of-root"
setfattr -x user.mine "$TOP/dst/odd/both"
chmod 700 "$TOP/dst/odd/suid"
expect 4 --json verify move www
same_text 'odd/both xattr,odd/of-root gid,odd/of-root uid,odd/suid mode' "$(jq -r '[.differences[] | "\(.path) \(.what)"] | sort | join(",")' "$OUT")" 'differences'
chown "$PLAIN:" "$TOP/dst/odd/of-root"; rm -f "$TOP/dst/odd/both"
expect 0/4 run "$TOP/move.yaml"
expect 0 run "$TOP/move.yaml"
expect 0 verify move www --full

part 'the source without root: unreadable entries are counted before the copy and fail by name'
echo secret >"$S/odd/secret"; chmod 600 "$S/odd/secret"; chown 0:0 "$S/odd/secret"
mkdir "$S/shut"; echo in >"$S/shut/in"; chmod 700 "$S/shut"
mkdir "$TOP/dst2"; chown "$PLAIN" "$TOP/dst2"
migration "plain:$S" "plain:$TOP/dst2" | sed 's/^name: move/name: both/' >"$TOP/both.yaml"
expect 1 run "$TOP/both.yaml"
says "$ERR" 'cannot read 2 entries (first odd/secret)' 'not shown trusted.* extended attributes' '2 entries could not be read'
same_text 2 "$(balance both www | field failed)" 'failed entries'
expect 0 show both www --skipped
says "$OUT" odd/secret shut
part 'known_faults accepts them by name: not half of them, and not for ever'
migration "plain:$S" "plain:$TOP/dst2" | DATASET='' sed 's/^name: move/name: both/; s|dst2"}|dst2", known_faults: [{path: odd/secret, reason: "keys stay"}]}|' >"$TOP/both.yaml"
expect 1 run "$TOP/both.yaml"
says "$ERR" '1 entries could not be read'
sed -i 's|reason: "keys stay"}|&, {path: shut, reason: "not ours"}|' "$TOP/both.yaml"
expect 0 run "$TOP/both.yaml"
same_text 2 "$(balance both www | field failed)" 'failed entries, accepted and still counted'
expect 0 show both www --skipped
says "$OUT" odd/secret shut
echo more >"$S/odd/more"; chmod 600 "$S/odd/more"; chown 0:0 "$S/odd/more"
expect 1 run "$TOP/both.yaml"
says "$ERR" '1 entries could not be read'
expect 0 audit "$WS"
