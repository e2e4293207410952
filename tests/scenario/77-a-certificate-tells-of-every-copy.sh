#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
scenario 'The certificate lists every copy with its grade; a later statement makes a new one; whatever was changed in it is named'

make_small "$TOP/src"
echo '<img src=x onerror=alert(1)>' >"$TOP/src/<b>name&'\"<i>"
person zhang li
host old
MORE='clear: {require: performed-not-provable, copies: [{what: "nightly backup <1>", held_by: provider, statement: "letter 12"}, {what: snapshots, held_by: provider}]}' \
	retirement "old:$TOP/src" >"$TOP/retire.yaml"
expect 3 run "$TOP/retire.yaml"
expect 0 approve retire clear --as zhang --key "$KEYS/zhang"
expect 0 approve retire clear --as li --key "$KEYS/li"

part 'a statement that is only named is grade E4; what the department keeps is kept'
expect 0/4/5 --as zhang --key "$KEYS/zhang" run "$TOP/retire.yaml"
expect 0 --json certificate retire
jq -e '[.copies[] | .grade] == ["kept","E4","E4"] and .title_zh == "处置记录(未证实)"' "$OUT" >/dev/null || fail "copies: $(jq .copies "$OUT")"
first=$(jq -r .id "$OUT")
same_text "$(sha256sum <"$WAYBILL" | cut -d' ' -f1)" "$(jq -r .tool_sha256.waybill "$OUT")" 'digest of the program'

part 'text, page and JSON are stored in both languages, signed, and what the command prints'
for form in txt html; do
	for lang in zh en; do
		expect 0 --lang $lang certificate retire --format $form
		ledger show "refs/heads/retire:certificates/$first.$lang.$form" >"$TOP/stored" || fail "no $first.$lang.$form"
		same_file "$TOP/stored" "$OUT"
		ledger show "refs/heads/retire:certificates/$first.$lang.$form.sig" >"$TOP/stored.sig" || fail "$first.$lang.$form is not signed"
		ledger show refs/heads/retire:signers >"$TOP/signers"
		ssh-keygen -Y verify -f "$TOP/signers" -I zhang -n certificate@waybill -s "$TOP/stored.sig" <"$TOP/stored" >/dev/null || fail "signature of $form $lang"
	done
done
silent_on "$OUT" '<img' '<b>' '<script' 'http'
says "$OUT" 'nightly backup &lt;1&gt;' '@page{size:A4'

part 'the five lines that the paper gives do what they say'
expect 0 --json certificate retire
jq -r '.check[]' "$OUT" | sed 's/PERSON/zhang/' >"$TOP/five"
same_text 5 "$(wc -l <"$TOP/five")" 'lines'
git clone -q --bare "$WS/.waybill/ledger.git" "$TOP/elsewhere.git" 2>/dev/null
(cd "$TOP/elsewhere.git" && bash -e "$TOP/five") >"$TOP/five.out" 2>&1 || fail "the five lines: $(cat "$TOP/five.out")"
says "$TOP/five.out" "$(jq -r .event_sha256 "$OUT")" 'Good "certificate@waybill" signature for zhang'

part 'a statement that comes later: one more certificate, which supersedes the first'
echo '夜间备份已删除' >"$TOP/letter.txt"
expect 0 record retire statement --copy 'nightly backup <1>' --attach "$TOP/letter.txt" --note 'by mail'
expect 0/4/5 --as zhang --key "$KEYS/zhang" run "$TOP/retire.yaml"
expect 0 --json certificate retire
jq -e --arg first "$first" --arg sha "$(sha256sum "$TOP/letter.txt" | cut -d' ' -f1)" '[.copies[] | .grade] == ["kept","E3","E4"] and .supersedes == $first
	and .copies[1].evidence[0].sha256 == $sha' "$OUT" >/dev/null || fail "copies: $(jq '.copies,.supersedes' "$OUT")"
second=$(jq -r .id "$OUT")
ledger cat-file -e "refs/heads/retire:certificates/$first.json" && ledger cat-file -e "refs/heads/retire:certificates/$second.zh.html" || fail 'both papers are kept'
expect 0 audit "$WS"
expect 0 run "$TOP/retire.yaml"

part 'the transcript of an interface is grade E2; one that still lists the copy afterwards is refused'
echo '{"request_id": "req-0815", "deleted": ["snap-1"], "before": ["snap-1", "snap-9"], "after": ["snap-9", "snap-1"]}' >"$TOP/api.json"
expect 2 record retire statement --copy snapshots --attach "$TOP/api.json"
says "$ERR" 'snap-1 afterwards still'
echo '{"request_id": "req-0816", "deleted": ["snap-1"], "before": ["snap-1"], "after": []}' >"$TOP/first.json"
expect 2 record retire statement --copy snapshots --attach "$TOP/first.json" --attach "$TOP/api.json"
echo '{"request_id": "req-0815", "deleted": ["snap-2"], "before": ["snap-1"], "after": []}' >"$TOP/api.json"
expect 2 record retire statement --copy snapshots --attach "$TOP/api.json"
echo '{"request_id": "req-0815", "deleted": ["snap-1"], "before": ["snap-1", "snap-9"], "after": ["snap-9"]}' >"$TOP/api.json"
expect 0 record retire statement --copy snapshots --attach "$TOP/api.json"
expect 0/4/5 --as zhang --key "$KEYS/zhang" run "$TOP/retire.yaml"
expect 0 --json certificate retire
jq -e '[.copies[] | .grade] == ["kept","E3","E2"] and .copies[2].request_id == "req-0815"' "$OUT" >/dev/null || fail "copies: $(jq .copies "$OUT")"
second=$(jq -r .id "$OUT")
expect 0 audit "$WS"

part 'audit names a swapped evidence file, a rewritten certificate, and a cut ledger'
doc=$(find "$WS/.waybill/store/objects" -name '*.doc' | head -n 1)
chmod u+w "$doc"; cp "$doc" "$TOP/doc"; echo 'nothing was deleted' >"$doc"
expect 4 audit "$WS"
says "$OUT" "${doc##*/}"
cp "$TOP/doc" "$doc"
expect 0 audit "$WS"
head=$(ledger rev-parse refs/heads/retire)
cp -r "$WS/.waybill/ledger.git" "$TOP/cut.git"
git --git-dir="$TOP/cut.git" update-ref refs/heads/retire "$head~1"
bare 4 audit "$TOP/cut.git" --expect "$head"
says "$OUT" 'its tail cut'
ledger update-ref refs/heads/retire "$head~1"
expect 4 audit
says "$OUT" 'its tail cut'
ledger update-ref refs/heads/retire "$head"
git clone -q "$WS/.waybill/ledger.git" "$TOP/forged" -b retire 2>/dev/null
cd "$TOP/forged" || exit 1
git config user.name x; git config user.email x@x
sed -i 's/old:/odd:/' "certificates/$second.en.txt"
git commit -qa --amend --no-edit
cd "$TOP" || exit 1
bare 4 audit "$TOP/forged"
says "$OUT" "$second.en.txt: the certificate is not what the ledger says"
