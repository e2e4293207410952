#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
scenario 'A plan or a hook edited after an approval: 6 until --amend, and then the approvals have fallen'

make_small "$TOP/src"
person zhang li
host old
retirement "old:$TOP/src" >"$TOP/retire.yaml"

part 'without approvals an edited plan goes on as a new version of the plan'
expect 3 run "$TOP/retire.yaml"
echo 'title: 第一版' >>"$TOP/retire.yaml"
expect 3 run "$TOP/retire.yaml"

part 'by its name the recorded plan is run, and that the file is another one now is said'
cp "$TOP/retire.yaml" "$TOP/kept"
expect 3 run retire
grep -F 'differs from the recorded plan' "$ERR" && fail 'a difference is said where there is none'
echo '# only in the file' >>"$TOP/retire.yaml"
expect 3 run retire
says "$ERR" 'differs from the recorded plan' "waybill run $TOP/retire.yaml"
mv "$TOP/retire.yaml" "$TOP/away"
expect 3 run retire
grep -F 'differs from the recorded plan' "$ERR" && fail 'a difference is said where there is none'
mv "$TOP/kept" "$TOP/retire.yaml"

part 'with an approval: 6, and what changed is shown'
expect 0 approve retire clear --as zhang --key "$KEYS/zhang"
sed -i 's/第一版/第二版/' "$TOP/retire.yaml"
head=$(ledger rev-parse refs/heads/retire)
expect 6 run "$TOP/retire.yaml"
says <(cat "$OUT" "$ERR") 第二版 amend
expect 6 run "$TOP/retire.yaml" --yes
ledger merge-base --is-ancestor "$head" refs/heads/retire || fail 'history was rewritten'

part '--amend: goes on, the approval has fallen, and status says why'
expect 3 run "$TOP/retire.yaml" --amend 'a better title'
expect 0 --json status retire
jq -e '[.approvals[] | select(.person == "zhang")] | last | .state != "stands" and (.why_fallen | length > 0)' "$OUT" >/dev/null || fail "approvals: $(cat "$OUT")"
expect 0 approve retire clear --as li --key "$KEYS/li"
expect 3 run "$TOP/retire.yaml"
[ -e "$TOP/src/c/many" ] || fail 'a fallen approval opened the gate'

part 'another source for a dataset that has versions is refused, also with --amend'
make_small "$TOP/other"
sed "s|old:$TOP/src|old:$TOP/other|" "$TOP/retire.yaml" >"$TOP/x" && cp "$TOP/retire.yaml" "$TOP/good.yaml" && mv "$TOP/x" "$TOP/retire.yaml"
expect 2/6 run "$TOP/retire.yaml" --amend 'elsewhere'
cp "$TOP/good.yaml" "$TOP/retire.yaml"
sed 's/kind: retirement/kind: handover/' "$TOP/good.yaml" >"$TOP/retire.yaml"
expect 2/6 run "$TOP/retire.yaml" --amend 'another kind'
cp "$TOP/good.yaml" "$TOP/retire.yaml"
expect 3 run "$TOP/retire.yaml"

part 'an approval withdrawn no longer counts'
expect 0 approve retire clear --as li --withdraw --key "$KEYS/li" --reason 'doubts'
expect 0 approve retire clear --as zhang --key "$KEYS/zhang"
expect 3 run "$TOP/retire.yaml"
[ -e "$TOP/src/c/many" ] || fail 'a withdrawn approval opened the gate'

part 'a hook edited after approval'
mkdir "$TOP/h"
printf '#!/bin/sh\nexit 0\n' >"$TOP/h/note.sh"; chmod 755 "$TOP/h/note.sh"
PLAN=hooked MORE='hooks:
  done: [{run: note.sh}]' retirement "old:$TOP/src" >"$TOP/h/hooked.yaml"
expect 3 run "$TOP/h/hooked.yaml"
expect 0 approve hooked clear --as zhang --key "$KEYS/zhang"
printf '#!/bin/sh\ntouch %s\nexit 0\n' "$TOP/pwned" >"$TOP/h/note.sh"
expect 6 run "$TOP/h/hooked.yaml"
says <(cat "$OUT" "$ERR") note.sh
[ ! -e "$TOP/pwned" ] || fail 'the edited hook was run'
