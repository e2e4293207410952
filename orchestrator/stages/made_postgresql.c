/*
 * PostgreSQL by its own clients: pg_dump and psql, pg_dumpall for roles.  How a host's server is reached is that host's business:
 * the variables, ~/.pgpass and ~/.pg_service.conf of the user; the plan's name may be a connection string ("service=app") without a password.
 */
#include "made.h"

#include <inttypes.h>
#include <string.h>

#include "esc.h"
#include "log.h"
#include "made_postgresql.h"

#define ANSWER_MAX (1u << 20)
#define OWN_SCHEMAS POSTGRESQL_OWN_SCHEMAS
#define ACL POSTGRESQL_ACL
#define SUM(what) "coalesce(sum(('x' || substr(md5(" what "), 1, 16))::bit(64)::bigint), 0) || ' ' || " \
	"coalesce(sum(('x' || substr(md5(" what "), 17, 16))::bit(64)::bigint), 0)"

/*
 * One line for each thing, "key TAB value"; nothing in it depends on the order of rows, on oids, or on what the session would
 * print otherwise.
 */
static const char fingerprint[] =
    "SET client_min_messages = error; SET timezone = 'UTC'; SET datestyle = 'ISO, YMD'; SET intervalstyle = 'postgres';\n"
    "SET bytea_output = 'hex'; SET extra_float_digits = 3; SET lc_monetary = 'C'; SET search_path = pg_catalog;\n"
    "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;\n"
    "SELECT 'database' || E'\\t' || pg_encoding_to_char(encoding) || ' ' || datcollate || ' ' || datctype || ' owner ' || "
    "pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database();\n"
    "SELECT 'extension ' || extname || E'\\tthere' FROM pg_extension ORDER BY 1;\n"
    "SELECT 'schema ' || nspname || E'\\towner ' || pg_get_userbyid(nspowner) || ' grants ' || " ACL("nspacl", "'n'", "nspowner")
    " FROM pg_namespace n WHERE " OWN_SCHEMAS " ORDER BY 1;\n"
    "SELECT format($q$SELECT %L || E'\\t' || count(*) || ' rows ' || " SUM("t::text") " FROM ONLY %I.%I t$q$, "
    "'table ' || n.nspname || '.' || c.relname, n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
    "WHERE c.relkind IN ('r', 'm') AND " OWN_SCHEMAS " ORDER BY n.nspname, c.relname \\gexec\n"
    "SELECT 'sequence ' || schemaname || '.' || sequencename || E'\\t' || coalesce(last_value::text, 'unused') || ' ' || start_value || "
    "' ' || increment_by || ' ' || min_value || ' ' || max_value || ' ' || cycle FROM pg_sequences ORDER BY 1;\n"
    "SELECT E'large objects\\t' || count(*) || ' ' || " SUM("oid::text || ':' || md5(lo_get(oid))") " FROM pg_largeobject_metadata;\n"
    "SELECT 'relation ' || n.nspname || '.' || c.relname || E'\\t' || c.relkind::text || ' owner ' || pg_get_userbyid(c.relowner) || ' grants ' || "
    ACL("c.relacl", "CASE c.relkind WHEN 'S' THEN 's'::\"char\" ELSE 'r'::\"char\" END", "c.relowner") " || ' columns ' || md5(coalesce("
    "(SELECT string_agg(attname || ' ' || format_type(atttypid, atttypmod) || ' ' || attnotnull, ',' ORDER BY attnum) FROM pg_attribute "
    "WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped), '')) || CASE WHEN c.relkind IN ('v', 'm') THEN ' ' || "
    "md5(pg_get_viewdef(c.oid)) ELSE '' END FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN "
    "('r', 'm', 'v', 'S', 'p', 'f') AND " OWN_SCHEMAS " ORDER BY 1;\n"
    "SELECT 'index ' || n.nspname || '.' || c.relname || E'\\t' || md5(pg_get_indexdef(c.oid)) FROM pg_class c JOIN pg_namespace n ON "
    "n.oid = c.relnamespace WHERE c.relkind = 'i' AND " OWN_SCHEMAS " ORDER BY 1;\n"
    "SELECT 'constraint ' || n.nspname || '.' || coalesce(r.relname, '') || '.' || k.conname || E'\\t' || md5(pg_get_constraintdef(k.oid)) "
    "FROM pg_constraint k JOIN pg_namespace n ON n.oid = k.connamespace LEFT JOIN pg_class r ON r.oid = k.conrelid WHERE " OWN_SCHEMAS
    " ORDER BY 1;\n"
    "SELECT 'trigger ' || n.nspname || '.' || c.relname || '.' || t.tgname || E'\\t' || t.tgenabled::text || ' ' || md5(pg_get_triggerdef(t.oid)) "
    "FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE NOT t.tgisinternal AND "
    OWN_SCHEMAS " ORDER BY 1;\n"
    "SELECT 'function ' || n.nspname || '.' || p.proname || '(' || pg_get_function_identity_arguments(p.oid) || E')\\towner ' || "
    "pg_get_userbyid(p.proowner) || ' ' || md5(pg_get_functiondef(p.oid)) FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace "
    "WHERE p.prokind IN ('f', 'p') AND " OWN_SCHEMAS " ORDER BY 1;\n";

