/* What a plan may say but this build cannot do yet.  A line goes when its feature comes. */
#include "esc.h"
#include "plan.h"

static int no(struct err *e, const struct plan *p, struct plan_pos at, const char *what)
{
	if (at.line > 0)
		return err_set(e, ERR_PERMANENT, "%s:%d:%d: %s: not built yet", esc_s(p->file), at.line, at.column, what);
	return err_set(e, ERR_PERMANENT, "%s: %s: not built yet", esc_s(p->file), what);
}

/* The place of a block dataset is a device that is wiped. */
static bool clears_devices(const struct plan *p)
{
	bool any = p->clear.ndevices > 0;

	for (size_t i = 0; i < p->clear.datasets.n; i++) {
		const struct plan_dataset *d = plan_dataset(p, p->clear.datasets.v[i]);

		any |= d && d->kind == DATASET_BLOCK;
	}
	return any;
}

int plan_not_built(const struct plan *p, struct err *e)
{
	const struct plan_pos nowhere = { 0, 0 };

	for (size_t i = 0; i < p->rehearsal.nto; i++) {
		const struct plan_dataset *d = plan_dataset(p, p->rehearsal.to[i].dataset);

		if (d && d->kind != DATASET_FILES)
			return no(e, p, d->pos, "rehearsal of a dataset that is no files");
	}
	for (size_t i = 0; i < p->rollback.save.n; i++)
		if (plan_dataset(p, p->rollback.save.v[i])->kind != DATASET_FILES)
			return no(e, p, plan_dataset(p, p->rollback.save.v[i])->pos, "rollback.save of datasets other than files");
	if (p->package.encrypt.n)
		return no(e, p, nowhere, "package.encrypt");
	if (!p->archive.keep)
		return no(e, p, nowhere, "archive.keep: no");
	if (p->clear.given && (p->clear.method == METHOD_SANITIZE || p->clear.method == METHOD_CRYPTO) && !clears_devices(p))
		return no(e, p, nowhere, "clear.method sanitize or crypto without clear.devices");
	return 0;
}
