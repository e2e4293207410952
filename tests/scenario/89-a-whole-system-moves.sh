#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
. "$WAYBILL_SOURCE/tests/lib/nginx.sh"
. "$WAYBILL_SOURCE/tests/lib/databases.sh"
scenario 'A whole system moves through a bastion while people use it: nginx, its application, PostgreSQL, uploads, schedules; with a failing smoke test it comes back'
# WAYBILL_SCALE=10 makes the sizes those of a small real system.
SCALE=${WAYBILL_SCALE:-1}
trap 'rc=$?; databases_stop; (exit $rc); scenario_end' EXIT
command -v nginx >/dev/null && command -v curl >/dev/null && perl -MIO::Socket::INET -e 1 2>/dev/null || skip 'no nginx, curl or perl here'

# ---- the old system
make_files() {	# www, uploads, configuration
	local i d=$TOP/old
	mkdir -p "$d/www/css" "$d/upload/new" "$d/etc/nginx" "$d/etc/tls" "$d/etc/cron.d" "$TOP/new/etc/cron.d"
	echo '物业维修资金查询系统' >"$d/www/index.html"
	head -c $((8000000 * SCALE)) /dev/urandom | split -a 4 -d -b 65536 - "$d/www/css/part"
	ln -s ../index.html "$d/www/css/relative"; ln -s "$d/www/index.html" "$d/www/absolute"
	ln "$d/www/css/part0001" "$d/www/hard1"; ln "$d/www/css/part0002" "$d/www/hard2"
	chmod 2775 "$d/www/css"
	for ((i = 1; i <= 2000 * SCALE; i++)); do printf 'attachment %d\n' "$i" "$i" "$i" >"$d/upload/$i.pdf"; done
	for i in {1..40}; do echo gbk >"$d/upload/"$'\xb7\xbf\xce\xdd'"$i.doc"; done
	for i in {1..15}; do : >"$d/upload/empty$i"; done
	echo odd >"$d/upload/"$'new\nline'; echo odd >"$d/upload/it's \"quoted\""; echo odd >"$d/upload/-rf"
	truncate -s $((100 * SCALE))M "$d/upload/sparse"; head -c 4M /dev/urandom | dd of="$d/upload/sparse" bs=1M seek=50 conv=notrunc status=none
	setfacl -m u:12345:r "$d/upload/1.pdf" 2>/dev/null
	mkfifo "$d/upload/fifo"
	perl -MIO::Socket::UNIX -e 'IO::Socket::UNIX->new(Local => $ARGV[0], Listen => 1) or die' "$d/upload/socket"
	for i in {1..28}; do echo "# part $i" >"$d/etc/nginx/part$i.conf"; done
	openssl genpkey -algorithm ed25519 -out "$d/etc/tls/wxzj.key" 2>/dev/null || fail 'no key'
	echo "17 3 * * * root $d/bin/nightly" >"$d/etc/cron.d/wxzj"
}
make_database() {
	pg old postgres -c 'CREATE ROLE app LOGIN' -c 'CREATE ROLE auditor NOLOGIN' -c "CREATE DATABASE wxzj TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C.UTF-8' OWNER app"
	pg old wxzj -v k="$SCALE" >/dev/null <<-'S'
	CREATE EXTENSION pgcrypto;
	CREATE TABLE owner (id serial PRIMARY KEY, name text NOT NULL, phone text, seen timestamptz DEFAULT '2020-01-01 08:00+08');
	INSERT INTO owner (name, phone) SELECT (ARRAY['𠮷野', '㐂', '张三', '李四'])[g % 4 + 1] || g, (ARRAY[NULL, '', '138'])[g % 3 + 1] FROM generate_series(1, 5000 * :k) g;
	CREATE TABLE account (id serial PRIMARY KEY, owner int NOT NULL REFERENCES owner, balance numeric(18,2));
	INSERT INTO account (owner, balance) SELECT g % (5000 * :k) + 1, g * 1.01 FROM generate_series(1, 8000 * :k) g;
	CREATE TABLE txn (id bigserial PRIMARY KEY, account int NOT NULL, amount numeric(18,2) NOT NULL, at timestamptz DEFAULT now());
	INSERT INTO txn (account, amount) SELECT g % 8000 + 1, g * 0.01 FROM generate_series(1, 100000 * :k) g; CREATE INDEX ON txn (account);
	CREATE TABLE attachment (id serial PRIMARY KEY, file text NOT NULL, owner int REFERENCES owner);
	INSERT INTO attachment (file, owner) SELECT g || '.pdf', g FROM generate_series(1, 2000 * :k) g;
	CREATE TABLE audit_log (at timestamptz, what text);	-- no primary key
	INSERT INTO audit_log SELECT '2021-05-01 00:00+08'::timestamptz + g * interval '1 minute', md5((g / 2)::text) FROM generate_series(1, 20000 * :k) g;
	SELECT lo_from_bytea(4711, decode(repeat('00ff', 50000), 'hex'));
	GRANT ALL ON ALL TABLES IN SCHEMA public TO app; GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO app; GRANT SELECT ON audit_log TO auditor;
	SELECT setval(s, 1000000) FROM unnest(ARRAY['attachment_id_seq', 'txn_id_seq']) s;
	ANALYZE;
	S
}
application() {
	perl "$WAYBILL_SOURCE/tests/lib/records.pl" "$TOP/port.$1" "$TOP/pg.$1" "$TOP/$1/upload" 2>>"$TOP/app.$1.log" </dev/null & SCENARIO_PIDS+=($!)
	await "the application at $1" test -s "$TOP/port.$1"
	nginx_start "$1" "$TOP/$1/www" "location /app/ { proxy_pass http://127.0.0.1:$(cat "$TOP/port.$1"); }"
}
hook() { cat >"$TOP/$1"; chmod +x "$TOP/$1"; }

