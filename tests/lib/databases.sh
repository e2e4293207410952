# databases.sh - throw-away servers for tests, on data of their own, reached by sockets in their directory only.
#
#   postgres_start NAME       $TOP/pg.NAME is data and socket directory; pg NAME ARGS... runs psql there
#   mariadb_start NAME        $TOP/my.NAME; my NAME ARGS... runs mariadb there
#   databases_stop            in the end, however it comes: the servers that were started, by their pids
#
# A server that will not run as root runs as the user that its package made.

declare -gA DATABASE_PID=()

databases_stop() {
	local n
	# SIGQUIT: at once, with everything that the server started and its shared memory.
	for n in "${!DATABASE_PID[@]}"; do
		kill -QUIT "${DATABASE_PID[$n]}" 2>/dev/null
		case $n in my.*) kill -9 "${DATABASE_PID[$n]}" 2>/dev/null ;; esac
	done
	for n in "${!DATABASE_PID[@]}"; do wait "${DATABASE_PID[$n]}" 2>/dev/null; done
}

# Into AS: what goes before a command to run it as that user; no function, so that $! is the server itself.
database_as() {
	AS=()
	[ "$(id -u)" != 0 ] || AS=(setpriv "--reuid=$1" "--regid=$(id -g "$1")" --init-groups --)
}

database_answers() {	# SERVER COMMAND...
	local server=$1 end=$((SECONDS + 120))
	shift
	until "$@" >/dev/null 2>&1; do
		if [ "$SECONDS" -ge "$end" ] || ended "${DATABASE_PID[$server]}"; then
			tail -n 20 "$TOP/$server.log" >&2
			fail "the server $server does not answer"
		fi
		sleep 0.1
	done
}

postgres_start() {
	local dir=$TOP/pg.$1 bin
	bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1)
	[ -x "$bin/initdb" ] || skip 'PostgreSQL is not installed (tests/install)'
	mkdir "$dir"
	[ "$(id -u)" != 0 ] || chown postgres: "$dir"
	database_as postgres
	"${AS[@]}" "$bin/initdb" -D "$dir/data" -U postgres -A trust -E UTF8 --locale=C.UTF-8 --no-sync >"$TOP/pg.$1.log" 2>&1 || fail 'initdb'
	"${AS[@]}" "$bin/postgres" -D "$dir/data" -k "$dir" -c listen_addresses= -c fsync=off -c shared_buffers=16MB >>"$TOP/pg.$1.log" 2>&1 &
	DATABASE_PID[pg.$1]=$!
	database_answers "pg.$1" pg "$1" -c 'select 1'
}
pg() { local name=$1; shift; psql -X -q -A -t -v ON_ERROR_STOP=1 -h "$TOP/pg.$name" -U postgres "$@"; }

mariadb_start() {
	local dir=$TOP/my.$1
	command -v mariadbd >/dev/null || skip 'MariaDB is not installed (tests/install)'
	mkdir "$dir"
	[ "$(id -u)" != 0 ] || chown mysql: "$dir"
	database_as mysql
	"${AS[@]}" mariadb-install-db --no-defaults --datadir="$dir/data" --skip-test-db --auth-root-authentication-method=socket \
		--auth-root-socket-user="$(id -un)" >"$TOP/my.$1.log" 2>&1 || fail 'mariadb-install-db'
	"${AS[@]}" mariadbd --no-defaults --datadir="$dir/data" --socket="$dir/sock" --skip-networking --pid-file="$dir/pid" \
		--innodb-flush-log-at-trx-commit=0 --innodb-buffer-pool-size=16M >>"$TOP/my.$1.log" 2>&1 &
	DATABASE_PID[my.$1]=$!
	database_answers "my.$1" my "$1" -e 'select 1'
}
my() { local name=$1; shift; mariadb --no-defaults --socket="$TOP/my.$name/sock" --batch --skip-column-names "$@"; }
