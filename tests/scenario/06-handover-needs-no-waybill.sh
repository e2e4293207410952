#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
scenario 'A hand-over: the package opens with stock tools, the receiver signs elsewhere, the answer comes back'

make_tree "$TOP/src"
person zhang liu
host old
handover "old:$TOP/src" "$TOP/pkg" >"$TOP/hand.yaml"
expect 0 check "$TOP/hand.yaml"
part 'run goes as far as accept and waits for the receiver (3)'
expect 3 run "$TOP/hand.yaml"
says <(cat "$OUT" "$ERR") liu
has_event hand package-done
expect 0 --json status hand
jq -e '[.waits_for[].people[]] | index("liu")' "$OUT" >/dev/null || fail "status does not say who is waited for: $(cat "$OUT")"

part 'the package is a BagIt bag that sha256sum and tar agree with'
pkg=$TOP/pkg
[ -f "$pkg/bagit.txt" ] || pkg=$(dirname "$(find "$TOP/pkg" -name bagit.txt | head -n 1)")
[ -f "$pkg/bagit.txt" ] || fail 'there is no bagit.txt'
says "$pkg/bagit.txt" 'BagIt-Version: 1.0' 'Tag-File-Character-Encoding: UTF-8'
(cd "$pkg" && sha256sum --quiet -c manifest-sha256.txt && sha256sum --quiet -c tagmanifest-sha256.txt) >"$TOP/sums" 2>&1 || { cat "$TOP/sums" >&2; fail 'sha256sum -c'; }
(cd "$pkg" && find data -type f | sort) >"$TOP/payload"
(cd "$pkg" && cut -c67- manifest-sha256.txt | sort) >"$TOP/listed"
same_file "$TOP/payload" "$TOP/listed"
for part in "$pkg"/data/www/part-*.tar.zst; do
	[ -f "$part" ] || fail 'there are no parts'
	[ "$(stat -c %s "$part")" -le 1073741824 ] || fail "$part is larger than 1 GiB"
	mkdir "$TOP/x"; tar --zstd -xf "$part" -C "$TOP/x" || fail "tar does not open $part"; rm -rf "$TOP/x"
done

part 'VERIFY.sh and RESTORE.sh, with stock tools alone'
mkdir "$TOP/elsewhere"
cp -a "$pkg" "$TOP/elsewhere/bag"
stock='/usr/bin:/bin:/usr/sbin:/sbin'
(cd "$TOP/elsewhere" && env -i PATH=$stock LC_ALL=C sh bag/VERIFY.sh) >"$TOP/v.out" 2>&1 || { cat -v "$TOP/v.out" >&2; fail 'VERIFY.sh'; }
mkdir "$TOP/elsewhere/out"
(cd "$TOP/elsewhere" && env -i PATH=$stock LC_ALL=C sh bag/RESTORE.sh out) >"$TOP/r.out" 2>&1 || { cat -v "$TOP/r.out" >&2; fail 'RESTORE.sh'; }
root=$TOP/elsewhere/out
[ -e "$root/docs/readme" ] || root=$TOP/elsewhere/out/www
same_tree "$TOP/src" "$root"
cp -a "$TOP/elsewhere/bag" "$TOP/elsewhere/bad"
f=$(find "$TOP/elsewhere/bad/data/www" -name 'part-*' | head -n 1); chmod u+w "$f"
printf 'x' | dd of="$f" bs=1 seek=$(($(stat -c %s "$f") / 2)) conv=notrunc status=none
(cd "$TOP/elsewhere" && sh bad/VERIFY.sh) >"$TOP/v2.out" 2>&1 && fail 'VERIFY.sh does not see a damaged part'

part 'accept where the receiver is, without workspace: request, ssh-keygen, signature'
bare 0 accept "$TOP/elsewhere/bag" --as liu --request "$TOP/elsewhere/accept.txt" --to "$TOP/elsewhere/answer"
says "$TOP/elsewhere/accept.txt" hand
ssh-keygen -q -Y sign -f "$KEYS/liu" -n acceptance@waybill "$TOP/elsewhere/accept.txt" 2>/dev/null || fail 'ssh-keygen -Y sign'
bare 0 accept "$TOP/elsewhere/bag" --as liu --signature "$TOP/elsewhere/accept.txt.sig" --to "$TOP/elsewhere/answer"
[ -e "$TOP/elsewhere/answer" ] || fail 'there is no answer'
part 'a damaged package is not accepted (4)'
bare 4 accept "$TOP/elsewhere/bad" --as liu --key "$KEYS/liu" --to "$TOP/elsewhere/answer2"

part 'the answer is brought back, recorded, and ends the plan'
expect 0 accept hand --import "$TOP/elsewhere/answer"
expect 0 run "$TOP/hand.yaml"
has_event hand accept-done
ledger show refs/heads/hand:signers >"$TOP/signers"
n=0
for sig in $(ledger ls-tree -r --name-only refs/heads/hand | grep '^approvals/.*\.sig$'); do
	ledger show "refs/heads/hand:$sig" >"$TOP/a.sig"; ledger show "refs/heads/hand:${sig%.sig}.txt" >"$TOP/a.txt"
	ssh-keygen -Y verify -f "$TOP/signers" -I liu -n acceptance@waybill -s "$TOP/a.sig" <"$TOP/a.txt" >/dev/null || fail "signature $sig"
	n=$((n + 1))
done
same_text 1 "$n" 'signatures of the receiver'
expect 0 audit "$WS/.waybill/ledger.git" --signers "$TOP/signers"
expect 0 run "$TOP/hand.yaml"
