#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
scenario 'A bastion with nothing but SFTP: a package is put into a drop, fetched behind it, accepted, and the drop is emptied of it'

make_small "$TOP/src"
head -c 3000000 /dev/urandom >"$TOP/src/large"
mkdir "$TOP/drop" "$TOP/far"
host old
only=(--config 'AllowTcpForwarding no' --config 'ForceCommand internal-sftp' --config 'Subsystem sftp internal-sftp')
host bastion "${only[@]}"
host gate
person zhang liu
sshd_client_config
for h in old bastion gate; do sshd_known $h; done
DROP=$TOP/drop/hand
FROM=$(id -un)@127.0.0.1:${SSHD_PORT[bastion]}:$DROP

plan() { PLAN=$1 handover "old:$TOP/src"; }
plan hand >"$TOP/hand.yaml"
killed() {	# WHERE ARGS...: struck there, by its own hand
	local where=$1
	shift
	{ WAYBILL_FAULT=$where:kill "$WAYBILL" "$@" >"$OUT" 2>"$ERR" </dev/null; } 2>/dev/null
	[ $? = 137 ] || fail "waybill $*: not killed at $where"
}
relayed() { event hand last | jq -r ".data.$1"; }

part 'a run through it is refused, and both command lines are named'
was=${HOST[old]}
HOST[old]=${was%\}}", via: bastion}"
plan closed >"$TOP/closed.yaml"
HOST[old]=$was
expect 7 run "$TOP/closed.yaml"
says "$ERR" 'via bastion' AllowTcpForwarding 'waybill package PLAN --to bastion:DIR' 'waybill accept PACKAGE --fetch [USER@]bastion:DIR'

part 'an upload is cut in the middle of a file, and what is there is no package'
expect 3 run "$TOP/hand.yaml"
number=$(sha256sum <"$WS/.waybill/packages/hand/tagmanifest-sha256.txt" | cut -d' ' -f1)
# Later than what is kept in flight, so that some of it has been acknowledged.
killed read@sftp:85 -C "$WS" package hand --to "bastion:$DROP"
no_session() { [ "$(sshd_sessions bastion)" = 0 ]; }
await 'the end of the cut session' no_session
cut=$DROP/data/www/part-0001.tar.zst.part
[ -s "$cut" ] && [ ! -e "${cut%.part}" ] && [ ! -e "$DROP/tagmanifest-sha256.txt" ] || fail "not cut where it should be: $(find "$DROP")"
had=$(stat -c %s "$cut")
bare 6 accept "$TOP/far/hand" --fetch "$FROM" --as liu --key "$KEYS/liu" --to "$TOP/far/answer"
says "$ERR" 'no whole package' tagmanifest-sha256.txt
[ ! -e "$TOP/far/hand" ] && [ ! -e "$TOP/far/answer" ] || fail 'half a package was taken'

part 'the same command goes on, and once more sends nothing'
expect 0 package hand --to "bastion:$DROP"
says "$OUT" "$number"
diff -r "$WS/.waybill/packages/hand" "$DROP" >"$TOP/diff" || fail "the drop holds something else: $(head "$TOP/diff")"
whole=$(find "$DROP" -type f -printf '%s\n' | paste -sd+ | bc)
[ "$(relayed package)" = "$number" ] && [ "$(relayed path)" = "bastion:$DROP" ] || fail "event: $(event hand last)"
[ "$(relayed sent_bytes)" = $((whole - had)) ] || fail "sent $(relayed sent_bytes) of $whole, $had were there"
expect 0 package hand --to "bastion:$DROP"
[ "$(relayed sent_files)" = 0 ] || fail "sent again: $(event hand last)"

part 'one byte is flipped in the drop: named on both sides'
flip() { printf "$(printf '\\%03o' $((0x$(xxd -p -s 1000000 -l 1 "$1") ^ 1)))" | dd of="$1" bs=1 seek=1000000 conv=notrunc status=none; }
flip "${cut%.part}"
bare 4 accept "$TOP/far/hand" --fetch "$FROM" --as liu --key "$KEYS/liu" --to "$TOP/far/answer"
says "$ERR" data/www/part-0001.tar.zst 'changed in the drop'
[ ! -e "$TOP/far/hand" ] && [ ! -e "$TOP/far/answer" ] || fail 'a damaged package was taken'
expect 4 package hand --to "bastion:$DROP"
says "$ERR" data/www/part-0001.tar.zst
flip "${cut%.part}"

