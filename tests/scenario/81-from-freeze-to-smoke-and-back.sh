#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
scenario 'From freeze to smoke and back: who is asked when, which side serves, and every way out'

make_small "$TOP/src"
mkdir "$TOP/dst" "$TOP/state"
host old; host new
# One hook for all points: it notes that it ran, changes the state that it is named for, and fails where $TOP/state/fail.POINT stands.
cat >"$TOP/act" <<EOF
#!/bin/sh
s=$TOP/state
echo "\$WAYBILL_POINT\${WAYBILL_WHY:+ \$WAYBILL_WHY}" >>\$s/ran
case \$WAYBILL_POINT in
freeze) touch \$s/frozen; [ ! -e \$s/intrude ] || echo theirs >$TOP/dst/intruder; echo at-freeze >>$TOP/src/a/one ;;
thaw) rm -f \$s/frozen ;;
cutover) touch \$s/new-serves ;;
rollback) rm -f \$s/new-serves ;;
esac
[ ! -e \$s/slow.\$WAYBILL_POINT ] || { sleep 86398 & echo \$! >\$s/sleeper; mv \$s/sleeper \$s/waits; wait; }
[ ! -e \$s/fail.\$WAYBILL_POINT ] || exit \$(cat \$s/fail.\$WAYBILL_POINT)
EOF
chmod +x "$TOP/act"
plan() {
	MORE="hooks:
  freeze: [{run: act, host: old}]
  thaw: [{run: act, host: old}, {run: act, host: local}]
  cutover: [${CUTS:-}{run: act, host: new}]
  rollback: [{run: act, host: new}]
  smoke: [{run: act, host: new, tries: 2, every: 1s${1:-}}]
  done: [{run: act, host: new}]
passes: {max: 2}
${2:-}" migration "old:$TOP/src" "new:$TOP/dst" | sed "s/^name: .*/name: ${NAME:-move}/"
}
ran() { sort -u "$TOP/state/ran" | tr '\n' ',' 2>/dev/null; }
fresh() { rm -rf "$TOP/state"; mkdir "$TOP/state"; }
serving() { same_text "serving: $1" "$(tail -n 1 "$ERR")" 'the last line on standard error'; }
frozen() { [ -e "$TOP/state/frozen" ] && echo yes || echo no; }
of() { expect 0 --json status "${NAME:-move}"; jq -r "$1" "$OUT"; }
plan >"$TOP/move.yaml"

part 'nobody confirmed: 3 before anything is frozen; refused --until: 2'
expect 3 run "$TOP/move.yaml"
serving source; says "$ERR" '--yes'
for s in freeze final verify; do expect 2 run "$TOP/move.yaml" --yes --until $s; says "$ERR" --stay-frozen; done
[ ! -e "$TOP/state/ran" ] || fail "a hook ran: $(ran)"
expect 0 preview "$TOP/move.yaml"
says "$OUT" 'freeze: act at old' 'thaw: act at local' 'smoke: act at new' 'predicted freeze' 'serving: source'
predicted=$(of .predicted_freeze_s)
jq -en "$predicted > 2 and $predicted < 300" >/dev/null || fail "predicted freeze: $predicted"

part 'stay frozen: nothing serves, status says it first, and the next run goes on'
expect 0 run "$TOP/move.yaml" --yes --until freeze --stay-frozen
serving none
same_text yes "$(frozen)" 'frozen'
expect 0 status move
head -n 1 "$OUT" >"$TOP/first"; says "$TOP/first" 'FROZEN SINCE' 'waybill rollback'
same_text none "$(of .serving)" 'serving'
v=$(versions move www)
expect 6 run "$TOP/move.yaml" --amend 'a test' <<<"$(sed -i 's/max: 2/max: 1/' "$TOP/move.yaml")"; sed -i 's/max: 1/max: 2/' "$TOP/move.yaml"
expect 0 run "$TOP/move.yaml"
serving target
says "$ERR" 'FROZEN SINCE'
same_text $((v + 1)) "$(versions move www)" 'versions: the final pass and no live one'
same_tree "$TOP/src" "$TOP/dst"
says "$TOP/dst/a/one" at-freeze
same_text 'cutover,freeze,smoke,' "$(ran)" 'hooks'
[ -e "$TOP/state/new-serves" ] || fail 'the new side does not serve'
has_event move cutover-done
event move last | jq -e '.stage == "smoke"' >/dev/null || fail 'the last event is not smoke'
expect 0 run "$TOP/move.yaml"
says "$OUT" 'is finished'

