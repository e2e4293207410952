#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
scenario 'Names of the longest kind, in Chinese: no output is cut inside a character, no JSON object is missing'

dir=$TOP/src
for n in 1 2 3 4 5 6; do dir=$dir/$(printf '物业维修资金%.0s' {1..13}); done
mkdir -p "$dir"; echo x >"$dir/查询"; make_small "$TOP/src/a"
person zhang li
MORE='clear: {require: unknown}' retirement "local:$TOP/src" >"$TOP/retire.yaml"
expect 3 run "$TOP/retire.yaml"
expect 0 approve retire clear --as zhang --key "$KEYS/zhang"
expect 0 approve retire clear --as li --key "$KEYS/li"
for shift in '' x xy; do
	part "a stray entry deep down, $shift"
	mkdir "$dir/$shift.d" && echo s >"$dir/$shift.d/遗漏的文件"
	expect 6 --json run "$TOP/retire.yaml"
	tail -n 1 "$OUT" | jq -e '.event == "result" and .exit == 6 and (.reason | length > 0)' >/dev/null || fail "last object: $(tail -n 1 "$OUT")"
	jq -es 'map(select(.event == "stage" and .stage == "clear" and .state == "refused")) | length > 0' "$OUT" >/dev/null || fail 'no refused stage event'
	expect 0 --json status retire
	jq -e '.stages | length == 8 and all(.name and .state)' "$OUT" >/dev/null || fail "a stage is missing: $(cat "$OUT")"
	expect 0 --json log retire
	jq -e '.events | length > 10' "$OUT" >/dev/null || fail 'events are missing'
	expect 6 -q run "$TOP/retire.yaml"
	is_empty "$OUT" 'standard output with -q'
	rm -r "$dir/$shift.d"
done
part 'git reads every subject'
ledger log --format=%s refs/heads/retire | iconv -f UTF-8 -t UTF-8 >/dev/null || fail 'a subject is no UTF-8'
expect 0 audit "$WS"