part 'a fetch is cut and goes on; the drop is emptied of what the package lists'
killed write@fetch:40 accept "$TOP/far/hand" --fetch "$FROM" --as liu --key "$KEYS/liu" --to "$TOP/far/answer"
begun=$TOP/far/.hand.waybill-fetch/data/www/part-0001.tar.zst.part
[ -s "$begun" ] && [ ! -e "$TOP/far/hand" ] || fail 'the fetch was not cut where it should be'
had=$(stat -c %s "$begun")
echo mine >"$DROP/data/www/mine.part"; echo mine >"$TOP/drop/mine"; echo left >"$DROP/bagit.txt.part"
WAYBILL_FAULT=write@fetch:1:count bare 0 accept "$TOP/far/hand" --fetch "$FROM" --as liu --key "$KEYS/liu" --to "$TOP/far/answer" --empty-drop
# One write a piece of 32 KiB.
pieces=$(sed -n 's/^fault: \([0-9]*\) of .*/\1/p' "$ERR")
[ "$pieces" -lt $(((whole - had) / 32768 + 4)) ] && [ "$pieces" -ge $(((3000000 - had) / 32768)) ] || fail "it took $pieces pieces, $had bytes were here"
says "$OUT" 'fetched from' 'removed from' "$number"
[ ! -e "$TOP/far/.hand.waybill-fetch" ] || fail 'the fetch left something'
same_text "$DROP/data/www/mine.part $TOP/drop/mine" "$(find "$TOP/drop" -type f | sort | paste -sd' ')" 'left in the drop'
diff -r "$WS/.waybill/packages/hand" "$TOP/far/hand" >"$TOP/diff" || fail "fetched something else: $(head "$TOP/diff")"
sh "$TOP/far/hand/VERIFY.sh" >"$TOP/v.out" 2>&1 || fail "VERIFY.sh: $(tail -n 3 "$TOP/v.out")"
expect 0 accept hand --import "$TOP/far/answer"
expect 0 run "$TOP/hand.yaml"
has_event hand accept-done

part 'the OpenSSH client, and behind a bastion that does forward; a wrong beginning is sent anew; a package for the drop alone is not kept'
rm "$DROP/data/www/mine.part"; rm -r "$DROP"
was=${HOST[bastion]}
for way in 'client: openssh' 'via: gate'; do
	name=by-${way##* }
	HOST[bastion]=${was%\}}", $way}"
	plan "$name" | sed -e '/role: receiver/d;s/kind: handover/kind: migration/;/liu:/d' >"$TOP/$name.yaml"
	expect 0 run "$TOP/$name.yaml"
	# What an earlier try left is read back before it is believed.
	mkdir "$TOP/drop/$name" && echo wrong >"$TOP/drop/$name/README.txt.part"
	expect 0 package "$name" --to "bastion:$TOP/drop/$name"
	[ ! -e "$WS/.waybill/packages/.$name.drop" ] || fail 'its copy stays in the workspace'
	bare 0 audit "$TOP/drop/$name"
done
expect 6 package by-gate --to "bastion:$TOP/drop/by-openssh"
says "$ERR" 'another package'
expect 2 package by-gate --to "nobody:/x"
expect 2 package by-gate --to "local:$TOP/x"
mkdir "$TOP/far/full" && echo >"$TOP/far/full/mine"
bare 6 accept "$TOP/far/full" --fetch "$(id -un)@127.0.0.1:${SSHD_PORT[bastion]}:$TOP/drop/by-gate" --empty-drop --to "$TOP/far/answer2"
says "$ERR" 'not empty'
[ -e "$TOP/drop/by-gate/tagmanifest-sha256.txt" ] || fail 'the drop was emptied though nothing was fetched'
