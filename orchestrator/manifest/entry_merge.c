#include "manifest.h"

#include <string.h>

struct side {
	entry_next_fn next;
	void *ctx;
	struct entry en, before;	/* before: owns the path that order is checked against */
	int state;			/* 1 = en is valid, 0 = ended */
};

static void side_dispose(struct side *s)
{
	entry_dispose(&s->en);
	entry_dispose(&s->before);
}

/* Two streams out of order would be taken for differences: better to stop. */
static int advance(struct side *s, struct err *e)
{
	struct entry t = s->before;

	s->before = s->en;
	s->en = t;
	entry_dispose(&s->en);
	s->state = s->next(s->ctx, &s->en, e);
	if (s->state < 0)
		return -1;
	if (s->state > 0 && s->before.path && entry_cmp(&s->before, &s->en) >= 0)
		return err_set(e, ERR_INTEGRITY, "entries to be merged are not in walk order");
	return 0;
}

static int step(struct side *a, struct side *b, entry_merge_fn fn, void *ctx, struct err *e)
{
	int c = !b->state ? -1 : !a->state ? 1 : entry_cmp(&a->en, &b->en);

	if (fn(ctx, c <= 0 ? &a->en : NULL, c >= 0 ? &b->en : NULL, e) != 0)
		return -1;
	if (c <= 0 && advance(a, e) < 0)
		return -1;
	if (c >= 0 && advance(b, e) < 0)
		return -1;
	return 0;
}

int entry_merge(entry_next_fn a, void *actx, entry_next_fn b, void *bctx, entry_merge_fn fn, void *ctx, struct err *e)
{
	OWN(side_dispose) struct side sa = { a, actx, ENTRY_INIT, ENTRY_INIT, 0 };
	OWN(side_dispose) struct side sb = { b, bctx, ENTRY_INIT, ENTRY_INIT, 0 };

	if (advance(&sa, e) < 0 || advance(&sb, e) < 0)
		return -1;
	while (sa.state || sb.state)
		if (step(&sa, &sb, fn, ctx, e) < 0)
			return -1;
	return 0;
}
