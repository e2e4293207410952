#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
scenario 'A ledger whose branch is rewritten or whose tail is cut is seen: audit --expect says altered (4)'

make_small "$TOP/src"
mkdir "$TOP/dst"
person zhang li
host old
retirement "old:$TOP/src" >"$TOP/retire.yaml"
expect 3 run "$TOP/retire.yaml"
expect 0 approve retire clear --as zhang --key "$KEYS/zhang"
head=$(ledger rev-parse refs/heads/retire)
git=$WS/.waybill/ledger.git
expect 0 audit "$git" --expect "$head"
says "$OUT" intact

part 'the tail is cut'
ledger update-ref refs/heads/retire "$head~1"
expect 4 audit "$git" --expect "$head"
says <(cat "$OUT" "$ERR") altered
ledger update-ref refs/heads/retire "$head"
expect 0 audit "$git" --expect "$head"

rewrite() {	# WHAT, then a script on a work tree that changes files of the last commit
	part "$1"
	rm -rf "$TOP/clone"
	git clone -q --branch retire "$git" "$TOP/clone" 2>/dev/null
	(cd "$TOP/clone" && git config user.name x && git config user.email x@y && eval "$2" && git add -A && git commit -q --amend --no-edit &&
		git push -q -f origin HEAD:refs/heads/retire) >"$TOP/rewrite.log" 2>&1 || { cat "$TOP/rewrite.log" >&2; fail "cannot stage: $1"; }
	expect 4 audit "$git" "${@:3}"
	says <(cat "$OUT" "$ERR") altered
	ledger update-ref refs/heads/retire "$head"
}
rewrite 'an event is edited' 'f=$(ls events | head -n 2 | tail -n 1); sed -i "s/20/21/" "events/$f"'
rewrite 'an event is removed' 'rm "events/$(ls events | sed -n 2p)"'
rewrite 'what a person signed is edited' 'f=$(ls approvals/*.txt | head -n 1); sed -i "s/zhang/li/" "$f"'
rewrite 'a line of a manifest is edited' 'f=$(find datasets -name "*.mtree" | head -n 1); sed -i "s/mode=0[0-7]*/mode=0777/" "$f"'
rewrite 'only the time of the last commit changed: other history' 'true' --expect "$head"

part 'a signature that does not belong to the text'
rm -rf "$TOP/clone"; git clone -q --branch retire "$git" "$TOP/clone" 2>/dev/null
sig=$(cd "$TOP/clone" && ls approvals/*.sig | head -n 1)
ssh-keygen -q -Y sign -f "$KEYS/li" -n clearance@waybill - <"$TOP/clone/${sig%.sig}.txt" >"$TOP/li.sig" 2>/dev/null
rewrite 'signed by somebody else' "cp '$TOP/li.sig' '$sig'"

part 'run does not go on from a broken chain'
rm -rf "$TOP/clone"; git clone -q --branch retire "$git" "$TOP/clone" 2>/dev/null
(cd "$TOP/clone" && git config user.name x && git config user.email x@y && f=$(ls events | sed -n 2p) && sed -i 's/:/: /' "events/$f" && git commit -qam 'edited' &&
	git push -q -f origin HEAD:refs/heads/retire) >/dev/null 2>&1 || fail 'cannot stage an edited event'
expect 4 run "$TOP/retire.yaml"
expect 4 status retire
ledger update-ref refs/heads/retire "$head"

part 'missing objects: not good, and not called altered without cause'
expect 0 audit "$git"
chmod -R u+w "$git/objects"
blob=$(ledger rev-parse "refs/heads/retire:$(events retire | sed -n 2p)")
file=$git/objects/${blob:0:2}/${blob:2}
if [ -f "$file" ]; then
	mv "$file" "$TOP/blob"
	expect 4/5 audit "$git"
	mv "$TOP/blob" "$file"
fi
expect 3 run "$TOP/retire.yaml"
