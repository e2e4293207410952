#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
own_mounts
scenario 'Ready-made hooks on real servers: PostgreSQL and MariaDB read-only and back, a btrfs snapshot around a copy'

HOOKS=$WAYBILL_SOURCE/hooks
export WAYBILL_PLAN=test
shown=0
once() {
	local want=$1 hook=$2 rc pair env=()
	shift 2
	for pair; do env+=("WAYBILL_WITH_$pair"); done
	env "${env[@]}" "$HOOKS/$hook" </dev/null >"$OUT" 2>"$ERR"; rc=$?
	[ "$rc" = "$want" ] || fail "$hook $*: status $rc, expected $want"
}
twice() { once "$@"; once "$@"; }
waits_for() { local end=$((SECONDS + 120)); until "$@" >/dev/null 2>&1; do [ $SECONDS -lt $end ] || return 1; sleep 0.1; done; }

postgres_part() {
	local bin dir=$TOP/pg as
	bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | tail -n 1)
	[ -x "$bin/initdb" ] && id nobody >/dev/null 2>&1 && [ "$(id -u)" = 0 ] || { echo '  no PostgreSQL server here: its hook is not shown'; return; }
	part 'postgresql-readonly'
	as=(setpriv --reuid=65534 --regid=65534 --clear-groups --)
	mkdir -m 700 "$dir"; mkdir -m 777 "$TOP/pgsock"; chown 65534:65534 "$dir"
	(cd / && "${as[@]}" "$bin/initdb" -D "$dir" -U admin -A trust -E UTF8 --no-sync >"$TOP/pg.log" 2>&1) || fail "initdb: $(tail -n 3 "$TOP/pg.log")"
	(cd / && exec "${as[@]}" "$bin/postgres" -D "$dir" -k "$TOP/pgsock" -c listen_addresses= -c fsync=off >>"$TOP/pg.log" 2>&1) & SCENARIO_PIDS+=($!)
	export PGHOST=$TOP/pgsock PGUSER=admin
	waits_for psql -d postgres -c 'SELECT 1' || fail "no PostgreSQL: $(tail -n 3 "$TOP/pg.log")"
	psql -q -d postgres -c 'CREATE DATABASE "odd ""name"' && psql -q -d 'odd "name' -c 'CREATE TABLE t (n int)' || fail 'no database'
	mkfifo "$TOP/typed"
	psql -q -d 'odd "name' <"$TOP/typed" >/dev/null 2>&1 & SCENARIO_PIDS+=($!)
	exec 8>"$TOP/typed"
	echo 'INSERT INTO t VALUES (1);' >&8
	waits_for sh -c "psql -At -d 'odd \"name' -c 'SELECT n FROM t' | grep -q 1" || fail 'the open session did not begin'
	once 0 postgresql-readonly ACTION=enter DATABASE='odd "name' SOCKET="$PGHOST" LOGIN=admin
	jq -e '.sessions_ended >= 1' "$OUT" >/dev/null || fail "sessions ended: $(cat "$OUT")"
	once 0 postgresql-readonly ACTION=enter DATABASE='odd "name'
	(echo 'INSERT INTO t VALUES (2);' >&8) 2>/dev/null; exec 8>&-
	wait "${SCENARIO_PIDS[-1]}" 2>/dev/null
	psql -q -d 'odd "name' -c 'INSERT INTO t VALUES (3)' >/dev/null 2>"$TOP/err" && fail 'a write went through'
	says "$TOP/err" 'read-only'
	"$bin/pg_dump" -d 'odd "name' >/dev/null || fail 'no dump while read-only'
	twice 0 postgresql-readonly ACTION=leave DATABASE='odd "name'
	psql -q -d 'odd "name' -c 'INSERT INTO t VALUES (4)' || fail 'no writes afterwards'
	same_text '1 4' "$(psql -At -d 'odd "name' -c 'SELECT n FROM t ORDER BY n' | paste -sd' ')" 'rows'
	once 1 postgresql-readonly ACTION=enter DATABASE=absent
	shown=$((shown + 1))
}

