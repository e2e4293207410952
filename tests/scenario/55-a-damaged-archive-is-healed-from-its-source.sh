#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
scenario 'One byte of an object, of state.db or of the ledger: noticed, named, and what the source still has is sent again'

S=$TOP/src
make_small "$S"
head -c 9000000 /dev/urandom >"$S/large"; truncate -s 20M "$S/hole"; echo end >>"$S/hole"
setfattr -n user.origin -v old "$S/c/many" 2>/dev/null
migration "local:$S" "local:$TOP/dst" >"$TOP/move.yaml"
expect 0 run "$TOP/move.yaml"
flip() {	# FILE OFFSET
	chmod u+w "$1"
	printf "\\x$(printf %02x $((($(od -An -tu1 -j "$2" -N1 "$1") + 1) % 256)))" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

part 'every object in turn, flipped or missing'
n=0
for f in $(objects); do
	n=$((n + 1))
	if [ $((n % 3)) = 0 ]; then rm -f "$f"; else flip "$f" $(($(stat -c %s "$f") / 2)); fi
	expect 4/5 verify move --side archive --full
	expect 0 run "$TOP/move.yaml"
	same_tree "$S" "$TOP/dst"
	expect 0 verify move --side archive --full
	rm -rf "$TOP/back"; expect 0 restore move www --to "$TOP/back"
	same_tree "$S" "$TOP/back"
done
[ "$n" -ge 4 ] || fail "only $n objects"

part 'state.db: noticed and made afresh, never believed'
cp "$WS/.waybill/state.db" "$TOP/state.db"
size=$(stat -c %s "$WS/.waybill/state.db")
for at in 20 100 $((size / 3)) $((size / 2)) $((size - 100)); do
	cp "$TOP/state.db" "$WS/.waybill/state.db"; rm -f "$WS"/.waybill/state.db-*
	flip "$WS/.waybill/state.db" "$at"
	expect 0/8 run "$TOP/move.yaml"
	if [ "$RC" = 8 ]; then says "$ERR" 'state.db is damaged' 'it is made afresh'; expect 0 run "$TOP/move.yaml"; fi
	same_tree "$S" "$TOP/dst"
	expect 0 verify move --side archive --full
done

part 'the ledger: one byte of each object of the last commit, and nothing is built upon it'
G=$WS/.waybill/ledger.git
# A pack that was healed under another name stays damaged for the versions before, and the audit goes on saying so.
expect 0/4/5 audit "$WS"
cp "$OUT" "$TOP/audit"
was=$RC
head=$(ledger rev-parse move)
for id in $head $(ledger rev-parse "$head^{tree}") $(ledger rev-parse "$head:events"); do
	file=$G/objects/${id:0:2}/${id:2}
	[ -f "$file" ] || continue
	cp -p "$file" "$TOP/good"
	flip "$file" $(($(stat -c %s "$file") / 2))
	bare 1/4/5 -C "$WS" audit
	bare 1/4/5 -C "$WS" run "$TOP/move.yaml"
	rm -f "$file"; cp -p "$TOP/good" "$file"
	same_text "$head" "$(ledger rev-parse move)" 'the head after a refused run'
done
expect "$was" audit "$WS"
same_file "$TOP/audit" "$OUT"
expect 0 run "$TOP/move.yaml"
