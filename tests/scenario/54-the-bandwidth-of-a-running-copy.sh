#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
. "$WAYBILL_SOURCE/tests/lib/relay.sh"
scenario 'limits.bandwidth is kept, and waybill limit changes it while the copy runs'

mkdir "$TOP/src" "$TOP/dst"
for n in {1..6}; do head -c 10000000 /dev/urandom >"$TOP/src/$n"; done
host near; relay old near
MORE=$'passes: {max: 1, verify: no}\nstages: [copy]\nlimits: {bandwidth: 500kB/s}'
migration "old:$TOP/src" "local:$TOP/dst" >"$TOP/plan.yaml"

part 'nothing runs: nothing to change'
expect 0 check "$TOP/plan.yaml"
bare 2 -C "$WS" limit "$TOP/plan.yaml" speed=3
"$WAYBILL" -C "$WS" run "$TOP/plan.yaml" >"$OUT" 2>"$ERR" </dev/null & run=$!; SCENARIO_PIDS+=("$run")
down() { relay_count old | cut -d' ' -f3; }
# Bytes a second over four seconds and a little, by the network itself, never more than it was.
speed() { local a b t0 t1; t0=$(date +%s%N) a=$(down); sleep 4; b=$(down) t1=$(date +%s%N); echo $(((b - a) * 1000 / ((t1 - t0) / 1000000))); }
# What a busy machine holds up comes all at once afterwards, and less goes through while it is busy; what the limit lets through always is
# never far beyond it, nor far below.
keeps() {	# LIMIT
	local got
	for _ in 1 2 3 4 5; do
		got=$(speed)
		echo "  $got bytes a second of $1"
		[ "$got" -le $(($1 * 108 / 100)) ] && [ "$got" -gt $(($1 * 3 / 10)) ] && return
		ended "$run" && break
	done
	fail "$1 bytes a second were asked for, $got went through"
}
flows() { [ "$(down)" -gt 600000 ]; }
await 'the copy' flows
part 'as the plan says: 500 kB/s'
keeps 500000
part 'changed to 1.5 MB/s'
"$WAYBILL" -C "$WS" limit move bandwidth=1500kB/s >"$TOP/limit.out" 2>&1 || fail "limit: $(cat "$TOP/limit.out")"
sleep 1.5
was=$(down); keeps 1500000
[ $(($(down) - was)) -gt 2600000 ] || fail 'no more went through than before'
part 'off'
"$WAYBILL" -C "$WS" limit move bandwidth=off >"$TOP/limit.out" 2>&1 || fail "limit: $(cat "$TOP/limit.out")"
begin=$(date +%s%N) rest=$((60000000 - $(down)))
wait "$run"; same_text 0 $? 'exit code of the run'
took=$((($(date +%s%N) - begin) / 1000000)) limited=$((rest / 1500))
[ "$took" -lt $((limited * 3 / 4)) ] || fail "without a limit the rest took $took ms, with it $limited ms"
same_tree "$TOP/src" "$TOP/dst"
part 'afterwards there is nothing to change'
bare 1 -C "$WS" limit move bandwidth=1MB/s
says "$ERR" 'plan move is not running'
