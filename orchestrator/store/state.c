#include "store.h"

#include <inttypes.h>
#include <string.h>

#include <sqlite3.h>
#include <xxhash.h>

#include "esc.h"
#include "log.h"
#include "state_file.h"

enum { PUT, OTHERS, CLEAR, CLEAR_ALL, ANY, GET, SET, STATEMENTS };

static const char *const texts[STATEMENTS] = {
	[PUT] = "INSERT OR REPLACE INTO ack (plan, dataset, pass, key, row, sum) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
	[OTHERS] = "SELECT EXISTS (SELECT 1 FROM ack WHERE (plan, dataset) < (?1, ?2)) OR EXISTS (SELECT 1 FROM ack WHERE (plan, dataset) > (?1, ?2))",
	[CLEAR_ALL] = "DELETE FROM ack",	/* page by page, where a WHERE means row by row */
	[CLEAR] = "DELETE FROM ack WHERE plan = ?1 AND dataset = ?2",
	[ANY] = "SELECT 1 FROM ack LIMIT 1",
	[GET] = "SELECT data, sum FROM value WHERE name = ?1",
	[SET] = "INSERT OR REPLACE INTO value (name, data, sum) VALUES (?1, ?2, ?3)",
};
static const char iter_text[] = "SELECT key, row, sum FROM ack WHERE plan = ?1 AND dataset = ?2 AND pass = ?3 ORDER BY key";

struct state {
	sqlite3 *db;
	char *path;			/* owned */
	sqlite3_stmt *st[STATEMENTS];	/* prepared at open, reset after each use */
	uint64_t dropped;
};

struct state_iter {
	struct state *state;		/* borrowed */
	sqlite3_stmt *st;
	char *plan, *dataset;		/* owned: what the checksum covers */
	uint64_t pass, dropped;
};

/* ---- the checksum of a row: over all its columns ---- */

struct part { const void *p; size_t n; };

/* Each hash is the seed of the next, and XXH3 takes in the length. */
static int64_t sum_of(const struct part *parts, size_t n, uint64_t number)
{
	uint64_t h = number;

	for (size_t i = 0; i < n; i++)
		h = XXH3_64bits_withSeed(parts[i].n ? parts[i].p : "", parts[i].n, h);
	return (int64_t)h;
}

static int64_t ack_sum(const char *plan, const char *dataset, uint64_t pass, struct part key, struct part row)
{
	const struct part parts[] = { { plan, strlen(plan) }, { dataset, strlen(dataset) }, key, row };

	return sum_of(parts, 4, pass);
}

static int64_t value_sum(const char *name, struct part data)
{
	const struct part parts[] = { { name, strlen(name) }, data };

	return sum_of(parts, 2, 0);
}

/* ---- statements ---- */

static int fail(struct state *s, const char *what, struct err *e) { return state_file_error(s->db, s->path, what, e); }

/* An empty blob must not become NULL. */
static int bind_blob(sqlite3_stmt *st, int i, struct part p)
{
	return p.n ? sqlite3_bind_blob64(st, i, p.p, p.n, SQLITE_STATIC) : sqlite3_bind_zeroblob(st, i, 0);
}

static struct part column(sqlite3_stmt *st, int i)
{
	const void *p = sqlite3_column_blob(st, i);

	return (struct part){ p ? p : "", (size_t)sqlite3_column_bytes(st, i) };
}

/* Runs a statement that gives no rows; its bindings are over afterwards. */
static int run(struct state *s, sqlite3_stmt *st, const char *what, struct err *e)
{
	int r = sqlite3_step(st) == SQLITE_DONE ? 0 : fail(s, what, e);

	(void)sqlite3_reset(st);
	(void)sqlite3_clear_bindings(st);
	return r;
}

int state_open(struct state **out, const char *path, struct err *e)
{
	struct state *s = calloc(1, sizeof(*s));

	if (!s || !(s->path = strdup(path))) {
		free(s);
		return err_set(e, ERR_TEMPORARY, "state: out of memory");
	}
	if (state_file_open(&s->db, path, e) < 0) {
		state_close(s);
		return -1;
	}
	for (int i = 0; i < STATEMENTS; i++)
		if (sqlite3_prepare_v3(s->db, texts[i], -1, SQLITE_PREPARE_PERSISTENT, &s->st[i], NULL) != SQLITE_OK) {
			fail(s, "prepare", e);
			state_close(s);
			return -1;
		}
	*out = s;
	return 0;
}

