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

part 'put right, the same command goes on, and the same approvals count'
cp -p "$TOP/two" "$TOP/src/a/b/two"
expect 0 run "$TOP/retire.yaml"
same_text '' "$(find "$TOP/src" -mindepth 1 2>/dev/null | head -n 3)" 'what is left'

part 'a discarded path is destroyed without copy, and stands in what is signed and in the certificate'
make_small "$TOP/src3"
echo left >"$TOP/src3/c/leftover"
PLAN=cached DATASET='exclude: ["c/leftover"]' MORE='clear: {require: performed-not-provable, discard: [{dataset: www, path: c/leftover, reason: "a cache"}]}' \
	retirement "old:$TOP/src3" >"$TOP/cached.yaml"
expect 3 run "$TOP/cached.yaml"
expect 0 approve cached clear --as zhang --request "$TOP/req.txt"
says "$TOP/req.txt" c/leftover 'a cache'
expect 0 approve cached clear --as zhang --key "$KEYS/zhang"
expect 0 approve cached clear --as li --key "$KEYS/li"
expect 0 run "$TOP/cached.yaml"
same_text '' "$(find "$TOP/src3" -mindepth 1 2>/dev/null | head -n 3)" 'what is left'
expect 0 certificate cached
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
