#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
scenario 'merge: staged beside, put into a living tree file by file, and taken out of it again to the last attribute'

make_small "$TOP/src"
mkdir "$TOP/src/new-dir"; echo n >"$TOP/src/new-dir/n"; echo -e 'odd' >"$TOP/src/a/"$'new\nline'; echo s >"$TOP/src/a/ space"
mkdir "$TOP/src/was-file"; echo i >"$TOP/src/was-file/inside"; echo f >"$TOP/src/was-dir"
chmod 750 "$TOP/src/a"; touch -d 2002-02-02 "$TOP/src/a" "$TOP/src/c"
mkdir -p "$TOP/live/a/b" "$TOP/live/theirs" "$TOP/live/was-dir/deep"
echo theirs >"$TOP/live/theirs/file"; echo old >"$TOP/live/a/one"; echo mine >"$TOP/live/a/b/mine"; echo x >"$TOP/live/was-file"; echo y >"$TOP/live/was-dir/deep/y"
touch -d 1999-01-01 "$TOP/live/a"; chmod 700 "$TOP/live/a/b"
cp -a "$TOP/live" "$TOP/before"
host old; host new
printf '#!/bin/sh\nexit 0\n' >"$TOP/look"; chmod +x "$TOP/look"
DATASET='activate: merge' MORE='passes: {max: 2}' migration "old:$TOP/src" "new:$TOP/live" >"$TOP/move.yaml"

part 'nothing of it before the cut-over'
expect 3 run "$TOP/move.yaml"
same_tree "$TOP/before" "$TOP/live"

part 'after it: the dataset, and what was there besides'
expect 0 run "$TOP/move.yaml" --yes
same_text 'serving: target' "$(tail -n 1 "$ERR")" 'the last line'
while IFS= read -r -d '' f; do
	same_text "$(stat -c '%F %a %u %Y' "$TOP/src/$f")" "$(stat -c '%F %a %u %Y' "$TOP/live/$f")" "what $f is"
	[ -L "$TOP/src/$f" ] || same_file "$TOP/src/$f" "$TOP/live/$f"
done < <(cd "$TOP/src" && find . \( -type f -o -type l \) -print0)
same_text "theirs mine" "$(cat "$TOP/live/theirs/file" "$TOP/live/a/b/mine" | paste -sd' ')" 'what was there besides'
same_text "$(stat -c '%a %Y' "$TOP/src/a")" "$(stat -c '%a %Y' "$TOP/live/a")" 'mode and time of a shared directory'
same_text "$(stat -c %i "$TOP/live/a/one")" "$(stat -c %i "$TOP/live/c/hard")" 'hard links'

part 'and back, also what was deleted at the target since'
rm "$TOP/live/a/one"
expect 0 rollback move --yes
same_tree "$TOP/before" "$TOP/live"
expect 0 rollback move --yes
same_tree "$TOP/before" "$TOP/live"

part 'and back when somebody deleted a shared directory since: made again as it was, with what was kept'
mkdir "$TOP/gone"; cp -a "$TOP/before" "$TOP/gone/live"
sed "s|^name: .*|name: gone|; s|new:$TOP/live|new:$TOP/gone/live|" "$TOP/move.yaml" >"$TOP/gone.yaml"
expect 0 run "$TOP/gone.yaml" --yes
rm -r "$TOP/gone/live/a"
expect 0 rollback gone --yes
says "$ERR" '2 directories' 'made again'
touch -r "$TOP/before/a/b" "$TOP/time"; rm "$TOP/before/a/b/mine"; touch -r "$TOP/time" "$TOP/before/a/b"
same_tree "$TOP/before" "$TOP/gone/live"
expect 0 run "$TOP/gone.yaml" --yes
same_file "$TOP/src/a/b/two" "$TOP/gone/live/a/b/two"

part 'killed after any of its acts it goes on, or comes back whole'
mkdir "$TOP/again"
for at in 2 4 7; do
	rm -rf "$TOP/again/live"; cp -a "$TOP/before" "$TOP/again/live"
	sed "s|^name: .*|name: kill$at|; s|new:$TOP/live|new:$TOP/again/live|" "$TOP/move.yaml" >"$TOP/kill$at.yaml"
	expect 0 run "$TOP/kill$at.yaml" --until verify
	sshd_env new "WAYBILL_FAULT=point@place:$at:kill" || fail 'sshd does not begin anew'
	expect 8/9 run "$TOP/kill$at.yaml" --yes
	sshd_env new || fail 'sshd does not begin anew'
	[ "$RC" = 8 ] || expect 8 run "$TOP/kill$at.yaml"
	same_tree "$TOP/before" "$TOP/again/live"
done
expect 0 run "$TOP/kill7.yaml" --yes
expect 0 finish kill7
same_text '' "$(find "$TOP/again" -maxdepth 1 -name '.waybill-kill7*' -printf '%f ')" 'left beside it'
expect 0 verify kill7 --full
expect 0 audit "$WS"
