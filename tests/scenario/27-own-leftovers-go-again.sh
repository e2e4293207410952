#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
scenario 'Sent, cut before it was acknowledged, then removed at the source: it does not stay at the target, and what lay there before does'

S=$TOP/src D=$TOP/dst
make_small "$S"
mkdir -p "$S/new/deep" "$D/strange"
for i in {1..40}; do echo "$i" >"$S/new/deep/$i"; done
head -c 20000000 /dev/urandom >"$S/new/large"
echo before >"$D/strange/file"
migration "local:$S" "local:$D" >"$TOP/move.yaml"
no_helper() { ! pgrep -f -- "--root $TOP/" >/dev/null; }
for i in {1..6}; do
	WAYBILL_FAULT=point@pass-stored:1:kill timeout 600 "$WAYBILL" -C "$WS" run "$TOP/move.yaml" >/dev/null 2>&1
	[ $? -gt 128 ] || fail 'the run was not killed'
	await 'the end of its helpers' no_helper
	[ ! -e "$D/new/deep/1" ] || break
done
[ -e "$D/new/deep/1" ] || fail 'nothing had been sent: the test shows nothing'
no_event move copy-version
rm -rf "$S/new"
expect 0 run "$TOP/move.yaml"
[ ! -e "$D/new" ] || fail "left at the target: $(find "$D/new" | head -n 3)"
same_text before "$(cat "$D/strange/file")" 'what lay there before'
expect 0 --json verify move www
same_text 'strange strange/file' "$(jq -r '.foreign | join(" ")' "$OUT")" 'foreign entries'
expect 0 run "$TOP/move.yaml"
expect 0 audit "$WS"
