#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
scenario 'A package of many small parts with links across them opens with stock tools; one that was touched is not signed'
person zhang recv
S=$TOP/src
make_tree "$S"
for n in {1..200}; do ln "$S/docs/readme" "$S/empty/l$n"; done
head -c 12000000 /dev/urandom >"$S/big/random"; mkdir "$S/zz"; ln "$S/big/random" "$S/zz/same"
for n in {1..40}; do head -c 60000 /dev/urandom >"$S/zz/m$n"; ln "$S/zz/m$n" "$S/attr/x$n"; done
mkdir "$TOP/nothing"
cat >"$TOP/hand.yaml" <<P
waybill: 1
name: hand
kind: handover
parties:
  department: {name: D}
  receiver: {name: R}
people:
  recv: {name: R, party: receiver, key: "${KEY[recv]}"}
  zhang: {name: Z, party: department, key: "${KEY[zhang]}"}
datasets:
  d: {files: {from: "local:$S"}}
  e9: {files: {from: "local:$TOP/nothing"}}
archive: {digests: [sha256, sm3]}
package: {to: "$TOP/pkg", part: 1MiB}
P
expect 3 run "$TOP/hand.yaml"
P=$TOP/pkg
[ "$(find "$P/data/d" -name 'part-*' | wc -l)" -ge 3 ] || fail 'not in parts'
is_empty <(find "$P/data" -type f -size +1024k) 'pieces above the limit of a part'

part 'stock tools, from another directory, with a strict shell'
(cd / && dash "$P/VERIFY.sh" >"$TOP/said" 2>&1) || fail "VERIFY.sh: $(cat "$TOP/said")"
(cd / && dash "$P/RESTORE.sh" "$TOP/back" >"$TOP/said" 2>&1) || fail "RESTORE.sh: $(cat "$TOP/said")"
same_tree "$S" "$TOP/back/d"
same_tree "$TOP/nothing" "$TOP/back/e9"
for f in "$P"/data/d/part-*.tar.zst; do tar --zstd -tf "$f" >"$TOP/list" 2>"$TOP/said" || fail "tar cannot read $f: $(cat "$TOP/said")"; done

part 'one byte, one file more, one less, the script: not signed, and RESTORE.sh or VERIFY.sh says so'
first=$(ls "$P"/data/d/part-* | head -n 1) last=$(ls "$P"/data/d/part-* | tail -n 1)
touched() {
	rm -rf "$TOP/bad"; cp -a "$P" "$TOP/bad"; chmod -R u+w "$TOP/bad"
	(cd "$TOP/bad" && eval "$2")
	expect "$1" accept "$TOP/bad" --as recv --key "$KEYS/recv" --to "$TOP/answer"
	[ ! -e "$TOP/answer" ] || fail "an answer was written after: $2"
	expect "$1" audit "$TOP/bad"
	! dash "$TOP/bad/VERIFY.sh" >"$TOP/said" 2>&1 || fail "VERIFY.sh is content after: $2"
}
touched 4 "printf U | dd of=data/d/${first##*/} bs=1 seek=300 conv=notrunc status=none"
touched 4 'echo extra >data/d/extra'
touched 5 "rm data/d/${last##*/}"
touched 4 'echo evil >>data/d/links.txt'
touched 4 'echo "# evil" >>RESTORE.sh'

part 'only a receiver accepts'
expect 6 accept "$P" --as zhang --key "$KEYS/zhang" --to "$TOP/answer"
says "$ERR" zhang receiver
expect 6 accept "$P" --as zhang --request "$TOP/request.txt"
expect 6 accept "$P" --as recv --key "$KEYS/zhang" --to "$TOP/answer"
[ ! -e "$TOP/answer" ] || fail 'an answer was written'
expect 0 accept "$P" --as recv --key "$KEYS/recv" --to "$TOP/answer"

part 'an answer that was edited on the way is not recorded'
cp -a "$TOP/answer" "$TOP/edited"; sed -i 's/name: R$/name: X/' "$TOP/edited/acceptance.txt"
expect 6 accept hand --import "$TOP/edited"
expect 3 run hand
expect 0 accept hand --import "$TOP/answer"
expect 0 run hand
