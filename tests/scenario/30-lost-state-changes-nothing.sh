#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
scenario 'state.db and the scan files lost: what was foreign stays foreign, nothing is sent twice without need, nothing is taken for a difference'

make_small "$TOP/src"
mkdir "$TOP/dst"
echo theirs >"$TOP/dst/theirs"; mkdir "$TOP/dst/a"; echo old >"$TOP/dst/a/"$'the\nirs'
migration "local:$TOP/src" "local:$TOP/dst" >"$TOP/move.yaml"

part 'a first pass that is cut, and an edited plan: what it left at the target is ours, not foreign'
WAYBILL_FAULT=point@pass-commit:1:kill "$WAYBILL" -C "$WS" run "$TOP/move.yaml" >"$OUT" 2>"$ERR" </dev/null
[ -e "$TOP/dst/c/three" ] || fail 'the pass was cut before anything arrived: nothing is shown'
same_text 0 "$(versions move www)" versions
echo 'title: edited' >>"$TOP/move.yaml"
expect 0 run "$TOP/move.yaml"
expect 0 --json verify move --full
same_text 2 "$(jq .foreign_count "$OUT")" 'foreign entries'

part 'without state.db'
rm "$WS"/.waybill/state.db*
expect 0 --json verify move --full
jq -e '.verdict == "match" and .foreign_count == 2 and (.foreign | index("theirs"))' "$OUT" >/dev/null || fail "verify: $(cat "$OUT")"
expect 0 run "$TOP/move.yaml"

part 'without state.db and scan files: everything is read again and nothing sent'
rm -f "$WS"/.waybill/state.db* "$WS"/.waybill/scan/*
echo new >"$TOP/src/c/new"; rm "$TOP/src/a/b/two"
touch -d '2001-01-01' "$TOP/dst/c/many.marker"; rm "$TOP/dst/c/many.marker"
before=$(objects | wc -l)
expect 0 run "$TOP/move.yaml"
[ ! -e "$TOP/dst/a/b/two" ] || fail 'a file that is gone at the source stayed'
same_file "$TOP/src/c/new" "$TOP/dst/c/new"
[ $(($(objects | wc -l) - before)) -le 1 ] || fail "known contents were archived again: $(objects | wc -l) objects, before $before"
expect 0 verify move --full
[ -e "$TOP/dst/theirs" ] && [ -e "$TOP/dst/a/"$'the\nirs' ] || fail 'a foreign entry was deleted'

part 'a damaged scan file is said and read around'
for f in "$WS"/.waybill/scan/*; do [ -s "$f" ] && printf X | dd of="$f" bs=1 seek=$(($(stat -c %s "$f") / 2)) conv=notrunc status=none; done
expect 0 run "$TOP/move.yaml"
says "$ERR" 'scan state'
expect 0 verify move --full
expect 0 audit "$WS"

part 'another target before the first version: what lies there under names that were sent elsewhere stays'
elsewhere() {	# PLAN SITE
	rm -rf "$TOP/src2" "$TOP/first" "$TOP/second"; make_small "$TOP/src2"; mkdir -p "$TOP/first" "$TOP/second/a/b"
	migration "local:$TOP/src2" "local:$TOP/first" | sed "s/^name: .*/name: $1/" >"$TOP/$1.yaml"
	WAYBILL_FAULT=$2 "$WAYBILL" -C "$WS" run "$TOP/$1.yaml" >"$OUT" 2>"$ERR" </dev/null
	[ $? = 137 ] || fail "$2 did not kill the run"
	[ -e "$TOP/first/a/b/two" ] || fail 'cut before anything arrived: nothing is shown'
	rm "$TOP/src2/a/b/two"; echo theirs >"$TOP/second/a/b/two"
	sed -i "s|local:$TOP/first|local:$TOP/second|" "$TOP/$1.yaml"
	expect 0 run "$TOP/$1.yaml" --yes
	same_text theirs "$(cat "$TOP/second/a/b/two")" 'what lay at the other target'
	expect 0 verify "$1" --full
	same_file "$TOP/src2/c/three" "$TOP/second/c/three"
}
elsewhere stored point@pass-stored:1:kill
elsewhere acked point@pass-commit:1:kill
