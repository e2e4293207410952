#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
[ "$(id -u)" != 0 ] || own_mounts
scenario 'A directory that cannot be read deletes nothing, stays in the manifest, and what then went away at the source goes at the target'

plain_user
make_small "$TOP/src"
mkdir -p "$TOP/src/a/deep"; echo d >"$TOP/src/a/deep/file"; echo s >"$TOP/src/c/secret"
[ "$(id -u)" != 0 ] || chown -R "$PLAIN" "$TOP/src"
host old --as "$PLAIN"
host new
mkdir "$TOP/dst"
DATASET='known_faults: [{path: a/b, reason: "closed for now"}, {path: c/secret, reason: "closed for now"}]' migration "old:$TOP/src" "new:$TOP/dst" >"$TOP/move.yaml"
expect 0 run "$TOP/move.yaml"

chmod 000 "$TOP/src/a/b" "$TOP/src/c/secret"
touch "$TOP/src/c/secret" 2>/dev/null; [ "$(id -u)" != 0 ] || touch "$TOP/src/c/secret"
for n in first second; do
	part "$n run with a closed directory"
	expect 0 run "$TOP/move.yaml"
	[ -e "$TOP/dst/a/b/two" ] && [ -e "$TOP/dst/c/secret" ] || fail 'what could not be read was deleted at the target'
	expect 0 show move www --skipped
	says "$OUT" a/b/two c/secret
	expect 0 verify move --full
done

part 'open again, and emptied meanwhile'
chmod 755 "$TOP/src/a/b"; chmod 644 "$TOP/src/c/secret"
rm "$TOP/src/a/b/two" "$TOP/src/c/secret"
expect 0 run "$TOP/move.yaml" --yes
[ ! -e "$TOP/dst/a/b/two" ] || fail 'a file of the closed directory stayed at the target for ever'
[ ! -e "$TOP/dst/c/secret" ] || fail 'a file that failed once stayed at the target for ever'
same_tree "$TOP/src" "$TOP/dst"
expect 0 verify move --full
