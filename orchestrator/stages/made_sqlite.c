/* SQLite by its own shell: the text of .dump, into a file that is not there yet. */
#include "made.h"

#include <inttypes.h>
#include <string.h>

#include "esc.h"
#include "places.h"

#define ANSWER_MAX (1u << 20)

/* One line for each thing.  Rows in the order of all their columns, so that where they lie in the file does not matter. */
static const char fingerprint[] =
    ".bail on\n"
    "SELECT 'database' || char(9) || (SELECT encoding FROM pragma_encoding) || ' user_version ' || (SELECT user_version FROM "
    "pragma_user_version) || ' application_id ' || (SELECT application_id FROM pragma_application_id);\n"
    "SELECT type || ' ' || name || char(9) || hex(sha3(coalesce(sql, ''))) FROM sqlite_schema WHERE type <> 'table' AND sql IS NOT NULL ORDER BY 1;\n"
    "SELECT 'table ' || name || char(9) || hex(sha3(sql)) || ' ' || hex(sha3_query('SELECT count(*) FROM \"' || replace(name, '\"', '\"\"') || "
    "'\"')) || ' ' || hex(sha3_query('SELECT * FROM \"' || replace(name, '\"', '\"\"') || '\" ORDER BY ' || (SELECT group_concat(cid + 1) FROM "
    "pragma_table_info(s.name)))) FROM sqlite_schema s WHERE type = 'table' AND name NOT LIKE 'sqlite_stat%' AND sql IS NOT NULL ORDER BY name;\n";

/* Beside what .dump says: numbers of the file that belong to the application. */
static const char dump[] =
    ".bail on\n.dump --preserve-rowids\n"
    "SELECT 'PRAGMA user_version=' || user_version || ';' FROM pragma_user_version;\n"
    "SELECT 'PRAGMA application_id=' || application_id || ';' FROM pragma_application_id;\n";

static const char check[] = "PRAGMA integrity_check(1);\nSELECT 'version ' || sqlite_version();\n"
    "SELECT 'size ' || page_count * page_size FROM pragma_page_count, pragma_page_size;\n";

static const char *target_name(const struct made *m)
{
	return m->d->database.to_name ? m->d->database.to_name : m->d->database.name;
}

static int refuse_contents(struct made *m, struct err *e)
{
	json_t *facts;
	bool there;

	if (place_facts(m->r, m->d->to.host, target_name(m), &facts, e) < 0)
		return -1;
	there = strcmp(place_fact(facts, "exists"), "no") != 0 && place_number(facts, "size") != 0;
	json_decref(facts);
	if (!there)
		return 0;
	err_set(e, ERR_REFUSED, "dataset %s: the database %s at host %s is there already", m->d->name, esc_s(target_name(m)), m->d->to.host);
	return err_hint(e, "nothing is fed into it; move it away there, or name another with name_to");
}

/* A shell that is given a name which does not exist makes a database of it: at the source that must not happen. */
static int preflight(struct made *m, json_t *facts, struct err *e)
{
	const struct standing_dataset *s = standing_dataset(&m->r->standing, m->d->name);
	struct made_command c = made_command(check, "sqlite3", "-batch", "-readonly", m->d->database.name, NULL);
	OWN_BUF struct buf out = BUF_INIT;
	int r;

	if (m->d->database.name[0] != '/' || target_name(m)[0] != '/') {
		free(c.argv);
		return err_set(e, ERR_USAGE, "dataset %s: the name of an SQLite database is an absolute path", m->d->name);
	}
	r = c.argv ? made_ask(m, m->d->from.host, &c, ANSWER_MAX, &out, e) : err_set(e, ERR_TEMPORARY, "out of memory");
	free(c.argv);
	if (r < 0)
		return -1;
	buf_puts(&out, "");
	if (buf_finish(&out, e) < 0)
		return -1;
	if (strncmp(out.data, "ok\n", 3) != 0)
		return err_set(e, ERR_INTEGRITY, "dataset %s: SQLite finds %s damaged at the source", m->d->name, esc_s(m->d->database.name));
	(void)json_object_set_new(facts, "database", json_pack("{s:s,s:s}", "driver", "sqlite", "told", esc_s(out.data + 3)));
	return m->d->to.host && (!s || !s->version) ? refuse_contents(m, e) : 0;
}

int driver_sqlite(struct made *m, struct err *e)
{
	struct made_part *p = made_add(m, "database", 1);

	(void)e;
	m->preflight = preflight;
	m->prepare = m->vacant = refuse_contents;
	p->run = made_command(dump, "sqlite3", "-batch", "-readonly", m->d->database.name, NULL);
	p->feed = made_command(NULL, "sqlite3", "-batch", "-bail", target_name(m), NULL);
	p->last = "PRAGMA application_id=";
	p = made_add(m, MADE_FINGERPRINT, 1);
	p->run = made_command(fingerprint, "sqlite3", "-batch", "-readonly", m->d->database.name, NULL);
	p->again = made_command(fingerprint, "sqlite3", "-batch", "-readonly", target_name(m), NULL);
	return 0;
}
