#include "save.h"

#include <inttypes.h>
#include <string.h>

#include "activation.h"
#include "log.h"
#include "pass.h"
#include "persist.h"

struct act { struct run *r; const struct plan_dataset *d; struct pass_result res; bool again; };

static int pass_once(void *ctx, struct err *e)
{
	struct act *a = ctx;

	if (a->again && run_next_epoch(a->r, e) < 0)
		return -1;
	a->again = true;
	return pass_run(a->r, a->d, "copy", &a->res, e);
}

static int save_one(struct run *r, const struct plan_dataset *d, struct err *e)
{
	OWN_FREE char *aside = activation_set_aside_path(r, d), *name = NULL;
	struct plan_dataset at = *d;
	struct act a = { .r = r, .d = &at };

	/* The round that was rolled back: the one before this. */
	if (!aside || asprintf(&name, "%.40s-saved-%u", d->name, r->standing.round - 1) < 0)
		return err_sys(e, "save");
	at.name = name;
	at.from = d->to;
	if (d->files.activate != ACTIVATE_IN_PLACE)
		at.from.path = aside;
	at.to = (struct plan_place){ NULL, NULL };
	if (persist(r, pass_once, &a, e) < 0)
		return err_at(e, "dataset %s could not be saved", d->name);
	log_warn("what %s held at the target is kept: waybill restore %s %s --to DIR (%" PRIu64 " entries)", d->name, r->plan->name, name, a.res.totals.entries);
	return 0;
}

int save_rolled_back(struct run *r, struct err *e)
{
	int failed = 0;

	for (size_t i = 0; i < r->plan->rollback.save.n; i++) {
		struct err one = ERR_INIT;

		if (save_one(r, plan_dataset(r->plan, r->plan->rollback.save.v[i]), &one) < 0)
			failed = run_failed_too(&one, failed, e);
	}
	return failed;
}

/* "www" of "www-rehearsal" and "www-saved-2". */
static const struct plan_dataset *origin(const struct plan *p, const char *name)
{
	const struct plan_dataset *best = NULL;

	for (size_t i = 0; i < p->ndatasets; i++) {
		const char *one = p->datasets[i].name;
		size_t n = strlen(one);

		if (strncmp(name, one, n) == 0 && (strcmp(name + n, "-rehearsal") == 0 || strncmp(name + n, "-saved-", 7) == 0))
			best = &p->datasets[i];
	}
	return best;
}

const struct plan_dataset *save_dataset(struct run *r, const char *name)
{
	const struct plan_dataset *d = plan_dataset(r->plan, name), *from;
	const struct standing_dataset *s = standing_dataset(&r->standing, name);

	if (d || !s || !s->version || !(from = origin(r->plan, name)))
		return d;
	if (!r->derived && !(r->derived = calloc(1, sizeof(*r->derived))))
		return NULL;
	*r->derived = *from;
	r->derived->name = s->name;
	r->derived->to = (struct plan_place){ NULL, NULL };
	return r->derived;
}
