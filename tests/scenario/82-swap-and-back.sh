#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
own_mounts
scenario 'swap: built beside the target, exchanged in one step, and back; refused where it cannot be; killed anywhere it goes on'

make_small "$TOP/src"
mkdir -p "$TOP/www"
host old; host new
printf '#!/bin/sh\nexit $(cat %s/smoke 2>/dev/null || echo 0)\n' "$TOP" >"$TOP/look"; chmod +x "$TOP/look"
swap() {
	DATASET="activate: swap${FOREIGN:+, foreign: $FOREIGN}" MORE="hooks:
  smoke: [{run: look, host: new}]
passes: {max: 2}
${2:-}" migration "old:$TOP/src" "new:$1" | sed "s/^name: .*/name: ${NAME:-move}/"
}
serving() { same_text "serving: $1" "$(tail -n 1 "$ERR")" 'the last line on standard error'; }
beside() { find "$1" -maxdepth 1 -name '.waybill*' -printf '%f\n' | sort | tr '\n' ' '; }

part 'refused: symlink, mount point, mounts beneath, foreign entries'
mkdir -p "$TOP/refused/real" "$TOP/refused/mount" "$TOP/refused/above/below" "$TOP/refused/foreign"
ln -s real "$TOP/refused/link"; echo theirs >"$TOP/refused/foreign/file"
n=0
refused() {
	n=$((n + 1))
	NAME=refused$n swap "$TOP/refused/$1" >"$TOP/refused.yaml"
	expect 6 run "$TOP/refused.yaml" --yes
	says "$ERR" "$2"
	same_text '' "$(beside "$TOP/refused")" 'what lies beside'
}
mount -t tmpfs none "$TOP/refused/mount" || skip 'no mounts here'
mount -t tmpfs none "$TOP/refused/above/below"
refused link 'symbolic link'
refused mount 'mount point'
refused above 'mounted beneath'
refused foreign 'foreign: carry'
umount "$TOP/refused/mount" "$TOP/refused/above/below"

part 'until the cut-over production has its old tree; then the new one, whole; rollback; again; finish'
mkdir "$TOP/www/live"; echo old >"$TOP/www/live/index"
FOREIGN=drop swap "$TOP/www/live" 'rollback: {save: [www]}' >"$TOP/move.yaml"
expect 0 run "$TOP/move.yaml" --until verify
serving source
same_text old "$(cat "$TOP/www/live/index")" 'the live tree'
expect 0 verify move --full
was=$(stat -c %i "$TOP/www/live")
expect 0 run "$TOP/move.yaml" --yes
serving target
same_tree "$TOP/src" "$TOP/www/live"
same_text "$was" "$(stat -c %i "$TOP/www/.waybill-move-www")" 'the old tree is kept'
expect 0 verify move --full
echo new-since >"$TOP/www/live/written"
expect 0 rollback move --yes
serving source
same_text "old $was" "$(cat "$TOP/www/live/index") $(stat -c %i "$TOP/www/live")" 'the live tree'
same_text new-since "$(cat "$TOP/www/.waybill-move-www.rolled-back-1/written")" 'what was written since'
expect 0 rollback move --yes
cp -a "$TOP/www/.waybill-move-www.rolled-back-1" "$TOP/held"
expect 0 restore move www-saved-1 --to "$TOP/saved"
same_tree "$TOP/held" "$TOP/saved"
expect 0 verify move www-saved-1
expect 2 restore move www-saved-2 --to "$TOP/none"
echo more >"$TOP/src/more"
expect 0 run "$TOP/move.yaml" --yes
same_tree "$TOP/src" "$TOP/www/live"
same_text '.waybill-move-www .waybill-move-www.rolled-back-1 ' "$(beside "$TOP/www")" 'beside it'
chattr +i "$TOP/www/.waybill-move-www/index" 2>/dev/null
expect 0 finish move
same_text '' "$(beside "$TOP/www")" 'left beside it'
same_tree "$TOP/src" "$TOP/www/live"
expect 6 rollback move --yes

