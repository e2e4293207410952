#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
scenario 'Nothing is destroyed that neither manifest nor discard accounts for: 6, and it is named'

make_small "$TOP/src"
person zhang li
host old
MORE='clear: {require: performed-not-provable}' retirement "old:$TOP/src" >"$TOP/retire.yaml"
approve() {
	expect 0 approve retire clear --as zhang --key "$KEYS/zhang"
	expect 0 approve retire clear --as li --key "$KEYS/li"
}
snapshot() { (cd "$TOP/src" && find . -printf '%p %y %m %s %T@\n' | LC_ALL=C sort; find . -type f -exec sha256sum {} +) >"$1"; }
refused() {	# WHAT NAME
	part "$1: 6"
	snapshot "$TOP/before"
	expect 6 run "$TOP/retire.yaml"
	says <(cat "$OUT" "$ERR") "$2"
	no_event retire clear-started
	snapshot "$TOP/after"
	same_file "$TOP/before" "$TOP/after"
}

expect 3 run "$TOP/retire.yaml"
approve
echo late >"$TOP/src/a/arrived-late"
refused 'a file that came after the copy' arrived-late
rm "$TOP/src/a/arrived-late"
touch -d '2020-01-01' "$TOP/src/a"	# a directory's times alone are no difference

cp -p "$TOP/src/c/three" "$TOP/three"
echo changed >>"$TOP/src/c/three"
refused 'a file that changed after the copy' c/three
cp -p "$TOP/three" "$TOP/src/c/three"

mv "$TOP/src/a/b/two" "$TOP/two"
refused 'a file that is missing' a/b/two

part 'rollback takes the plan back to copy: a new version, and the approvals fall'
expect 0 rollback retire --yes
expect 3 run "$TOP/retire.yaml"
expect 0 --json status retire
jq -e '[.approvals[] | select(.state == "stands")] | length == 0' "$OUT" >/dev/null || fail "an approval of the old version stands: $(cat "$OUT")"

part 'a discarded path is destroyed without copy, and stands in what is signed'
cp "$TOP/retire.yaml" "$TOP/old.yaml"
mkfifo "$TOP/src/a/pipe"
expect 0 rollback retire --yes
sed -i 's|^clear: .*|clear: {require: performed-not-provable, discard: [{dataset: www, path: c/leftover, reason: "a cache"}]}|' "$TOP/retire.yaml"
echo left >"$TOP/src/c/leftover"
sed -i 's|files: {from: \("[^"]*"\)}|files: {from: \1, exclude: ["c/leftover"]}|' "$TOP/retire.yaml"
expect 3 run "$TOP/retire.yaml" --amend 'a cache is left behind' 
expect 0 approve retire clear --as zhang --request "$TOP/req.txt"
says "$TOP/req.txt" c/leftover 'a cache'
approve
expect 0 run "$TOP/retire.yaml"
same_text '' "$(find "$TOP/src" -mindepth 1 | head -n 3)" 'what is left'
expect 0 certificate retire
says "$OUT" c/leftover

part 'a file that is linked from outside the dataset is not overwritten'
make_small "$TOP/src2"
ln "$TOP/src2/c/three" "$TOP/outside"
PLAN=linked MORE='clear: {require: unknown}' retirement "old:$TOP/src2" >"$TOP/linked.yaml"
expect 3 run "$TOP/linked.yaml"
expect 0 approve linked clear --as zhang --key "$KEYS/zhang"
expect 0 approve linked clear --as li --key "$KEYS/li"
timeout 120 "$WAYBILL" -C "$WS" run "$TOP/linked.yaml" >"$OUT" 2>"$ERR" </dev/null; rc=$?
[ "$rc" != 0 ] || silent_on <("$WAYBILL" -C "$WS" certificate linked) performed-not-provable
same_text three "$(cat "$TOP/outside")" 'the name outside'
says <(cat "$OUT" "$ERR"; "$WAYBILL" -C "$WS" certificate linked 2>&1) three
