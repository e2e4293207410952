#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
. "$WAYBILL_SOURCE/tests/lib/relay.sh"
scenario 'Connections that are cut are made anew within one run, after ten seconds without a network as well; what was acknowledged is not sent again'

make_small "$TOP/src"
mkdir "$TOP/src/big" "$TOP/dst"
for n in {1..6}; do head -c 4000000 /dev/urandom >"$TOP/src/big/$n"; done
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

part 'cut at the source, then at the target, then both refused for ten seconds'
start
through old 3 4000000; relay_do old cut
through new 2 9000000; relay_do new cut
through new 2 16000000
for r in old new; do relay_do $r refuse on; relay_do $r cut; done
sleep 10
for r in old new; do relay_do $r refuse off; done
finish 0
says "$ERR" 'trying again in'
same_tree "$TOP/src" "$TOP/dst"
[ "$(relay_count old | cut -d' ' -f1)" -ge 3 ] || fail 'no new connection was made'
sent=$(relay_count old | cut -d' ' -f3)
[ "$sent" -lt 60000000 ] || fail "what had been acknowledged was sent again: $sent bytes for 24 MB"

expect 0 verify cut --full
expect 0 audit "$WS"
is_empty <(find "$TOP/dst" -name '.waybill*') 'leftovers at the target'
