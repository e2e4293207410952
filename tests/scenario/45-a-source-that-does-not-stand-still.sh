#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
. "$WAYBILL_SOURCE/tests/lib/fidelity.sh"
scenario 'Files that change, grow, shrink, vanish or are replaced while they are read: unsettled while live, failed when frozen, never "done"'

S=$TOP/src D=$TOP/dst
make_small "$S"
mkdir -p "$S/live" "$S/gone"
head -c 30000000 /dev/urandom >"$S/live/changes"; head -c 1000000 /dev/urandom >"$S/live/grows"; head -c 30000000 /dev/urandom >"$S/live/shrinks"
head -c 5000 /dev/urandom >"$S/live/small"; head -c 3000000 /dev/urandom >"$S/live/replaced"

# The shell's own loop, so that one pid ends it.
disturb() {
	local i=0
	while :; do
		i=$((i + 1))
		printf 'more %d\n' "$i" >>"$S/live/grows"
		truncate -s $((30000000 - i * 1000)) "$S/live/shrinks"
		printf '%d' "$i" | dd of="$S/live/small" bs=1 seek=$((RANDOM % 4000)) conv=notrunc status=none
		head -c 3000000 /dev/zero | tr '\0' "$((i % 10))" >"$S/live/.new" && mv "$S/live/.new" "$S/live/replaced"
		: >"$S/gone/$i"; rm -f "$S/gone/$((i - 3))"
		mkdir -p "$S/gone/d$((i % 5))/e"; rm -rf "$S/gone/d$(((i + 2) % 5))"
	done
}
# A loop of its own: it must be quicker than any reading of the file.
change() {
	while :; do printf 'x%d' "$RANDOM" 1<>"$S/live/changes"; done
}
disturb 2>/dev/null &
WRITER=$!
change 2>/dev/null &
CHANGER=$!
SCENARIO_PIDS+=("$WRITER" "$CHANGER")

part 'live: the pass ends, what moved is unsettled, the rest is there'
migration "local:$S" "local:$D" >"$TOP/move.yaml"
expect 0/4/8/5 run "$TOP/move.yaml"
balance move www >"$TOP/summary"
cat "$TOP/summary" | jq -c .balance
[ "$(field unsettled <"$TOP/summary")" -ge 1 ] || fail 'nothing was unsettled'
expect 0 show move www --skipped
manifest move www | grep -q ' unsettled note=' || fail 'the manifest does not say what was unsettled'
for n in 1 2 3; do expect 0/4/8/5 run "$TOP/move.yaml"; balance move www >/dev/null; done
same_file "$S/c/many" "$D/c/many"

part 'frozen: what still changes has failed, and nothing goes on'
person zhang li
retirement "local:$S" >"$TOP/retire.yaml"
expect 1/8 run "$TOP/retire.yaml"
balance retire www >"$TOP/summary"
[ "$(field failed <"$TOP/summary")" -ge 1 ] || fail "nothing failed after freeze: $(cat "$TOP/summary")"
expect 0 show retire www --skipped
says "$OUT" 'changed while it was read'
no_event retire final-done
no_event retire clear-started

part 'when it stands still the next run makes it whole'
kill "$WRITER" "$CHANGER"; wait "$WRITER" "$CHANGER" 2>/dev/null
sleep 2.1
expect 0/4 run "$TOP/move.yaml" --yes
[ "$RC" = 0 ] || expect 0 run "$TOP/move.yaml" --yes
same_everything "$S" "$D" 'standing still'
balance move www >"$TOP/summary"
same_text '0 0' "$(jq -r '"\(.unsettled) \(.failed)"' "$TOP/summary")" 'unsettled and failed'
