#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
scenario 'A rehearsal: the same data elsewhere, neither source nor target touched, asked for before the freeze, and its figures predict'

make_small "$TOP/src"
for n in {1..400}; do head -c 2000 /dev/urandom >"$TOP/src/c/f$n"; done
mkdir "$TOP/dst" "$TOP/room"; echo live >"$TOP/dst/live"
touch -d 2003-03-03 "$TOP/dst" "$TOP/dst/live"
host old; host new
cat >"$TOP/ask" <<EOF
#!/bin/sh
echo "\$WAYBILL_POINT \$WAYBILL_REHEARSAL" >>$TOP/asked
[ "\$WAYBILL_REHEARSAL" = no ] && exit 0
[ ! -e $TOP/no ] || exit 1
[ ! -e $TOP/other ] || { mv $TOP/room/www $TOP/room/moved && mkdir $TOP/room/www && echo theirs >$TOP/room/www/file; exit 0; }
[ -e $TOP/room/www/a/one ]
EOF
chmod +x "$TOP/ask"
plan() {
	MORE="hooks:
  freeze: [{run: ask, host: old}]
  thaw: [{run: ask, host: old}]
  smoke: [{run: ask, host: new}]
rehearsal: {to: {www: \"new:$TOP/room/www\"}, smoke: [{run: ask, host: new}]}
cutover: {require_rehearsal: yes}
passes: {max: 2}" migration "old:$TOP/src" "new:$TOP/dst"
}
plan >"$TOP/move.yaml"
touched() { { find "$TOP/src" "$TOP/dst" -printf '%p %T@ %C@ %s\n'; } | sort | sha256sum; }

part 'without one, the freeze is refused'
expect 6 run "$TOP/move.yaml" --yes
says "$ERR" 'waybill rehearse move'
before=$(touched)

part 'a rehearsal with a smoke test that says no is 4; neither source nor target are touched'
touch "$TOP/no"
expect 4 rehearse "$TOP/move.yaml"
has_event move rehearse-failed
rm "$TOP/no"
expect 6 run "$TOP/move.yaml" --yes
before=$(touched)
expect 0 rehearse "$TOP/move.yaml" --keep
same_text "$before" "$(touched)" 'source and target'
same_tree "$TOP/src" "$TOP/room/www"
same_text 'smoke yes' "$(sort -u "$TOP/asked")" 'hooks that ran'
event move last | jq -e '.data.datasets.www.seconds > 0' >/dev/null || fail 'no figures'
expect 0 rehearse "$TOP/move.yaml"
[ ! -e "$TOP/room/www" ] || fail 'the rehearsal place was left'
touch "$TOP/other"
expect 0 rehearse "$TOP/move.yaml"
says "$ERR" 'is not what the rehearsal made: it stays'
same_text theirs "$(cat "$TOP/room/www/file")" 'what somebody put in its place meanwhile'
rm -r "$TOP/other" "$TOP/room/www" "$TOP/room/moved"
mkdir "$TOP/room/www"; echo theirs >"$TOP/room/www/file"
expect 6 rehearse "$TOP/move.yaml"
says "$ERR" 'no rehearsal put it there'
same_text theirs "$(cat "$TOP/room/www/file")" 'what lay there'

part 'then the freeze; prediction and fact are told side by side'
expect 0 run "$TOP/move.yaml" --yes
expect 0 --json status move
event move last >/dev/null
ledger show "refs/heads/move:$(events move | grep cutover-done)" | jq -e '.data.freeze_s > 0 and .data.predicted_s > 0' >/dev/null || fail 'no prediction beside the fact'
expect 0 status move
says "$OUT" 'the last freeze took' 'predicted'
part 'an edited plan needs another rehearsal; a plan without places has none'
expect 0 rollback move --yes
sed -i 's/max: 2/max: 1/' "$TOP/move.yaml"
expect 6 run "$TOP/move.yaml" --yes
sed '/^rehearsal/d; /^cutover/d; s/^name: .*/name: none/' "$TOP/move.yaml" >"$TOP/none.yaml"
expect 2 rehearse "$TOP/none.yaml"
expect 0 audit "$WS"
