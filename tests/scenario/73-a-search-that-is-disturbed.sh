#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
own_mounts
. "$WAYBILL_SOURCE/tests/lib/residue.sh"
scenario 'A clearing killed around its search goes on and tells the truth; unreadable sectors are never cleared; a large medium is sampled'
person zhang li

killed=0
at() {	# NAME POINT...: a run is killed at each, the next one goes on
	local name=$1 point
	shift
	part "killed at: $*"
	M=$TOP/m-$name mkfs='ext4 -b 4096' size=64M mount= offset=; loops; cell_mount
	mkdir "$M/src"; rm -rf "$TOP/ref"; mkdir "$TOP/ref"; random_files "$TOP/ref"; cp -r "$TOP/ref/." "$M/src"; sync -f "$M"
	PLAN=$name MORE='clear: {require: performed-not-provable}' retirement "local:$M/src" >"$TOP/$name.yaml"
	expect 3 run "$TOP/$name.yaml"
	expect 0 approve "$name" clear --as zhang --key "$KEYS/zhang"; expect 0 approve "$name" clear --as li --key "$KEYS/li"
	for point; do
		WAYBILL_FAULT=point@$point:1:kill timeout 600 "$WAYBILL" -C "$WS" run "$TOP/$name.yaml" >"$OUT" 2>"$ERR" </dev/null
		[ $? != 137 ] || killed=$((killed + 1))
		# Nothing is certified from what has no end.
		expect 6 certificate "$name"
	done
	expect 0 run "$TOP/$name.yaml"
	expect 0 --json certificate "$name"
	jq -e '.verdict == "cleared-full" or .verdict == "cleared-guest-level"' "$OUT" >/dev/null || fail "$(jq -c '{verdict, control, canaries, residue}' "$OUT")"
	sync -f "$M"
	same_text '0 0' "$("$JUDGE" "$DEV" "$TOP/ref")" 'what the judge finds'
	same_text '' "$(find "$M/src" -mindepth 1 2>/dev/null)" 'what is left at the place'
	umount "$M"
}
at one clear-started clear-started clear-writing clear-search
at two clear-done clear-record
[ "$killed" -ge 6 ] || fail "only $killed kills struck"
part 'the seed that was sealed before is the one that is told afterwards'
seal() { ledger show "refs/heads/one:$(events one | grep -- "-clear-$1")" | jq -r "$2"; }
same_text "$(seal started .data.search.seed_commitment)" "$(seal done .data.seed | tr a-f A-F | basenc --base16 -d | sha256sum | cut -d' ' -f1)" 'commitment of the seed'
expect 0 audit "$WS"

part 'a sector that cannot be read is told, and the verdict is unknown'
M=$TOP/m-bad; mkfs="ext4 -b 4096"; size=64M; mount=; offset=; cell_mount; mkdir "$M/src"; random_files "$M/src"; sync -f "$M"
PLAN=bad MORE='clear: {require: performed-not-provable}' retirement "local:$M/src" >"$TOP/bad.yaml"
expect 3 run "$TOP/bad.yaml"
expect 0 approve bad clear --as zhang --key "$KEYS/zhang"; expect 0 approve bad clear --as li --key "$KEYS/li"
expect 0 run "$TOP/bad.yaml"
expect 0 --json residue bad --on "$DEV"
# The third read of the agent and each narrower one after it fail: one sector at byte 4194304 remains.
WAYBILL_FAULT=$(printf 'read@scan:3:EIO,%.0s' {1..14}) expect 5 --json residue bad --on "$DEV"
jq -e '.verdict == "unknown" and .unreadable == [{"offset": 4194304, "length": 512}] and .unreadable_bytes == 512' "$OUT" >/dev/null || fail "$(cat "$OUT")"
umount "$M"

part 'more than was asked for is not read: random places, with their probability'
M=$TOP/m-large; mkfs='ext4 -b 4096 -E lazy_itable_init=1,nodiscard'; size=9G; cell_mount; mkdir "$M/src"; random_files "$M/src"; sync -f "$M"
PLAN=large MORE='clear: {require: performed-not-provable}' retirement "local:$M/src" >"$TOP/large.yaml"
expect 3 run "$TOP/large.yaml"
expect 0 approve large clear --as zhang --key "$KEYS/zhang"; expect 0 approve large clear --as li --key "$KEYS/li"
expect 0 run "$TOP/large.yaml"
expect 0 --json certificate large
jq -e '(.verdict == "cleared-sampled" or .verdict == "cleared-guest-level") and .coverage[0].whole == false and .coverage[0].bytes_read < 20000000
	and .coverage[0].bytes_read > 1000000 and .p_miss[0].probability > 0.5 and .control[0].control.found == .control[0].control.expected' "$OUT" >/dev/null ||
	fail "$(jq -c '{verdict, control, coverage, p_miss}' "$OUT")"
umount "$M"
