#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
. "$WAYBILL_SOURCE/tests/lib/relay.sh"
scenario 'Connections that are cut are made anew within one run, after ten seconds without a network as well; what was acknowledged is not sent again'

two_links cut
for n in {1..6}; do head -c 4000000 /dev/urandom >"$TOP/src/big/$n"; done

part 'cut at the source, then at the target, then both refused for ten seconds'
relay_do old hold down 4000000
start; held old
relay_do new hold up 5000000; relay_do old cut; relay_do old stall off; held new
relay_do new cut; relay_do new hold up 7000000; relay_do new stall off; held new
for r in old new; do relay_do $r refuse on; relay_do $r cut; relay_do $r stall off; done
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
