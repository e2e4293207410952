#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
. "$WAYBILL_SOURCE/tests/lib/relay.sh"
scenario 'Several connections carry one session, as many as the plan allows; each is relieved after its share, and a cut one is a connection lost'

mkdir "$TOP/src"
for n in 1 2 3 4 5 6; do head -c 20000000 /dev/urandom >"$TOP/src/$n"; done
make_small "$TOP/src/small"
sshd_start near --config 'MaxStartups 2' || fail 'no sshd'
sshd_start far --config 'MaxStartups 2' || fail 'no sshd'
relay old near 'rate 30000000' 'delay 5'; relay new far 'rate 30000000' 'delay 5'
opened() { relay_count "$1" | cut -d' ' -f1; }
log() { cat "$WS/.waybill/log/waybill.log"; }
copy() {	# NAME LIMIT
	mkdir "$TOP/$1"
	MORE=$'passes: {max: 1, verify: no}\nstages: [copy]\nlimits: {connections: '"$2}"
	migration "old:$TOP/src" "new:$TOP/$1" | sed "s/^name: move/name: $1/" >"$TOP/$1.yaml"
}

part 'three at the source and three at the target, no more'
copy three 3
expect 0 run "$TOP/three.yaml"
same_tree "$TOP/src" "$TOP/three"
for h in old new; do
	log | grep -q "host $h: 3 connections" || fail "$h had no three connections"
	! log | grep -q "host $h: 4 connections" || fail "$h had more than three"
done

part 'one, and it stays one'
copy one 1
before=$(opened old)
expect 0 run "$TOP/one.yaml"
[ $(($(opened old) - before)) -le 1 ] || fail "limits.connections: 1, and $(($(opened old) - before)) were opened"

part 'each is relieved after 12 MiB'
copy renew 2
WAYBILL_RENEW=12 expect 0 run "$TOP/renew.yaml"
same_tree "$TOP/src" "$TOP/renew"
says <(log) 'host old: the first connection is relieved' 'host new: the first connection is relieved' 'host old: a connection is replaced' 'host new: a connection is replaced'
silent_on "$ERR" 'trying again'

part 'cut in the middle of it'
copy cut 3
"$WAYBILL" -C "$WS" run "$TOP/cut.yaml" >"$OUT" 2>"$ERR" </dev/null & run=$!; SCENARIO_PIDS+=("$run")
was=$(log | grep -c 'host new: 2 connections')
second() { [ "$(log | grep -c 'host new: 2 connections')" -gt "$was" ]; }
await 'a second connection to the target' second
kill -9 $(sshd__children "${SSHD_PID[far]}" | tail -n 1)
wait "$run"; same_text 0 $? 'exit code of the run whose lane was cut'
says "$ERR" 'trying again'
same_tree "$TOP/src" "$TOP/cut"
none_left() { [ "$(sshd_sessions near)$(sshd_sessions far)" = 00 ]; }
await 'the end of all connections' none_left
