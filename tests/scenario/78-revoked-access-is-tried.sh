#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
scenario 'After clearing the access that the plan names is tried: open, out of reach and refused are three things'

make_small "$TOP/src"
person zhang li
host old
user=${SSHD_LOGIN[old]}
MORE="clear: {require: unknown, revoke: [{host: old, user: $user}]}" retirement "old:$TOP/src" >"$TOP/retire.yaml"
expect 3 run "$TOP/retire.yaml"
expect 0 approve retire clear --as zhang --key "$KEYS/zhang"
expect 0 approve retire clear --as li --key "$KEYS/li"

part 'a log-in that still works: 4, and the certificate says so'
expect 4 run "$TOP/retire.yaml"
says "$ERR" 'still work'
expect 0 --json certificate retire
jq -e '.access == [{host:"old", user: $u, result:"open", text:"logged in"}] and .result != "passed"' --arg u "$user" "$OUT" >/dev/null || fail "access: $(jq .access "$OUT")"
part 'run tries again; a host out of reach is no proof: 5'
port=${SSHD_PORT[old]}
sshd_stop old
expect 5 run "$TOP/retire.yaml"
expect 0 --json certificate retire
jq -e '.access[0].result == "unreachable" and .access[0].text != ""' "$OUT" >/dev/null || fail "access: $(jq .access "$OUT")"
part 'a key that is taken off: refused'
sshd_start old --port "$port" || fail 'sshd does not come back'
: >"${SSHD_DIR[old]}/authorized_keys"
expect 0 run "$TOP/retire.yaml"
expect 0 --json certificate retire
jq -e '.access[0].result == "refused"' "$OUT" >/dev/null || fail "access: $(jq .access "$OUT")"
same_text 3 "$(events retire | grep -c -- '-certify-access')" 'tries'
same_text 1 "$(events retire | grep -c -- '-clear-done')" 'clearings'
expect 0 run "$TOP/retire.yaml"
same_text 3 "$(events retire | grep -c -- '-certify-access')" 'tries after it was refused'
expect 0 audit "$WS"