static const char fingerprint_roles[] =
    "SELECT 'role ' || rolname || E'\\tsuper ' || rolsuper || ' inherit ' || rolinherit || ' createrole ' || rolcreaterole || ' createdb ' || "
    "rolcreatedb || ' login ' || rolcanlogin || ' member of ' || coalesce((SELECT string_agg(g.rolname, ',' ORDER BY g.rolname) FROM "
    "pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid WHERE m.member = r.oid), 'none') FROM pg_roles r WHERE rolname !~ '^pg_' "
    "ORDER BY 1;\n";

/* What a new database of that kind is made with; the name of the second one is put in by the source. */
static const char create_sql[] =
    "SELECT format('CREATE DATABASE %I TEMPLATE template0 ENCODING %L LC_COLLATE %L LC_CTYPE %L OWNER %I', :'name', "
    "pg_encoding_to_char(encoding), datcollate, datctype, pg_get_userbyid(datdba)) FROM pg_database WHERE datname = current_database();\n";

static const char facts_sql[] =
    "SELECT 'version ' || current_setting('server_version_num'); SELECT 'name ' || current_database();\n"
    "SELECT 'encoding ' || pg_encoding_to_char(encoding) || ' ' || datcollate || ' ' || datctype FROM pg_database WHERE datname = current_database();\n"
    "SELECT 'size ' || pg_database_size(current_database());\n"
    "SELECT 'tablespaces ' || coalesce(string_agg(quote_ident(spcname), ', ' ORDER BY spcname), '') FROM pg_tablespace WHERE spcname NOT IN "
    "('pg_default', 'pg_global') AND oid IN (SELECT dattablespace FROM pg_database WHERE datname = current_database() UNION ALL SELECT "
    "reltablespace FROM pg_class);\n"
    "SELECT 'extensions ' || coalesce(string_agg(extname, ' ' ORDER BY extname), '') FROM pg_extension;\n";

static const char target_sql[] =
    "SELECT 'version ' || current_setting('server_version_num');\n"
    "SELECT 'available ' || string_agg(name, ' ' ORDER BY name) FROM pg_available_extensions;\n"
    "SELECT 'exists ' || count(*) FROM pg_database WHERE datname = :'name';\n";

static const char contents_sql[] =
    "SELECT count(*) FROM (SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE " OWN_SCHEMAS " UNION ALL "
    "SELECT 1 FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE " OWN_SCHEMAS " AND NOT EXISTS (SELECT 1 FROM pg_depend "
    "d WHERE d.objid = p.oid AND d.deptype = 'e') UNION ALL SELECT 1 FROM pg_largeobject_metadata) x;\n";

