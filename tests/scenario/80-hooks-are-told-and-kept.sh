#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
scenario 'Hooks: what they are told, where and as whom they run, what is kept of what they say, and what of it is not'

make_small "$TOP/src"
mkdir "$TOP/dst"
host old; host new
printf 'hunter22-secret' >"$TOP/password"; printf 'xyz"\\quoted-one\n' >"$TOP/quoted"

hook() { cat >"$TOP/$1"; chmod +x "$TOP/$1"; }
hook tell <<EOF
#!/bin/sh
dir=$TOP/told/\$WAYBILL_POINT.\$WAYBILL_HOST
mkdir -p "\$dir"
env | grep ^WAYBILL_ | sort >"\$dir/env"; cat >"\$dir/facts.json"; pwd >"\$dir/pwd"
tr '\0' '\n' </proc/\$\$/cmdline >"\$dir/argv"
echo "the password is \$WAYBILL_WITH_PASS" >&2
printf '{"text":"told","seen":"%s","base":"%s"}\n' "\$WAYBILL_WITH_PASS" "\$(printf %s "\$WAYBILL_WITH_PASS" | base64)"
EOF
MORE="secrets:
  pass: {file: password}
  quoted: {file: quoted}
hooks:
  before-copy: [{run: tell, host: [old, new, local], with: {action: enter, pass: \"secret:pass\", odd-name: \"secret:quoted\"}}]
  after-copy: [{run: tell, host: old}]
passes: {max: 1}"
migration "old:$TOP/src" "new:$TOP/dst" >"$TOP/move.yaml"
mkdir -m 777 "$TOP/told"

part 'facts as environment and as JSON, on each host'
expect 0 run "$TOP/move.yaml"
for h in old new local; do
	d=$TOP/told/before-copy.$h
	says "$d/env" WAYBILL_PLAN=move WAYBILL_KIND=migration WAYBILL_POINT=before-copy "WAYBILL_HOST=$h" WAYBILL_HOOK=tell WAYBILL_PASS=1 \
		WAYBILL_TRY=1 WAYBILL_REHEARSAL=no WAYBILL_WITH_ACTION=enter WAYBILL_WITH_PASS=hunter22-secret 'WAYBILL_WITH_ODD_NAME=xyz"\quoted-one'
	jq -e --arg h $h '.waybill == 1 and .plan == "move" and .host == $h and .point == "before-copy" and .with.pass == "hunter22-secret" and
		.with["odd-name"] == "xyz\"\\quoted-one" and .datasets[0].from.host == "old" and .rehearsal == false' "$d/facts.json" >/dev/null ||
		fail "facts: $(cat "$d/facts.json")"
	same_text / "$(cat "$d/pwd")" 'working directory'
	silent_on "$d/argv" hunter22
done
same_text done "$(jq -r .outcome "$TOP/told/after-copy.old/facts.json")" "outcome after a good pass"

part 'what they say is in the ledger, and no secret in ledger, store, log or output'
nth_hook() { ledger show "refs/heads/move:$(events move | grep -- -copy-hook | "$1" -n "$2" | tail -n "${3:-1}" | head -n 1)"; }
nth_hook head 1 >"$TOP/event"
jq -e '.data | .point == "before-copy" and .hook == "tell" and .host == "old" and .exit == 0 and .answer.text == "told" and
	.answer.seen == "[secret pass]" and .answer.base == "[secret pass]" and (.sha256 | length) == 64' "$TOP/event" >/dev/null || fail "event: $(cat "$TOP/event")"
says "$TOP/event" 'the password is [secret pass]'
for e in $(events move); do ledger show "refs/heads/move:$e" >"$TOP/one"; silent_on "$TOP/one" hunter22 quoted-one; done
! grep -rqaF hunter22 "$WS/.waybill/log" "$WS/.waybill/state.db" "$WS/.waybill/store" || fail 'the secret is in the workspace'
silent_on "$OUT" hunter22; silent_on "$ERR" hunter22

part 'what runs is what was recorded; an edited hook is a new version of the plan'
same_text "$(sha256sum <"$TOP/tell" | cut -d' ' -f1)" "$(jq -r .data.sha256 "$TOP/event")" 'digest of the hook'
echo '# edited' >>"$TOP/tell"
expect 0 run "$TOP/move.yaml"
has_event move plan-amended

part 'a failing before-copy stops the pass; after-copy runs all the same'
hook tell <<EOF
#!/bin/sh
[ "\$WAYBILL_POINT" = after-copy ] && echo "\$WAYBILL_OUTCOME" >$TOP/told/outcome
[ "\$WAYBILL_POINT" = after-copy ] || { echo "no snapshot for you" >&2; exit 7; }
EOF
before=$(versions move www)
expect 1 run "$TOP/move.yaml"
says "$ERR" 'before-copy hook tell at old' 'status 7' 'no snapshot for you'
same_text failed "$(cat "$TOP/told/outcome")" 'outcome told to after-copy'
same_text "$before" "$(versions move www)" 'versions'

part 'tries and every; a time limit ends the whole group'
hook tell <<EOF
#!/bin/sh
[ "\$WAYBILL_POINT" = after-copy ] && exit 0
[ "\$WAYBILL_HOST" = new ] && { sleep 86399 & echo \$! >$TOP/sleepers; sleep 86399 & echo \$! >>$TOP/sleepers; wait; }
[ "\$WAYBILL_TRY" = 3 ]
EOF
sed -i 's/host: \[old, new, local\],/host: old, tries: 3, every: 1s,/' "$TOP/move.yaml"
expect 0 run "$TOP/move.yaml"
same_text 3 "$(nth_hook tail 2 2 | jq .data.try)" 'tries'
sed -i 's/host: old, tries: 3, every: 1s,/host: new, timeout: 3s,/' "$TOP/move.yaml"
expect 1 run "$TOP/move.yaml"
says "$ERR" 'took longer than 3 s'
[ -s "$TOP/sleepers" ] || fail 'the hook had not begun'
for pid in $(cat "$TOP/sleepers"); do await 'the end of what the hook started' ended "$pid"; done
sed -i 's/timeout: 3s,/timeout: 5m,/' "$TOP/move.yaml"

part 'a secret that is missing, and a hook that cannot be executed'
rm "$TOP/password"
expect 2 run "$TOP/move.yaml"
says "$ERR" 'secret pass'
printf 'hunter22-secret' >"$TOP/password"
printf '#!/no/such/interpreter\n' >"$TOP/tell"
expect 1 run "$TOP/move.yaml"
says "$ERR" 'could not be executed'

part 'as another user'
if [ "$(id -u)" = 0 ]; then
	hook tell <<<'#!/bin/sh
echo $(id -un) $(id -Gn) $HOME'
	sed -i 's/host: new, timeout: 5m,/host: new, user: nobody,/' "$TOP/move.yaml"
	expect 0 run "$TOP/move.yaml"
	same_text 'nobody nogroup /nonexistent' "$(nth_hook tail 2 2 | jq -r .data.answer.text)" 'who ran it'
fi
expect 0 audit "$WS"
