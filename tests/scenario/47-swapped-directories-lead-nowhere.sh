#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
scenario 'A directory swapped for a symlink in mid-copy, at the source or at the target, never leads outside'

S=$TOP/src D=$TOP/dst OUTSIDE=$TOP/outside
mkdir -p "$S" "$OUTSIDE/deep"
echo 'not yours' >"$OUTSIDE/file"; echo 'not yours either' >"$OUTSIDE/deep/file"; echo o >"$OUTSIDE/only-outside"
for d in a b c; do
	mkdir -p "$S/$d/deep"
	for n in {1..60}; do echo "inside $d $n" >"$S/$d/deep/f$n"; done
	echo inside >"$S/$d/file"; echo inside >"$S/$d/deep/file"; head -c 300000 /dev/urandom >"$S/$d/large"
done
(cd "$OUTSIDE" && find . -exec stat -c '%n %F %a %u %g %s %Y %i' {} + && md5sum file deep/file) >"$TOP/before"

swap() {	# ROOT: renames the directory away and puts a symlink there, and back, as fast as it can
	local d
	while :; do
		for d in a b c; do
			mv -T "$1/$d" "$1/.$d.away" 2>/dev/null && ln -s "$OUTSIDE" "$1/$d" 2>/dev/null
			rm -f "$1/$d" 2>/dev/null; mv -T "$1/.$d.away" "$1/$d" 2>/dev/null
		done
	done
}
# The same in one exchange and without the gap, where python has it.
exchange() {	# exec: the pid to be ended is python's own
	exec python3 - "$1" "$OUTSIDE" >/dev/null <<'PY'
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
root, outside = sys.argv[1], sys.argv[2]
names = [(os.path.join(root, d).encode(), os.path.join(os.path.dirname(root), 'swap-%s-%s' % (os.path.basename(root), d)).encode()) for d in 'abc']
for _, s in names:
    if not os.path.lexists(s):
        os.symlink(outside, s)
while True:
    for n, s in names:
        libc.renameat2(-100, n, -100, s, 2)
        libc.renameat2(-100, n, -100, s, 2)
PY
}
outside_is_whole() {
	(cd "$OUTSIDE" && find . -exec stat -c '%n %F %a %u %g %s %Y %i' {} + && md5sum file deep/file) >"$TOP/after"
	cmp -s "$TOP/before" "$TOP/after" || { diff "$TOP/before" "$TOP/after" >&2; fail "$1: what lies outside was changed"; }
}
race() {	# TEXT ROOT HOW: runs for some seconds while HOW races at ROOT
	local until=$((SECONDS + 7)) pid runs=0
	part "$1"
	"$3" "$2" >/dev/null 2>&1 &
	pid=$!
	SCENARIO_PIDS+=("$pid")
	while [ $SECONDS -lt $until ]; do
		rm -rf "$WS/.waybill" "$TOP/try"; bare 0 init "$WS"
		[ "$2" = "$S" ] && rm -rf "$D"
		expect 0/1/4/5/6/8/3/2 run "$TOP/move.yaml" --yes
		runs=$((runs + 1))
		outside_is_whole "$1"
		# Nothing of outside in archive or target.
		if git --git-dir="$WS/.waybill/ledger.git" rev-parse -q --verify refs/heads/move:datasets/www/manifest/INDEX >/dev/null 2>&1; then
			manifest move www >"$TOP/manifest"
			! grep -q 'only-outside' "$TOP/manifest" || fail "$1: an entry of outside is in the manifest"
			for f in file deep/file; do
				! grep -q "$(sha256sum <"$OUTSIDE/$f" | cut -d' ' -f1)" "$TOP/manifest" || fail "$1: a content of outside is in the manifest"
			done
		fi
		! find "$D" -name only-outside 2>/dev/null | grep -q . || [ -L "$D/a" ] || fail "$1: an entry of outside is at the target"
	done
	kill -9 "$pid" 2>/dev/null; wait "$pid" 2>/dev/null
	echo "  $runs runs"
	[ "$runs" -ge 2 ] || fail 'too few runs to say anything'
}
# A link on the way that stays: the source's own symlinks are copied as such, never followed.
migration "local:$S" "local:$D" >"$TOP/move.yaml"
race 'the source, renamed away and back' "$S" swap
race 'the source, exchanged' "$S" exchange
for d in a b c; do
	[ -d "$S/$d" ] && [ ! -L "$S/$d" ] || { rm -f "$S/$d"; mv -T "$S/.$d.away" "$S/$d" 2>/dev/null || mv -T "$TOP/swap-src-$d" "$S/$d"; }
done
rm -rf "$D"; rm -rf "$WS/.waybill"; bare 0 init "$WS"
expect 0 run "$TOP/move.yaml"
race 'the target, renamed away and back' "$D" swap
race 'the target, exchanged' "$D" exchange
part 'left alone, it comes right'
rm -rf "$D" "$WS/.waybill"; bare 0 init "$WS"
expect 0 run "$TOP/move.yaml"
same_tree "$S" "$D"
