#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
scenario 'An agent that lies is refused: nothing of it becomes a version, nothing outside is touched, no crash, no memory beyond bounds'

# WAYBILL_HOSTILE_SEEDS=N: so many random streams for each role (2).
S=$TOP/src D=$TOP/dst OUTSIDE=$TOP/outside
make_small "$S"
mkdir "$OUTSIDE" "$S/qq"; echo 'not yours' >"$OUTSIDE/file"; echo e >"$S/qq/evil"; ln "$S/qq/evil" "$S/zz-further"
# A content with a hole travels in slices, like one beyond 8 MiB.
head -c 1500000 /dev/urandom >"$S/c/large"; truncate -s 5M "$S/c/large"; head -c 500000 /dev/urandom >>"$S/c/large"
 setfattr -n user.x -v y "$S/c/three" 2>/dev/null
migration "local:$S" "local:$D" >"$TOP/move.yaml"
migration "local:$S" "local:$D" | sed 's/, to: "[^"]*"//' >"$TOP/archive-only.yaml"
# Without a content in slices: what is put in beside it costs credit that the real agent knows nothing of.
migration "local:$S/a" "local:$D" >"$TOP/little.yaml"
export WAYBILL_PATIENCE=1 # a damaged frame is tried again otherwise, for a minute
export HOSTILE_REAL=$WAYBILL_BUILD/waybill-agent WAYBILL_AGENT=$WAYBILL_BUILD/tests/hostile_agent
[ -x "$WAYBILL_AGENT" ] || fail "$WAYBILL_AGENT is not built"
HONEST=$TOP/honest
mkdir "$HONEST"; cp -a "$WS/.waybill" "$HONEST/empty"
expect 0 run "$TOP/move.yaml"
sleep 2.1	# older than that an entry can be told to be the same by its times
expect 0 run "$TOP/move.yaml"
expect 0 verify move --full
VERSIONS=$(versions move www)
cp -a "$WS/.waybill" "$HONEST/one"; cp -a "$D" "$HONEST/dst"

fresh() { rm -rf "$WS/.waybill" "$D"; cp -a "$HONEST/$1" "$WS/.waybill"; [ "$1" = empty ] || cp -a "$HONEST/dst" "$D"; }
outside() { (cd "$TOP" && find outside "$WAYBILL_AGENT" -exec stat -c '%n %F %a %u %g %s %Y %i' {} + && cat outside/file && ls -A "$TOP" | grep -v -x -e dst -e stdout -e stderr -e said); }
: >"$TOP/before"; : >"$TOP/after"
outside >"$TOP/before"
hex() { printf '%s' "$1" | od -An -tx1 | tr -d ' \n'; }

PEAK=0 HUNG='' PEAK_KB=$((200 * 1024))	# of the orchestrator; an honest run of this tree takes a small part of that
[ -n "$(nm "$WAYBILL" 2>/dev/null | grep -m1 __asan_init)" ] && PEAK_KB=$((1500 * 1024))
# FROM HOSTILE COMMAND...: runs it with that agent.  A peer that lives and says nothing is waited for; Ctrl-C or TERM ends that.
PATIENCE=${PATIENCE:-15}
under() {
	local how=$2 rc pid key kb until
	fresh "$1"
	HOSTILE=$how "$WAYBILL" -C "$WS" "${@:3}" >"$OUT" 2>"$ERR" </dev/null &
	pid=$! until=$((SECONDS + PATIENCE)) HUNG=""
	SCENARIO_PIDS+=("$pid")
	while kill -0 "$pid" 2>/dev/null; do
		while read -r key kb _; do [ "$key" != VmHWM: ] || [ "$kb" -le "$PEAK" ] || PEAK=$kb; done 2>/dev/null <"/proc/$pid/status"
		[ $SECONDS -le "$until" ] || { [ -n "$HUNG" ] || kill -TERM "$pid"; HUNG=yes; }
		[ $SECONDS -le $((until + 60)) ] || fail "$how: waybill does not end when it is told to"
		sleep 0.02
	done
	wait "$pid"
	rc=$?
	unset "SCENARIO_PIDS[-1]"
	RC=$rc
	[ "$rc" -le 9 ] || [ "$HUNG$rc" = yes130 ] || fail "$how: waybill ends with $rc"
	clean_text "$OUT" "$how"; clean_text "$ERR" "$how"
	! grep -q -e 'ERROR: AddressSanitizer' -e 'runtime error:' -e 'LeakSanitizer' "$ERR" "$OUT" || fail "$how: the sanitizer"
	outside >"$TOP/after"
	cmp -s "$TOP/before" "$TOP/after" || { diff "$TOP/before" "$TOP/after" >&2; fail "$how: something outside was changed"; }
	[ ! -e "$D" ] || ! find "$D" -path '*/evil' ! -path "$D/qq/evil" | grep -q . || fail "$how: an entry in a place of its own choice"
}
lie() {	# TEXT HOSTILE: refused, and no version came of it
	under empty "$2" run "$TOP/move.yaml"
	[ "$RC" != 0 ] || fail "$1 ($2) was believed"
	[ -s "$ERR" ] || fail "$1: no word about it"
	[ -z "$HUNG" ] || [ -n "${3:-}" ] || fail "$1: nobody noticed"
	same_text 0 "$(versions move www)" "$1: versions"
	printf '  %-52s exit %s\n' "$1" "$RC"
}

