#include "resend.h"

#include <string.h>

#include "esc.h"

static void name_of(const char *plan, const char *dataset, char out[200])
{
	(void)snprintf(out, 200, "resend/%s/%s", plan, dataset);
}

int resend_note(struct run *r, const struct verify_result *v, struct err *e)
{
	OWN_BUF struct buf b = BUF_INIT, raw = BUF_INIT;
	char name[200];

	for (size_t i = 0; i < v->difference_count; i++) {
		buf_reset(&raw);
		if (!v->differences[i].path || !esc_undo(&raw, v->differences[i].path, strlen(v->differences[i].path)))
			continue;
		buf_put_u64(&b, u64set_key(raw.data ? raw.data : "", raw.len));
	}
	if (v->difference_total > v->difference_count)
		buf_put_u64(&b, RESEND_ALL);
	if (buf_finish(&b, e) < 0)
		return -1;
	name_of(r->plan->name, v->dataset, name);
	return state_set(r->w->state, name, b.data ? b.data : "", b.len, e);
}

int resend_everything(struct run *r, const char *dataset, struct err *e)
{
	const uint64_t all = RESEND_ALL;
	char name[200];

	name_of(r->plan->name, dataset, name);
	return state_set(r->w->state, name, &all, sizeof(all), e);
}

int resend_load(const struct workspace *w, struct state *s, const char *plan, const char *dataset, struct u64set *out, struct err *e)
{
	OWN_BUF struct buf b = BUF_INIT;
	struct view v;
	char name[200];

	(void)w;
	name_of(plan, dataset, name);
	if (state_get(s, name, &b, e) < 0)
		return -1;
	v = view_of(b.data ? b.data : "", b.len);
	while (view_left(&v) >= 8)
		if (u64set_add(out, view_u64(&v)) < 0)
			return err_sys(e, "resend list");
	return 0;
}
