/*
 * MariaDB by its own clients: mariadb-dump and mariadb.  How a host's server is reached is that host's business: ~/.my.cnf of the
 * user, or root's own socket.
 */
#include "made.h"

#include <inttypes.h>
#include <string.h>

#include "esc.h"

#define ANSWER_MAX (4u << 20)

/*
 * One line for each thing, "key TAB value".  The statement that counts and sums the rows of every table is made by the server itself;
 * NULL and every value stand apart, so that two rows are equal only when all their columns are.
 */
static const char fingerprint[] =
    "SET SESSION group_concat_max_len = 1024 * 1024 * 1024, time_zone = '+00:00', NAMES utf8mb4;\n"
    "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY;\n"
    "SELECT CONCAT('database\\t', DEFAULT_CHARACTER_SET_NAME, ' ', DEFAULT_COLLATION_NAME) FROM information_schema.SCHEMATA WHERE "
    "SCHEMA_NAME = DATABASE();\n"
    "SELECT COALESCE(GROUP_CONCAT(one ORDER BY one SEPARATOR ' UNION ALL '), 'SELECT ''tables\\tnone''') INTO @all_tables FROM (SELECT "
    "CONCAT('SELECT CONCAT(', QUOTE(CONCAT('table ', c.TABLE_NAME, '\\t')), ', COUNT(*), '' rows '', COALESCE(SUM(CONV(SUBSTR(MD5(CONCAT_WS(''|'', ', "
    "GROUP_CONCAT(CONCAT('COALESCE(HEX(`', REPLACE(c.COLUMN_NAME, '`', '``'), '`), ''-'')') ORDER BY c.ORDINAL_POSITION SEPARATOR ', '), "
    "')), 1, 15), 16, 10) + 0), 0)) FROM `', REPLACE(c.TABLE_NAME, '`', '``'), '`') AS one FROM information_schema.COLUMNS c JOIN "
    "information_schema.TABLES t USING (TABLE_SCHEMA, TABLE_NAME) WHERE c.TABLE_SCHEMA = DATABASE() AND t.TABLE_TYPE = 'BASE TABLE' GROUP BY "
    "c.TABLE_NAME) x;\n"
    "EXECUTE IMMEDIATE @all_tables;\n"
    "SELECT CONCAT('columns ', TABLE_NAME, '\\t', MD5(GROUP_CONCAT(CONCAT_WS(' ', COLUMN_NAME, COLUMN_TYPE, IS_NULLABLE, COALESCE("
    "COLUMN_DEFAULT, '-'), COALESCE(COLLATION_NAME, '-'), EXTRA) ORDER BY ORDINAL_POSITION))) FROM information_schema.COLUMNS WHERE "
    "TABLE_SCHEMA = DATABASE() GROUP BY TABLE_NAME ORDER BY 1;\n"
    "SELECT CONCAT('kind ', TABLE_NAME, '\\t', TABLE_TYPE, ' ', COALESCE(ENGINE, '-'), ' ', COALESCE(TABLE_COLLATION, '-'), ' next ', "
    "COALESCE(AUTO_INCREMENT, '-')) FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() ORDER BY 1;\n"
    "SELECT CONCAT('index ', TABLE_NAME, '.', INDEX_NAME, '\\t', NON_UNIQUE, ' ', GROUP_CONCAT(COLUMN_NAME ORDER BY SEQ_IN_INDEX)) FROM "
    "information_schema.STATISTICS WHERE TABLE_SCHEMA = DATABASE() GROUP BY TABLE_NAME, INDEX_NAME, NON_UNIQUE ORDER BY 1;\n"
    "SELECT CONCAT('view ', TABLE_NAME, '\\t', DEFINER, ' ', SECURITY_TYPE, ' ', CHECK_OPTION) FROM information_schema.VIEWS WHERE "
    "TABLE_SCHEMA = DATABASE() ORDER BY 1;\n"
    "SELECT CONCAT('trigger ', TRIGGER_NAME, '\\t', DEFINER, ' ', MD5(ACTION_STATEMENT)) FROM information_schema.TRIGGERS WHERE "
    "TRIGGER_SCHEMA = DATABASE() ORDER BY 1;\n"
    "SELECT CONCAT('routine ', ROUTINE_TYPE, ' ', ROUTINE_NAME, '\\t', DEFINER, ' ', MD5(ROUTINE_DEFINITION)) FROM "
    "information_schema.ROUTINES WHERE ROUTINE_SCHEMA = DATABASE() ORDER BY 1;\n"
    "SELECT CONCAT('event ', EVENT_NAME, '\\t', DEFINER, ' ', STATUS, ' ', MD5(EVENT_DEFINITION)) FROM information_schema.EVENTS WHERE "
    "EVENT_SCHEMA = DATABASE() ORDER BY 1;\n";

