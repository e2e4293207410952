#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
scenario 'A retirement clears nothing before two people of the department said so, then everything, and certifies it'

make_tree "$TOP/src"
cp -a "$TOP/src" "$TOP/copy"
person zhang li wang
host old
retirement "old:$TOP/src" >"$TOP/retire.yaml"
expect 0 check "$TOP/retire.yaml"

part 'run stops at the clear gate (3) and says who must do what'
expect 3 run "$TOP/retire.yaml"
says <(cat "$OUT" "$ERR") zhang li 'approve'
for e in copy-done verify-done restore-test-done; do has_event retire "$e"; done
no_event retire clear-started
same_tree "$TOP/copy" "$TOP/src"
expect 0 --json status retire
jq -e '.waits_for | length > 0 and all(.party and .command)' "$OUT" >/dev/null || fail "waits_for: $(cat "$OUT")"

part '--yes answers nothing here'
expect 3 run "$TOP/retire.yaml" --yes
same_tree "$TOP/copy" "$TOP/src"

part 'somebody of another party, an unknown person, a wrong key, a wrong namespace: refused'
expect 2/6 approve retire clear --as zhang --key "$KEYS/li"
expect 2/6 approve retire clear --as nobody --key "$KEYS/li"
expect 0 approve retire clear --as wang --key "$KEYS/wang"
expect 3 run "$TOP/retire.yaml"
expect 0 approve retire clear --as zhang --request "$TOP/zhang.txt"
says "$TOP/zhang.txt" "old:$TOP/src" retire clearance@waybill
ssh-keygen -q -Y sign -f "$KEYS/zhang" -n approval@waybill "$TOP/zhang.txt" 2>/dev/null
expect 6 approve retire clear --as zhang --signature "$TOP/zhang.txt.sig"
rm "$TOP/zhang.txt.sig"

part 'one voice, signed elsewhere with ssh-keygen'
ssh-keygen -q -Y sign -f "$KEYS/zhang" -n clearance@waybill "$TOP/zhang.txt" 2>/dev/null
expect 0 approve retire clear --as zhang --signature "$TOP/zhang.txt.sig"
expect 3 run "$TOP/retire.yaml"
says <(cat "$OUT" "$ERR") li
part 'the same voice twice is one voice'
expect 0 approve retire clear --as zhang --key "$KEYS/zhang"
expect 3 run "$TOP/retire.yaml"
same_tree "$TOP/copy" "$TOP/src"

part 'the second voice, with --key; clear; certificate'
expect 0 approve retire clear --as li --key "$KEYS/li"
expect 0 --json status retire
jq -e '[.approvals[] | select(.stage == "clear" and .state == "stands") | .person] | unique | length >= 2' "$OUT" >/dev/null || fail "approvals: $(cat "$OUT")"
# The honest verdict is worse than what clear.require asks for when the plan is silent (cleared-sampled): certified, and 5.
expect 5 run "$TOP/retire.yaml"
has_event retire clear-started; has_event retire clear-done; has_event retire certify-done
left=$(find "$TOP/src" -mindepth 1 2>/dev/null | head -n 3)
same_text '' "$left" 'what is left at the source'

part 'the certificate says what was measured, in text and JSON, out of the ledger alone'
expect 0 certificate retire
says "$OUT" performed-not-provable
! grep -Eqi 'unrecoverable|complies with' "$OUT" || fail 'the certificate claims too much'
cp "$OUT" "$TOP/paper.txt"
expect 0 --json certificate retire
jq -e '.verdict == "performed-not-provable" and (.items | length) > 0 and all(.items[]; .what and .method and .verdict and (.limits | type == "array"))
	and (.copies | type == "array")' "$OUT" >/dev/null || fail "certificate: $(cat "$OUT")"
jq -e '[.copies[].grade] | index("kept")' "$OUT" >/dev/null || fail 'the kept archive is no row of the copies'
expect 0 certificate retire
same_file "$TOP/paper.txt" "$OUT"
ledger ls-tree -r --name-only refs/heads/retire certificates/ >"$TOP/certs"
grep -q '\.txt$' "$TOP/certs" && grep -q '\.json$' "$TOP/certs" || fail "certificates in the ledger: $(cat "$TOP/certs")"

part 'every signature verifies with ssh-keygen alone'
ledger show refs/heads/retire:signers >"$TOP/signers"
n=0
for sig in $(ledger ls-tree -r --name-only refs/heads/retire approvals/ | grep '\.sig$'); do
	who=${sig##*-}; who=${who%.sig}
	ledger show "refs/heads/retire:$sig" >"$TOP/a.sig"; ledger show "refs/heads/retire:${sig%.sig}.txt" >"$TOP/a.txt"
	ssh-keygen -Y verify -f "$TOP/signers" -I "$who" -n clearance@waybill -s "$TOP/a.sig" <"$TOP/a.txt" >/dev/null || fail "signature $sig"
	n=$((n + 1))
done
[ "$n" -ge 3 ] || fail "only $n signatures in the ledger"

part 'audit agrees, with the signers and the last commit as anchors'
expect 0 audit "$WS" --signers "$TOP/signers" --expect "$(ledger rev-parse refs/heads/retire)"
expect 0 --json audit "$WS"
jq -e '.verdict == "intact" and .commits > 5 and (.findings | type == "array")' "$OUT" >/dev/null || fail "audit: $(cat "$OUT")"
part 'the data is still in the archive'
expect 0 restore retire www --to "$TOP/back"
same_tree "$TOP/copy" "$TOP/back"
part 'a finished plan says so and does nothing'
expect 0 run "$TOP/retire.yaml"
ledger fsck --strict --full >/dev/null 2>&1 || fail 'git fsck'