void state_close(struct state *s)
{
	if (!s)
		return;
	for (int i = 0; i < STATEMENTS; i++)
		(void)sqlite3_finalize(s->st[i]);
	(void)sqlite3_close_v2(s->db);	/* rolls an open transaction back */
	free(s->path);
	free(s);
}

int state_begin(struct state *s, struct err *e)
{
	return sqlite3_exec(s->db, "BEGIN IMMEDIATE", NULL, NULL, NULL) == SQLITE_OK ? 0 : fail(s, "begin", e);
}

int state_commit(struct state *s, struct err *e)
{
	if (sqlite3_exec(s->db, "COMMIT", NULL, NULL, NULL) == SQLITE_OK)
		return 0;
	fail(s, "commit", e);
	state_rollback(s);
	return -1;
}

void state_rollback(struct state *s)
{
	if (!sqlite3_get_autocommit(s->db))
		(void)sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
}

uint64_t state_dropped(const struct state *s) { return s->dropped; }

int state_ack_put(struct state *s, const char *plan, const char *dataset, uint64_t pass, const void *key, size_t klen,
    const void *row, size_t rlen, struct err *e)
{
	struct part k = { key, klen }, r = { row, rlen };
	sqlite3_stmt *st = s->st[PUT];

	if (pass > INT64_MAX)
		return err_set(e, ERR_BUG, "state: pass number");
	if (sqlite3_bind_text(st, 1, plan, -1, SQLITE_STATIC) != SQLITE_OK ||
	    sqlite3_bind_text(st, 2, dataset, -1, SQLITE_STATIC) != SQLITE_OK ||
	    sqlite3_bind_int64(st, 3, (int64_t)pass) != SQLITE_OK || bind_blob(st, 4, k) != SQLITE_OK ||
	    bind_blob(st, 5, r) != SQLITE_OK ||
	    sqlite3_bind_int64(st, 6, ack_sum(plan, dataset, pass, k, r)) != SQLITE_OK)
		return fail(s, "bind", e);
	return run(s, st, "record an entry", e);
}

static int bind_dataset(struct state *s, sqlite3_stmt *st, const char *plan, const char *dataset, struct err *e)
{
	if (sqlite3_bind_text(st, 1, plan, -1, SQLITE_STATIC) != SQLITE_OK ||
	    sqlite3_bind_text(st, 2, dataset, -1, SQLITE_STATIC) != SQLITE_OK)
		return fail(s, "bind", e);
	return 0;
}

/* Are there rows of any other dataset?  1, 0, -1. */
static int has_others(struct state *s, const char *plan, const char *dataset, struct err *e)
{
	sqlite3_stmt *st = s->st[OTHERS];
	int r;

	if (bind_dataset(s, st, plan, dataset, e) < 0)
		return -1;
	r = sqlite3_step(st) == SQLITE_ROW ? sqlite3_column_int(st, 0) : fail(s, "look at what is recorded", e);
	(void)sqlite3_reset(st);
	(void)sqlite3_clear_bindings(st);
	return r;
}

static int clear_rows(struct state *s, const char *plan, const char *dataset, struct err *e)
{
	int others = has_others(s, plan, dataset, e);

	if (others < 0 || (others && bind_dataset(s, s->st[CLEAR], plan, dataset, e) < 0))
		return -1;
	return run(s, s->st[others ? CLEAR : CLEAR_ALL], "forget a pass", e);
}

int state_ack_clear(struct state *s, const char *plan, const char *dataset, struct err *e)
{
	/* In one transaction: another runner may add rows of its plan at any time. */
	if (state_begin(s, e) < 0)
		return -1;
	if (clear_rows(s, plan, dataset, e) < 0) {
		state_rollback(s);
		return -1;
	}
	return state_commit(s, e);
}

int state_ack_any(struct state *s, bool *any, struct err *e)
{
	int got = sqlite3_step(s->st[ANY]);

	*any = got == SQLITE_ROW;
	if (got != SQLITE_ROW && got != SQLITE_DONE)
		fail(s, "read acknowledgements", e);
	(void)sqlite3_reset(s->st[ANY]);
	return got == SQLITE_ROW || got == SQLITE_DONE ? 0 : -1;
}

int state_ack_iter(struct state *s, const char *plan, const char *dataset, uint64_t pass, struct state_iter **out,
    struct err *e)
{
	struct state_iter *it = calloc(1, sizeof(*it));

