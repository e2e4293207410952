# scenario.sh - what the scenario tests share.  Begin each with
#
#   . "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
#   scenario 'what it shows'
#
# The first check that fails ends the test: it prints what was expected and what was found, and the end of the logs.
#
#   scenario TITLE            makes $TOP (a directory of its own on a real disk), the sshd lab in it, and the workspace $WS
#   migration [FROM TO] >FILE   a plan "move" with one dataset "www"; LINES in the variable MORE are put at its end
#   own_mounts [net]          runs the test in a mount (and network) namespace of its own; skips where rights do not allow it
#   skip WHY / fail WHY       77 / 1
#   part TEXT                 says what is shown next
#   expect CODE ARGS...       runs waybill -C $WS ARGS; standard output in $OUT, standard error in $ERR; checks the exit code,
#                             (2/6: either) and that neither holds a raw control byte or invalid UTF-8
#   bare CODE ARGS...         the same without -C
#   says FILE TEXT... / silent_on FILE TEXT...     every TEXT is / is not in FILE (fixed strings)
#   await WHAT COMMAND...     waits until COMMAND succeeds, however slow the machine; fails when WHAT does not come within two minutes
#   ended PID                 whether it has ended, reaped or not
#   same_text WANT GOT WHAT / same_file A B / is_empty FILE WHAT
#   same_tree A B             rsync -aHAXn --delete --checksum --itemize-changes A/ B/ prints nothing
#   host NAME [option]...     sshd_start NAME, and a line for the plan in ${HOST[NAME]}
#   person NAME...            a key $KEYS/NAME; ${KEY[NAME]} is the public key as in a plan
#   make_tree DIR             the tree of hostile names and odd entries;  make_small DIR for where a few files will do
#   ledger GIT-ARGS...        git on the workspace's ledger
#   events PLAN               its event files, oldest first;  event PLAN N|last  prints one
#   manifest PLAN DATASET     the manifest at the head, chunks in the order of INDEX
#   balance PLAN DATASET      checks that the last pass adds up, and prints its summary as JSON
#   objects                   the store's objects, one path a line;  unnamed  ids of those that no version names (documents apart)
set -uo pipefail
export LC_ALL=C.UTF-8 PATH=$PATH:/usr/sbin:/sbin
unset WAYBILL_AS WAYBILL_KEY WAYBILL_FAULT WAYBILL_CLOCK SSH_AUTH_SOCK GIT_DIR GIT_WORK_TREE

WAYBILL_SOURCE=${WAYBILL_SOURCE:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)}
WAYBILL_BUILD=${WAYBILL_BUILD:-$WAYBILL_SOURCE/build}
WAYBILL=$WAYBILL_BUILD/waybill
. "$WAYBILL_SOURCE/tests/lib/sshd.sh"

declare -gA HOST=() KEY=()
declare -g RC=0 TOP="" WS="" KEYS="" OUT="" ERR="" SCENARIO_PIDS=()

skip() { echo "skipped: $*"; exit 77; }

fail() {
	local f
	{
		echo "FAILED: $*"
		for f in "$OUT" "$ERR"; do
			[ -s "$f" ] || continue
			echo "--- ${f##*/} (its end)"
			tail -c 3000 "$f" | cat -v
		done
		for f in "$WS"/.waybill/log/*; do
			[ -f "$f" ] && { echo "--- log ${f##*/} (its end)"; tail -n 6 "$f" | cut -c1-300 | cat -v; }
		done
	} >&2
	exit 1
}

# Processes that a test starts in the background, so that they end with it.
background() { "$@" & SCENARIO_PIDS+=($!); }

