#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
. "$WAYBILL_SOURCE/tests/lib/relay.sh"
scenario 'A link that falls silent or changes a byte is given up for a new one within the run; cut for good, the run ends with a clear word'

two_links cut
for n in {1..3}; do head -c 3000000 /dev/urandom >"$TOP/src/big/$n"; done

part 'a link that brings nothing for some seconds is waited for'
relay_do old hold down 2000000
start; held old; sleep 4; relay_do old stall off
finish 0
silent_on "$ERR" 'trying again'
same_tree "$TOP/src" "$TOP/dst"

part 'a silent link is given up, and its agent at the target is overtaken'
head -c 6000000 /dev/urandom >"$TOP/src/big/8"
export WAYBILL_STALL=3
relay_do new hold up 2000000
start; held new
await 'that the silent link is given up' grep -q 'trying again in' "$ERR"
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
export WAYBILL_PATIENCE=2
relay_do old hold down 1000000
start; held old
relay_do old refuse on; relay_do old cut
finish 7
says "$ERR" 'host old' 'given up after' 'the same command goes on from here'
relay_do old refuse off; relay_do old stall off
expect 0 run "$TOP/plan.yaml"
same_tree "$TOP/src" "$TOP/dst"
expect 0 verify cut --full
expect 0 audit "$WS"
is_empty <(find "$TOP/dst" -name '.waybill*') 'leftovers at the target'
