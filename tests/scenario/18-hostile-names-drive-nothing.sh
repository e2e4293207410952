#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
scenario 'Names with newlines, escape sequences, invalid UTF-8 reach every output escaped, and every place unchanged'

# every output of every command below is searched for raw control bytes by the helpers themselves
mkdir "$TOP/src"
for n in "${HOSTILE[@]}"; do echo "content of $n" >"$TOP/src/$n"; mkdir "$TOP/src/dir-$n"; ln -s -- "$n" "$TOP/src/link-$n"; done
mkdir "$TOP/dst"
person zhang li
host old; host new
migration "old:$TOP/src" "new:$TOP/dst" >"$TOP/move.yaml"
expect 0 -v run "$TOP/move.yaml"
same_tree "$TOP/src" "$TOP/dst"
[ ! -e pwned ] && [ ! -e "$TOP/src/pwned" ] && [ ! -e "$HOME/pwned" ] || fail 'a name was run by a shell'
printf 'x' >>"$TOP/dst/"$'\e[31mred\e]0;title\a'
printf 'x' >>"$TOP/dst/"$'new\nline'
rm "$TOP/dst/"$'bad\xff\xfe'
expect 4 verify move --full
says <(cat "$OUT" "$ERR") '\033[31mred' 'new\012line' 'bad\377\376'
expect 4 --json verify move www --full
same_text 1 "$(jq -s length "$OUT")" "objects that verify prints with --json"
jq -e '[.differences[].path] | index("new\\012line")' "$OUT" >/dev/null || fail "JSON: $(cat "$OUT")"
echo y >"$TOP/src/"$'new\nline'
rm "$TOP/src/"$'bad\xff\xfe'
expect 0 -v run "$TOP/move.yaml"
expect 0 log move www
expect 0 diff move www@1 www
says "$OUT" 'new\012line' 'bad\377\376'
expect 0 show move www
expect 0 show move www $'new\nline'
expect 0 restore move www $'new\nline' --to "$TOP/r"
expect 0 restore move www --to "$TOP/all"
same_tree "$TOP/src" "$TOP/all"

part 'a place, a reason and a person with hostile text'
hostile=$'\e[2J\e]0;owned\a\xff line\nbreak'
expect 0 record move note --note "$hostile"
expect 0 log move
expect 0/2/6 abandon move --reason "$hostile"
expect 0 --json status move
jq -e . "$OUT" >/dev/null || fail 'not JSON'
ledger log refs/heads/move --format=%B >"$OUT"
clean_text "$OUT" 'commit messages'
for e in $(events move); do ledger show "refs/heads/move:$e" >"$OUT"; clean_text "$OUT" "event $e"; done

part 'names in a certificate and in what is signed'
MORE='clear: {require: unknown}' retirement "old:$TOP/src" >"$TOP/retire.yaml"
expect 3 run "$TOP/retire.yaml"
expect 0 approve retire clear --as zhang --request "$TOP/req.txt"
clean_text "$TOP/req.txt" 'the request'
echo late >"$TOP/src/"$'late\e[31m\nname'
expect 0 approve retire clear --as zhang --key "$KEYS/zhang"
expect 0 approve retire clear --as li --key "$KEYS/li"
expect 6 run "$TOP/retire.yaml"
says <(cat "$OUT" "$ERR") 'late\033[31m\012name'
rm "$TOP/src/"$'late\e[31m\nname'
expect 0 run "$TOP/retire.yaml"
expect 0 certificate retire
expect 0 --json certificate retire
for f in "$WS"/.waybill/log/*; do clean_text "$f" "log ${f##*/}"; done

part 'arguments that try'
expect 2 $'\e[31mcommand'
expect 1/2 show $'no\e[0mplan' www
expect 2 run $'/no\nsuch\e[31m.yaml'