# Tests wait for what must come and not for a time in which it should have.
await() {
	local what=$1 end=$((SECONDS + 120))
	shift
	until "$@"; do
		[ "$SECONDS" -lt "$end" ] || fail "in vain: $what"
		sleep 0.05
	done
}
ended() {
	local line
	{ read -r line <"/proc/$1/stat"; } 2>/dev/null || return 0
	case ${line##*) } in [ZX]*) return 0 ;; esac
	return 1
}

# Every version that a scenario made adds up, and its manifest holds as many entries as were scanned.  A scenario that damages its own
# ledger sets LEDGER_BROKEN to the reason.
balances() {
	local tag sum plan data lines
	[ -z "${LEDGER_BROKEN:-}" ] && [ -d "$WS/.waybill/ledger.git" ] || return 0
	for tag in $(ledger tag -l '*/*/*'); do
		plan=${tag%/*} data=${plan#*/}
		sum=$(ledger show "$tag:datasets/$data/summary.json" 2>/dev/null) || fail "$tag has no summary"
		lines=$(ledger show "$tag:datasets/$data/manifest/INDEX" | grep -v '^#' | cut -d' ' -f3 | sed "s|^|$tag:datasets/$data/manifest/|" |
			ledger cat-file --batch='' | grep -a -c -e '^\.' -e '^#+ [a-z]* \.')
		jq -e --argjson lines "$lines" '.balance | [.copied,.unchanged,.skipped,.unsettled,.failed] as $p |
			($p | all(type == "number")) and .scanned == ($p | add) and .scanned > 0 and .scanned == $lines' <<<"$sum" >/dev/null ||
			fail "$tag does not add up ($lines entries in the manifest): $sum"
	done
}

scenario_end() {
	local rc=$? pid
	trap - EXIT
	if [ "$rc" = 0 ]; then (balances) || rc=1; fi
	# With what they have started: a server that is killed leaves its workers behind.
	for pid in "${SCENARIO_PIDS[@]}"; do kill -9 "$pid" $(sshd__descendants "$pid") 2>/dev/null; wait "$pid" 2>/dev/null; done
	sshd_cleanup
	if [ "${SCENARIO_NAMESPACE:-}" = 1 ]; then
		cut -d' ' -f2 /proc/self/mounts | grep "^$TOP/" | xargs -r umount -l
	fi
	if [ "$rc" = 1 ] && [ -n "${WAYBILL_KEEP:-}" ]; then
		echo "kept: $TOP" >&2
	else
		chattr -R -f -i -a "$TOP" 2>/dev/null
		chmod -R u+rwX "$TOP" 2>/dev/null
		rm -rf "$TOP"
	fi
	[ "$rc" != 0 ] || echo "passed"
	exit "$rc"
}

scenario() {
	local base=${WAYBILL_TEST_DIR:-/var/tmp}
	[ -x "$WAYBILL" ] || { echo "FAILED: $WAYBILL is not built" >&2; exit 1; }
	TOP=$(mktemp -d "$base/waybill-test.XXXXXX") || exit 1
	chmod 755 "$TOP"
	trap scenario_end EXIT
	trap 'exit 1' INT TERM HUP
	WS=$TOP/ws KEYS=$TOP/keys OUT=$TOP/stdout ERR=$TOP/stderr
	mkdir "$KEYS" "$TOP/home"
	export HOME=$TOP/home XDG_CACHE_HOME=$TOP/home/.cache XDG_CONFIG_HOME=$TOP/home/.config
	export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null
	sshd_lab "$TOP/lab" || fail 'no sshd lab'
	echo "$1"
	bare 0 init "$WS"
}

# Everything that the test mounts, and every interface it makes, ends with the test, however it ends.
own_mounts() {
	local net=()
	[ "${SCENARIO_NAMESPACE:-}" != 1 ] || { mount --make-rprivate / && return 0; }
	[ "$(id -u)" = 0 ] || skip 'namespaces need root'
	[ "${1:-}" != net ] || net=(--net)
	unshare --mount "${net[@]}" true 2>/dev/null || skip 'this machine allows no namespaces'
	SCENARIO_NAMESPACE=1 exec unshare --mount "${net[@]}" bash "$(readlink -f "$0")"
}

# A plain user with a shell who exists only in this mount namespace (own_mounts first).
plain_user() {
	if [ "$(id -u)" != 0 ]; then PLAIN=$(id -un); return; fi
	PLAIN=waybill-plain
	local dir; dir=$(mktemp -d "$TOP/etc.XXXXXX")
	{ cat /etc/passwd; echo "$PLAIN:x:61234:61234::$TOP/home:/bin/bash"; } >"$dir/passwd"
	{ cat /etc/group; echo "$PLAIN:x:61234:"; } >"$dir/group"
	chmod 644 "$dir/passwd" "$dir/group"
	mount --bind "$dir/passwd" /etc/passwd && mount --bind "$dir/group" /etc/group || skip 'no bind mounts here'
	id "$PLAIN" >/dev/null || fail "the user $PLAIN is not seen"
}

part() { echo "- $*"; }

# Neither a terminal nor a log may be driven by what a host, a name or a plan says.
clean_text() {
	local bad
	bad=$(LC_ALL=C tr -d '\n\t -~\200-\377' <"$1" | od -An -tx1 | head -n 2)
	[ -z "$bad" ] || fail "raw control bytes in the output of: $2 ($bad)"
	iconv -f UTF-8 -t UTF-8 "$1" >/dev/null 2>&1 || fail "invalid UTF-8 in the output of: $2"
	! LC_ALL=C grep -q $'\xc2[\x80-\x9f]\|\xe2\x80[\xaa-\xae\x8b-\x8f]\|\xe2\x81[\xa6-\xa9]' "$1" ||
		fail "raw C1, bidi or zero-width characters in the output of: $2"
}

bare() {
	local want=$1 rc
	shift
	timeout -k 5 "${SCENARIO_TIMEOUT:-600}" "$WAYBILL" "$@" >"$OUT" 2>"$ERR" </dev/null
	rc=$?
	case /$want/ in
	*/$rc/*) ;;
	*) fail "waybill $*: exit $rc, expected $want" ;;
	esac
	RC=$rc
	clean_text "$OUT" "waybill $*"
	clean_text "$ERR" "waybill $*"
	if [ "$rc" != 0 ] && [ ! -s "$ERR" ] && [ ! -s "$OUT" ]; then fail "waybill $*: exit $rc without a word"; fi
}
expect() {
	local want=$1
	shift
	bare "$want" -C "$WS" "$@"
}

# FILE may be a pipe, which can be read once.
at_rest() { if [ -f "$1" ]; then printf '%s' "$1"; else cat "$1" >"$TOP/said"; printf '%s' "$TOP/said"; fi; }
says() {
	local file text
	file=$(at_rest "$1")
	shift
	for text; do
		grep -qF -e "$text" "$file" || { echo "--- ${file##*/}" >&2; tail -c 3000 "$file" | cat -v >&2
			fail "${file##*/} does not say: $text"; }
	done
}
silent_on() {
	local file text
	file=$(at_rest "$1")
	shift
	for text; do ! grep -qF -e "$text" "$file" || fail "${file##*/} says: $text"; done
}
same_text() { [ "$1" = "$2" ] || fail "$3: expected $(printf %q "$1"), found $(printf %q "$2")"; }
same_file() { cmp -s "$1" "$2" || fail "$1 and $2 differ: $(cmp "$1" "$2" 2>&1)"; }
is_empty() { [ ! -s "$1" ] || { head -n 20 "$1" | cat -v >&2; fail "$2: expected nothing, found the lines above"; }; }

