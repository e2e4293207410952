#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
. "$WAYBILL_SOURCE/tests/lib/relay.sh"
own_mounts net
scenario 'Hosts behind one and two bastions are reached by both clients; a bastion that does not forward is named with the way out'

# gate - hop - old: three networks; from here only gate is reached, from gate only hop, from hop only old.
ip link set lo up || skip 'no loopback here'
declare -a SPACES=()
space() { unshare --net sleep infinity & SCENARIO_PIDS+=($!); eval "$1=$!"; }
space GATE; space HOP; space OLD
elsewhere() { [ "$(readlink /proc/$1/ns/net)" != "$(readlink /proc/self/ns/net)" ]; }
for pid in "$GATE" "$HOP" "$OLD"; do await 'a network of its own' elsewhere "$pid"; done
inside() { local pid=$1; shift; nsenter --net=/proc/$pid/ns/net "$@"; }
wire() {	# PID-OR-SELF ADDRESS PID ADDRESS NAME
	ip link add "$5a" type veth peer name "$5b" || skip 'no veth here'
	ip link set "$5b" netns "$3"
	if [ "$1" != self ]; then ip link set "$5a" netns "$1"; inside "$1" ip addr add "$2/30" dev "$5a"; inside "$1" ip link set "$5a" up
	else ip addr add "$2/30" dev "$5a"; ip link set "$5a" up; fi
	inside "$3" ip addr add "$4/30" dev "$5b"; inside "$3" ip link set "$5b" up; inside "$3" ip link set lo up
}
wire self 10.81.1.1 "$GATE" 10.81.1.2 wg
wire "$GATE" 10.81.2.1 "$HOP" 10.81.2.2 wh
wire "$HOP" 10.81.3.1 "$OLD" 10.81.3.2 wo
at() { local name=$1 pid=$2 address=$3; shift 3; host "$name" --listen "$address" --port 2222 --prefix "nsenter --net=/proc/$pid/ns/net" "$@"; }
# A bastion's account may run nothing: only the OpenSSH client needs a shell there.
at gate "$GATE" 10.81.1.2
at hop "$HOP" 10.81.2.2
at old "$OLD" 10.81.3.2
behind() { HOST[$1]=${HOST[$1]%\}}", via: $2}"; }
behind hop gate
behind old hop
make_small "$TOP/src"
head -c 20000000 /dev/urandom >"$TOP/src/large"

part 'two hops with libssh2'
migration "old:$TOP/src" "local:$TOP/dst" >"$TOP/move.yaml"
expect 0 check "$TOP/move.yaml" --connect
says "$OUT" 'libssh2' 'via hop' 'via gate' 'a bastion: nothing of waybill runs there'
[ ! -e "${SSHD_HOME[gate]}/.cache/waybill" ] && [ ! -e "${SSHD_HOME[hop]}/.cache/waybill" ] || fail 'a bastion got an agent'
expect 0 run "$TOP/move.yaml"
same_tree "$TOP/src" "$TOP/dst"

part 'a bastion cut in mid-copy is a passing fault'
relay front gate 'hold down 9000000'
gate=${HOST[gate]}
HOST[gate]="gate${HOST[front]#front}"
unset 'HOST[front]'
migration "old:$TOP/src" "local:$TOP/dst-cut" | sed 's/^name: move/name: cut/' >"$TOP/plan.yaml"
cut_and_good_again front gate
same_tree "$TOP/src" "$TOP/dst-cut"
HOST[gate]=$gate

part 'two hops with the OpenSSH client'
save=${HOST[old]}
HOST[old]=${HOST[old]%\}}", client: openssh}"
migration "old:$TOP/src" "local:$TOP/dst2" | sed 's/^name: move/name: move2/' >"$TOP/move2.yaml"
expect 0 run "$TOP/move2.yaml"
same_tree "$TOP/src" "$TOP/dst2"
expect 0 check "$TOP/move2.yaml" --connect
says "$OUT" 'OpenSSH client' 'via hop' 'via gate'

part 'one client must go the whole way'
gate=${HOST[gate]}
HOST[gate]=${HOST[gate]%\}}", client: libssh2}"
migration "old:$TOP/src" "local:$TOP/dst3" | sed 's/^name: move/name: move3/' >"$TOP/move3.yaml"
expect 7 run "$TOP/move3.yaml"
says "$ERR" 'host hop' 'for both'
HOST[gate]=$gate HOST[old]=$save

part 'a wrong key behind the bastion is not accepted'
other=$(ssh-keygen -q -t ed25519 -N '' -f "$TOP/otherhost" && cut -d' ' -f1,2 "$TOP/otherhost.pub")
HOST[old]=${save/${SSHD_HOSTKEY[old]}/$other}
migration "old:$TOP/src" "local:$TOP/dst4" | sed 's/^name: move/name: move4/' >"$TOP/move4.yaml"
expect 7 run "$TOP/move4.yaml"
says "$ERR" 'host old' "${SSHD_FP[old]}"
HOST[old]=$save

part 'a bastion that does not forward'
sshd_stop hop
at hop "$HOP" 10.81.2.2 --config 'AllowTcpForwarding no'
behind hop gate
for client in libssh2 openssh; do
	HOST[old]=${save%\}}", client: $client}"
	migration "old:$TOP/src" "local:$TOP/dst5" | sed "s/^name: move/name: closed-$client/" >"$TOP/closed.yaml"
	expect 7 run "$TOP/closed.yaml"
	says "$ERR" 'host old' 'via hop' AllowTcpForwarding
done
[ ! -e "$TOP/dst5" ] || [ -z "$(ls -A "$TOP/dst5")" ] || fail 'something was written'
HOST[old]=$save
