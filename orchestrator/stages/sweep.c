#include "sweep.h"

#include <inttypes.h>
#include <string.h>

#include "history.h"
#include "log.h"
#include "objects.h"
#include "pack.h"
#include "u64set.h"

#define DUE "sweep"	/* in state.db: "1" when something may have to go */

static void attempt_name(const struct run *r, const struct plan_dataset *d, char out[200])
{
	(void)snprintf(out, 200, "attempt/%s/%s", r->plan->name, d->name);
}

/* 1 = set to something, 0 = not, -1 */
static int is_set(struct run *r, const char *name, struct err *e)
{
	OWN_BUF struct buf b = BUF_INIT;
	int got = state_get(r->w->state, name, &b, e);

	return got < 0 ? -1 : got == 1 && b.len > 0;
}

int sweep_note(struct run *r, const struct plan_dataset *d, struct err *e)
{
	char name[200];
	int again;

	attempt_name(r, d, name);
	if ((again = is_set(r, name, e)) < 0)
		return -1;
	return again ? state_set(r->w->state, DUE, "1", 1, e) : state_set(r->w->state, name, "1", 1, e);
}

/* ---- what is named ---- */

struct marks { struct run *r; struct history *h; struct u64set named; struct err *e; };

/* Another object of the same key stays as well: a collision keeps, it never removes. */
static int mark(struct marks *m, const uint8_t id[DIGEST_LEN])
{
	return u64set_add(&m->named, u64set_key(id, DIGEST_LEN)) < 0 ? err_sys(m->e, "sweep") : 0;
}

static int mark_slices(struct marks *m, const struct object_id *id)
{
	OWN_RECIPE struct recipe rc = RECIPE_INIT;
	OWN_BUF struct buf b = BUF_INIT;

	if (store_get_bytes(m->r->w->store, STORE_RECIPE, id, RECIPE_BYTES_MAX, &b, m->e) < 0 ||
	    recipe_decode(&rc, b.data ? b.data : "", b.len, m->e) < 0)
		return -1;
	for (size_t i = 0; i < rc.count; i++)
		if (!rc.parts[i].hole && mark(m, rc.parts[i].slice) < 0)
			return -1;
	return 0;
}

static int mark_list(struct marks *m, const struct buf *text)
{
	OWN_OBJECTS struct objects o = OBJECTS_INIT;

	if (objects_parse(&o, text->data, text->len, m->e) < 0)
		return -1;
	for (size_t i = 0; i < o.run_count; i++) {
		const struct location *at = &o.runs[i].at;
		bool known = u64set_has(&m->named, u64set_key(at->id.sha256, DIGEST_LEN));

		if (mark(m, at->id.sha256) < 0 || (at->kind == LOCATION_RECIPE && !known && mark_slices(m, &at->id) < 0))
			return -1;
	}
	for (size_t i = 0; i < o.attr_count; i++)
		if (mark(m, o.attrs[i].sha256) < 0)
			return -1;
	return 0;
}

struct commit_lists { struct marks *m; const char *oid; int count; };

static int mark_file(void *ctx, const char *path)
{
	struct commit_lists *c = ctx;
	const char *last = strrchr(path, '/');
	OWN_BUF struct buf text = BUF_INIT;

	if (!last || strcmp(last, "/objects") != 0)
		return 0;
	c->count++;
	if (history_read(c->m->h, c->oid, path, &text, c->m->e) != 1 || buf_finish(&text, c->m->e) < 0 || mark_list(c->m, &text) < 0) {
		if (c->m->e->class == ERR_NONE)
			err_set(c->m->e, ERR_INTEGRITY, "%s of commit %s is missing", path, c->oid);
		return -1;
	}
	return 0;
}