part 'the frame'
lie 'a length of 4 GiB' 'read 13 2 length 0xffffffff'
lie 'a length beyond the limit' 'read 13 2 length 1048577'
lie 'a checksum that does not fit' 'read 13 2 sum'
lie 'half a frame and the end' 'read 11 3 half'
lie 'half a message: more was announced' 'read 13 7 flags 1'
lie 'unknown flags' 'read 13 2 flags 0x80'
lie 'an unknown stream' 'read 13 2 stream 9'
lie 'the wrong stream' 'read 13 2 stream 3'
lie 'a link frame that does not exist' 'read 13 2 stream 255'
lie 'an unknown message' 'read 13 2 type 99'
lie 'a message of another role' 'read 13 2 type 71'
lie 'more than the window without a credit' 'read 11 2 flood 400'

part 'objects'
lie 'an ordinal twice' 'read 10 1 double'
lie 'an ordinal of 2^64-1' 'read 10 1 payload ffffffffffffffffff0101'
lie 'ordinal 0' 'read 10 1 payload 0001'
lie 'an unknown kind' 'read 10 1 payload 0107'
lie 'data of an object that was not begun' 'read 10 1 before 11 05aabbcc'
lie 'data twice' 'read 11 1 double'
lie 'data left out' 'read 11 1 drop'
lie 'data cut short' 'read 11 1 cut 7'
lie 'an end without a begin' 'read 10 1 before 12 050101'
lie 'an end twice' 'read 12 1 double'
lie 'no end' 'read 12 1 drop'
lie 'another stored length than it has' 'read 12 1 payload 01ffffffff0fffffffff0f'
lie 'a large content without its beginning' 'read 16 1 drop'
lie 'a large content given up' 'read 16 1 type 17'

part 'entries'
lie 'out of order' 'read 13 3 later 2'
lie 'twice' 'read 13 3 double'
lie 'left out' 'read 13 3 drop'
lie 'trailing bytes' 'read 13 3 append 00'
lie 'cut short' 'read 13 3 cut 1'
lie 'a path that leads upwards' "read 13 0 subst $(hex qq) $(hex ..)"
lie 'a path from the root' "read 13 0 subst $(hex qq) $(hex //)"
lie 'a path with NUL' "read 13 0 subst $(hex evil) $(hex e)00$(hex il)"
lie 'an empty component' "read 13 0 subst $(hex /evil) $(hex //vil)"
lie 'a link to what comes later' "read 13 0 subst $(hex qq/evil) $(hex zzz/uil)"
lie 'a length of a path of 2^63' 'read 13 3 payload 00ffffffffffffffff7f'
lie 'more shared than there was' 'read 13 3 payload ff7f0161'
lie 'known entries that nobody told it' 'read 13 3 before 14 01'
lie 'so many of them that a loop would never end' 'read 13 3 before 14 ffffffffffffffffff01'
lie 'known entries gone that nobody told it' 'read 13 3 before 15 05'
lie 'an attribute blob that is none' 'read 13 3 before 18 ffffff'
lie 'attributes that never came' 'read 18 1 drop'
lie 'a large content for an object that is a pack' 'read 10 2 payload 0201'

part 'the end record'
lie 'none' 'read 3 1 drop'
lie 'a balance that does not close' 'read 3 1 payload 05010101010101'
lie 'one that closes with other numbers' 'read 3 1 payload 06060000000000'
lie 'trailing bytes' 'read 3 1 append 00'
PATIENCE=2 lie 'no READY, for ever: ended by hand' 'read 2 1 drop' waits
lie 'READY twice' 'read 2 1 double'