mariadb_part() {
	local dir=$TOP/maria sock=$TOP/maria.sock
	command -v mariadbd >/dev/null && command -v mariadb-install-db >/dev/null && [ "$(id -u)" = 0 ] || { echo '  no MariaDB server here: its hook is not shown'; return; }
	part 'mariadb-readonly'
	mkdir "$dir"
	mariadb-install-db --no-defaults --user=root --datadir="$dir" --auth-root-authentication-method=normal --skip-test-db >"$TOP/maria.log" 2>&1 ||
		fail "mariadb-install-db: $(tail -n 3 "$TOP/maria.log")"
	mariadbd --no-defaults --user=root --datadir="$dir" --socket="$sock" --skip-networking --pid-file="$TOP/maria.pid" --innodb-flush-log-at-trx-commit=0 \
		>>"$TOP/maria.log" 2>&1 & SCENARIO_PIDS+=($!)
	q() { mariadb --no-defaults --socket="$sock" "$@"; }
	waits_for q -u root -e 'SELECT 1' || fail "no MariaDB: $(tail -n 3 "$TOP/maria.log")"
	q -u root -e "CREATE DATABASE d; CREATE TABLE d.t (n int); CREATE USER app@localhost IDENTIFIED BY 'app-password'; GRANT ALL ON d.* TO app@localhost;
		CREATE USER switch@localhost IDENTIFIED BY 'pw-of-the-switch'; GRANT READ_ONLY ADMIN, SUPER ON *.* TO switch@localhost;" || fail 'no accounts'
	twice 0 mariadb-readonly ACTION=enter SOCKET="$sock" LOGIN=switch PASSWORD=pw-of-the-switch
	q -u app -papp-password -e 'INSERT INTO d.t VALUES (1)' >/dev/null 2>"$TOP/err" && fail 'a write went through'
	says "$TOP/err" 'read-only'
	twice 0 mariadb-readonly ACTION=leave SOCKET="$sock" LOGIN=switch PASSWORD=pw-of-the-switch
	q -u app -papp-password -e 'INSERT INTO d.t VALUES (2)' || fail 'no writes afterwards'
	once 1 mariadb-readonly ACTION=enter SOCKET="$sock" LOGIN=switch PASSWORD=wrong-password
	silent_on "$ERR" wrong-password
	shown=$((shown + 1))
}

snapshot_part() {
	truncate -s 320M "$TOP/image"
	mkfs.btrfs -q "$TOP/image" >/dev/null 2>&1 && mkdir "$TOP/fs" && mount -o loop "$TOP/image" "$TOP/fs" 2>/dev/null ||
		{ echo '  no btrfs here: the snapshot hook is not shown'; return; }
	part 'snapshot: the copy stands still while its source does not'
	btrfs subvolume create "$TOP/fs/data" >/dev/null || fail 'no subvolume'
	make_small "$TOP/fs/data"; mkdir "$TOP/dst"
	twice 0 snapshot ACTION=create KIND=btrfs SOURCE="$TOP/fs/data" AT="$TOP/fs/snap"
	twice 0 snapshot ACTION=remove KIND=btrfs AT="$TOP/fs/snap"
	once 1 snapshot ACTION=remove KIND=btrfs AT="$TOP/fs/data"
	[ -e "$TOP/fs/data/a/one" ] || fail 'the data was removed'
	mkdir "$TOP/fs/plain"; once 1 snapshot ACTION=create KIND=btrfs SOURCE="$TOP/fs/data" AT="$TOP/fs/plain"
	(while :; do date +%s%N >>"$TOP/fs/data/a/one"; sleep 0.01; done) & SCENARIO_PIDS+=($!)
	MORE="hooks:
  before-copy: [{run: snapshot, with: {action: create, kind: btrfs, source: $TOP/fs/data, at: $TOP/fs/snap}}]
  after-copy: [{run: snapshot, with: {action: remove, kind: btrfs, at: $TOP/fs/snap}}]
passes: {max: 2, until: 0s}" migration "local:$TOP/fs/snap" "local:$TOP/dst" >"$TOP/move.yaml"
	expect 0 run "$TOP/move.yaml"
	same_text 2 "$(versions move www)" 'passes, each over a snapshot of its own'
	balance move www >"$TOP/summary"
	same_text '0 0' "$(jq -r '"\(.failed) \(.unsettled)"' "$TOP/summary")" 'failed and unsettled'
	[ ! -e "$TOP/fs/snap" ] || fail 'the snapshot was left'
	shown=$((shown + 1))
}

postgres_part
mariadb_part
snapshot_part
[ $shown -gt 0 ] || skip 'neither PostgreSQL, MariaDB nor btrfs here'
