#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
. "$WAYBILL_SOURCE/tests/lib/fidelity.sh"
own_mounts
scenario 'Every filter of a plan by itself: what it leaves out is counted, named with its reason, and nothing else is missing'

S=$TOP/src
mkdir -p "$S"/{keep,cache/deep,src/obj,'odd dir'}
for f in keep/a keep/b.o cache/x cache/deep/y src/main.c src/main.o src/obj/z.o top.o 'odd dir/[x].log' 'odd dir/star*.log' secret; do echo "$f" >"$S/$f"; done
head -c 5000 /dev/zero >"$S/keep/five-thousand"; head -c 10 /dev/zero >"$S/keep/ten"
touch -d '2 hours ago' "$S/keep/two-hours"; touch -d '400 days ago' "$S/keep/old"
N=0
filtered() {	# DATASET-KEYS 'PATH: REASON; ...' (paths below a skipped directory are not walked)
	part "$1"
	N=$((N + 1))
	rm -rf "$TOP/dst"; mkdir "$TOP/dst"
	DATASET=$1 migration "local:$S" "local:$TOP/dst" | sed "s/^name: .*/name: f$N/" >"$TOP/f$N.yaml"
	expect 0 run "$TOP/f$N.yaml"
	balance "f$N" www >"$TOP/summary"
	tr ';' '\n' <<<"$2" | sed 's/^ *//; s/ *$//; /^$/d' | sort >"$TOP/want"
	same_text "$(wc -l <"$TOP/want")" "$(field skipped <"$TOP/summary")" 'skipped in the balance'
	expect 0 --json show "f$N" www --skipped
	jq -r '.. | objects | select(has("path") and (has("reason") or has("note"))) | "\(.path): \(.reason // .note)"' "$OUT" | sort >"$TOP/have"
	cmp -s "$TOP/want" "$TOP/have" || { diff "$TOP/want" "$TOP/have" >&2; cat "$OUT" >&2; fail 'show --skipped names other entries'; }
	# What is at the target is what find says without those.
	(cd "$S" && find . -mindepth 1 | sed 's|^\./||' | sort) >"$TOP/all"
	cut -d: -f1 "$TOP/want" >"$TOP/out"
	awk 'FILENAME == ARGV[1] {out[$0] = 1; next} {p = $0; while (1) {if (p in out) next; if (!sub(/\/[^\/]*$/, "", p)) break} print}' \
		"$TOP/out" "$TOP/all" >"$TOP/expected"
	(cd "$TOP/dst" && find . -mindepth 1 | sed 's|^\./||' | sort) >"$TOP/found"
	same_file "$TOP/expected" "$TOP/found"
	expect 0 verify "f$N" --full
	manifest "f$N" www >"$TOP/manifest"
	same_text "$(wc -l <"$TOP/want")" "$(grep -c '^#+ skipped .* note=' "$TOP/manifest")" 'skipped entries with a reason in the manifest'
}
filtered 'exclude: ["*.o"]' 'keep/b.o: excluded: *.o; src/main.o: excluded: *.o; src/obj/z.o: excluded: *.o; top.o: excluded: *.o'
filtered 'exclude: ["/*.o"]' 'top.o: excluded: /*.o'
filtered 'exclude: ["cache/"]' 'cache: excluded: cache/'
filtered 'exclude: ["cache/**"]' 'cache/deep: excluded: cache/**; cache/x: excluded: cache/**'
filtered 'exclude: ["src/*.o"]' 'src/main.o: excluded: src/*.o'
filtered 'exclude: ["*.o"], include: ["src/**"]' 'keep/b.o: excluded: *.o; top.o: excluded: *.o'
filtered 'exclude: ["[st]*.o"]' 'top.o: excluded: [st]*.o'
filtered 'exclude: ["star\\*.log", "\\[x].log"]' 'odd dir/star*.log: excluded: star\134*.log; odd dir/[x].log: excluded: \134[x].log'
filtered 'exclude: ["?eep/t*"]' 'keep/ten: excluded: ?eep/t*; keep/two-hours: excluded: ?eep/t*'
filtered 'size: {min: 10}' 'keep/a: smaller than size.min; keep/b.o: smaller than size.min; cache/x: smaller than size.min; secret: smaller than size.min; top.o: smaller than size.min; keep/two-hours: smaller than size.min; keep/old: smaller than size.min'
filtered 'size: {max: 4999}' 'keep/five-thousand: larger than size.max'
filtered 'size: {max: 5000}' ''
filtered 'age: {min: 1h}, exclude: ["cache", "src", "odd dir", "*.o", "secret", "a", "ten", "five*"]' \
	'cache: excluded: cache; src: excluded: src; odd dir: excluded: odd dir; keep/b.o: excluded: *.o; top.o: excluded: *.o; secret: excluded: secret; keep/a: excluded: a; keep/ten: excluded: ten; keep/five-thousand: excluded: five*'
