#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
scenario 'Entries that change their type, are renamed or go: target, counts, diff and every version out of the archive'
S=$TOP/src
mkdir -p "$S/l/b" "$S/m/x"
for n in 1 2 3; do echo "$n" >"$S/l/b/$n"; echo "$n" >"$S/m/x/$n"; done
echo f >"$S/m/f"; ln -s q "$S/m/sl"; ln "$S/m/f" "$S/m/hard"
perl -MSocket -e 'socket(my $s, AF_UNIX, SOCK_STREAM, 0); bind($s, sockaddr_un($ARGV[0])) or die' "$S/socket" || skip 'no perl'
MORE='limits: {deletes: "100%"}' migration "local:$S" "local:$TOP/dst" >"$TOP/move.yaml"
counts() { expect 0 --json log move www; same_text "$2" "$(jq -r ".versions[$1 - 1] | \"\\(.added) \\(.changed) \\(.removed)\"" "$OUT")" "added, changed, removed of version $1"; }
copy_of() { cp -a "$S" "$TOP/was$1"; rm -f "$TOP/was$1/socket"; }
there() { rsync -aHAXn --delete --checksum --itemize-changes --exclude=/socket "$S/" "$TOP/dst/" >"$TOP/rsync.out"; is_empty "$TOP/rsync.out" "rsync's differences"; }

expect 0 run "$TOP/move.yaml"
there; copy_of 1
counts 1 '14 0 0'

part 'nothing happened: nothing changed, the socket neither'
expect 0 run move
counts 2 '0 0 0'

part 'a directory becomes a file, a file a directory, a directory a symlink'
rm -r "$S/l/b"; echo file >"$S/l/b"; rm -r "$S/m/x"; ln -s y "$S/m/x"; rm "$S/m/f"; mkdir "$S/m/f"; echo in >"$S/m/f/in"
expect 0 run move --yes
there; copy_of 3
counts 3 '1 6 6'
expect 0 verify move --full
expect 0 diff move www@1 www@3
says "$OUT" 'D l/b/1' 'A m/f/in' 'M m/x: type dir -> link'

part 'and again otherwise'
rm -r "$S/m/f" "$S/m/sl"; mkfifo "$S/m/f"; mkdir "$S/m/sl"; mv "$S/l" "$S/renamed"
expect 0 run move --yes
there; copy_of 4
expect 0 verify move --full

part 'each version as it was'
for n in 1 3 4; do
	expect 0 restore move "www@$n" --to "$TOP/back$n"
	touch -r "$TOP/was$n" "$TOP/back$n"	# the socket that is not there went from the root
	touch -r "$TOP/back$n" "$TOP/was$n"
	same_tree "$TOP/was$n" "$TOP/back$n"
done
