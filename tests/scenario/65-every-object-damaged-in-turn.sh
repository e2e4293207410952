#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
scenario 'Each object of the archive damaged or missing in turn: noticed, named, and nothing wrong comes out of it'
S=$TOP/src
make_small "$S"
head -c 17000000 /dev/urandom >"$S/large"; truncate -s 9M "$S/hole"; echo end >>"$S/hole"
setfattr -n user.origin -v old "$S/c/many" 2>/dev/null; setfacl -m u:12345:r "$S/c/three" 2>/dev/null
"$WAYBILL" init "$TOP/w2" --store "$TOP/store" >/dev/null || fail 'init --store'
WS=$TOP/w2
migration "local:$S" "local:$TOP/dst" >"$TOP/move.yaml"
expect 0 run "$TOP/move.yaml"
cp -a "$S" "$TOP/was"
expect 0 --json audit
[ "$(jq .objects "$OUT")" -gt 3 ] || fail 'the archive that lies elsewhere was not audited'

kinds=
for f in $(find "$TOP/store/objects" -type f); do
	name=${f##*/} kind=${f#*.}
	kinds="$kinds $kind"
	cp -p "$f" "$TOP/sound"
	chmod u+w "$f"
	at=$(($(stat -c %s "$f") / 2)) byte=$(od -An -tu1 -j $(($(stat -c %s "$f") / 2)) -N1 "$f")
	printf "\\x$(printf %02x $(((byte + 1) % 256)))" | dd of="$f" bs=1 seek=$at conv=notrunc status=none
	expect 4 audit
	says "$OUT" "$name"
	expect 4 verify move --side archive
	says "$OUT" 'archive: expected sound'
	expect 4 restore move www --to "$TOP/back"
	# What did come out is right: every regular file has its content, or is not there.
	(cd "$TOP/back" 2>/dev/null || exit 0; find . -type f -print0 | while IFS= read -r -d '' p; do cmp -s "$p" "$TOP/was/$p" || echo "$p"; done) >"$TOP/wrong"
	is_empty "$TOP/wrong" "wrong contents restored from a damaged $name"
	[ "$(find "$TOP/back" -type f | wc -l)" -ge 2 ] || [ "${kind#tar}" != "$kind" ] || fail "the rest was not restored beside a damaged $name"
	[ ! -e "$TOP/back/.waybill.part" ] || fail 'restore leaves its staging directory'
	rm -rf "$TOP/back" "$f"
	expect 5 audit
	says "$OUT" "$name"
	expect 4/5 verify move --side archive
	expect 4/5 restore move www --to "$TOP/back"
	rm -rf "$TOP/back"
	cp -p "$TOP/sound" "$f"; rm -f "$TOP/sound"
done
for kind in tar.zst zst recipe; do
	case "$kinds " in *"$kind "*) ;; *) fail "no object of kind $kind among$kinds" ;; esac
done
expect 0 audit
expect 0 restore move www --to "$TOP/back"
same_tree "$TOP/was" "$TOP/back"

part 'a tail that was cut shows in the workspace that wrote it'
head=$(ledger rev-parse move)
ledger update-ref refs/heads/move move~2
expect 4 audit
says "$OUT" 'altered' "$head"
ledger update-ref refs/heads/move "$head"
expect 0 audit