part 'roll-back: both sides as before, approvals void, and once more changes nothing'
expect 3 rollback move
expect 0 rollback move --yes
serving source
same_text no "$(frozen)" 'frozen'
[ ! -e "$TOP/state/new-serves" ] || fail 'the new side still serves'
expect 0 rollback move --yes
says "$OUT" 'nothing to roll back'
same_text open "$(of '.stages[] | select(.name == "freeze") | .state')" 'stage freeze'

part 'smoke says no: 4, the target stays; then 9 when it cannot be asked'
fresh; echo 1 >"$TOP/state/fail.smoke"
expect 4 run "$TOP/move.yaml" --yes
serving target; says "$ERR" 'answered no' 'waybill rollback move'
same_text 2 "$(grep -c smoke "$TOP/state/ran")" 'tries of the smoke hook'
echo 127 >"$TOP/state/fail.smoke"
expect 9 run "$TOP/move.yaml"
serving unknown
rm "$TOP/state/fail.smoke"
expect 0 run "$TOP/move.yaml"
serving target
same_text 1 "$(grep -c freeze "$TOP/state/ran")" 'freezes'

part 'finish: done hooks, and no way back'
expect 0 finish move
says "$TOP/state/ran" 'done'
expect 6 rollback move --yes
expect 0 finish move
expect 0 run "$TOP/move.yaml"
sed -i 's/max: 2/max: 1/' "$TOP/move.yaml"
expect 6 run "$TOP/move.yaml" --yes --amend 'too late'

part 'on_failed_smoke: rolled back by itself, still 4'
fresh; export NAME=auto
plan '' 'rollback: {on_failed_smoke: yes}' >"$TOP/auto.yaml"
echo 3 >"$TOP/state/fail.smoke"
expect 4 run "$TOP/auto.yaml" --yes
serving source
same_text 'no rollback smoke,thaw smoke' "$(frozen) $(grep -o 'rollback.*\|thaw.*' "$TOP/state/ran" | sort -u | paste -sd,)" 'what ran'
same_text open "$(of '.stages[] | select(.name == "smoke") | .state')" 'stage smoke'

part 'a failure while frozen thaws: all thaw hooks; one that fails is 9'
fresh; echo 5 >"$TOP/state/fail.cutover"
expect 1 run "$TOP/auto.yaml" --yes
serving source; says "$ERR" 'rolled back'
fresh; echo 5 >"$TOP/state/fail.freeze"
expect 1 run "$TOP/auto.yaml" --yes
serving source; says "$ERR" 'thawed'
same_text no "$(frozen)" 'frozen'
echo 6 >"$TOP/state/fail.thaw"
expect 9 run "$TOP/auto.yaml" --yes
serving unknown; says "$ERR" 'production may be down'
same_text 4 "$(grep -c thaw "$TOP/state/ran")" 'thaw hooks that ran, two of them after a failure'
same_text unknown "$(of .serving)" 'serving'
expect 9 run "$TOP/auto.yaml"
rm "$TOP"/state/fail.*
expect 8 run "$TOP/auto.yaml"
serving source
NAME=auto expect 0 run "$TOP/auto.yaml" --yes

