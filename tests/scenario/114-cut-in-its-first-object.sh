#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
scenario 'Killed in the middle of a large file that comes first, or with a pack on its way: what the source has no more by the next try does not stay at the target'

# In walk order the large file comes first, then the small ones of a pack.
fill() {
	rm -rf "$TOP/src" "$TOP/dst"; mkdir -p "$TOP/src/small" "$TOP/dst"
	head -c 40000000 /dev/urandom >"$TOP/src/a-large-one"
	for n in {1..200}; do head -c 3000 /dev/urandom >"$TOP/src/small/$n"; done
	echo 'was here before' >"$TOP/dst/foreign"
	sleep 2.5
	migration "local:$TOP/src" "local:$TOP/dst" | sed "s/^name: move/name: $1/" >"$TOP/$1.yaml"
}
MORE='passes: {verify: no}'
export WAYBILL_FLUSH=1000000

killed() {	# PLAN RULE
	WAYBILL_FAULT=$2 "$WAYBILL" -C "$WS" run "$TOP/$1.yaml" >"$OUT" 2>"$ERR" </dev/null
	[ $? = 137 ] || fail "$2 did not kill the run"
}
arrives() {	# PLAN: what lay there before stays, the rest is the source
	expect 0 run "$TOP/$1.yaml" --yes
	same_text 'was here before' "$(cat "$TOP/dst/foreign")" 'a foreign file'
	rm "$TOP/dst/foreign"
	touch -r "$TOP/src" "$TOP/dst"
	same_tree "$TOP/src" "$TOP/dst"
	is_empty <(unnamed) 'objects that no version names'
	expect 0 verify "$1" www --side archive --full
}

part 'a large file; it is there at the next try'
fill same; killed same write@store:4:kill; arrives same
part 'a large file, which is gone at the next try'
fill gone; killed gone write@store:4:kill; rm "$TOP/src/a-large-one"; arrives gone
part 'a large file, which is small at the next try'
fill less; killed less write@store:4:kill; echo little >"$TOP/src/a-large-one"; sleep 2.5; arrives less
part 'a pack that the target has made and nobody has acknowledged, half of whose files are gone at the next try'
fill pack; rm "$TOP/src/a-large-one"
killed pack point@pass-stored:1:kill
rm "$TOP/src/small/"*[02468]
arrives pack
part 'the same when everything was acknowledged'
fill acked; killed acked point@pass-commit:1:kill; rm "$TOP/src/small/"*[13579] "$TOP/src/a-large-one"; arrives acked