part 'what it says drives no terminal'
drive=02$(printf '08'; hex $'a\e[2J\a/\n'; printf '09'; hex $'\e]0;x\a\xe2\x80\xae')
for lying in "read 13 3 before 41 $drive" "apply 40 1 before 41 $drive"; do
	under empty "$lying" run "$TOP/little.yaml"
	[ "$RC" = 0 ] || [ "$RC" = 1 ] || [ "$RC" = 4 ] || fail "$lying: exit $RC"
	says "$ERR" 'a\033[2J'
done
part 'announced one thing, sent another: an archive without a target is read back before it counts'
under empty 'read 11 2 subst 00 01' run "$TOP/archive-only.yaml"
[ "$RC" != 0 ] || fail 'an object that does not hold what its entry says became a version'

part 'a later pass: what is known is a cursor'
known_lie() {
	under one "$2" run "$TOP/move.yaml"
	[ "$RC" != 0 ] || fail "$1 ($2) was believed"
	same_text "$VERSIONS" "$(versions move www)" "$1: versions"
	same_text "$(cd "$HONEST/dst" && find . | sort)" "$(cd "$D" && find . | sort)" "$1: names at the target"
	printf '  %-52s exit %s\n' "$1" "$RC"
}
known_lie 'not accounted for' 'read 14 1 drop'
known_lie 'accounted for twice' 'read 14 1 double'
known_lie 'more than there are' 'read 14 1 payload ff7f'
zz=00027a7a0201ed030000000000010000000000 a0=00026130${zz:8}
known_lie 'an entry of the future before its turn' "read 14 1 before 13 $zz"
known_lie 'an entry of the past' "read 14 1 after 13 $a0"
known_lie 'kept, what is not known' "read 14 1 before 13 $(printf '00'; printf '02'; hex a0; printf '0101'; printf 'a4030000'; printf '01'; printf '0000'; printf '0100'; printf 'ab%.0s' {1..32}; printf '00'; printf '03')"
known_lie 'all of it gone' 'read 14 1 type 15'

part 'the target, the judge, and who is asked with a nonce'
far_lie() {	# TEXT FROM HOSTILE COMMAND...
	under "$2" "$3" "${@:4}"
	[ "$RC" != 0 ] || fail "$1 ($3) was believed"
	[ -z "$HUNG" ] || fail "$1: nobody noticed"
	printf '  %-52s exit %s\n' "$1" "$RC"
}
far_lie 'apply: an acknowledgement of what was not asked' empty 'apply 40 1 payload ffffffff0f' run "$TOP/move.yaml"
far_lie 'apply: an acknowledgement that is none' empty 'apply 40 1 payload ffffffffffffffffffffff' run "$TOP/move.yaml"
far_lie 'apply: no end record' empty 'apply 3 1 drop' run "$TOP/move.yaml"
far_lie 'apply: a source message' empty 'apply 40 1 type 13' run "$TOP/move.yaml"
far_lie 'verify: an entry left out' one 'verify 13 3 drop' verify move --full
far_lie 'verify: an entry twice' one 'verify 13 3 double' verify move --full
far_lie 'verify: out of order' one 'verify 13 3 later 2' verify move --full
far_lie 'verify: no end record' one 'verify 3 1 drop' verify move --full
far_lie 'verify: another digest' one "verify 13 0 subst $(sha256sum <"$S/c/three" | cut -c1-64) $(sha256sum </dev/null | cut -c1-64)" verify move --full
far_lie 'challenge: another answer' one 'challenge 71 1 append 00' verify move --full
far_lie 'challenge: no answer but the end' one 'challenge 71 1 half' verify move --full
far_lie 'challenge: the answer to another' one "challenge 71 1 before 71 0101$(printf 'ab%.0s' {1..32})" verify move --full
far_lie 'facts: a fact without an end' empty 'facts 60 1 cut 1' run "$TOP/move.yaml"

part 'random streams: never a crash, and an honest run afterwards is whole'
for role in read apply verify challenge facts; do
	for ((seed = 1; seed <= ${WAYBILL_HOSTILE_SEEDS:-2}; seed++)); do
		case $role in
		verify|challenge) under one "$role * 0 fuzz $seed" verify move --full ;;
		*) under empty "$role * 0 fuzz $seed" run "$TOP/move.yaml" --yes ;;
		esac
	done
done
expect 0 run "$TOP/move.yaml" --yes
expect 0 verify move --full
same_tree "$S" "$D"

part "the orchestrator took at most $((PEAK / 1024)) MiB"
[ "$PEAK" -gt 0 ] && [ "$PEAK" -lt "$PEAK_KB" ] || fail "$((PEAK / 1024)) MiB of memory"
