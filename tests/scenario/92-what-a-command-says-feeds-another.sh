#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
scenario 'What a command says at the source feeds one at the target, once both have done their work; nothing is recorded when either fails'

host old; host new
mkdir "$TOP/bin"
cat >"$TOP/bin/say" <<'S'
#!/bin/bash
echo "run $1 with $TOKEN" >>"$2/ran"
[ ! -e "$2/fail-run" ] || { head -c 20000000 /dev/urandom; echo "cannot go on, token was $TOKEN" >&2; exit 3; }
echo "a warning with $TOKEN" >&2
cat "$2/data"
S
cat >"$TOP/bin/take" <<'S'
#!/bin/bash
cat >"$1/taken.part"
[ ! -e "$1/fail-feed" ] || { echo 'the target is full' >&2; exit 4; }
mv "$1/taken.part" "$1/taken"
S
printf '#!/bin/bash\n[ -e "$1/$2" ] || exit 9\nsha256sum <"$1/$2"\n' >"$TOP/bin/fp"
chmod +x "$TOP/bin"/*
echo 'hush-hush-4711' >"$TOP/token"; chmod 600 "$TOP/token"
head -c 40000000 /dev/urandom >"$TOP/data"; head -c 3000000 /dev/zero >>"$TOP/data"
plan() {	# OPTIONS
	{ printf 'waybill: 1\nname: cmd\nkind: migration\nhosts:\n'; for n in old new; do printf '  %s\n' "${HOST[$n]}"; done
	  printf 'secrets:\n  token: {file: "%s"}\ndatasets:\n  d:\n    command:\n      from: old\n      run: ["%s", "a b", "%s"]\n' "$TOP/token" "$TOP/bin/say" "$TOP"
	  printf '      env: {TOKEN: "secret:token"}\n      to: new\n      feed: ["%s", "%s"]\n%s\n' "$TOP/bin/take" "$TOP" "$1"; } >"$TOP/cmd.yaml"
}
no_secret() { ! grep -rqs 'hush-hush-4711' "$WS/.waybill/log" "$OUT" "$ERR" || fail 'the secret is in a log or an output'
	! ledger log -p cmd 2>/dev/null | grep -q 'hush-hush-4711' || fail 'the secret is in the ledger'; }

part 'the command fails at the source'
plan ''
: >"$TOP/fail-run"
expect 1 run "$TOP/cmd.yaml"
says "$ERR" 'host old' 'ended with status 3' 'cannot go on, token was [secret token]'
no_secret
[ ! -e "$TOP/taken" ] && [ ! -e "$TOP/taken.part" ] || fail 'the target was fed'
expect 0 log "$TOP/cmd.yaml"; silent_on "$OUT" 'd version 1:'
rm "$TOP/fail-run"

part 'the feed fails at the target'
: >"$TOP/fail-feed"
expect 1 run "$TOP/cmd.yaml"
says "$ERR" 'host new' 'ended with status 4: the target is full'
expect 0 log "$TOP/cmd.yaml"; silent_on "$OUT" 'd version 1:'
rm "$TOP/fail-feed"

part 'both do their work'
expect 0 preview "$TOP/cmd.yaml"
says "$OUT" 'dataset d: old -> new' 'once, in the stage final'
expect 0 run "$TOP/cmd.yaml"
same_file "$TOP/data" "$TOP/taken"
says "$TOP/ran" 'with hush-hush-4711'
ledger show cmd:datasets/d/summary.json >"$TOP/summary"
says "$TOP/summary" 'a warning with [secret token]'
same_text 3 "$(wc -l <"$TOP/ran")" 'the command ran once each time, in final alone'
no_secret
expect 0 show "$TOP/cmd.yaml" d; says "$OUT" ./stream
expect 5 verify "$TOP/cmd.yaml" d
says "$OUT" 'names no fingerprint'
expect 0 verify "$TOP/cmd.yaml" d --side archive
"$WAYBILL" -C "$WS" restore "$TOP/cmd.yaml" d stream --to - 2>"$ERR" | cmp - "$TOP/data" || fail 'the restored stream differs'
expect 0 restore "$TOP/cmd.yaml" d --to "$TOP/back"
same_file "$TOP/data" "$TOP/back/stream"

part 'a fingerprint: match, mismatch, and what could not be asked'
printf '#!/bin/bash\nif [ "$HOME" = "%s" ]; then exec "%s" "%s" data; else exec "%s" "%s" taken; fi\n' "${SSHD_HOME[old]}" "$TOP/bin/fp" "$TOP" "$TOP/bin/fp" "$TOP" >"$TOP/bin/both"
chmod +x "$TOP/bin/both"
plan "      fingerprint: [\"$TOP/bin/both\"]
      stream: yes"
echo more >>"$TOP/data"
expect 0 run "$TOP/cmd.yaml"
same_file "$TOP/data" "$TOP/taken"
expect 0 verify "$TOP/cmd.yaml" d
echo x >>"$TOP/taken"
expect 4 verify "$TOP/cmd.yaml" d
rm "$TOP/taken"
expect 5 verify "$TOP/cmd.yaml" d
says "$OUT" 'status 9'

part 'every pass'
plan "      when: every-pass"
expect 0 run "$TOP/cmd.yaml" --until copy
same_file "$TOP/data" "$TOP/taken"