static const char *target_name(const struct made *m)
{
	return m->d->database.to_name ? m->d->database.to_name : m->d->database.name;
}

/* The server beside the database: a connection string keeps what it says of the place. */
static const char *maintenance(struct made *m, const char *name)
{
	return strchr(name, '=') ? made_word(m, "%s dbname=postgres", name) : "postgres";
}

/* psql without start-up file, prompts and decoration; sql on standard input. */
static struct made_command psql(const char *sql, const char *db, const char *set)
{
	return made_command(sql, "psql", "-X", "-q", "-w", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", db, set ? "-v" : NULL, set, NULL);
}

static int ask(struct made *m, const char *host, const char *db, const char *set, const char *sql, struct buf *out, struct err *e)
{
	struct made_command c = psql(sql, db, set);
	int r = c.argv && db ? made_ask(m, host, &c, ANSWER_MAX, out, e) : err_set(e, ERR_TEMPORARY, "out of memory");

	free(c.argv);
	buf_puts(out, "");
	return r < 0 ? -1 : buf_finish(out, e);
}

/* The value of a line "key value" of an answer; "" when there is none.  Owned by the caller. */
static char *fact(const struct buf *b, const char *key)
{
	size_t n = strlen(key);

	for (const char *at = b->data ? b->data : ""; *at; at += strcspn(at, "\n"), at += *at == '\n')
		if (strncmp(at, key, n) == 0 && at[n] == ' ')
			return strndup(at + n + 1, strcspn(at + n + 1, "\n"));
	return strdup("");
}

static int refuse_contents(struct made *m, struct err *e)
{
	OWN_BUF struct buf b = BUF_INIT;

	if (ask(m, m->d->to.host, target_name(m), NULL, contents_sql, &b, e) < 0)
		return -1;
	if (strtoull(b.data, NULL, 10) == 0)
		return 0;
	err_set(e, ERR_REFUSED, "dataset %s: the database %s at host %s is not empty", m->d->name, esc_s(target_name(m)), m->d->to.host);
	return err_hint(e, "nothing is fed into it; drop or rename it there, or name another with name_to");
}

/* The name of the database itself, which a connection string may not hold. */
static char *plain_name(struct made *m, struct err *e)
{
	OWN_BUF struct buf b = BUF_INIT;
	char *name;

	if (!strchr(target_name(m), '=')) {
		name = strdup(target_name(m));
	} else {
		if (ask(m, m->d->from.host, m->d->database.name, NULL, facts_sql, &b, e) < 0)
			return NULL;
		name = fact(&b, "name");
	}
	if (!name)
		(void)err_sys(e, "database");
	return name;
}

static int exists(struct made *m, const char *name, struct buf *facts, bool *there, struct err *e)
{
	OWN_FREE char *found = NULL;
	const char *set = made_word(m, "name=%s", name);

	if (!set || ask(m, m->d->to.host, maintenance(m, target_name(m)), set, target_sql, facts, e) < 0)
		return set ? -1 : err_sys(e, "database");
	found = fact(facts, "exists");
	*there = found && strcmp(found, "0") != 0;
	return 0;
}

/* The words of the lines "key word" of an answer, with commas. */
static void list_of(const struct buf *b, const char *key, struct buf *out)
{
	size_t n = strlen(key);

	for (const char *at = b->data; *at; at += strcspn(at, "\n"), at += *at == '\n')
		if (strncmp(at, key, n) == 0 && at[n] == ' ')
			buf_printf(out, "%s%.*s", out->len ? ", " : "", (int)strcspn(at + n + 1, "\n"), at + n + 1);
	buf_puts(out, "");
}

/* Roles and parameters that the source needs and the target's server does not have. */
static int check_needs(struct made *m, struct err *e)
{
	OWN_BUF struct buf sql = BUF_INIT, missing = BUF_INIT, roles = BUF_INIT, settings = BUF_INIT;

	if (ask(m, m->d->from.host, m->d->database.name, NULL, postgresql_needs, &sql, e) < 0 ||
	    ask(m, m->d->to.host, maintenance(m, target_name(m)), NULL, sql.data, &missing, e) < 0)
		return -1;
	list_of(&missing, "role", &roles);
	list_of(&missing, "setting", &settings);
	if (buf_finish(&roles, e) < 0 || buf_finish(&settings, e) < 0)
		return -1;
	if (roles.len) {
		err_set(e, ERR_REFUSED, "dataset %s: roles that own something in the database, or are granted it, do not exist at host %s: %s",
		    m->d->name, m->d->to.host, esc_s(roles.data));
		return err_hint(e, "make them there, or let the plan say globals: yes");
	}
	if (!settings.len)
		return 0;
	err_set(e, ERR_REFUSED, "dataset %s: the database has settings that the server at host %s does not know: %s", m->d->name, m->d->to.host,
	    esc_s(settings.data));
	return err_hint(e, "take them off at the source (ALTER DATABASE ... RESET), or install there what brings them");
}

/* An empty database of the same encoding, collation and owner; roles are there already. */
static int prepare(struct made *m, struct err *e)
{
	OWN_BUF struct buf facts = BUF_INIT, sql = BUF_INIT, out = BUF_INIT;
	OWN_FREE char *name = plain_name(m, e);
	bool there;

	if (!name || check_needs(m, e) < 0 || exists(m, name, &facts, &there, e) < 0)
		return -1;
	if (there)
		return refuse_contents(m, e);
	if (ask(m, m->d->from.host, m->d->database.name, made_word(m, "name=%s", name), create_sql, &sql, e) < 0)
		return -1;
	return ask(m, m->d->to.host, maintenance(m, target_name(m)), NULL, sql.data, &out, e);
}

static int vacant(struct made *m, struct err *e)
{
	OWN_BUF struct buf facts = BUF_INIT;
	OWN_FREE char *name = plain_name(m, e);
	bool there;

	if (!name || exists(m, name, &facts, &there, e) < 0)
		return -1;
	return there ? refuse_contents(m, e) : 0;
}

/* ---- preflight ---- */

static int check_extensions(struct made *m, const char *wanted, const char *available, struct err *e)
{
	OWN_FREE char *copy = strdup(wanted), *have = NULL;
	char *save = NULL;

	if (!copy || asprintf(&have, " %s ", available) < 0)
		return err_sys(e, "extensions");
	for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
		OWN_FREE char *word = NULL;

		if (asprintf(&word, " %s ", w) < 0)
			return err_sys(e, "extensions");
		if (!strstr(have, word)) {
			err_set(e, ERR_REFUSED, "dataset %s: the extension %s cannot be had at host %s", m->d->name, esc_s(w), m->d->to.host);
			return err_hint(e, "install its package there");
		}
	}
	return 0;
}

