#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
scenario 'local on either side, the OpenSSH client, and keys of every kind'

make_tree "$TOP/src"
host far

try() {	# NAME FROM TO TARGET
	part "$1"
	mkdir "$4"
	migration "$2" "$3" | sed "s/^name: move/name: $1/" >"$TOP/$1.yaml"
	expect 0 run "$TOP/$1.yaml"
	same_tree "$TOP/src" "$4"
}
try local-to-far "local:$TOP/src" "far:$TOP/d1" "$TOP/d1"
try far-to-local "far:$TOP/src" "local:$TOP/d2" "$TOP/d2"
HOST=()
try local-to-local "local:$TOP/src" "local:$TOP/d3" "$TOP/d3"

host far2
HOST[far2]=${HOST[far2]%\}}', client: openssh}'
try openssh-client "far2:$TOP/src" "local:$TOP/d4" "$TOP/d4"

part 'no target: archive only'
printf 'waybill: 1\nname: archive\nkind: migration\ndatasets:\n  www:\n    files: {from: "local:%s"}\n' "$TOP/src" >"$TOP/archive.yaml"
expect 0 run "$TOP/archive.yaml"
expect 0 restore archive www --to "$TOP/back"
same_tree "$TOP/src" "$TOP/back"

part 'an ECDSA key; an RSA key; keys in an ssh-agent; host key by line and by fingerprint'
make_small "$TOP/small"
sshd_keygen ecdsa "$TOP/k-ecdsa"; sshd_keygen rsa "$TOP/k-rsa"; sshd_keygen ed25519 "$TOP/k-agent"
HOST=()
host keys --authorize "$TOP/k-ecdsa.pub" --authorize "$TOP/k-rsa.pub" --authorize "$TOP/k-agent.pub" --hostkey ecdsa
base="keys: {ssh: ${SSHD_LOGIN[keys]}@127.0.0.1, port: ${SSHD_PORT[keys]}"
small() {	# NAME HOSTLINE
	HOST[keys]=$2
	mkdir "$TOP/t-$1"
	migration "keys:$TOP/small" "local:$TOP/t-$1" | sed "s/^name: move/name: $1/" >"$TOP/$1.yaml"
	expect 0 run "$TOP/$1.yaml"
	same_tree "$TOP/small" "$TOP/t-$1"
}
small ecdsa "$base, host_key: \"${SSHD_HOSTKEY[keys]}\", identity: \"$TOP/k-ecdsa\"}"
small rsa "$base, host_key: \"${SSHD_FP[keys]}\", identity: \"$TOP/k-rsa\"}"
sshd_agent a "$TOP/k-agent"
SSH_AUTH_SOCK=${SSHD_AGENT_SOCK[a]} small agent "$base, host_key: \"${SSHD_FP[keys]}\"}"

part 'a host that greets at log-in; hosts whose algorithms the library may not know: auto finds a way'
HOST=()
host noisy
echo 'echo "Welcome to $(hostname)"; echo "mail waiting" >&2' >"${SSHD_HOME[noisy]}/.bashrc"
host rsahost --hostkey rsa
host gcm --config 'Ciphers aes256-gcm@openssh.com'
for h in noisy rsahost gcm; do
	mkdir "$TOP/t-$h"
	migration "$h:$TOP/small" "local:$TOP/t-$h" | sed "s/^name: move/name: $h/" >"$TOP/$h.yaml"
	expect 0 -v run "$TOP/$h.yaml"
	same_tree "$TOP/small" "$TOP/t-$h"
done
