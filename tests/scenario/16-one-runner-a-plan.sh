#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
scenario 'Two runs of one plan: the second is told who holds it (8); approve, record and status work meanwhile'

make_small "$TOP/src"
person zhang li
mkdir "$TOP/h"
# A helper that takes its time: the first run is held in the middle for as long as the test likes.
printf '#!/bin/sh\ntouch %s\nfor i in $(seq 3000); do [ -e %s ] && exec %s "$@"; sleep 0.1; done\n' "$TOP/running" "$TOP/go" "$WAYBILL_BUILD/waybill-agent" >"$TOP/agent"
chmod 755 "$TOP/agent"
retirement "local:$TOP/src" >"$TOP/h/retire.yaml"
WAYBILL_AGENT=$TOP/agent timeout 600 "$WAYBILL" -C "$WS" run "$TOP/h/retire.yaml" >"$TOP/first.out" 2>"$TOP/first.err" </dev/null & pid=$!
SCENARIO_PIDS+=("$pid")
await 'the helper of the first run' test -e "$TOP/running"

part 'the second run'
expect 8 run "$TOP/h/retire.yaml"
says "$ERR" retire
grep -Eq "[0-9]+" "$ERR" || fail 'the holder is not named'
part 'status, record, log, check at the same time'
expect 0 status retire
expect 0 log retire
expect 0 check "$TOP/h/retire.yaml"
expect 0 record retire note --note 'seen while it runs'
has_event retire record-recorded
touch "$TOP/go"
wait "$pid"; rc=$?
same_text 3 "$rc" 'exit of the first run'
ledger fsck --strict >/dev/null 2>&1 || fail 'git fsck'
expect 0 audit "$WS"

part 'two approvals at the same time are both recorded'
"$WAYBILL" -C "$WS" approve retire clear --as zhang --key "$KEYS/zhang" >"$TOP/a1" 2>&1 </dev/null & a=$!
"$WAYBILL" -C "$WS" approve retire clear --as li --key "$KEYS/li" >"$TOP/a2" 2>&1 </dev/null & b=$!
wait "$a" || { cat "$TOP/a1" >&2; fail 'the first approval'; }
wait "$b" || { cat "$TOP/a2" >&2; fail 'the second approval'; }
expect 0 --json status retire
jq -e '[.approvals[] | select(.state == "stands") | .person] | sort == ["li", "zhang"]' "$OUT" >/dev/null || fail "approvals: $(cat "$OUT")"
expect 0 audit "$WS"

part 'a dead runner holds nothing'
rm -f "$TOP/running" "$TOP/go"
cp -r "$TOP/h" "$TOP/h2"; sed -i "s/name: retire/name: second/" "$TOP/h2/retire.yaml"
WAYBILL_AGENT=$TOP/agent "$WAYBILL" -C "$WS" run "$TOP/h2/retire.yaml" >/dev/null 2>&1 </dev/null & pid=$!
SCENARIO_PIDS+=("$pid")
await 'the helper of the run that dies' test -e "$TOP/running"
kill -9 "$pid"; wait "$pid" 2>/dev/null
touch "$TOP/go"
expect 3 run "$TOP/h2/retire.yaml"