postgres_start old; postgres_start new
make_files; make_database
host bastion; host old --env "PGHOST=$TOP/pg.old PGUSER=postgres"; host new --env "PGHOST=$TOP/pg.new PGUSER=postgres"
HOST[new]=${HOST[new]%\}}", via: bastion}"
application old; application new
record="200 $(pg old wxzj -c "SELECT name || ' ' || sum(amount) FROM owner JOIN txn ON account = owner.id WHERE owner.id = 4712 GROUP BY name")"
same_text "$record" "$(page old /app/owner/4712)" 'the record before'

# People use it all the time: what the old site took is noted.
(while sleep 0.1; do flock "$TOP/in-flight" sh -c "curl -sf -m 60 http://127.0.0.1:${NGINX_PORT[old]}/app/add >>$TOP/written"; done) & SCENARIO_PIDS+=($!)

# ---- the plan
totals="SELECT (SELECT count(*) || ' ' || max(id) || ' ' || sum(amount) FROM txn) || ' ' || (SELECT count(*) || ' ' || max(id) FROM attachment)"
hook drain <<-S
	#!/bin/sh
	# Requests that the site took before the maintenance page end first.
	flock $TOP/in-flight true
S
hook stamp <<-S
	#!/bin/sh
	psql -XAt -d wxzj -c "$totals" >$TOP/at-freeze && touch $TOP/frozen-since
S
hook rewrite <<-S
	#!/bin/sh
	sed -i 's|$TOP/old/|$TOP/new/|g' $TOP/new/etc/cron.d/wxzj
	grep -q "$TOP/new/" $TOP/new/etc/cron.d/wxzj
