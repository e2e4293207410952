#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
scenario 'Around a clearing: --only, an edited plan, a place that is not mounted, another operator, an abandoned plan'

make_small "$TOP/src"
for n in {1..300}; do echo "$n" >"$TOP/src/c/f$n"; done
person zhang li wang
plan() {
	MORE='clear: {require: unknown, operator: wang, verifier: zhang}' retirement "local:$TOP/src"
}
plan >"$TOP/retire.yaml"
expect 3 run "$TOP/retire.yaml" --as wang

part '--only makes no version under the feet of an approval'
expect 6 run "$TOP/retire.yaml" --only www --as wang
says "$ERR" clear --only
same_text "$(versions retire www)" 2 versions
expect 0 approve retire clear --as zhang --key "$KEYS/zhang"
expect 0 approve retire clear --as li --key "$KEYS/li"

part 'only the operator clears'
expect 6 run "$TOP/retire.yaml" --as li
says "$ERR" wang
part 'another refusal is told and recorded as such'
echo stray >"$TOP/src/stray"
expect 6 run "$TOP/retire.yaml" --as wang
says "$ERR" stray
event retire last | grep -q stray || fail "the last event is not the refusal: $(event retire last)"
n=$(events retire | wc -l)
expect 6 run "$TOP/retire.yaml" --as wang
same_text "$n" "$(events retire | wc -l)" 'events after the same refusal'
rm "$TOP/src/stray"
[ -e "$TOP/src/c/many" ] || fail 'something was cleared'

part 'killed after a part of the objects'
WAYBILL_FAULT=point@clear-done:1:kill "$WAYBILL" -C "$WS" run retire --as wang >"$OUT" 2>"$ERR" </dev/null
has_event retire clear-started
expect 0 status retire
says "$OUT" 'CLEARING WAS INTERRUPTED'
left=$(find "$TOP/src" | wc -l)
[ "$left" -gt 20 ] && [ "$left" -lt 300 ] || fail "$left entries left: the kill struck at the wrong place"

part 'no edit, no --only, no other hand'
cp "$TOP/retire.yaml" "$TOP/good.yaml"; echo 'title: x' >>"$TOP/retire.yaml"
expect 6 run "$TOP/retire.yaml" --as wang --amend 'a title'
cp "$TOP/good.yaml" "$TOP/retire.yaml"
expect 6 run "$TOP/retire.yaml" --as wang --only www
expect 6 run "$TOP/retire.yaml" --as li
expect 6 abandon retire --reason 'too late'
same_text "$left" "$(find "$TOP/src" | wc -l)" 'entries left'

part 'the place is gone: refused, for its data may be whole'
mv "$TOP/src" "$TOP/elsewhere"
expect 6 run "$TOP/retire.yaml" --as wang
says "$ERR" "$TOP/src" mount
part 'another directory under its name: refused'
mkdir "$TOP/src"
expect 6 run "$TOP/retire.yaml" --as wang
rmdir "$TOP/src"; mv "$TOP/elsewhere" "$TOP/src"
no_event retire clear-done

part 'put back: it goes on and ends, with the time when it began'
began=$(event retire "$(events retire | grep -n clear-started | cut -d: -f1)" | jq -r .at)
sleep 1.1
expect 0 run "$TOP/retire.yaml" --as wang
same_text '' "$(find "$TOP/src" -mindepth 1 2>/dev/null | head -n 3)" 'what is left'
same_text "$began" "$(event retire "$(events retire | grep -n clear-done | cut -d: -f1)" | jq -r .data.started)" 'start of the clearing'

part 'a cleared plan is finished: no edit, no --only, no new version'
expect 0 run "$TOP/retire.yaml" --as wang
echo 'title: x' >>"$TOP/retire.yaml"
expect 6 run "$TOP/retire.yaml" --as wang --amend 'a title'
cp "$TOP/good.yaml" "$TOP/retire.yaml"
expect 6 run "$TOP/retire.yaml" --as wang --only www
expect 0 audit "$WS"

part 'an abandoned plan is neither run, edited nor approved'
make_small "$TOP/src2"
PLAN=second retirement "local:$TOP/src2" >"$TOP/second.yaml"
expect 3 run "$TOP/second.yaml"
expect 0 abandon second --reason 'another way was found'
n=$(events second | wc -l)
expect 6 run "$TOP/second.yaml"
echo 'title: x' >>"$TOP/second.yaml"
expect 6 run "$TOP/second.yaml"
expect 6 approve second clear --as zhang --key "$KEYS/zhang"
same_text "$n" "$(events second | wc -l)" 'events'
expect 0 audit "$WS"
