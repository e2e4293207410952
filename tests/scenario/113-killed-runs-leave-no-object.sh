#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
scenario 'Objects that a killed run stored and no version names are removed after the pass that completes, and no other object is'

make_small "$TOP/src"
head -c 9000000 /dev/urandom >"$TOP/src/a-large-one"
mkdir "$TOP/src/few"
for n in {1..50}; do head -c 3000 /dev/urandom >"$TOP/src/few/$n"; done
setfattr -n user.x -v y "$TOP/src/c/three" 2>/dev/null
sleep 2.5
MORE='passes: {verify: no}'
mkdir "$TOP/dst"
migration "local:$TOP/src" "local:$TOP/dst" >"$TOP/move.yaml"

part 'a run that is killed when its objects are durable leaves them'
killed() { WAYBILL_FAULT=point@pass-commit:1:kill expect 137 run "$TOP/$1.yaml"; }
WAYBILL_FLUSH=100000 killed move
[ "$(objects | wc -l)" -ge 2 ] || fail 'the killed run stored nothing'
# What was sent changes before the next try: its objects are named by nobody then.
for n in {1..50}; do head -c 3000 /dev/urandom >"$TOP/src/few/$n"; done
head -c 9000000 /dev/urandom >"$TOP/src/a-large-one"
sleep 2.5
objects | sort >"$TOP/before"
part 'another plan that was cut with acknowledged entries keeps everything in its place'
mkdir "$TOP/other" "$TOP/dst2"; cp -a "$TOP/src/few" "$TOP/other/"; sleep 2.5
migration "local:$TOP/other" "local:$TOP/dst2" | sed 's/^name: move/name: other/' >"$TOP/other.yaml"
killed other
expect 0 run "$TOP/move.yaml"
same_tree "$TOP/src" "$TOP/dst"
no_event move copy-swept
is_empty <(objects | sort | comm -13 - "$TOP/before") 'objects that are gone while an entry of another plan rests on one'
part 'once that is complete too, they go'
expect 0 run "$TOP/other.yaml"
has_event other copy-swept
is_empty <(unnamed) 'objects that no version names'
[ -n "$(objects | sort | comm -13 - "$TOP/before")" ] || fail 'nothing was removed'
same_text "$(comm -13 <(objects | sort) "$TOP/before" | wc -l)" "$(event other "$(events other | grep -n swept | cut -d: -f1)" | jq .data.objects)" 'the number of objects in the event'
part 'every version is whole'
expect 0 verify move www --side archive --full
expect 0 verify other www --side archive --full
expect 0 audit "$WS"
part 'while somebody else has the archive open nothing is removed'
head -c 3000 /dev/urandom >"$TOP/src/few/1"; sleep 2.5
killed move
head -c 3000 /dev/urandom >"$TOP/src/few/1"; sleep 2.5
exec 8<"$WS/.waybill/store/objects"; flock -s 8
expect 0 run "$TOP/move.yaml"
[ -n "$(unnamed)" ] || fail 'objects were removed under another process'
exec 8<&-
head -c 3000 /dev/urandom >"$TOP/src/few/2"; sleep 2.5
expect 0 run "$TOP/move.yaml"
is_empty <(unnamed) 'objects that no version names'
expect 0 verify move www --side archive --full
