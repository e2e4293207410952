#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
[ "$(id -u)" != 0 ] || own_mounts
scenario 'A file that cannot be read: the rest is copied, the balance names it (1), clearing waits for known_faults'

plain_user
make_small "$TOP/src"
echo secret >"$TOP/src/a/locked"
if [ "$(id -u)" = 0 ]; then chown -R "$PLAIN" "$TOP/src"; chown root "$TOP/src/a/locked"; fi
chmod 000 "$TOP/src/a/locked"
person zhang li
host old --as "$PLAIN"
host new
mkdir "$TOP/dst"

part 'migration: the rest arrives, exit 1'
migration "old:$TOP/src" "new:$TOP/dst" >"$TOP/move.yaml"
expect 1 run "$TOP/move.yaml"
says "$ERR" old a/locked
same_text 1 "$(balance move www | field failed)" 'failed entries'
for f in a/one a/b/two c/three c/many c/hard; do same_file "$TOP/src/$f" "$TOP/dst/$f"; done
[ ! -e "$TOP/dst/a/locked" ] || fail 'an unreadable file arrived'
expect 0 show move www --skipped
says "$OUT" a/locked

part 'retirement: stops before clear, also with the approvals'
MORE='clear: {require: unknown}' retirement "old:$TOP/src" >"$TOP/retire.yaml"
expect 1 run "$TOP/retire.yaml"
says "$ERR" a/locked
timeout 60 "$WAYBILL" -C "$WS" approve retire clear --as zhang --key "$KEYS/zhang" >/dev/null 2>&1
timeout 60 "$WAYBILL" -C "$WS" approve retire clear --as li --key "$KEYS/li" >/dev/null 2>&1
expect 1 run "$TOP/retire.yaml"
no_event retire clear-started
[ -e "$TOP/src/c/many" ] || fail 'data was cleared'

part 'in known_faults it no longer stops anything, and stays on the record'
sed 's|to: \("[^"]*"\)}|to: \1, known_faults: [{path: a/locked, reason: "owner is away"}]}|' "$TOP/move.yaml" >"$TOP/move2.yaml"
cmp -s "$TOP/move.yaml" "$TOP/move2.yaml" && fail 'the plan was not edited'
mv "$TOP/move2.yaml" "$TOP/move.yaml"
expect 0 run "$TOP/move.yaml"
same_text 1 "$(balance move www | field failed)" 'failed entries'
expect 0 show move www --skipped
says "$OUT" a/locked

part 'a socket is skipped and said so'
perl -MIO::Socket::UNIX -e 'IO::Socket::UNIX->new(Local => $ARGV[0], Listen => 1) or die' "$TOP/src/c/sock" || fail 'no socket'
expect 0 run "$TOP/move.yaml"
balance move www >"$TOP/summary"
[ "$(field skipped <"$TOP/summary")" -ge 1 ] || fail 'the socket is not counted as skipped'
expect 0 show move www --skipped
says "$OUT" c/sock
expect 0 audit "$WS"
