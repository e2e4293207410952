#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
. "$WAYBILL_SOURCE/tests/lib/databases.sh"
scenario 'A MariaDB and an SQLite database: contents, accounts and definitions arrive, and each difference is named'
trap 'rc=$?; databases_stop; (exit $rc); scenario_end' EXIT

mariadb_start old; mariadb_start new
host old; host new
for n in old new; do printf '[client]\nsocket=%s\n' "$TOP/my.$n/sock" >"${SSHD_HOME[$n]}/.my.cnf"; done
{ printf 'waybill: 1\nname: dbs\nkind: migration\nhosts:\n'; for n in old new; do printf '  %s\n' "${HOST[$n]}"; done
  printf 'datasets:\n  shop:\n    database: {driver: mariadb, from: old, to: new, name: shop, globals: yes}\n'
  printf '  notes:\n    database: {driver: sqlite, from: old, to: new, name: "%s", name_to: "%s"}\n' "$TOP/old.db" "$TOP/new.db"; } >"$TOP/dbs.yaml"

my old -e "CREATE DATABASE shop CHARACTER SET utf8mb4 COLLATE utf8mb4_bin; CREATE USER app@localhost IDENTIFIED BY 'geheim-4713'; GRANT SELECT, INSERT ON shop.* TO app@localhost;"
my old shop <<'S'
CREATE TABLE item (id INT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(100) CHARACTER SET latin1, price DECIMAL(9,2), pic BLOB, at TIMESTAMP DEFAULT '2020-01-01 00:00:00', KEY (name)) ENGINE=InnoDB;
INSERT INTO item (name, price, pic) SELECT CONCAT('Stück ', seq), seq / 3, IF(seq % 5, UNHEX(MD5(seq)), NULL) FROM seq_1_to_5000;
CREATE TABLE `odd name` (a INT, b DOUBLE); INSERT INTO `odd name` VALUES (1, 0.1), (1, 0.1), (NULL, 3);
CREATE VIEW dear AS SELECT * FROM item WHERE price > 100;
CREATE TRIGGER before_item BEFORE INSERT ON item FOR EACH ROW SET NEW.price = COALESCE(NEW.price, 1);
CREATE PROCEDURE p() SELECT 1;
CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO DELETE FROM `odd name` WHERE a = 99;
S
sqlite3 "$TOP/old.db" <<'S'
PRAGMA user_version=7; PRAGMA application_id=42;
CREATE TABLE note (id INTEGER PRIMARY KEY AUTOINCREMENT, text TEXT, raw BLOB, n REAL); CREATE INDEX by_text ON note (text);
INSERT INTO note (text, raw, n) WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 3000) SELECT 'note ' || i || char(10) || '''', randomblob(20), i / 7.0 FROM c;
CREATE TABLE plain (a, b); INSERT INTO plain VALUES (1, NULL), (NULL, x'00'), (1, NULL);
CREATE VIEW v AS SELECT count(*) FROM note; CREATE TRIGGER tr AFTER DELETE ON note BEGIN SELECT 1; END;
S

part 'whole'
expect 0 run "$TOP/dbs.yaml"
same_text 5000 "$(my new shop -e 'select count(*) from item')" 'rows in MariaDB'
same_text 'utf8mb4_bin' "$(my new shop -e 'select @@collation_database')" 'collation'
same_text 7,42 "$(sqlite3 -separator , "$TOP/new.db" 'select * from pragma_user_version, pragma_application_id')" 'numbers of the SQLite file'
same_text "$(sqlite3 "$TOP/old.db" .sha3sum)" "$(sqlite3 "$TOP/new.db" .sha3sum)" 'contents of the SQLite file'
for d in shop notes; do
	expect 0 --json verify "$TOP/dbs.yaml" "$d"
	same_text match "$(jq -r .verdict "$OUT")" "$d"
	[ "$(jq .checked "$OUT")" -ge 5 ] || fail "$d: only $(jq .checked "$OUT") things were compared"
	expect 0 verify "$TOP/dbs.yaml" "$d" --side archive
done
! grep -rqs 'geheim-4713' "$WS/.waybill/log" || fail 'the password is in a log'

part 'finished: another run feeds nothing'
expect 0 run "$TOP/dbs.yaml"
says "$ERR" 'dataset shop is finished' 'dataset notes is finished'

part 'each difference is named'
differs() {	# DATASET KEY
	expect 4 --json verify "$TOP/dbs.yaml" "$1"
	jq -r '.differences[].path' "$OUT" | grep -qxF "$2" || fail "expected $2, the differences are: $(jq -c .differences "$OUT")"
}
my new shop -e 'update item set price = price + 1 where id = 9'; differs shop 'table item'
my new shop -e 'insert into `odd name` values (1, 0.1)'; differs shop 'table odd name'
my new shop -e 'drop trigger before_item'; differs shop 'trigger before_item'
my new shop -e 'revoke insert on shop.* from app@localhost'; differs shop "grants 'app'@'localhost'"
sqlite3 "$TOP/new.db" "update note set n = n + 1 where id = 77"; differs notes 'table note'
sqlite3 "$TOP/new.db" 'delete from plain where rowid = 3'; differs notes 'table plain'
sqlite3 "$TOP/new.db" 'drop index by_text'; differs notes 'index by_text'
mv "$TOP/new.db" "$TOP/away.db"
expect 5 verify "$TOP/dbs.yaml" notes
mv "$TOP/away.db" "$TOP/new.db"

part 'never into a database that has something'
expect 6 run "$TOP/dbs.yaml"
says "$ERR" "is not empty"

part 'an event alone is something, too; and nothing is changed before that is known'
my new -e 'drop database shop; create database shop; drop user app@localhost'
my new shop -e 'create event theirs on schedule every 1 day do select 1'
mv "$TOP/new.db" "$TOP/away.db"
expect 6 run "$TOP/dbs.yaml"
says "$ERR" 'shop at host new is not empty'
same_text 0 "$(my new -e "select count(*) from mysql.user where user = 'app'")" 'accounts that came before the refusal'
