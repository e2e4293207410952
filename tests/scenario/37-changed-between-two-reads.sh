#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
. "$WAYBILL_SOURCE/tests/lib/fidelity.sh"
scenario 'What happens to a file between two reads of it, one thing at a time: tried again, else unsettled while live and failed when frozen'

# The agent with shared libraries, so that a change can be made to happen exactly between two reads of one file.
# shellcheck disable=SC2016
[ -e "$WAYBILL_BUILD/tests/between_reads.so" ] || fail 'between_reads.so is not built'
[ "$(nm "$WAYBILL_BUILD/tests/agent_dynamic" 2>/dev/null | grep -c __asan_init)" = 0 ] || skip 'a sanitizer wants to be loaded first'
cat >"$TOP/agent" <<END
#!/bin/bash
[ "\$1" != read ] || export LD_PRELOAD="$WAYBILL_BUILD/tests/between_reads.so"
exec "$WAYBILL_BUILD/tests/agent_dynamic" "\$@"
END
chmod 755 "$TOP/agent"
export WAYBILL_AGENT=$TOP/agent
person zhang li
S=$TOP/src D=$TOP/dst
N=0

fresh() {	# SIZE
	rm -rf "$S" "$D" "$TOP/other"; mkdir -p "$S/d"
	echo before >"$S/a-first"; head -c "$1" /dev/urandom >"$S/d/file"; echo after >"$S/z-last"
	head -c "$1" /dev/urandom >"$TOP/other"
	touch -d '2020-01-01' "$S"/* "$S/d/file"
	FILE=$S/d/file
}
outcomes() { manifest "$1" www | grep -a 'd/file' -A1 | tr '\n' ' '; }

# HAPPENS TIMES COMMAND WANT: one change for each of TIMES tries; WANT: copied | unsettled | gone (unsettled, and away after the next run)
happens() {
	local kind size plan
	for size in 300000 9500000; do	# within a pack, and in slices
		fresh "$size"
		N=$((N + 1)) plan=live$N
		migration "local:$S" "local:$D" | sed "s/^name: move/name: $plan/" >"$TOP/$plan.yaml"
		export BETWEEN_INODE=$(stat -c %i "$FILE") BETWEEN_BYTES=1 BETWEEN_TIMES=$2 BETWEEN_DO="cd '$S/d' && { $3; } && echo x >>'$TOP/done'"
		rm -f "$TOP/done"
		part "$1, $size bytes, at $2 tries: $4"
		expect 0/1/4/8 run "$TOP/$plan.yaml" --until copy
		[ -s "$TOP/done" ] || fail 'the change did not take place'
		balance "$plan" www >"$TOP/summary"
		same_file "$S/a-first" "$D/a-first"; same_file "$S/z-last" "$D/z-last"
		case $4 in
		copied)
			same_text '0 0' "$(jq -r '"\(.unsettled) \(.failed)"' "$TOP/summary")" 'unsettled and failed'
			same_file "$S/d/file" "$D/d/file" ;;
		unsettled)
			same_text '1 0' "$(jq -r '"\(.unsettled) \(.failed)"' "$TOP/summary")" 'unsettled and failed'
			[[ $(outcomes "$plan") == *unsettled* ]] || fail "the manifest says: $(outcomes "$plan")" ;;
		gone)
			same_text '1 0' "$(jq -r '"\(.unsettled) \(.failed)"' "$TOP/summary")" 'unsettled and failed' ;;
		esac
		unset BETWEEN_DO
		[ "$size" = 300000 ] || continue
		sleep 2.1
		expect 0 run "$TOP/$plan.yaml" --yes
		same_tree "$S" "$D"
	done
}
happens 'it grows' 1 'printf more >>file' copied
happens 'it grows' 99 'printf more >>file' unsettled
happens 'it shrinks' 1 'truncate -s 100000 file' copied
happens 'a byte changes behind the reader' 1 'printf Z | dd of=file bs=1 seek=10 conv=notrunc status=none' copied
happens 'a byte changes, its mtime put back' 1 'touch -r file ../../ref; printf Z | dd of=file bs=1 seek=10 conv=notrunc status=none; touch -r ../../ref file' copied
happens 'it is replaced by another' 1 'cp ../../other .new && mv .new file' copied
happens 'it disappears' 1 'rm file' gone
happens 'a directory takes its place' 1 'rm file && mkdir file' gone

part 'frozen: what changes at every try has failed, and clearing does not begin'
fresh 300000
retirement "local:$S" >"$TOP/retire.yaml"
export BETWEEN_INODE=$(stat -c %i "$FILE") BETWEEN_BYTES=1 BETWEEN_TIMES=99 BETWEEN_DO="printf more >>'$FILE'"
expect 1/8 run "$TOP/retire.yaml"
same_text 1 "$(balance retire www | field failed)" failed
expect 0 show retire www --skipped
says "$OUT" d/file 'changed while it was read'
no_event retire clear-started