static int check_target(struct made *m, const struct buf *from, json_t *facts, struct err *e)
{
	OWN_BUF struct buf to = BUF_INIT;
	OWN_FREE char *name = plain_name(m, e), *wanted = fact(from, "extensions"), *had = NULL, *old = fact(from, "version"), *now = NULL;
	const struct standing_dataset *s = standing_dataset(&m->r->standing, m->d->name);
	bool there;

	if (!name || exists(m, name, &to, &there, e) < 0)
		return -1;
	had = fact(&to, "available");
	now = fact(&to, "version");
	if (!wanted || !had || !old || !now)
		return err_sys(e, "preflight");
	(void)json_object_set_new(facts, "to", json_pack("{s:s,s:b}", "version", now, "database", there));
	if (strtoul(now, NULL, 10) / 10000 < strtoul(old, NULL, 10) / 10000)
		return err_set(e, ERR_REFUSED, "dataset %s: PostgreSQL %s at host %s is older than %s at the source", m->d->name, now, m->d->to.host, old);
	/* What an earlier run of this plan brought is no obstacle to live passes; the freeze refuses it. */
	if (there && (!s || !s->version) && refuse_contents(m, e) < 0)
		return -1;
	/* With globals, the feed makes the roles; what is missing afterwards is refused then. */
	if (!m->d->database.globals && check_needs(m, e) < 0)
		return -1;
	return check_extensions(m, wanted, had, e);
}

