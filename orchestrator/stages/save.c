#include "save.h"

#include <inttypes.h>
#include <string.h>

#include "activation.h"
#include "derived_name.h"
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
	OWN_FREE char *aside = activation_set_aside_path(r, d);
	char suffix[20], name[DERIVED_NAME];
	struct plan_dataset at = *d;
	struct act a = { .r = r, .d = &at };

	if (!aside)
		return err_sys(e, "save");
	/* The round that was rolled back: the one before this. */
	(void)snprintf(suffix, sizeof(suffix), "-saved-%u", r->standing.round - 1);
	if (derived_name(d->name, suffix, name, e) < 0)
		return -1;
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

const struct plan_dataset *save_dataset(struct run *r, const char *name)
{
	const struct plan_dataset *d = plan_dataset(r->plan, name), *from;
	const struct standing_dataset *s = standing_dataset(&r->standing, name);

	struct err none = ERR_INIT;

	if (d || !s || !s->version || derived_from(r->plan, name, &from, &none) < 0 || !from)
		return d;
	if (!r->derived && !(r->derived = calloc(1, sizeof(*r->derived))))
		return NULL;
	*r->derived = *from;
	r->derived->name = s->name;
	r->derived->to = (struct plan_place){ NULL, NULL };
	return r->derived;
}
