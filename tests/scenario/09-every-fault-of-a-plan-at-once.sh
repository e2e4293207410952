#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
scenario 'A plan with six faults: all six, each with its place, exit 2, and nothing is recorded'

cat >"$TOP/six.yaml" <<'PLAN'
waybill: 1
name: six
kind: migraton
hosts:
  old: {ssh: root@127.0.0.1, prot: 22}
datasets:
  www:
    files: {from: "old:/srv/www", to: "nwe:/srv/www"}
  docs:
    files: {from: "old:relative/path", to: "old:/srv/docs", delete: perhaps}
gates:
  freeze: {approve: [mayor]}
PLAN
expect 2 check "$TOP/six.yaml"
cat "$OUT" "$ERR" >"$TOP/said"
for at in "six.yaml:3:" "six.yaml:5:" "six.yaml:8:" "six.yaml:10:" "six.yaml:12:"; do says "$TOP/said" "$at"; done
says "$TOP/said" migraton prot nwe relative/path perhaps mayor 'migration' '^'
[ "$(grep -Ec 'six\.yaml:[0-9]+:[0-9]+: ' "$TOP/said")" -ge 6 ] || fail 'fewer than six faults have a place'
for cmd in run preview; do expect 2 $cmd "$TOP/six.yaml"; done
same_text '' "$(ledger for-each-ref)" 'the ledger after a faulty plan'

refused() {	# NAME CODE WORD: the plan stands in $TOP/NAME.yaml
	expect 2 check "$TOP/$1.yaml"
	says <(cat "$OUT" "$ERR") "$2"
	expect 2 run "$TOP/$1.yaml"
}
part 'state secrets do not belong here'
printf 'waybill: 1\nname: s\nkind: migration\nstate_secret: yes\ndatasets:\n  d:\n    files: {from: "local:/srv"}\n' >"$TOP/secret.yaml"
refused secret state_secret
part 'no YAML; an alias; a duplicate key; too large; invalid UTF-8; a hostile value'
printf 'waybill: 1\nname: [\n' >"$TOP/noyaml.yaml"; refused noyaml 'noyaml.yaml:'
printf 'waybill: 1\nname: &a x\nkind: *a\n' >"$TOP/alias.yaml"; refused alias 'alias.yaml:'
printf 'waybill: 1\nname: x\nname: y\nkind: migration\n' >"$TOP/twice.yaml"; refused twice 'twice.yaml:3'
{ printf 'waybill: 1\nname: x\nkind: migration\n#'; head -c 1100000 /dev/zero | tr '\0' 'x'; echo; } >"$TOP/large.yaml"; refused large large.yaml
printf 'waybill: 1\nname: \xff\xfe\nkind: migration\n' >"$TOP/bytes.yaml"; refused bytes bytes.yaml
printf 'waybill: 1\nname: "\\e[31mred"\nkind: migration\ndatasets:\n  d:\n    files: {from: "local:/srv"}\n' >"$TOP/esc.yaml"; refused esc esc.yaml
part 'a retirement without two voices; a hand-over without a receiver; overlapping targets; a password'
person zhang
printf 'waybill: 1\nname: r\nkind: retirement\nparties:\n  department: {name: D}\npeople:\n  zhang: {name: Z, party: department, key: "%s"}\ndatasets:\n  d:\n    files: {from: "local:/srv"}\ngates:\n  clear: {approve: [department]}\n' "${KEY[zhang]}" >"$TOP/one.yaml"
refused one department
printf 'waybill: 1\nname: h\nkind: handover\ndatasets:\n  d:\n    files: {from: "local:/srv"}\n' >"$TOP/norecv.yaml"; refused norecv receiver
printf 'waybill: 1\nname: o\nkind: migration\ndatasets:\n  a:\n    files: {from: "local:/srv/a", to: "local:/srv/t"}\n  b:\n    files: {from: "local:/srv/b", to: "local:/srv/t/b"}\n' >"$TOP/overlap.yaml"
refused overlap /srv/t
part 'a file that is not there'
expect 2 check "$TOP/absent.yaml"
says "$ERR" absent.yaml

part 'the plans that new prints pass, or say what is missing'
person li
for kind in migration retirement handover; do
	expect 0 new $kind --from "local:$TOP/lab" --to "local:$TOP/elsewhere" --person "zhang:department:$KEYS/zhang.pub" --person "li:department:$KEYS/li.pub" --person "liu:receiver:$KEYS/zhang.pub"
	cp "$OUT" "$TOP/new-$kind.yaml"
	expect 0 check "$TOP/new-$kind.yaml"
done
expect 0 new retirement --from "local:/srv"
cp "$OUT" "$TOP/new-bare.yaml"
expect 2 check "$TOP/new-bare.yaml"

part 'the example plans pass'
for plan in "$WAYBILL_SOURCE"/plans/examples/*.yaml; do expect 0 check "$plan"; done