part 'once frozen, what is neither the dataset nor was there first stops the cut-over: 4, thawed, and it stays'
fresh; touch "$TOP/state/intrude"; export NAME=extra
echo first >"$TOP/dst/was-first"
plan >"$TOP/extra.yaml"
expect 4 run "$TOP/extra.yaml" --yes
serving source; says "$ERR" intruder extra
same_text 'no theirs' "$(frozen) $(cat "$TOP/dst/intruder")" 'frozen, and the file'
rm "$TOP/state/intrude" "$TOP/dst/intruder"
expect 0 run "$TOP/extra.yaml" --yes
serving target
same_text first "$(cat "$TOP/dst/was-first")" 'what was there first'
expect 0 rollback extra --yes
rm "$TOP/dst/was-first"
fresh; touch "$TOP/state/intrude"; export NAME=keeps
DATASET='delete: no' plan >"$TOP/keeps.yaml"
expect 0 run "$TOP/keeps.yaml" --yes
same_text theirs "$(cat "$TOP/dst/intruder")" 'what delete: no lets be'
expect 0 rollback keeps --yes
rm "$TOP/dst/intruder"

part 'Ctrl-C while frozen, twice: thawed, 8'
fresh; export NAME=cut
plan >"$TOP/cut.yaml"
touch "$TOP/state/slow.freeze"
start() {
	env --default-signal=INT "$WAYBILL" -C "$WS" run "$TOP/cut.yaml" --yes >"$OUT" 2>"$ERR" </dev/null & pid=$!
	SCENARIO_PIDS+=("$pid")
	await 'the beginning of the freeze hook' test -e "$TOP/state/waits"
}
start
kill -INT "$pid"; kill -INT "$pid"; sleep 0.1; kill -INT "$pid"
wait "$pid"; same_text 8 $? 'exit code after Ctrl-C'
serving source; clean_text "$ERR" 'an interrupted freeze'
same_text no "$(frozen)" 'frozen'
has_event cut thaw-done

part 'killed while frozen: said first, and rolled back'
fresh; touch "$TOP/state/slow.freeze"
start
kill -9 "$pid"; wait "$pid" 2>/dev/null
await 'the end of the hook whose runner was killed' ended "$(cat "$TOP/state/waits")"
same_text none "$(of .serving)" 'serving'
expect 0 rollback cut --yes
serving source
same_text no "$(frozen)" 'frozen'

part 'windows: before and after them 6; give_up during the freeze thaws and is 8'
at() { date -d "$1" '+%Y-%m-%d %H:%M:%S'; }
export TZ=Asia/Shanghai; fresh
NAME=early plan '' "cutover: {window: \"$(at '+2 hours') / $(at '+3 hours')\"}" >"$TOP/early.yaml"
expect 6 run "$TOP/early.yaml" --yes; says "$ERR" 'window opens'
NAME=late plan '' "cutover: {window: \"$(at '-2 hours') / $(at '-1 hours')\"}" >"$TOP/late.yaml"
expect 6 run "$TOP/late.yaml" --yes; says "$ERR" 'window closed'
# A hook that never ran counts as a second, so that the freeze is predicted to take longer than what is left at any speed of the machine.
CUTS=$(printf '{run: act, host: new}, %.0s' {1..700}) NAME=tight \
	plan '' "cutover: {window: \"$(at '-2 hours') / $(at '+1 hours')\", give_up: \"$(at '+10 minutes')\"}" >"$TOP/tight.yaml"
expect 6 run "$TOP/tight.yaml" --yes; says "$ERR" 'gives up at'
[ ! -e "$TOP/state/ran" ] || fail "a hook ran: $(ran)"
touch "$TOP/state/slow.freeze"
# How long this machine takes to get as far as the freeze is not known; the first plan that leaves enough time shows what is asked.
for s in 9 30 100; do
	NAME=give$s plan '' "cutover: {window: \"$(at '-2 hours') / $(at '+1 hours')\", give_up: \"$(at "+$s seconds")\"}" >"$TOP/give.yaml"
	expect 6/8 run "$TOP/give.yaml" --yes
	[ "$RC" = 6 ] || break
	says "$ERR" 'gives up at'
	[ ! -e "$TOP/state/ran" ] || fail "a hook ran: $(ran)"
done
same_text 8 "$RC" 'exit code of a plan that leaves time to begin the freeze'
says "$ERR" 'give_up'; serving source
same_text 'no' "$(frozen)" 'frozen'
expect 0 audit "$WS"
