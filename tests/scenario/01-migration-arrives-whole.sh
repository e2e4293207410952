#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
scenario 'A migration between two hosts arrives whole, and stock tools agree with everything that it says'

make_tree "$TOP/src"
mkdir "$TOP/dst"
host old; host new
migration "old:$TOP/src" "new:$TOP/dst" >"$TOP/move.yaml"

part 'check and preview change nothing'
expect 0 check "$TOP/move.yaml"
expect 0 preview "$TOP/move.yaml"
same_text '' "$(ls -A "$TOP/dst")" 'the target after preview'

part 'run'
expect 0 run "$TOP/move.yaml"
same_tree "$TOP/src" "$TOP/dst"
balance move www >"$TOP/summary"
same_text 0 "$(field failed <"$TOP/summary")" 'failed entries'
for e in preflight-done copy-done verify-done; do has_event move "$e"; done
[ "$(versions move www)" -ge 1 ] || fail 'no version is tagged'
used() { du -s --block-size=1024 "$1" | cut -f1; }
[ "$(used "$TOP/dst/big/sparse")" -lt 4096 ] || fail "holes were filled: $(used "$TOP/dst/big/sparse") KiB allocated"

part 'the manifest is what sha256sum says of every file'
manifest move www >"$TOP/manifest"
bsdtar -tf - <"$TOP/manifest" >"$TOP/names" 2>"$TOP/bsdtar.err" || { cat "$TOP/bsdtar.err" >&2; fail 'bsdtar cannot read the manifest'; }
is_empty "$TOP/bsdtar.err" "bsdtar's errors"
same_text "$(find "$TOP/src" -printf x | wc -c)" "$(grep -vc '^#' "$TOP/manifest")" 'entries in the manifest'
(cd "$TOP/src" && find . -type f -print0 | xargs -0 sha256sum -z | tr '\0\n' '\n?' | cut -d' ' -f1) | sort >"$TOP/want"
grep -v '^#' "$TOP/manifest" | grep -o '\bsha256=[0-9a-f]\{64\}' "$TOP/manifest" | cut -d= -f2 | sort >"$TOP/have"
same_file "$TOP/want" "$TOP/have"
for name in odd/-rf odd/.hidden docs/readme big/sparse; do
	expect 0 show "$TOP/move.yaml" www "$name"
	says "$OUT" "$(sha256sum <"$TOP/src/$name" | cut -d' ' -f1)"
done

part 'mtree compares the manifest with the tree, in silence'
cp "$TOP/manifest" "$TOP/manifest.mtree"
mtree -p "$TOP/dst" -f "$TOP/manifest.mtree" >"$TOP/mtree.out" 2>&1 || { cat -v "$TOP/mtree.out" >&2; fail 'mtree finds differences'; }
is_empty "$TOP/mtree.out" 'mtree'
printf x | dd of="$TOP/dst/docs/readme" conv=notrunc status=none
mtree -p "$TOP/dst" -f "$TOP/manifest.mtree" >"$TOP/mtree.out" 2>&1 && fail 'mtree does not see a changed file'
printf h | dd of="$TOP/dst/docs/readme" conv=notrunc status=none
touch -d '1999-12-31 23:59:59.123456789' "$TOP/dst/docs/readme"

part 'the root is the digest of what show prints'
expect 0 show "$TOP/move.yaml" www
root=$(sha256sum <"$OUT" | cut -d' ' -f1)
ledger show refs/heads/move:datasets/www/summary.json >"$TOP/summary.json"
says "$TOP/summary.json" "$root"
expect 0 show move www@1

part 'the ledger is clean for git, and its events are chained'
ledger fsck --strict --full >"$TOP/fsck" 2>&1 || fail "git fsck: $(cat "$TOP/fsck")"
! grep -Ev '^(notice|Checking)' "$TOP/fsck" | grep -q . || fail "git fsck: $(cat "$TOP/fsck")"
prev=
for e in $(events move); do
	if [ -n "$prev" ]; then
		same_text "$prev" "$(ledger show "refs/heads/move:$e" | jq -r .prev)" "prev of $e"
	fi
	prev=$(ledger show "refs/heads/move:$e" | sha256sum | cut -d' ' -f1)
done
same_text "$(events move | wc -l)" "$(ledger rev-list --count refs/heads/move)" 'commits and events'
expect 0 audit "$WS/.waybill/ledger.git"
expect 0 log move
expect 0 log move www

part 'every object is named by its digest; stock tar and zstd open every one'
objects >"$TOP/objects"
[ -s "$TOP/objects" ] || fail 'the store is empty'
while read -r o; do
	id=${o##*/}; id=${id%%.*}
	same_text "$id" "$(sha256sum <"$o" | cut -d' ' -f1)" "name of $o"
	same_text 400 "$(stat -c %a "$o")" "mode of $o"
	case $o in
	*.tar.zst) mkdir "$TOP/x" && tar --zstd -xf "$o" -C "$TOP/x" 2>"$TOP/tar.err" || { cat -v "$TOP/tar.err" >&2; fail "tar does not open $o"; }
		rm -rf "$TOP/x" ;;
	*.zst) zstd -q -t "$o" || fail "zstd does not open $o" ;;
	esac
done <"$TOP/objects"

part 'verify reads the target again, in full'
expect 0 verify move --full
expect 0 --json verify move www --full
jq -e '.verdict == "match" and .checked > 0 and (.differences | length) == 0' "$OUT" >/dev/null || fail "verify's JSON: $(cat "$OUT")"
says "$OUT" medium
expect 0 --json status move
jq -e '.plan == "move" and .kind == "migration" and (.stages | length) > 0 and (.datasets.www.root | length) == 64' "$OUT" >/dev/null ||
	fail "status's JSON: $(cat "$OUT")"
same_text "$root" "$(jq -r .datasets.www.root "$OUT")" 'root in status'
same_tree "$TOP/src" "$TOP/dst"
