#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
scenario 'What a person took back cannot be brought again; what was signed comes with its attachments; no key is written over'

make_small "$TOP/src"
person zhang li liu
retirement "local:$TOP/src" >"$TOP/retire.yaml"
expect 3 run "$TOP/retire.yaml"

part 'an approval that was withdrawn is brought once more by somebody else'
expect 0 approve retire clear --as zhang --key "$KEYS/zhang"
expect 0 approve retire clear --as li --request "$TOP/li.txt"
ssh-keygen -q -Y sign -f "$KEYS/li" -n clearance@waybill "$TOP/li.txt" 2>/dev/null || fail 'ssh-keygen -Y sign'
expect 0 approve retire clear --as li --signature "$TOP/li.txt.sig"
says "$OUT" 'the gate is open'
expect 0 approve retire clear --as li --withdraw --key "$KEYS/li"
expect 0 approve retire clear --as li --signature "$TOP/li.txt.sig"
says "$OUT" 'it was signed before li took it back'
expect 6 run "$TOP/retire.yaml"
[ -e "$TOP/src/c/many" ] || [ -n "$(ls -A "$TOP/src")" ] || fail 'a withdrawn approval opened the gate'
expect 0 audit "$WS"

part 'said anew it counts, in the same second too'
expect 0 approve retire clear --as li --key "$KEYS/li"
says "$OUT" 'the gate is open'

part 'an attachment that was signed must come along, and no other'
echo 'the minutes of the meeting' >"$TOP/minutes.txt"
echo 'other minutes' >"$TOP/other.txt"
expect 0 approve retire clear --as zhang --attach "$TOP/minutes.txt" --request "$TOP/z.txt"
ssh-keygen -q -Y sign -f "$KEYS/zhang" -n clearance@waybill "$TOP/z.txt" 2>/dev/null || fail 'ssh-keygen -Y sign'
before=$(events retire | wc -l)
expect 2 approve retire clear --as zhang --signature "$TOP/z.txt.sig"
says "$ERR" 'minutes.txt' '--attach'
expect 6 approve retire clear --as zhang --signature "$TOP/z.txt.sig" --attach "$TOP/other.txt"
same_text "$before" "$(events retire | wc -l)" 'events after refused approvals'
expect 0 approve retire clear --as zhang --signature "$TOP/z.txt.sig" --attach "$TOP/minutes.txt"
expect 0 audit "$WS"
object=$(find "$WS/.waybill/store/objects" -name "$(sha256sum <"$TOP/minutes.txt" | cut -d' ' -f1).doc")
[ -f "$object" ] || fail 'the attachment is not in the archive'
mv "$object" "$TOP/kept"
expect 5 audit "$WS"
says <(cat "$OUT" "$ERR") "$(basename "$object")"
mv "$TOP/kept" "$object"

part 'where a key is named for the request, the key stays'
cp "$KEYS/li" "$TOP/key"
expect 6 approve retire clear --as li --request "$TOP/key"
same_file "$KEYS/li" "$TOP/key"

part 'a package whose plan names documents and hooks is accepted where they are not'
mkdir "$TOP/h"
echo 'the contract' >"$TOP/h/contract.txt"
printf '#!/bin/sh\nexit 0\n' >"$TOP/h/note.sh"; chmod 755 "$TOP/h/note.sh"
cat >"$TOP/h/hand.yaml" <<PLAN
waybill: 1
name: hand
kind: handover
parties: {department: {name: D}, archive: {name: A, role: receiver}}
people:
  liu: {name: L, party: archive, key: "${KEY[liu]}"}
documents: [{role: contract, file: contract.txt}]
hooks: {after-copy: [{run: note.sh}]}
datasets:
  www: {files: {from: "local:$TOP/src"}}
package: {to: "$TOP/pkg"}
PLAN
expect 3 run "$TOP/h/hand.yaml"
bare 0 accept "$TOP/pkg" --as liu --key "$KEYS/liu" --to "$TOP/answer"
bare 6 accept "$TOP/pkg" --as liu --key "$KEYS/liu" --to "$TOP/answer"
says "$ERR" 'name another folder'
expect 0 accept hand --import "$TOP/answer"
expect 0 run "$TOP/h/hand.yaml"
expect 2 certificate nosuch
expect 0 audit "$WS"
documents=$(find "$WS/.waybill/store/objects" -name "$(sha256sum <"$TOP/h/note.sh" | cut -d' ' -f1).doc")
mv "$documents" "$TOP/kept"
expect 5 audit "$WS"
mv "$TOP/kept" "$documents"

part 'a folder that is called like a plan does not stand before it'
mkdir "$TOP/cwd" "$TOP/cwd/hand"
(cd "$TOP/cwd" && "$WAYBILL" -C "$WS" status hand >"$OUT" 2>"$ERR") || fail 'a folder was taken for the plan of its name'

part 'a workspace with pieces missing says which'
rm -rf "$WS/.waybill/log" "$WS/.waybill/scan"
expect 0 status hand
mv "$WS/.waybill/store" "$TOP/store"
expect 1 status hand
says "$ERR" "$WS/.waybill/store" 'put it back'
mv "$TOP/store" "$WS/.waybill/store"

part 'an object of the ledger that was cut off, as by a power loss, is told and not read for ever'
cp -a "$WS" "$TOP/cut"
head=$(ledger rev-parse refs/heads/hand)
object=$TOP/cut/.waybill/ledger.git/objects/${head:0:2}/${head:2}
chmod u+w "$object"; truncate -s 10 "$object"
bare 4 -C "$TOP/cut" status hand
says "$ERR" 'cut off or damaged' 'git fsck'
bare 4 audit "$TOP/cut/.waybill/ledger.git"

part 'a plan whose branch was taken away is missed, by its tags and by the workspace itself'
head=$(ledger rev-parse refs/heads/hand)
ledger update-ref -d refs/heads/hand
expect 4 audit "$WS/.waybill/ledger.git"
says <(cat "$OUT") 'its branch is gone'
for tag in $(ledger tag -l 'hand/*'); do ledger update-ref -d "refs/tags/$tag"; done
expect 4 audit "$WS"
says <(cat "$OUT") 'the workspace remembers'
LEDGER_BROKEN='a branch was taken away'