same_tree() {
	rsync -aHAXn --delete --checksum --itemize-changes "$1/" "$2/" >"$TOP/rsync.out" 2>"$TOP/rsync.err" ||
		{ cat -v "$TOP/rsync.err" >&2; fail "rsync cannot compare $1 with $2"; }
	is_empty "$TOP/rsync.err" "rsync's errors, $1 with $2"
	is_empty "$TOP/rsync.out" "rsync's differences, $1 with $2"
}

host() {
	local name=$1
	sshd_start "$@" || fail "sshd $name does not start"
	HOST[$name]="$name: {ssh: ${SSHD_LOGIN[$name]}@${SSHD_ADDR[$name]}, port: ${SSHD_PORT[$name]}, host_key: \"${SSHD_HOSTKEY[$name]}\", identity: \"$SSHD_KEY\"}"
}

person() {
	local name
	for name; do
		sshd_keygen ed25519 "$KEYS/$name" || fail "no key for $name"
		KEY[$name]=$(cut -d' ' -f1,2 "$KEYS/$name.pub")
	done
}

plan_hosts() {
	local name
	[ ${#HOST[@]} -gt 0 ] || return 0
	printf 'hosts:\n'
	for name in "${!HOST[@]}"; do printf '  %s\n' "${HOST[$name]}"; done
}

# The usual migration; FROM and TO as HOST:/PATH.  DATASET holds more keys of the dataset's files, MORE more lines of the plan.
migration() {
	printf 'waybill: 1\nname: move\nkind: migration\n'
	plan_hosts
	printf 'datasets:\n  www:\n    files: {from: "%s", to: "%s"%s}\n' "$1" "$2" "${DATASET:+, $DATASET}"
	[ -z "${MORE:-}" ] || printf '%s\n' "$MORE"
}

# A hand-over of FROM by zhang's department to liu's archive; the package goes to TO, else beneath the workspace.
handover() {
	printf 'waybill: 1\nname: %s\nkind: handover\n' "${PLAN:-hand}"
	printf 'parties:\n  department: {name: 住房和城乡建设局, role: department}\n  archive: {name: 档案馆, role: receiver}\n'
	printf 'people:\n'
	printf '  zhang: {name: 张三, party: department, key: "%s"}\n' "${KEY[zhang]}"
	printf '  liu: {name: 刘六, party: archive, key: "%s"}\n' "${KEY[liu]}"
	plan_hosts
	printf 'datasets:\n  www:\n    files: {from: "%s"}\n' "$1"
	[ -z "${2:-}" ] || printf 'package: {to: "%s"}\n' "$2"
}

# A retirement of FROM that zhang and li of the department approve.
retirement() {
	printf 'waybill: 1\nname: %s\nkind: retirement\n' "${PLAN:-retire}"
	printf 'parties:\n  department: {name: 住房和城乡建设局, role: department}\n  provider: {name: 云服务商, role: provider}\n'
	printf 'people:\n'
	printf '  zhang: {name: 张三, party: department, key: "%s"}\n' "${KEY[zhang]}"
	printf '  li: {name: 李四, party: department, key: "%s"}\n' "${KEY[li]}"
	[ -z "${KEY[wang]:-}" ] || printf '  wang: {name: 王五, party: provider, key: "%s"}\n' "${KEY[wang]}"
	plan_hosts
	printf 'datasets:\n  www:\n    files: {from: "%s"%s}\n' "$1" "${DATASET:+, $DATASET}"
	printf 'gates:\n  clear: {approve: [department, department]}\n'
	[ -z "${MORE:-}" ] || printf '%s\n' "$MORE"
}

ledger() { git --git-dir="$WS/.waybill/ledger.git" "$@"; }
events() { ledger ls-tree --name-only "refs/heads/$1" events/; }
event() {
	local path
	if [ "$2" = last ]; then path=$(events "$1" | tail -n 1); else path=$(events "$1" | sed -n "$2p"); fi
	[ -n "$path" ] || fail "plan $1 has no event $2"
	ledger show "refs/heads/$1:$path"
}
has_event() { events "$1" | grep -q -- "-$2\.json\$" || fail "plan $1 has no event $2: $(events "$1" | tr '\n' ' ')"; }
no_event() { ! events "$1" | grep -q -- "-$2\.json\$" || fail "plan $1 has an event $2"; }
versions() { ledger tag -l "$1/$2/*" | wc -l; }

manifest() {
	local sum n name
	ledger show "refs/heads/$1:datasets/$2/manifest/INDEX" | grep -v '^#' | while read -r sum n name; do
		ledger show "refs/heads/$1:datasets/$2/manifest/$name" || exit 1
	done
}

balance() {
	local json
	json=$(ledger show "refs/heads/$1:datasets/$2/summary.json") || fail "no summary of $1/$2"
	jq -e '.balance | [.copied,.unchanged,.skipped,.unsettled,.failed] as $p | ($p | all(type == "number")) and .scanned == ($p | add) and .scanned > 0' \
		<<<"$json" >/dev/null || fail "the balance of $1/$2 does not add up: $json"
	jq '. + .balance' <<<"$json"
}
objects() { find "$WS/.waybill/store/objects" -type f; }
# Every object that a version names, its slices too, as stock tools see them.
named() {
	local tag n f
	for tag in $(ledger tag -l '*/*/*'); do
		ledger ls-tree -r --name-only "$tag" datasets | grep '/objects$' | while read -r f; do ledger show "$tag:$f"; done
	done >"$TOP/lists"
	grep -Eo '[0-9a-f]{64}' "$TOP/lists" | sort -u >"$TOP/named"
	for n in $(cat "$TOP/named"); do
		cat "$WS/.waybill/store/objects/${n:0:2}/$n.recipe" 2>/dev/null
	done | grep -Eo '^slice [0-9a-f]{64}' | cut -d' ' -f2 | sort -u >"$TOP/slices"
	sort -u "$TOP/named" "$TOP/slices"
}
unnamed() { comm -13 <(named) <(objects | sed 's|.*/||' | grep -v '\.doc$' | cut -d. -f1 | sort -u); }
# How many entries the last pass sent again; needs balance's JSON on standard input.
field() { jq -r ".$1"; }

make_small() {
	mkdir -p "$1/a/b" "$1/c"
	echo one >"$1/a/one"; echo two >"$1/a/b/two"; echo three >"$1/c/three"
	printf 'x%.0s' {1..5000} >"$1/c/many"
	ln -s ../a/one "$1/c/link"
	ln "$1/a/one" "$1/c/hard"
	touch -d '2020-02-29 12:00:00.123456789' "$1/a/one"
}

# NetBSD's mtree takes * ? [ for a pattern, however escaped: '*?[9]' must match none of the other names.
HOSTILE=($'new\nline' $'car\rriage' 'it'"'"'s "quoted"' $'\xce\xef\xd2\xb5\xce\xac\xd0\xde.txt' $'bad\xff\xfe' $'\e[31mred\e]0;title\a'
	'back\slash' '\141' '-rf' '--delete' '#+ comment' '# hash' 'tail ' ' lead' '*?[9]' '$(touch pwned)' ';semi&amp|pipe' 'a=b' '%s%n'
	$'rlo\xe2\x80\xaegpj.exe' $'zero\xe2\x80\x8bwidth' $'c1\xc2\x9bcsi' $'nfc-\xc3\xa9' $'nfd-e\xcc\x81' $'tab\there' '物业维修资金' '.hidden' '..almost' 'del'$'\x7f')

make_tree() {
	local d=$1 n
	mkdir -p "$d"/{docs/sub/deep,empty,odd,'dir with space',attr,big}
	echo 'hello' >"$d/docs/readme"
	: >"$d/docs/empty-file"
	for n in {1..40}; do printf 'file %d\n' "$n" >"$d/docs/sub/f$n"; done
	for n in "${HOSTILE[@]}"; do echo "content of $n" >"$d/odd/$n"; done
	mkdir "$d/odd/"$'dir\nnew\xff'
	echo in >"$d/odd/"$'dir\nnew\xff/inside'
	# The names around '/' sort differently by bytes and by components.
	mkdir "$d/order" "$d/order/a"; echo 1 >"$d/order/a/z"; echo 2 >"$d/order/a.b"; echo 3 >"$d/order/a-b"; echo 4 >"$d/order/a0"
	head -c 9437189 /dev/urandom >"$d/big/nine-megabytes"
	truncate -s 33554432 "$d/big/sparse"
	printf 'in the middle' | dd of="$d/big/sparse" bs=1 seek=20000000 conv=notrunc status=none
	truncate -s 1048576 "$d/big/all-hole"
	echo small-with-hole | dd of="$d/big/small-sparse" bs=1 seek=300000 conv=notrunc status=none
	ln "$d/big/nine-megabytes" "$d/docs/sub/hard-to-big"
	ln "$d/docs/readme" "$d/docs/sub/deep/hard1"; ln "$d/docs/readme" "$d/odd/hard2"
	ln -s nowhere "$d/docs/dangling"; ln -s /etc/hostname "$d/docs/absolute"; ln -s ../../docs/readme "$d/docs/sub/relative"
	ln -s $'tar\nget\xff\e[0m' "$d/odd/"$'link\nname'
	ln -s . "$d/docs/loop"
	mkfifo "$d/attr/fifo"
	mkdir "$d/attr/setgid" "$d/attr/sticky"
	echo s >"$d/attr/setuid"; echo r >"$d/attr/readonly"; echo x >"$d/attr/script"; echo g >"$d/attr/group-only"
	if [ "$(id -u)" = 0 ]; then
		chown 12345:54321 "$d/attr/script"; chown 0:54321 "$d/attr/setgid"; chown -h 12345:54321 "$d/docs/dangling"
		echo n >"$d/attr/mode-0000"; chmod 0000 "$d/attr/mode-0000"
		mknod "$d/attr/null" c 1 3 2>/dev/null
		echo c >"$d/attr/capable"; chmod 755 "$d/attr/capable"
		setfattr -n security.capability -v 0x0100000200040000000000000000000000000000 "$d/attr/capable" 2>/dev/null
	fi
	chmod 2775 "$d/attr/setgid"; chmod 1777 "$d/attr/sticky"; chmod 4755 "$d/attr/setuid"
	chmod 0444 "$d/attr/readonly"; chmod 0755 "$d/attr/script"; chmod 0040 "$d/attr/group-only"
	[ "$(id -u)" = 0 ] || chmod 0440 "$d/attr/group-only"
	echo xattr >"$d/attr/xattr"; echo acl >"$d/attr/acl"
	setfattr -n user.origin -v 'old server' "$d/attr/xattr" 2>/dev/null &&
		setfattr -n user.binary -v 0x00ff0a1b "$d/attr/xattr" && setfattr -n user.dir -v d "$d/attr/setgid"
	setfacl -m u:12345:r,g:54321:rw "$d/attr/acl" 2>/dev/null && setfacl -d -m u:12345:rwx "$d/attr/sticky"
	touch -d '1999-12-31 23:59:59.123456789' "$d/docs/readme"
	touch -d '1960-01-01 00:00:00.5' "$d/attr/readonly" 2>/dev/null
	touch -d '2038-01-20 00:00:00' "$d/docs/empty-file"
	touch -h -d '2001-02-03 04:05:06.700000000' "$d/docs/dangling"
	chmod 2750 "$d/docs/sub/deep"
	touch -d '2005-05-05 05:05:05.050505050' "$d/empty" "$d/docs/sub/deep" "$d/docs/sub"
	chmod 0751 "$d"
	touch -d '2010-10-10 10:10:10.101010101' "$d"
}