	if (!it || !(it->plan = strdup(plan)) || !(it->dataset = strdup(dataset))) {
		state_iter_free(it);
		return err_set(e, ERR_TEMPORARY, "state: out of memory");
	}
	it->state = s;
	it->pass = pass;
	if (sqlite3_prepare_v2(s->db, iter_text, -1, &it->st, NULL) != SQLITE_OK ||
	    sqlite3_bind_text(it->st, 1, it->plan, -1, SQLITE_STATIC) != SQLITE_OK ||
	    sqlite3_bind_text(it->st, 2, it->dataset, -1, SQLITE_STATIC) != SQLITE_OK ||
	    sqlite3_bind_int64(it->st, 3, (int64_t)pass) != SQLITE_OK) {
		fail(s, "prepare", e);
		state_iter_free(it);
		return -1;
	}
	*out = it;
	return 0;
}

int state_iter_next(struct state_iter *it, const void **key, size_t *klen, const void **row, size_t *rlen, struct err *e)
{
	int r;

	while ((r = sqlite3_step(it->st)) == SQLITE_ROW) {
		struct part k = column(it->st, 0), v = column(it->st, 1);

		if (sqlite3_column_int64(it->st, 2) != ack_sum(it->plan, it->dataset, it->pass, k, v)) {
			it->dropped++;
			it->state->dropped++;
			continue;
		}
		*key = k.p;
		*klen = k.n;
		*row = v.p;
		*rlen = v.n;
		return 1;
	}
	if (r != SQLITE_DONE)
		return fail(it->state, "read entries", e);
	if (it->dropped)
		log_warn("%s: %" PRIu64 " damaged rows of %s/%s dropped; their entries are sent again", it->state->path,
		    it->dropped, it->plan, it->dataset);
	it->dropped = 0;
	return 0;
}

void state_iter_free(struct state_iter *it)
{
	if (!it)
		return;
	(void)sqlite3_finalize(it->st);
	free(it->plan);
	free(it->dataset);
	free(it);
}

int state_get(struct state *s, const char *name, struct buf *b, struct err *e)
{
	sqlite3_stmt *st = s->st[GET];
	int r = -1;

	if (sqlite3_bind_text(st, 1, name, -1, SQLITE_STATIC) != SQLITE_OK)
		return fail(s, "bind", e);
	switch (sqlite3_step(st)) {
	case SQLITE_DONE:
		r = 0;
		break;
	case SQLITE_ROW: {
		struct part data = column(st, 0);

		r = sqlite3_column_int64(st, 1) == value_sum(name, data);
		if (r) {
			buf_put(b, data.p, data.n);
			r = buf_finish(b, e) < 0 ? -1 : 1;
		} else {
			s->dropped++;
			log_warn("%s: the value %s is damaged and taken as absent", s->path, name);
		}
		break;
	}
	default:
		fail(s, "read a value", e);
	}
	(void)sqlite3_reset(st);
	(void)sqlite3_clear_bindings(st);
	return r;
}

int state_names(struct state *s, const char *prefix, int (*fn)(void *ctx, const char *name), void *ctx, struct err *e)
{
	sqlite3_stmt *st = NULL;
	int r, n = (int)strlen(prefix);

	if (sqlite3_prepare_v2(s->db, "SELECT name FROM value WHERE substr(name, 1, ?1) = ?2 ORDER BY name", -1, &st, NULL) != SQLITE_OK ||
	    sqlite3_bind_int(st, 1, n) != SQLITE_OK || sqlite3_bind_text(st, 2, prefix, n, SQLITE_STATIC) != SQLITE_OK) {
		r = fail(s, "read the names", e);
		(void)sqlite3_finalize(st);
		return r;
	}
	while ((r = sqlite3_step(st)) == SQLITE_ROW) {
		const char *name = (const char *)sqlite3_column_text(st, 0);

		if (name && fn(ctx, name) != 0)
			break;
	}
	r = r == SQLITE_ROW || r == SQLITE_DONE ? 0 : fail(s, "read the names", e);
	(void)sqlite3_finalize(st);
	return r;
}

int state_set(struct state *s, const char *name, const void *p, size_t n, struct err *e)
{
	struct part data = { p, n };
	sqlite3_stmt *st = s->st[SET];

	if (sqlite3_bind_text(st, 1, name, -1, SQLITE_STATIC) != SQLITE_OK || bind_blob(st, 2, data) != SQLITE_OK ||
	    sqlite3_bind_int64(st, 3, value_sum(name, data)) != SQLITE_OK)
		return fail(s, "bind", e);
	return run(s, st, "record a value", e);
}