part 'a target that is not there yet; a smoke test that says no takes it away again'
NAME=absent swap "$TOP/www/absent" 'rollback: {on_failed_smoke: yes}' >"$TOP/absent.yaml"
echo 1 >"$TOP/smoke"
expect 4 run "$TOP/absent.yaml" --yes
serving source
[ ! -e "$TOP/www/absent" ] || fail 'the target is there after the roll-back'
rm "$TOP/smoke"
expect 0 run "$TOP/absent.yaml" --yes
same_tree "$TOP/src" "$TOP/www/absent"

part 'foreign: carry'
mkdir -p "$TOP/www/carry/sub" "$TOP/www/carry/a"
cp -a "$TOP/src/a/one" "$TOP/www/carry/a/"; echo stale >"$TOP/www/carry/a/one"
for f in $'new\nline' '-rf' ' space' '[x]*' sub/deep; do echo "theirs $f" >"$TOP/www/carry/$f"; done
chown 12345 "$TOP/www/carry/sub/deep" 2>/dev/null; touch -d 2001-01-01 "$TOP/www/carry/sub"
cp -a "$TOP/www/carry" "$TOP/want"; rsync -a "$TOP/src/" "$TOP/want/"
NAME=carry FOREIGN=carry swap "$TOP/www/carry" >"$TOP/carry.yaml"
expect 0 run "$TOP/carry.yaml" --yes
rsync -an --delete --checksum --itemize-changes "$TOP/want/" "$TOP/www/carry/" >"$TOP/rsync.out"
is_empty "$TOP/rsync.out" 'what differs from source and foreign entries together'
expect 0 verify carry --full

part 'the helper is killed before the exchange: rolled back; after it: found done, and gone on with'
for at in 1 2; do
	name=kill$at dir=$TOP/kill$at
	mkdir -p "$dir/live"; echo old >"$dir/live/index"; was=$(stat -c %i "$dir/live")
	NAME=$name FOREIGN=drop swap "$dir/live" >"$TOP/$name.yaml"
	expect 0 run "$TOP/$name.yaml" --until verify
	sshd_env new "WAYBILL_FAULT=point@place:$at:kill" || fail 'sshd does not begin anew'
	if [ $at = 1 ]; then expect 8/9 run "$TOP/$name.yaml" --yes; else expect 0 run "$TOP/$name.yaml" --yes; serving target; fi
	sshd_env new || fail 'sshd does not begin anew'
	[ $at = 2 ] || { [ "$RC" = 8 ] || expect 8 run "$TOP/$name.yaml"; serving source
		same_text "old $was" "$(cat "$dir/live/index") $(stat -c %i "$dir/live")" 'the live tree'
		expect 0 run "$TOP/$name.yaml" --yes; }
	same_tree "$TOP/src" "$dir/live"
done

part 'the runner is killed between exchange and cut-over hook: said first, and gone on with or rolled back'
printf '#!/bin/sh\n[ ! -e %s/slow ] || { touch %s/waits; sleep 86397; }\n' "$TOP" "$TOP" >"$TOP/start"; chmod +x "$TOP/start"
for way in on back; do
	dir=$TOP/$way; mkdir "$dir" "$dir/live"; echo old >"$dir/live/index"; touch "$TOP/slow"; rm -f "$TOP/waits"
	NAME=go-$way FOREIGN=drop swap "$dir/live" | sed 's/^hooks:/&\n  cutover: [{run: start, host: new}]/' >"$TOP/go-$way.yaml"
	"$WAYBILL" -C "$WS" run "$TOP/go-$way.yaml" --yes >"$OUT" 2>"$ERR" </dev/null & pid=$!
	SCENARIO_PIDS+=("$pid")
	await 'the cut-over hook' test -e "$TOP/waits"
	same_tree "$TOP/src" "$dir/live"
	kill -9 "$pid"; wait "$pid" 2>/dev/null; rm "$TOP/slow"
	expect 0 status go-$way
	says "$OUT" 'FROZEN SINCE' 'serving: unknown'
	if [ $way = on ]; then
		expect 0 run "$TOP/go-$way.yaml"; serving target
		same_tree "$TOP/src" "$dir/live"
	else
		expect 0 rollback go-$way --yes; serving source
		same_text old "$(cat "$dir/live/index")" 'the live tree'
	fi
done
expect 0 audit "$WS"
