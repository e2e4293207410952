#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
scenario 'Only the voices that a gate asks for open it and stand in the certificate; a socket is destroyed too; the paper is always the same'
person zhang li wang eve
S=$TOP/src
make_small "$S"
perl -MSocket -e 'socket(my $s, AF_UNIX, SOCK_STREAM, 0); bind($s, sockaddr_un($ARGV[0])) or die' "$S/socket" || skip 'no perl'
mkfifo "$S/fifo"; mkdir "$S/cache"; echo c >"$S/cache/x"
DATASET='exclude: ["cache/**"]' MORE='clear: {datasets: [www]}' retirement "local:$S" >"$TOP/retire.yaml"
PLAN=other MORE='clear: {datasets: [www]}' retirement "local:$S" >"$TOP/other.yaml"
expect 3 run "$TOP/retire.yaml"
expect 3 run "$TOP/other.yaml"

part 'strangers, other keys, parties that are not asked'
expect 2 approve retire clear --as eve --key "$KEYS/eve"
expect 6 approve retire clear --as zhang --key "$KEYS/li"
says "$ERR" zhang 'another key'
expect 0 approve retire clear --as wang --key "$KEYS/wang"
says "$OUT" "wang's word does not count"
expect 0 approve retire clear --as zhang --key "$KEYS/zhang"
expect 0 approve retire clear --as zhang --key "$KEYS/zhang"
expect 3 run retire
says "$ERR" 'li'

part 'texts that are not what was asked for'
sign() { ssh-keygen -q -Y sign -f "$KEYS/$1" -n "$2" "$3" || fail 'ssh-keygen does not sign'; }
expect 0 approve retire clear --as li --request "$TOP/q.txt"
says "$TOP/q.txt" 'destroyed-without-copy: www cache/x' 'destroyed-without-copy: www socket' 'require: cleared-sampled'
cp "$TOP/q.txt" "$TOP/q1.txt"; sign li approval@waybill "$TOP/q1.txt"
expect 6 approve retire clear --signature "$TOP/q1.txt.sig"
says "$ERR" namespace
cp "$TOP/q.txt" "$TOP/q2.txt"; sign zhang clearance@waybill "$TOP/q2.txt"
expect 6 approve retire clear --signature "$TOP/q2.txt.sig"
cp "$TOP/q.txt" "$TOP/q3.txt"; sign li clearance@waybill "$TOP/q3.txt"; sed -i 's/version=2/version=1/' "$TOP/q3.txt"
expect 6 approve retire clear --signature "$TOP/q3.txt.sig"
sed 's/clear.discard//; s/socket -- socket/nothing/' "$TOP/q.txt" >"$TOP/q4.txt"; sign li clearance@waybill "$TOP/q4.txt"
expect 6 approve retire clear --signature "$TOP/q4.txt.sig"
cp "$TOP/q.txt" "$TOP/q5.txt"; sign li clearance@waybill "$TOP/q5.txt"
expect 6 approve other clear --signature "$TOP/q5.txt.sig"
sign li clearance@waybill "$TOP/q.txt"
expect 0 approve retire clear --signature "$TOP/q.txt.sig"

part 'a verdict below what the plan requires: the certificate is made, the run ends with 5'
expect 5 run retire
says "$ERR" 'performed-not-provable' 'cleared-sampled'
[ ! -e "$S" ] || fail "something is left: $(find "$S")"
expect 0 run retire
says "$OUT" finished
expect 6 approve retire clear --as li --key "$KEYS/li"
says "$ERR" cleared certificate

part 'the certificate names those two, and is the same each time, in each form, and from a clone'
expect 0 certificate retire --format json
same_text 'li zhang' "$(jq -r '[.approvals[].person] | sort | join(" ")' "$OUT")" 'who authorized'
same_text performed-not-provable "$(jq -r .verdict "$OUT")" 'the verdict'
git clone -q --bare "$WS/.waybill/ledger.git" "$TOP/clone.git" || fail 'no clone'
for lang in en zh; do
	for form in txt json html; do
		expect 0 --lang "$lang" certificate retire --format "$form"
		cp "$OUT" "$TOP/paper"
		sleep 1.1
		expect 0 --lang "$lang" certificate retire --format "$form"
		same_file "$TOP/paper" "$OUT"
	done
done
bare 0 audit "$TOP/clone.git"