S
plan() {
	local readonly="database: wxzj, socket: $TOP/pg.old, login: postgres" n
	printf 'waybill: 1\nname: wxzj\nkind: migration\nhosts:\n'
	for n in bastion old new; do printf '  %s\n' "${HOST[$n]}"; done
	cat <<-Y
	datasets:
	  www: {files: {from: "old:$TOP/old/www", to: "new:$TOP/new/www", activate: swap}}
	  upload: {files: {from: "old:$TOP/old/upload", to: "new:$TOP/new/upload", activate: swap}}
	  etc: {files: {from: "old:$TOP/old/etc", to: "new:$TOP/new/etc", list_only: ["tls/*.key"]}}
	  db: {database: {driver: postgresql, from: old, to: new, name: wxzj, globals: yes}}
	hooks:
	  freeze:
	    - {run: nginx-maintenance, host: old, with: {action: enter, $(nginx_with old)}}
	    - {run: drain, host: old}
	    - {run: postgresql-readonly, host: old, with: {action: enter, $readonly}}
	    - {run: cron, host: old, with: {action: "off", file: wxzj, dir: $TOP/old/etc/cron.d}}
	    - {run: stamp, host: old}
	  thaw:
	    - {run: cron, host: old, with: {action: "on", file: wxzj, dir: $TOP/old/etc/cron.d}}
	    - {run: postgresql-readonly, host: old, with: {action: leave, $readonly}}
	    - {run: nginx-maintenance, host: old, with: {action: leave, $(nginx_with old)}}
	  cutover:
	    - {run: cron, host: new, with: {action: "on", file: wxzj, dir: $TOP/new/etc/cron.d}}
	    - {run: rewrite, host: new}
	    - {run: nginx-maintenance, host: new, with: {action: leave, $(nginx_with new)}}
	  rollback:
	    - {run: nginx-maintenance, host: new, with: {action: enter, $(nginx_with new)}}
	  smoke:
	    - {run: tcp-check, host: new, with: {port: "${NGINX_PORT[new]}"}}
	    - {run: http-check, host: new, with: {url: "http://127.0.0.1:${NGINX_PORT[new]}/", contains: 维修资金}}
	    - {run: http-check, host: new, tries: 2, every: 1s, with: {url: "http://127.0.0.1:${NGINX_PORT[new]}/app/owner/4712", contains: "$1"}}
	rollback: {on_failed_smoke: yes}
	passes: {max: 3, until: 5s}
	Y
}
written() { wc -l <"$TOP/written"; }
more_than() { [ "$(written)" -gt "$1" ]; }
# Rows and files both ways, and every number that somebody was given.
whole() {
	pg "$1" wxzj -c 'SELECT file FROM attachment' | sort >"$TOP/rows"
	(cd "$TOP/$1/upload" && find . -name '*.pdf' -printf '%P\n') | sort >"$TOP/files"
	diff "$TOP/rows" "$TOP/files" >"$TOP/diff"
	is_empty "$TOP/diff" "rows and files at $1"
	sed 's|.*|new/&.pdf|' "$TOP/written" | sort | comm -23 - "$TOP/rows" >"$TOP/diff"
	is_empty "$TOP/diff" "what the old site took and $1 has not"
}
figures() {
	ledger show "refs/heads/wxzj:$(events wxzj | grep cutover-done | tail -n 1)" |
		jq -r 'def s: if . then "\(. * 100 | round / 100) s" else "nothing, as the database was never dumped" end;
			.data | "  frozen for \(.freeze_s | s), predicted: \(.predicted_s | s)"'
}

part 'a smoke test that fails: the old site again, nothing lost, and it takes more'
plan 'no such record' >"$TOP/wxzj.yaml"
touch "$TOP/written"; await 'people who use the site' more_than 5
expect 4 run "$TOP/wxzj.yaml" --yes
same_text 'serving: source' "$(tail -n 1 "$ERR")" 'the last line'
figures
same_text "$record" "$(page old /app/owner/4712)" 'the record at the old site'
same_text 503 "$(page new | cut -c1-3)" 'the new site'
n=$(written)
await 'that the old site takes something again' more_than "$n"
(flock 9; whole old) 9>"$TOP/in-flight" || exit 1
[ ! -e "$TOP/new/upload" ] || fail 'the new uploads are in place after the roll-back'

part 'and then for good: the same record at the new place, the source as it was at the freeze'
plan "${record#200 }" >"$TOP/wxzj.yaml"
freezes() { events wxzj | grep -c freeze-started; }
same_text 1 "$(freezes)" 'freezes'
expect 6 run "$TOP/wxzj.yaml" --yes
says "$ERR" 'the database wxzj at host new is not empty'
same_text 1 "$(freezes)" 'freezes: production stops for no copy that is bound to be refused'
pg new postgres -c 'DROP DATABASE wxzj WITH (FORCE)'
n=$(written)
await 'somebody who uses the old site' more_than "$n"
expect 0 run "$TOP/wxzj.yaml" --yes
same_text 'serving: target' "$(tail -n 1 "$ERR")" 'the last line'
figures
same_text "$record" "$(page new /app/owner/4712)" 'the record at the new site'
same_text '200 物业维修资金查询系统' "$(page new)" 'the first page at the new site'
same_text 503 "$(page old | cut -c1-3)" 'the old site'
whole new
same_text "$(cat "$TOP/at-freeze")" "$(pg old wxzj -c "$totals")" 'sums at the source, then and now'
same_text "$(cat "$TOP/at-freeze")" "$(pg new wxzj -c "$totals")" 'sums, source then and target now'
find "$TOP/old/www" "$TOP/old/upload" "$TOP/old/etc" -cnewer "$TOP/frozen-since" >"$TOP/newer"
is_empty "$TOP/newer" 'changed at the source since the freeze'
tables() { local t; for t in owner account audit_log txn attachment; do pg "$1" wxzj -c "SELECT count(*), md5(string_agg(t::text, '|' ORDER BY t::text)) FROM $t t"; done; }
same_text "$(tables old)" "$(tables new)" 'tables on both sides'
same_text 5 "$(tables new | wc -l)" 'tables that were compared'
[ -s "$TOP/at-freeze" ] || fail 'no sums of the freeze'
same_tree "$TOP/old/www" "$TOP/new/www"
rm "$TOP/old/upload/socket"; touch -r "$TOP/new/upload" "$TOP/old/upload"	# no socket is copied
same_tree "$TOP/old/upload" "$TOP/new/upload"
says "$TOP/new/etc/cron.d/wxzj" "$TOP/new/bin/nightly"
says "${SSHD_LOG[bastion]}" 'Accepted publickey'
[ ! -e "${SSHD_HOME[bastion]}/.cache/waybill" ] || fail 'the bastion got a helper'

