#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
scenario 'Sizes around the limits of packs and slices, holes, deep trees, long names, many hard links: there, back, and again'
host one; host two
S=$TOP/src
mkdir -p "$S"/{sizes,holes,deep,links/{a,b,c}}
for n in 8388607 8388608 8388609 16777215 16777216 16777217; do
	head -c "$n" /dev/urandom >"$S/sizes/random-$n"
	head -c "$n" /dev/zero | tr '\0' a >"$S/sizes/alike-$n"
done
: >"$S/sizes/empty"; printf x >"$S/sizes/one"
head -c 70000000 /dev/urandom >"$S/sizes/several-slices"
truncate -s 100M "$S/holes/only"; truncate -s 1 "$S/holes/one-byte"
truncate -s 20M "$S/holes/at-start"; printf end >>"$S/holes/at-start"
printf start >"$S/holes/at-end"; truncate -s 20M "$S/holes/at-end"
truncate -s 300M "$S/holes/huge"; printf q | dd of="$S/holes/huge" bs=1 seek=200M conv=notrunc status=none
for n in {0..60..2}; do printf data | dd of="$S/holes/many" bs=1 seek=$((n * 65536)) conv=notrunc status=none; done
truncate -s 20M "$S/holes/many"
long=$(printf 'n%.0s' {1..255}) wide=$(printf '\xe7\x89\xa9%.0s' {1..85})
echo long >"$S/$long"; echo wide >"$S/$wide"; mkdir "$S/links/$wide"
ln -s "$(printf 't%.0s' {1..4000})" "$S/long-link"
(cd "$S/deep" || exit 1; for _ in {1..70}; do mkdir "${long:0:40}"; cd "${long:0:40}" || exit 1; done; echo bottom >file)
echo common >"$S/links/a/0"
for n in {1..1500}; do ln "$S/links/a/0" "$S/links/b/$n"; ln "$S/links/a/0" "$S/links/c/x$n"; done
ln "$S/sizes/several-slices" "$S/links/c/large"
mkfifo "$S/fifo"; ln "$S/fifo" "$S/fifo-again"
migration "one:$S" "two:$TOP/dst" >"$TOP/move.yaml"

part 'a first copy'
expect 0 run "$TOP/move.yaml"
same_tree "$S" "$TOP/dst"
[ "$(du -sk "$TOP/dst" | cut -f1)" -lt $(($(du -sk "$S" | cut -f1) + 4096)) ] || fail 'holes were filled at the target'

part 'out of the archive'
expect 0 restore move www --to "$TOP/back"
same_tree "$S" "$TOP/back"
[ "$(du -sk "$TOP/back" | cut -f1)" -lt $(($(du -sk "$S" | cut -f1) + 4096)) ] || fail 'holes were filled by restore'
rm -rf "$TOP/back"

part 'a second run after a change of attributes sends no content'
sleep 2.1
expect 0 run move
chmod 600 "$S/sizes/several-slices"; [ "$(id -u)" != 0 ] || chown 5:6 "$S/sizes/random-8388607"
expect 0 run move
same_tree "$S" "$TOP/dst"
expect 0 --json log move www
same_text '0 0' "$(jq -r '.versions[-1] | "\(.stored) \(.objects)"' "$OUT")" 'bytes and objects stored by the last pass'