static int mark_tag(void *ctx, const char *name, const char *oid)
{
	struct commit_lists c = { ctx, oid, 0 };

	if (history_list(c.m->h, oid, "datasets", mark_file, &c, c.m->e) < 0 || c.m->e->class != ERR_NONE)
		return -1;
	return c.count ? 0 : err_set(c.m->e, ERR_INTEGRITY, "version %s names no objects list", name);
}

static int mark_plan(void *ctx, const char *plan)
{
	struct marks *m = ctx;
	char oid[HISTORY_OID];
	struct commit_lists c = { m, oid, 0 };
	int got = history_head(m->h, plan, oid, m->e);

	if (got == 1 && history_list(m->h, oid, "datasets", mark_file, &c, m->e) < 0)
		return -1;
	return got < 0 || m->e->class != ERR_NONE ? -1 : 0;
}

static int mark_all(struct marks *m, struct err *e)
{
	OWN_FREE char *dir = NULL;

	if (asprintf(&dir, "%s/ledger.git", m->r->w->dir) < 0)
		return err_sys(e, "sweep");
	if (history_open(&m->h, dir, e) < 0 || history_plans(m->h, mark_plan, m, e) < 0 || e->class != ERR_NONE ||
	    history_tags(m->h, NULL, mark_tag, m, e) < 0)
		return -1;
	return e->class == ERR_NONE ? 0 : -1;
}

static bool is_named(void *ctx, enum store_kind k, const struct object_id *id)
{
	(void)k;
	return u64set_has(&((struct marks *)ctx)->named, u64set_key(id->sha256, DIGEST_LEN));
}

/* ---- sweeping ---- */

/* 1 = it may be done now, 0 = another time */
static int may_sweep(struct run *r, struct err *e)
{
	OWN_FREE char *own = NULL;
	bool any;

	if (asprintf(&own, "%s/store", r->w->dir) < 0)
		return err_sys(e, "sweep");
	if (strcmp(own, store_dir(r->w->store)) != 0)	/* other ledgers may name what lies there */
		return 0;
	return state_ack_any(r->w->state, &any, e) < 0 ? -1 : !any;
}

/* 1 = done and written down; 0 = could not be done, *why; -1 = the ledger failed. */
static int sweep_now(struct run *r, const char *stage, struct err *why, struct err *e)
{
	struct marks m = { r, NULL, U64SET_INIT, why };
	struct store_sweep w = { is_named, &m, false };
	uint64_t objects, bytes;
	int res = 0;

	if (mark_all(&m, why) == 0 && store_sweep(r->w->store, &w, &objects, &bytes, why) == 0)
		res = 1;
	if (res == 1 && objects) {
		if (run_event(r, NULL, stage, "swept", json_pack("{s:I,s:I}", "objects", (json_int_t)objects, "bytes", (json_int_t)bytes), e,
		    "%" PRIu64 " objects of the archive that no version names are removed, %" PRIu64 " bytes", objects, bytes) < 0) {
			res = -1;
		} else {
			w.remove = true;
			res = store_sweep(r->w->store, &w, &objects, &bytes, why) == 0;
		}
	}
	history_close(m.h);
	u64set_dispose(&m.named);
	return res;
}

int sweep_after(struct run *r, const struct plan_dataset *d, const char *stage, struct err *e)
{
	struct err why = ERR_INIT;
	char name[200];
	bool alone = false;
	int res;

	attempt_name(r, d, name);
	if (state_set(r->w->state, name, "", 0, e) < 0 || (res = is_set(r, DUE, e)) < 0 || (res && (res = may_sweep(r, e)) < 0))
		return -1;
	if (res == 0)
		return 0;
	if (store_alone(r->w->store, &alone, e) < 0)
		return -1;
	if (!alone)
		return 0;
	res = sweep_now(r, stage, &why, e);
	if (res == 0)
		log_warn("objects that no version names stay in the archive for now: %s", why.text);
	if (store_share(r->w->store, res < 0 ? &why : e) < 0 || res < 0)
		return -1;
	return res ? state_set(r->w->state, DUE, "", 0, e) : 0;
}
