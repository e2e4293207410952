#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
scenario 'Of a large file that changed only the changed blocks travel and are stored; every version comes back whole'

S=$TOP/src D=$TOP/dst
mkdir "$S"
head -c 20000000 /dev/urandom >"$S/image"; truncate -s 30000000 "$S/image"; head -c 1000000 /dev/urandom >>"$S/image"
host far
migration "local:$S" "far:$D" >"$TOP/move.yaml"

stored() { objects | xargs -r stat -c %s | awk '{s += $1} END {print s + 0}'; }
keep=0
pass() {	# TEXT MOST [ARGS]: a pass that stores at most so many bytes
	local before; before=$(stored)
	part "$1"
	expect 0 run "$TOP/move.yaml" "${@:3}"
	same_file "$S/image" "$D/image"
	[ $(($(stored) - before)) -le "$2" ] || fail "$(($(stored) - before)) bytes were stored, at most $2 were expected"
	keep=$((keep + 1)); sha256sum <"$S/image" >"$TOP/sum.$keep"
}
poke() { local at; for at; do printf 'poked %s' "$at" | dd of="$S/image" bs=1 seek="$at" conv=notrunc status=none; done; }

pass 'the first copy' 22000000
poke 5 16384 1000000 19000000 30900000
pass 'five changed places' 100000
poke 16390 13000000 25000000
fallocate --punch-hole --offset 8000000 --length 4000000 "$S/image"
pass 'others, one of them in a hole, and a new hole' 120000
[ $(($(stat -c %b "$D/image") * 512)) -lt 17500000 ] || fail "the target has no hole: $(stat -c %b "$D/image") blocks"
truncate -s 15000000 "$S/image"; poke 14999000
pass 'it shrinks' 60000
head -c 2000000 /dev/urandom >>"$S/image"
pass 'it grows' 2200000

part 'what stands at the target is not what was written there: it is sent whole, out of the archive'
poke 12345
printf x | dd of="$D/image" bs=1 seek=777 conv=notrunc status=none
pass 'altered' 60000
says "$WS/.waybill/log/waybill.log" 'sent whole'
poke 54321; rm "$D/image"
pass 'gone' 60000

part 'without its key, or without anything that was scanned'
poke 99; head -c 32 /dev/zero >"$WS/.waybill/scan/move.www.blocks/key"
pass 'another key: whole once' 18000000
poke 98
pass 'and by blocks again' 60000
rm -r "$WS/.waybill/scan"/*; poke 97
pass 'all lost' 18000000

part 'so much changed that it is sent whole'
head -c 16000000 /dev/urandom >"$S/image"
pass 'all of it' 17000000

part 'every version comes back'
for n in 1 3 5 6 $((keep - 1)) "$keep"; do
	expect 0 restore "$TOP/move.yaml" "www@$n" image --to "$TOP/back.$n"
	same_text "$(cat "$TOP/sum.$n")" "$(sha256sum <"$TOP/back.$n/image")" "version $n"
	rm -r "$TOP/back.$n"
done
expect 0 verify "$TOP/move.yaml" www --side archive
