#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
. "$WAYBILL_SOURCE/tests/lib/relay.sh"
scenario 'limits.bandwidth is kept, and waybill limit changes it while the copy runs'

mkdir "$TOP/src" "$TOP/dst"
for n in 1 2 3 4; do head -c 10000000 /dev/urandom >"$TOP/src/$n"; done
host near; relay old near
MORE=$'passes: {max: 1, verify: no}\nstages: [copy]\nlimits: {bandwidth: 1MB/s}'
migration "old:$TOP/src" "local:$TOP/dst" >"$TOP/plan.yaml"

part 'nothing runs: nothing to change'
expect 0 check "$TOP/plan.yaml"
bare 2 -C "$WS" limit "$TOP/plan.yaml" speed=3
"$WAYBILL" -C "$WS" run "$TOP/plan.yaml" >"$OUT" 2>"$ERR" </dev/null & run=$!; SCENARIO_PIDS+=("$run")
down() { relay_count old | cut -d' ' -f3; }
# Bytes a second over SECONDS, by the network itself.  A busy machine makes it less, nothing may make it more.
speed() { local a b t0 t1; a=$(down) t0=$(date +%s%N); sleep "$1"; b=$(down) t1=$(date +%s%N); echo $(((b - a) * 1000 / ((t1 - t0) / 1000000))); }
for ((i = 0; i < 200; i++)); do [ "$(down)" -gt 600000 ] && break; sleep 0.05; done
part 'as the plan says: 1 MB/s'
got=$(speed 4)
[ "$got" -le 1080000 ] && [ "$got" -gt 300000 ] || fail "1 MB/s was asked for, $got bytes a second went through"
part 'changed to 3 MB/s'
cp "$ERR" "$TOP/keep"
"$WAYBILL" -C "$WS" limit move bandwidth=3MB/s >"$TOP/limit.out" 2>&1 || fail "limit: $(cat "$TOP/limit.out")"
sleep 1.5
got=$(speed 4)
[ "$got" -le 3240000 ] && [ "$got" -gt 1200000 ] || fail "3 MB/s was asked for, $got bytes a second went through"
part 'off'
"$WAYBILL" -C "$WS" limit move bandwidth=off >"$TOP/limit.out" 2>&1 || fail "limit: $(cat "$TOP/limit.out")"
begin=$(date +%s)
wait "$run"; same_text 0 $? 'exit code of the run'
[ $(($(date +%s) - begin)) -lt 20 ] || fail 'without a limit the rest took as long as with it'
same_tree "$TOP/src" "$TOP/dst"
part 'afterwards there is nothing to change'
bare 1 -C "$WS" limit move bandwidth=1MB/s
says "$ERR" 'plan move is not running'
