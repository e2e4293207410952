#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
. "$WAYBILL_SOURCE/tests/lib/databases.sh"
scenario 'A PostgreSQL database: roles, data, large objects, sequences, owners and grants arrive; fingerprints of both sides say so, or which thing differs'
trap 'rc=$?; databases_stop; (exit $rc); scenario_end' EXIT

postgres_start old; postgres_start new
host old --env "PGHOST=$TOP/pg.old PGUSER=postgres"; host new --env "PGHOST=$TOP/pg.new PGUSER=postgres"
{ printf 'waybill: 1\nname: pgmove\nkind: migration\nhosts:\n'; for n in old new; do printf '  %s\n' "${HOST[$n]}"; done
  printf 'datasets:\n  db:\n    database: {driver: postgresql, from: old, to: new, name: wxzj, globals: yes}\n'; } >"$TOP/db.yaml"

pg old postgres >/dev/null <<'S'
CREATE ROLE app LOGIN PASSWORD 'geheim-4712'; CREATE ROLE "Leser" NOLOGIN; GRANT "Leser" TO app;
CREATE DATABASE wxzj TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C.UTF-8' OWNER app;
S
pg old wxzj >/dev/null <<'S'
CREATE TABLE house (id bigserial PRIMARY KEY, name text NOT NULL, area numeric(10,2), seen timestamptz DEFAULT '2020-01-01 08:00+08', pic bytea, note text);
INSERT INTO house (name, area, pic, note) SELECT 'house ' || g, g * 1.5, decode(md5(g::text), 'hex'), CASE WHEN g % 3 = 0 THEN NULL ELSE E'line\nbreak\t\\' END FROM generate_series(1, 20000) g;
CREATE TABLE "Odd Name" (a int, b double precision); INSERT INTO "Odd Name" VALUES (1, 0.1), (1, 0.1), (NULL, 'NaN');
CREATE TABLE rest (id int REFERENCES house (id)); CREATE INDEX ON house (name);
CREATE VIEW big AS SELECT * FROM house WHERE area > 100;
CREATE MATERIALIZED VIEW many AS SELECT count(*) FROM house;
CREATE SEQUENCE lone START 7 INCREMENT 3; SELECT nextval('lone'), nextval('lone');
CREATE FUNCTION twice(int) RETURNS int LANGUAGE sql AS 'SELECT $1 * 2';
CREATE SCHEMA audit AUTHORIZATION app; CREATE TABLE audit.log (what jsonb); INSERT INTO audit.log VALUES ('{"a": [1, 2]}');
ALTER TABLE house OWNER TO app; GRANT SELECT ON house TO "Leser"; GRANT USAGE ON SCHEMA audit TO "Leser";
SELECT lo_from_bytea(4711, decode(repeat('00ff', 5000), 'hex'));
S
# What belongs to the database as a whole; read-only as a freeze leaves it, which is not to reach the target.
mkdir "$TOP/pg.old/fast"; [ "$(id -u)" != 0 ] || chown postgres: "$TOP/pg.old/fast"
pg old postgres >/dev/null <<S
CREATE ROLE "third'; --" NOLOGIN; CREATE TABLESPACE fast LOCATION '$TOP/pg.old/fast';
S
pg old wxzj >/dev/null <<S
ALTER TABLE rest SET TABLESPACE fast;
REVOKE ALL ON DATABASE wxzj FROM PUBLIC; GRANT CONNECT ON DATABASE wxzj TO "Leser" WITH GRANT OPTION; GRANT TEMP ON DATABASE wxzj TO app;
SET SESSION AUTHORIZATION "Leser"; GRANT CONNECT ON DATABASE wxzj TO "third'; --"; RESET SESSION AUTHORIZATION;
COMMENT ON DATABASE wxzj IS E'what is where\\nand why\'s';
ALTER DATABASE wxzj CONNECTION LIMIT 40; ALTER DATABASE wxzj SET work_mem = '7MB'; ALTER DATABASE wxzj SET "firm.name" = E'Müller\'s \\\\ :"name" %I';
ALTER DATABASE wxzj SET search_path = "\$user", public, "a ""b, c", audit; ALTER DATABASE wxzj SET datestyle = 'ISO, DMY';
ALTER ROLE app IN DATABASE wxzj SET search_path = ''; ALTER ROLE "third'; --" IN DATABASE wxzj SET timezone = 'Asia/Shanghai';
ALTER DATABASE wxzj SET default_transaction_read_only = on;
S

part 'roles that are missing at the target: named, and nothing is fed'
sed 's/, globals: yes//; s/name: pgmove/name: bare/' "$TOP/db.yaml" >"$TOP/bare.yaml"
expect 6 run "$TOP/bare.yaml"
says "$ERR" 'do not exist at host new: "Leser", "third' 'globals: yes'
same_text 0 "$(pg new postgres -c "select count(*) from pg_database where datname = 'wxzj'")" 'databases at the target'

