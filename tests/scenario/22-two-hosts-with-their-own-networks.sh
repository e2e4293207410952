#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
own_mounts net
scenario 'Two hosts with networks of their own that cannot see each other; a link that goes down and comes back'

# The test has a network of its own; old and new hang on it by a cable each.
ip link set lo up
for h in old new; do
	unshare --net sleep 600 & pid=$!
	SCENARIO_PIDS+=("$pid")
	elsewhere() { [ "$(readlink "/proc/$pid/ns/net")" != "$(readlink /proc/self/ns/net)" ]; }
	await "the network of $h" elsewhere
	case $h in old) net=10.77.1 ;; new) net=10.77.2 ;; esac
	ip link add "to-$h" type veth peer name eth0 netns "$pid" 2>/dev/null || skip 'this machine makes no veth pairs'
	ip addr add "$net.1/24" dev "to-$h"; ip link set "to-$h" up
	nsenter -t "$pid" -n sh -c "ip addr add $net.2/24 dev eth0; ip link set eth0 up; ip link set lo up" || skip 'cannot configure a network namespace'
	host $h --listen "$net.2" --prefix "nsenter -t $pid -n --"
done
knock() { timeout 60 bash -c "exec 3<>/dev/tcp/10.77.2.2/${SSHD_PORT[new]}" 2>/dev/null; }
knock || fail 'new is not seen from here'
nsenter -t "${SCENARIO_PIDS[0]}" -n timeout 3 bash -c "exec 3<>/dev/tcp/10.77.2.2/${SSHD_PORT[new]}" 2>/dev/null && fail 'the hosts see each other'
make_tree "$TOP/src"
for n in {1..8}; do head -c 30000000 /dev/urandom >"$TOP/src/big/r$n"; done
mkdir "$TOP/dst"
MORE='' migration "old:$TOP/src" "new:$TOP/dst" >"$TOP/move.yaml"
sed -i 's/identity:/keepalive: 2s, identity:/' "$TOP/move.yaml"
expect 0 check "$TOP/move.yaml" --connect
says "$OUT" 10.77.1.2 10.77.2.2

part 'the link to the target goes down in mid-copy'
WAYBILL_STALL=8 WAYBILL_PATIENCE=4 "$WAYBILL" -C "$WS" run "$TOP/move.yaml" >"$OUT" 2>"$ERR" </dev/null & pid=$!
SCENARIO_PIDS+=("$pid")
sleep 1
ip link set to-new down
await 'that the dead link is noticed' ended "$pid"
wait "$pid"; rc=$?
case $rc in 7|8) ;; 0) echo '  (the copy had been quicker)' ;; *) fail "a dead link ended the run with $rc" ;; esac
[ "$rc" = 0 ] || says "$ERR" new
ip link set to-new up
part 'and comes back'
expect 0 run "$TOP/move.yaml"
same_tree "$TOP/src" "$TOP/dst"
expect 0 verify move --full