part 'the private key is nowhere but where it was'
sed -n 2p "$TOP/old/etc/tls/wxzj.key" >"$TOP/secret"
[ "$(wc -c <"$TOP/secret")" -gt 40 ] || fail 'no key to look for'
[ ! -e "$TOP/new/etc/tls/wxzj.key" ] || fail 'the key was copied'
! grep -rqaFf "$TOP/secret" "$WS" || fail 'the key is in the workspace'
! ledger log -p --all | grep -qaFf "$TOP/secret" || fail 'the key is in the ledger'
for f in $(objects); do ! zstd -dcq "$f" 2>/dev/null | grep -qaFf "$TOP/secret" || fail "the key is in the archive: $f"; done

part 'fingerprints, balance, ledger'
expect 0 --json verify wxzj db
same_text match "$(jq -r .verdict "$OUT")" 'the fingerprints'
expect 0 verify wxzj www --full
expect 0 verify wxzj upload --full
row=$(pg new wxzj -c "DELETE FROM audit_log WHERE at = '2021-05-02 00:00+08' RETURNING what")
expect 4 verify wxzj db
says "$OUT" 'public.audit_log'
pg new wxzj -c "INSERT INTO audit_log VALUES ('2021-05-02 00:00+08', '$row')"
expect 0 verify wxzj db
printf X | dd of="$TOP/new/upload/2.pdf" bs=1 seek=3 conv=notrunc status=none
expect 4 verify wxzj upload --full
says "$OUT" 2.pdf
printf a | dd of="$TOP/new/upload/2.pdf" bs=1 seek=3 conv=notrunc status=none
expect 0 finish wxzj
expect 0 audit "$WS"
added=$(page new /app/add)
[ -s "$TOP/new/upload/new/${added#200 }.pdf" ] || fail "the new site takes nothing: $added"

part 'beside it, the same data by hand: dump, rsync, restore'
cat >"$TOP/ssh" <<-C
	Host *
	 User $(id -un)
	 IdentityFile $SSHD_KEY
	 StrictHostKeyChecking no
	 UserKnownHostsFile /dev/null
	 LogLevel ERROR
	Host bastion
	 HostName 127.0.0.1
	 Port ${SSHD_PORT[bastion]}
	Host new
	 HostName 127.0.0.1
	 Port ${SSHD_PORT[new]}
	 ProxyJump bastion
C
by_hand() {
	pg new postgres -c 'DROP DATABASE IF EXISTS byhand' -c 'CREATE DATABASE byhand TEMPLATE template0' 2>/dev/null
	pg_dump -h "$TOP/pg.old" -U postgres wxzj >"$TOP/dump.sql" || return 1
	rsync -aHAXS --delete -e "ssh -F $TOP/ssh" "$TOP/old/www" "$TOP/old/upload" "$TOP/old/etc" "$TOP/dump.sql" "new:$TOP/hand/" || return 1
	ssh -F "$TOP/ssh" new "psql -Xq -v ON_ERROR_STOP=1 -d byhand -f $TOP/hand/dump.sql" >"$TOP/hand.log" 2>&1
}
mkdir "$TOP/hand"
t0=$(date +%s%N); by_hand || fail "by hand: $(tail -n 3 "$TOP/hand.log")"; t1=$(date +%s%N); by_hand || fail 'by hand, again'; t2=$(date +%s%N)
awk -v a=$((t1 - t0)) -v b=$((t2 - t1)) 'BEGIN { printf "  all of it frozen %.2f s; with the files sent once before, %.2f s; without any comparison\n", a / 1e9, b / 1e9 }'
