#include "resend.h"

#include <string.h>

#include "esc.h"

static void name_of(enum verify_side side, const char *plan, const char *dataset, char out[200])
{
	(void)snprintf(out, 200, "%s/%s/%s", side == VERIFY_ARCHIVE ? "resend-archive" : "resend", plan, dataset);
}

static void add_path(struct buf *list, const char *path)
{
	OWN_BUF struct buf raw = BUF_INIT;

	if (path && esc_undo(&raw, path, strlen(path)))
		buf_put_u64(list, u64set_key(raw.data ? raw.data : "", raw.len));
}

int resend_note(struct run *r, const struct verify_result *v, struct err *e)
{
	OWN_BUF struct buf b = BUF_INIT;
	char name[200];

	if (v->side == VERIFY_SOURCE)
		return 0;
	for (size_t i = 0; i < v->difference_count; i++)
		add_path(&b, v->differences[i].path);
	/* What the archive cannot give any more is as bad as what it gives wrong; a target's reason may be another. */
	for (size_t i = 0; v->side == VERIFY_ARCHIVE && i < v->unverified_count; i++)
		add_path(&b, v->unverified[i].path);
	if (v->difference_total > v->difference_count || (v->side == VERIFY_ARCHIVE && v->unverified_total > v->unverified_count))
		buf_put_u64(&b, RESEND_ALL);
	if (buf_finish(&b, e) < 0)
		return -1;
	name_of(v->side, r->plan->name, v->dataset, name);
	return state_set(r->w->state, name, b.data ? b.data : "", b.len, e);
}

int resend_everything(struct run *r, const char *dataset, struct err *e)
{
	const uint64_t all = RESEND_ALL;
	char name[200];

	name_of(VERIFY_TARGET, r->plan->name, dataset, name);
	return state_set(r->w->state, name, &all, sizeof(all), e);
}

int resend_healed(struct run *r, const char *dataset, struct err *e)
{
	char name[200];

	name_of(VERIFY_ARCHIVE, r->plan->name, dataset, name);
	return state_set(r->w->state, name, "", 0, e);
}

static int load(struct state *s, enum verify_side side, const char *plan, const char *dataset, struct u64set *out, struct err *e)
{
	OWN_BUF struct buf b = BUF_INIT;
	struct view v;
	char name[200];

	name_of(side, plan, dataset, name);
	if (state_get(s, name, &b, e) < 0)
		return -1;
	v = view_of(b.data ? b.data : "", b.len);
	while (view_left(&v) >= 8)
		if (u64set_add(out, view_u64(&v)) < 0)
			return err_sys(e, "resend list");
	return 0;
}

int resend_load(const struct workspace *w, struct state *s, const char *plan, const char *dataset, struct u64set *out, struct err *e)
{
	(void)w;
	return load(s, VERIFY_TARGET, plan, dataset, out, e) < 0 ? -1 : load(s, VERIFY_ARCHIVE, plan, dataset, out, e);
}