part 'whole'
expect 0 run "$TOP/db.yaml"
says "$ERR" 'uses the tablespaces fast, which are not carried'
whole_of() {
	pg "$1" postgres -c "select array(select a::text from unnest(datacl) a order by 1), datconnlimit, shobj_description(oid, 'pg_database') from pg_database where datname = 'wxzj'"
	pg "$1" postgres -c "select coalesce(r.rolname, '-'), c from pg_db_role_setting s cross join unnest(setconfig) c left join pg_roles r on r.oid = setrole where setdatabase = (select oid from pg_database where datname = 'wxzj') and c !~ '^default_transaction_read_only' order by 1, 2"
}
whole_of old >"$TOP/whole.old"; whole_of new >"$TOP/whole.new"
same_text "$(cat "$TOP/whole.old")" "$(cat "$TOP/whole.new")" 'what belongs to the database as a whole'
same_text 8 "$(wc -l <"$TOP/whole.new")" 'lines of that'
same_text off "$(pg new wxzj -c 'show default_transaction_read_only')" 'read-only as by the freeze, at the target'
same_text 20000 "$(pg new wxzj -c 'select count(*) from house')" 'rows at the target'
same_text app "$(pg new wxzj -c "select tableowner from pg_tables where tablename = 'house'")" 'owner of the table'
same_text 'UTF8 C C.UTF-8 app' "$(pg new wxzj -F ' ' -c 'select pg_encoding_to_char(encoding), datcollate, datctype, pg_get_userbyid(datdba) from pg_database where datname = current_database()')" 'the database'
same_text 10000 "$(pg new wxzj -c 'select length(lo_get(4711))')" 'the large object'
same_text 13 "$(pg new wxzj -c "select nextval('lone')")" 'the next number of the sequence'
pg new wxzj -c "select setval('lone', 10)" >/dev/null
expect 0 --json verify "$TOP/db.yaml" db
same_text match "$(jq -r .verdict "$OUT")" 'verdict'
[ "$(jq .checked "$OUT")" -gt 20 ] || fail "only $(jq .checked "$OUT") things were compared"
expect 0 verify "$TOP/db.yaml" db --side source
expect 0 verify "$TOP/db.yaml" db --side archive

part 'finished: another run feeds nothing'
versions() { jq -r '.datasets.db.version' <("$WAYBILL" -C "$WS" --json status pgmove 2>/dev/null); }
expect 0 run "$TOP/db.yaml"
says "$ERR" 'dataset db is finished: version 1'
same_text 1 "$(versions)" 'versions'

part 'no password anywhere'
! grep -rqs 'geheim-4712' "$WS/.waybill/log" "$OUT" "$ERR" || fail 'the password is in a log'
! ledger log -p pgmove | grep -q 'geheim-4712\|SCRAM-SHA' || fail 'a password or its verifier is in the ledger'

part 'each difference is named'
differs() {	# SQL KEY
	pg new wxzj -c "$1" >/dev/null
	expect 4 --json verify "$TOP/db.yaml" db
	jq -r '.differences[].path' "$OUT" | grep -qxF "$2" || fail "after $1 the differences are: $(jq -c .differences "$OUT")"
}
differs "update house set note = 'other' where id = 17" 'table public.house'
differs 'insert into "Odd Name" values (1, 0.1)' 'table public.Odd Name'
differs "select setval('lone', 11)" 'sequence public.lone'
differs 'revoke select on house from "Leser"' 'relation public.house'
differs 'alter table rest owner to app' 'relation public.rest'
differs "select lo_put(4711, 3, '\\x11')" 'large objects'
differs 'alter role app createdb' 'role app'
differs 'drop index house_name_idx' 'index public.house_name_idx'
differs 'grant connect on database wxzj to public' 'database grants'
differs 'alter database wxzj connection limit 41' 'database connection limit'
differs "comment on database wxzj is 'other'" 'database comment'
differs "alter database wxzj set work_mem = '8MB'" 'database setting work_mem'
differs 'alter role app in database wxzj reset search_path' 'database setting search_path of role app'

part 'what cannot be asked is not checked'
kill -STOP "${DATABASE_PID[pg.new]}"; kill -CONT "${DATABASE_PID[pg.new]}"
mv "$TOP/pg.new/.s.PGSQL.5432" "$TOP/pg.new/away"
expect 5 verify "$TOP/db.yaml" db
mv "$TOP/pg.new/away" "$TOP/pg.new/.s.PGSQL.5432"

part 'never into a database that has something'
expect 6 run "$TOP/db.yaml"
says "$ERR" 'is not empty'
pg new postgres -c 'drop database wxzj' -c 'alter role app nocreatedb' >/dev/null
expect 0 run "$TOP/db.yaml"
expect 0 verify "$TOP/db.yaml" db

part 'cut between the feed and its record: what is there is found to be it, or stays for a person'
killed_after_feed() {
	pg new postgres -c 'drop database wxzj' >/dev/null
	{ WAYBILL_FAULT=point@made-fed:1:kill "$WAYBILL" -C "$WS" run "$TOP/db.yaml" >"$OUT" 2>"$ERR" </dev/null; } 2>/dev/null
	[ $? -gt 128 ] || fail 'it was not killed'
	same_text 20000 "$(pg new wxzj -c 'select count(*) from house')" 'rows that were fed'
}
killed_after_feed
pg new wxzj -c 'delete from house where id = 5 and not exists (select 1 from rest)' >/dev/null
expect 6 run "$TOP/db.yaml"
says "$ERR" 'is not empty' 'a feed was begun there'
same_text 2 "$(versions)" 'versions after a refusal'
killed_after_feed
expect 0 run "$TOP/db.yaml"
says "$ERR" 'is not fed again'
same_text 3 "$(versions)" 'versions after a feed that was found'
expect 0 verify "$TOP/db.yaml" db
expect 0 audit "$WS"

part 'out of the archive, by stock tools'
expect 0 restore "$TOP/db.yaml" db --to "$TOP/back"
pg new postgres -c 'create database again template template0' >/dev/null
pg new again --single-transaction -f "$TOP/back/database" >/dev/null 2>"$TOP/err" || fail "psql does not take the dump: $(head -n 3 "$TOP/err")"
same_text 20000 "$(pg new again -c 'select count(*) from house')" 'rows in the restored database'
pg new again -f "$TOP/back/settings" >/dev/null 2>"$TOP/err" || fail "psql does not take the settings: $(head -n 3 "$TOP/err")"
same_text 7MB "$(pg new again -c 'show work_mem')" 'a setting of the restored database'