filtered 'age: {min: 3h}, size: {min: 0}, exclude: ["cache", "src", "odd dir", "*.o", "secret", "a", "ten", "five*"]' \
	'keep/two-hours: younger than age.min; cache: excluded: cache; src: excluded: src; odd dir: excluded: odd dir; keep/b.o: excluded: *.o; top.o: excluded: *.o; secret: excluded: secret; keep/a: excluded: a; keep/ten: excluded: ten; keep/five-thousand: excluded: five*'
filtered 'age: {max: 30d}' 'keep/old: older than age.max'

part 'a file that grows out of the bounds keeps what the target has, and verify does not call it extra'
head -c 9000 /dev/zero >"$S/keep/ten"
DATASET='size: {max: 4999}' migration "local:$S" "local:$TOP/dst" | sed 's/^name: .*/name: grow/' >"$TOP/grow.yaml"
rm -rf "$TOP/dst"; head -c 10 /dev/zero >"$S/keep/ten"; expect 0 run "$TOP/grow.yaml"
head -c 9000 /dev/zero >"$S/keep/ten"; expect 0 run "$TOP/grow.yaml"; expect 0 verify grow --full
same_text 10 "$(stat -c %s "$TOP/dst/keep/ten")" 'the copy made before'
head -c 10 /dev/zero >"$S/keep/ten"

part 'list_only: path, attributes and digest, no content, nothing at the target'
rm -rf "$TOP/dst"
DATASET='list_only: ["secret"]' migration "local:$S" "local:$TOP/dst" | sed 's/^name: .*/name: lo/' >"$TOP/lo.yaml"
expect 0 run "$TOP/lo.yaml"
[ ! -e "$TOP/dst/secret" ] || fail 'list_only was copied'
expect 0 show lo www secret
says "$OUT" "$(sha256sum <"$S/secret" | cut -d' ' -f1)" list_only
expect 0 restore lo www --to "$TOP/back"
[ ! -e "$TOP/back/secret" ] || fail 'list_only was archived'
expect 0 verify lo --full
balance lo www >/dev/null

part 'one_file_system'
mkdir "$S/mnt"
if mount -t tmpfs none "$S/mnt" 2>/dev/null; then
	echo inside >"$S/mnt/inside"
	filtered 'one_file_system: yes' 'mnt: other file system'
	rm -rf "$TOP/dst"
	DATASET='one_file_system: no' migration "local:$S" "local:$TOP/dst" | sed 's/^name: .*/name: all/' >"$TOP/all.yaml"
	expect 0 run "$TOP/all.yaml"
	same_text inside "$(cat "$TOP/dst/mnt/inside")" 'the file beneath the mount'
	umount "$S/mnt"
fi

part 'owners: by number and by name, at the target only'
chown 12345:54321 "$S/keep/a"; chown daemon:daemon "$S/keep/b.o"; chown -h 12345 "$S/secret"; chown 12345:54321 "$S/src"
head -c 20000000 /dev/urandom >"$S/keep/large"; chown 12345 "$S/keep/large"; ln "$S/keep/large" "$S/keep/large-too"
rm -rf "$TOP/dst" "$TOP/back"
DATASET='owners: {users: {12345: nobody, daemon: 777}, groups: {54321: 888, daemon: nogroup}}' \
	migration "local:$S" "local:$TOP/dst" | sed 's/^name: .*/name: own/' >"$TOP/own.yaml"
expect 0 run "$TOP/own.yaml"
ids() { (cd "$1" && stat -c '%n %u:%g' keep/a keep/b.o secret src keep/large keep/large-too keep/ten); }
nobody=$(id -u nobody) nogroup=$(getent group nogroup | cut -d: -f3)
same_text "keep/a $nobody:888
keep/b.o 777:$nogroup
secret $nobody:0
src $nobody:888
keep/large $nobody:0
keep/large-too $nobody:0
keep/ten 0:0" "$(ids "$TOP/dst")" 'owners at the target'
expect 0 verify own --full
expect 0 verify own www --side archive
expect 0 restore own www --to "$TOP/back"
same_text "$(ids "$S")" "$(ids "$TOP/back")" 'owners that came back from the archive'
chown 12345 "$TOP/dst/keep/a"
expect 4 --json verify own www --full
same_text 'keep/a uid' "$(jq -r '.differences[] | "\(.path) \(.what)"' "$OUT")" 'a mapped owner that is not as the map says'
expect 0 run "$TOP/own.yaml"
same_text "keep/a $nobody:888" "$(ids "$TOP/dst" | head -n 1)" 'mended by the next run'
DATASET='owners: {users: {12345: no-such-user-here}}' migration "local:$S" "local:$TOP/dst2" | sed 's/^name: .*/name: bad/' >"$TOP/bad.yaml"
expect 2 run "$TOP/bad.yaml"
says "$ERR" no-such-user-here 'knows no user'