/* Accounts with what they may do, without what lets them in. */
static const char fingerprint_accounts[] =
    "SELECT CONCAT('account ', GRANTEE, '\\t', GROUP_CONCAT(CONCAT(PRIVILEGE_TYPE, ' ', IS_GRANTABLE) ORDER BY PRIVILEGE_TYPE)) FROM "
    "information_schema.USER_PRIVILEGES GROUP BY GRANTEE ORDER BY 1;\n";
static const char fingerprint_grants[] =
    "SELECT CONCAT('grants ', GRANTEE, '\\t', GROUP_CONCAT(PRIVILEGE_TYPE ORDER BY PRIVILEGE_TYPE)) FROM information_schema.SCHEMA_PRIVILEGES "
    "WHERE TABLE_SCHEMA = DATABASE() GROUP BY GRANTEE ORDER BY 1;\n"
    "SELECT CONCAT('grants ', GRANTEE, ' ', TABLE_NAME, '\\t', GROUP_CONCAT(PRIVILEGE_TYPE ORDER BY PRIVILEGE_TYPE)) FROM "
    "information_schema.TABLE_PRIVILEGES WHERE TABLE_SCHEMA = DATABASE() GROUP BY GRANTEE, TABLE_NAME ORDER BY 1;\n";

static const char facts_sql[] =
    "SELECT CONCAT('version ', VERSION()); SELECT CONCAT('encoding ', DEFAULT_CHARACTER_SET_NAME, ' ', DEFAULT_COLLATION_NAME) FROM "
    "information_schema.SCHEMATA WHERE SCHEMA_NAME = DATABASE();\n"
    "SELECT CONCAT('size ', COALESCE(SUM(DATA_LENGTH + INDEX_LENGTH), 0)) FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE();\n";
static const char create_sql[] =
    "SELECT CONCAT('CHARACTER SET ', DEFAULT_CHARACTER_SET_NAME, ' COLLATE ', DEFAULT_COLLATION_NAME) FROM information_schema.SCHEMATA "
    "WHERE SCHEMA_NAME = DATABASE();\n";

static const char *target_name(const struct made *m)
{
	return m->d->database.to_name ? m->d->database.to_name : m->d->database.name;
}

static struct made_command client(const char *sql, const char *db)
{
	return made_command(sql, "mariadb", "--batch", "--skip-column-names", "--raw", "--no-auto-rehash", "--default-character-set=utf8mb4", db, NULL);
}

static int ask(struct made *m, const char *host, const char *db, const char *sql, struct buf *out, struct err *e)
{
	struct made_command c = client(sql, db);
	int r = c.argv && sql ? made_ask(m, host, &c, ANSWER_MAX, out, e) : err_set(e, ERR_TEMPORARY, "out of memory");

	free(c.argv);
	buf_puts(out, "");
	return r < 0 ? -1 : buf_finish(out, e);
}

/* Names that would need quoting in a statement are left to people. */
static int check_names(const struct made *m, struct err *e)
{
	const char *const names[] = { m->d->database.name, target_name(m) };

	for (size_t i = 0; i < 2; i++)
		if (strspn(names[i], "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_$-") != strlen(names[i]))
			return err_set(e, ERR_USAGE, "dataset %s: the MariaDB driver takes names of letters, digits, _, $ and -: %s", m->d->name, esc_s(names[i]));
	return 0;
}

