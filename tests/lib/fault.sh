# fault.sh - what the loops of tests/fault share: rounds of one fault each, and what must hold after every one of them.
#
#   . "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"; . "$WAYBILL_SOURCE/tests/lib/fault.sh"
#
# WAYBILL_FAULT_ROUNDS: how many rounds, with dice that fall anew each time; without it the same few that fit into tests/run (after a
# minute fewer of them, but not before enough has struck).  WAYBILL_FAULT_SEED: where the dice begin; round N of seed S is round 1 of
# seed S+N-1, so that a round that failed is replayed alone with the command that its failure prints.
#
#   rounds DEFAULT FUNCTION   calls FUNCTION for each round, with the dice set; WS is a fresh workspace, PLAN its name, DST an empty target
#   seam_calls COMMAND...     counts in $CALLS how often COMMAND goes through the seam of base/sys.h and receives a frame: moments
#                             of a run are told by these numbers, on a machine of any speed
#   at_call N                 the rule that stops a run there;  stopped PID  waits for that: false when the run ended before
#   dice N                    a number from 0 to N-1 in $DICE
#   told TEXT                 what this round does, for the failure message
#   claims_hold               before the resume: the ledger is intact, and what it calls a version is in the archive
#   resumed                   the same command finishes: target equal to the source, nothing sent twice, nothing left over
set -u
export WAYBILL_PATIENCE=30 WAYBILL_FLUSH=2000000
FAULT_SEED=${WAYBILL_FAULT_SEED:-${WAYBILL_FAULT_ROUNDS:+$((RANDOM * 32768 + RANDOM))}}
FAULT_SEED=${FAULT_SEED:-1}
declare -g DICE=0 ROUND=0 TOLD="" STRUCK=0

seam_calls() {
	WAYBILL_FAULT=any:1:count "$@" >"$OUT" 2>"$ERR" </dev/null || fail "$* ends with $?"
	CALLS=$(sed -n 's/^fault: \([0-9]*\) of any$/\1/p' "$ERR" | tail -n 1)
	[ "${CALLS:-0}" -gt 50 ] || fail "no number of calls: $(tail -n 3 "$ERR")"
}


# In state T, or gone.
stopped() {
	local line
	while { read -r line <"/proc/$1/stat"; } 2>/dev/null; do
		line=${line##*) }
		case ${line%% *} in T) return 0 ;; Z) return 1 ;; esac
		nap 0.03
	done
	return 1
}

# A sleep without a process of its own.
nap() {
	[ -p "$TOP/nap" ] || mkfifo "$TOP/nap"
	read -r -t "$1" <>"$TOP/nap"
}

dice() { DICE=$(((RANDOM * 32768 + RANDOM) % $1)); }
told() { TOLD=$*; echo "  $((FAULT_SEED + ROUND - 1)): $*"; }

# Not so small that everything is over at the first flush, and old enough that nothing counts as racy.
fault_tree() {
	local n
	make_small "$1"
	mkdir -p "$1/many" "$1/big"
	for n in {1..300}; do echo "file $n of many" >"$1/many/$n"; done
	for n in 1 2 3; do head -c 3000000 /dev/urandom >"$1/big/$n"; done
	truncate -s 20000000 "$1/big/hole"; echo end >>"$1/big/hole"
	sleep 2.5
	rsync -aHAX "$1/" "$1.copy/" || fail 'no second copy of the source'
}

rounds() {
	local n=${WAYBILL_FAULT_ROUNDS:-$1} began=$SECONDS
	[ -n "${WAYBILL_FAULT_SEED:-}" ] || echo "seed $FAULT_SEED: replay with WAYBILL_FAULT_SEED=$FAULT_SEED"
	trap 'round_rc=$?; [ $round_rc = 0 ] || echo "round failed: $TOLD; replay it with: WAYBILL_FAULT_SEED=$((FAULT_SEED + ROUND - 1)) WAYBILL_FAULT_ROUNDS=1 bash $0" >&2; (exit $round_rc); scenario_end' EXIT
	for ((ROUND = 1; ROUND <= n; ROUND++)); do
		RANDOM=$(((FAULT_SEED + ROUND - 1) % 32749))
		PLAN=p$ROUND WS=$TOP/ws-$ROUND DST=$TOP/dst-$ROUND
		mkdir "$DST"
		bare 0 init "$WS"
		"$2"
		rm -rf "$WS" "$DST"
		if [ -z "${WAYBILL_FAULT_ROUNDS:-}" ] && [ $((SECONDS - began)) -ge 60 ] && [ "$ROUND" -ge 5 ] &&
			[ "$STRUCK" -ge 2 ]; then n=$ROUND; fi
	done
	same_tree "$TOP/src.copy" "$TOP/src"
	[ "$n" -lt 5 ] || [ "$STRUCK" -ge $((n / 5)) ] || fail "only $STRUCK of $n faults struck: nothing was shown"
	echo "- $n rounds, $STRUCK faults struck"
	trap scenario_end EXIT
}

# Entries acknowledged and not yet part of a version.
acked() {
	rm -rf "$TOP/state"; mkdir "$TOP/state"
	cp "$WS"/.waybill/state.db* "$TOP/state/"
	sqlite3 "$TOP/state/state.db" 'select count(*) from ack'
}

claims_hold() {
	local n
	[ -z "$(ledger for-each-ref)" ] || expect 0 audit "$WS"	# killed before its first event
	for n in $(ledger tag -l "$PLAN/*"); do
		expect 0 verify "$PLAN" www --side archive --full
	done
	BEFORE=$(versions "$PLAN" www) ACKED=$(acked)
}

no_agents() { ! pgrep -f "waybill-agent.* --root $TOP/|/agent-[0-9a-f]+.* --root $TOP/" >/dev/null; }

resumed() {
	local i
	expect 0 run "$TOP/$PLAN.yaml"
	same_tree "$TOP/src" "$DST"
	is_empty <(find "$DST" -name '.waybill*') 'leftovers at the target'
	is_empty <(find "$WS/.waybill/store/tmp" -mindepth 1) 'leftovers in the store'
	is_empty <(find "$WS/.waybill/scan" -name '.*' -type f) 'leftovers in scan/'
	is_empty <(unnamed) 'objects that no version names'
	for i in "${!SSHD_HOME[@]}"; do
		is_empty <(find "${SSHD_HOME[$i]}/.cache/waybill" -mindepth 1 ! -name 'agent-*' ! -name 'fence-*' 2>/dev/null) "leftovers of agents at $i"
	done
	i=$(balance "$PLAN" www | field unchanged)
	[ "$i" -ge "$ACKED" ] || fail "$ACKED entries had been acknowledged, only $i of them were not sent again"
	await 'the end of every agent' no_agents
	expect 0 audit "$WS"
	expect 0 verify "$PLAN" www --side archive --full
}
