#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
. "$WAYBILL_SOURCE/tests/lib/relay.sh"
scenario 'New keys every 256 KiB, a network that takes 1 KiB at a time, and two log-ins at once at most: the copy arrives, by either client'

make_small "$TOP/src"
mkdir "$TOP/src/big"
for n in 1 2; do head -c 1000000 /dev/urandom >"$TOP/src/big/$n"; done
sshd_start near --config 'RekeyLimit 256K' --config 'MaxStartups 2' || fail 'no sshd'
sshd_start far --config 'RekeyLimit 256K' --config 'MaxStartups 2' || fail 'no sshd'
relay old near 'chunk 1024' 'delay 1'; relay new far 'chunk 1024' 'delay 1'
# Somebody else holds one of the two places for log-ins.
hold() { exec 7<>"/dev/tcp/127.0.0.1/${SSHD_PORT[far]}"; }
hold || fail 'the far sshd does not listen'
for client in libssh2 openssh; do
	part "$client"
	mkdir "$TOP/$client"
	migration "old:$TOP/src" "new:$TOP/$client" | sed "s/^name: move/name: $client/; s/identity:/client: $client, identity:/" >"$TOP/$client.yaml"
	expect 0 run "$TOP/$client.yaml"
	silent_on "$ERR" 'trying again'
	same_tree "$TOP/src" "$TOP/$client"
done
exec 7>&-