static int preflight(struct made *m, json_t *facts, struct err *e)
{
	OWN_BUF struct buf from = BUF_INIT;
	OWN_FREE char *version = NULL, *encoding = NULL, *size = NULL, *extensions = NULL, *tablespaces = NULL;

	if (ask(m, m->d->from.host, m->d->database.name, NULL, facts_sql, &from, e) < 0)
		return -1;
	version = fact(&from, "version");
	encoding = fact(&from, "encoding");
	size = fact(&from, "size");
	extensions = fact(&from, "extensions");
	tablespaces = fact(&from, "tablespaces");
	if (!version || !encoding || !size || !extensions || !tablespaces)
		return err_sys(e, "preflight");
	(void)json_object_set_new(facts, "database", json_pack("{s:s,s:s,s:s,s:s,s:s,s:s}", "driver", "postgresql", "version", version,
	    "encoding", encoding, "size", size, "extensions", extensions, "tablespaces", tablespaces));
	if (*tablespaces)
		log_warn("dataset %s: the database uses the tablespaces %s, which are not carried: what lies in them goes to the default tablespace",
		    m->d->name, esc_s(tablespaces));
	return m->d->to.host ? check_target(m, &from, facts, e) : 0;
}

static void add_globals(struct made *m, const char *server, const char *to_server)
{
	struct made_part *p = made_add(m, "globals", 0);

	p->run = made_command(NULL, "pg_dumpall", "-w", "--globals-only", "--no-tablespaces", "-d", strchr(server, '=') ? server : "dbname=postgres", NULL);
	/* Roles that are there already are errors here, and no reason to stop: the fingerprint has every role. */
	p->feed = made_command(NULL, "psql", "-X", "-q", "-w", "-d", to_server, NULL);
	p->last = "PostgreSQL database cluster dump complete";
}

int driver_postgresql(struct made *m, struct err *e)
{
	const struct plan_database *db = &m->d->database;
	const char *server = maintenance(m, db->name), *script = made_word(m, "%s%s%s", fingerprint,
	    postgresql_whole_fingerprint, db->globals ? fingerprint_roles : "");
	const char *to = target_name(m), *to_server = maintenance(m, to);
	struct made_part *p;

	if (!server || !to_server || !script)
		return err_sys(e, "database");
	m->preflight = preflight;
	m->prepare = prepare;
	m->vacant = vacant;
	p = made_add(m, "database", 1);
	p->run = made_command(NULL, "pg_dump", "-w", "--no-tablespaces", "-d", db->name, NULL);
	p->feed = made_command(NULL, "psql", "-X", "-q", "-w", "-v", "ON_ERROR_STOP=1", "--single-transaction", "-d", to, NULL);
	p->last = "PostgreSQL database dump complete";
	p = made_add(m, MADE_FINGERPRINT, 1);
	p->run = psql(script, db->name, NULL);
	p->again = psql(script, to, NULL);
	if (db->globals)
		add_globals(m, server, to_server);
	/* After the data: a setting must not be in force while they are fed. */
	p = made_add(m, "settings", 1);
	p->run = psql(postgresql_whole, db->name, NULL);
	p->feed = made_command(NULL, "psql", "-X", "-q", "-w", "-A", "-t", "-v", "ON_ERROR_STOP=1", "--single-transaction", "-d", to, NULL);
	p->last = POSTGRESQL_WHOLE_LAST;
	return 0;
}
