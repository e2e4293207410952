#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
scenario 'Commands not built yet say so with 1; help, --version and wrong command lines behave'

make_small "$TOP/src"
migration "local:$TOP/src" "local:$TOP/dst" >"$TOP/move.yaml"
mkdir "$TOP/dst"
expect 0 run "$TOP/move.yaml"
unbuilt() { expect 1 "$@"; says "$ERR" 'not built yet'; }
unbuilt forget move www@1
unbuilt report move --to "$TOP/report.html"
unbuilt clock

expect 0 help
for c in init new check preview run status approve log show diff verify restore package accept certificate record abandon audit help; do
	says "$OUT" "$c"
	bare 0 help "$c"
	[ -s "$OUT" ] || fail "help $c says nothing"
	bare 0 help
done
bare 0 --version
says "$OUT" waybill
bare 2 frobnicate
bare 2 run
bare 2 run --no-such-option "$TOP/move.yaml"
bare 2
expect 2 verify move --side moon
expect 2 run "$TOP/move.yaml" --until nowhere
expect 1/2 status no-such-plan
(cd "$TOP" && "$WAYBILL" status move >"$OUT" 2>"$ERR"); [ $? != 0 ] || fail 'a workspace was found where there is none'
part 'the workspace above the working directory is found'
mkdir -p "$WS/deep/er"
(cd "$WS/deep/er" && "$WAYBILL" status move) >"$OUT" 2>"$ERR" || fail 'the workspace above is not found'
same_text 700 "$(stat -c %a "$WS/.waybill")" 'mode of the workspace'
part 'init twice harms nothing'
"$WAYBILL" init "$WS" >/dev/null 2>&1
expect 0 status move
part '--store elsewhere'
bare 0 init "$TOP/ws2" --store "$TOP/store2"
bare 0 -C "$TOP/ws2" run "$TOP/move.yaml"
find "$TOP/store2" -name '*.tar.zst' | grep -q . || fail '--store was not used'
part 'abandon ends a plan'
bare 0 -C "$TOP/ws2" abandon move --reason 'no longer wanted'
bare 0/1/2/6 -C "$TOP/ws2" run "$TOP/move.yaml"
[ "$(git --git-dir="$TOP/ws2/.waybill/ledger.git" ls-tree --name-only refs/heads/move events/ | tail -n 1 | grep -c abandon)" = 1 ] || fail 'run went on with an abandoned plan'