/* *there: it exists; ERR_REFUSED when it holds anything. */
static int look(struct made *m, bool *there, struct err *e)
{
	OWN_BUF struct buf b = BUF_INIT;
	const char *sql = made_word(m, "SELECT (SELECT COUNT(*) FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = '%s'), (SELECT COUNT(*) FROM "
	    "information_schema.TABLES WHERE TABLE_SCHEMA = '%s') + (SELECT COUNT(*) FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = '%s') + (SELECT COUNT(*) "
	    "FROM information_schema.EVENTS WHERE EVENT_SCHEMA = '%s')\n", target_name(m), target_name(m), target_name(m), target_name(m));
	unsigned long exists = 0, things = 0;

	if (check_names(m, e) < 0 || ask(m, m->d->to.host, "information_schema", sql, &b, e) < 0)
		return -1;
	if (sscanf(b.data, "%lu %lu", &exists, &things) != 2)
		return err_set(e, ERR_PERMANENT, "dataset %s: the server at host %s answers otherwise than expected", m->d->name, m->d->to.host);
	*there = exists != 0;
	if (!things)
		return 0;
	err_set(e, ERR_REFUSED, "dataset %s: the database %s at host %s is not empty", m->d->name, esc_s(target_name(m)), m->d->to.host);
	return err_hint(e, "nothing is fed into it; drop or rename it there, or name another with name_to");
}

static int prepare(struct made *m, struct err *e)
{
	OWN_BUF struct buf kind = BUF_INIT, out = BUF_INIT;
	bool there;

	if (look(m, &there, e) < 0)
		return -1;
	if (there)
		return 0;
	if (ask(m, m->d->from.host, m->d->database.name, create_sql, &kind, e) < 0)
		return -1;
	return ask(m, m->d->to.host, "information_schema", made_word(m, "CREATE DATABASE `%s` %s", target_name(m), kind.data), &out, e);
}

static int vacant(struct made *m, struct err *e)
{
	bool there;

	return look(m, &there, e);
}

static int preflight(struct made *m, json_t *facts, struct err *e)
{
	const struct standing_dataset *s = standing_dataset(&m->r->standing, m->d->name);
	OWN_BUF struct buf from = BUF_INIT, to = BUF_INIT;
	bool there;

	if (check_names(m, e) < 0 || ask(m, m->d->from.host, m->d->database.name, facts_sql, &from, e) < 0)
		return -1;
	(void)json_object_set_new(facts, "database", json_pack("{s:s,s:s}", "driver", "mariadb", "told", esc_s(from.data)));
	if (!m->d->to.host || (s && s->version))
		return 0;
	if (look(m, &there, e) < 0 || ask(m, m->d->to.host, "information_schema", "SELECT VERSION()\n", &to, e) < 0)
		return -1;
	(void)json_object_set_new(facts, "to", json_pack("{s:s,s:b}", "version", esc_s(to.data), "database", there));
	return 0;
}

int driver_mariadb(struct made *m, struct err *e)
{
	const struct plan_database *db = &m->d->database;
	const char *script = made_word(m, "%s%s%s", fingerprint, fingerprint_grants, db->globals ? fingerprint_accounts : "");
	struct made_part *p;

	if (!script)
		return err_sys(e, "database");
	m->preflight = preflight;
	m->prepare = prepare;
	m->vacant = vacant;
	p = made_add(m, "database", 1);
	p->run = made_command(NULL, "mariadb-dump", "--single-transaction", "--routines", "--triggers", "--events", "--hex-blob", "--no-tablespaces",
	    "--default-character-set=utf8mb4", db->name, NULL);
	p->feed = made_command(NULL, "mariadb", "--batch", "--default-character-set=utf8mb4", target_name(m), NULL);
	p->last = "-- Dump completed";
	p = made_add(m, MADE_FINGERPRINT, 1);
	p->run = client(script, db->name);
	p->again = client(script, target_name(m));
	if (!db->globals)
		return 0;
	p = made_add(m, "globals", 0);
	p->run = made_command(NULL, "mariadb-dump", "--system=users", "--insert-ignore", NULL);
	p->feed = made_command(NULL, "mariadb", "--batch", NULL);
	return 0;
}
