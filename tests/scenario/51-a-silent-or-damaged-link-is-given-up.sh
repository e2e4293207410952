#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
. "$WAYBILL_SOURCE/tests/lib/relay.sh"
scenario 'A link that falls silent or changes a byte is given up for a new one within the run; cut for good, the run ends with a clear word'

make_small "$TOP/src"
mkdir "$TOP/src/big" "$TOP/dst"
for n in {1..3}; do head -c 3000000 /dev/urandom >"$TOP/src/big/$n"; done
host near; host far
relay old near 'rate 16000000'
relay new far 'rate 16000000'
MORE='passes: {verify: no}'
migration "old:$TOP/src" "new:$TOP/dst" | sed 's/^name: move/name: cut/' >"$TOP/plan.yaml"

start() { "$WAYBILL" -C "$WS" run "$TOP/plan.yaml" >"$OUT" 2>"$ERR" </dev/null & run=$!; SCENARIO_PIDS+=("$run"); }
finish() { wait "$run"; same_text "${1:-0}" $? "the run's exit code"; clean_text "$ERR" 'a run with cut connections'; }
# Until so many bytes have come through since the mark.
through() {	# NAME COLUMN BYTES
	local i n
	for ((i = 0; i < 600; i++)); do
		n=$(relay_count "$1" | cut -d' ' -f"$2")
		[ "$n" -ge "$3" ] && return
		kill -0 "$run" 2>/dev/null || fail "the run ended before $3 bytes had passed $1"
		sleep 0.05
	done
	fail "$1 stands still"
}

part 'a link that brings nothing for some seconds is waited for'
start; through old 3 2000000
relay_do old stall on; sleep 4; relay_do old stall off
finish 0
silent_on "$ERR" 'trying again'
same_tree "$TOP/src" "$TOP/dst"

part 'a silent link is given up, and its agent at the target is overtaken'
head -c 6000000 /dev/urandom >"$TOP/src/big/8"
up=$(relay_count new | cut -d' ' -f2)
export WAYBILL_STALL=3
start; through new 2 $((up + 2000000))
relay_do new stall on; sleep 4.5
# the held bytes come late, when the next agent is at work already
relay_do new stall off
finish 0
says "$ERR" 'no sign of life for 3 s' 'trying again in'
same_tree "$TOP/src" "$TOP/dst"
unset WAYBILL_STALL

part 'a byte that changes on the way in either direction'
head -c 6000000 /dev/urandom >"$TOP/src/big/9"
relay_do old flip down 2000000; relay_do new flip up 2500000
start; finish 0
says "$ERR" 'trying again in'
same_tree "$TOP/src" "$TOP/dst"

part 'cut for good'
head -c 6000000 /dev/urandom >"$TOP/src/big/10"
down=$(relay_count old | cut -d' ' -f3)
export WAYBILL_PATIENCE=2
start; through old 3 $((down + 1000000))
relay_do old refuse on; relay_do old cut
finish 7
says "$ERR" 'host old' 'given up after' 'the same command goes on from here'
relay_do old refuse off
expect 0 run "$TOP/plan.yaml"
same_tree "$TOP/src" "$TOP/dst"
expect 0 verify cut --full
expect 0 audit "$WS"
is_empty <(find "$TOP/dst" -name '.waybill*') 'leftovers at the target'
