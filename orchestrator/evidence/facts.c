/* What a plan contributes to the statements of a stage. */
#include <string.h>

#include "approval.h"
#include "clock.h"

void facts_dispose(struct facts *f)
{
	free(f->datasets);
	free(f->devices);
	free(f->discards);
	free(f->copies);
	*f = (struct facts)FACTS_INIT;
}

static const char *method_name(enum plan_method m)
{
	static const char *const names[] = { [METHOD_AUTO] = "auto", [METHOD_OVERWRITE] = "overwrite",
		[METHOD_SANITIZE] = "sanitize", [METHOD_CRYPTO] = "crypto" };

	return names[m];
}

static int fill_datasets(struct facts *f, const struct plan *p, bool clear, struct err *e)
{
	size_t n = clear ? p->clear.datasets.n : p->ndatasets;

	if (!(f->datasets = calloc(n ? n : 1, sizeof(*f->datasets))))
		return err_sys(e, "statement");
	for (size_t i = 0; i < n; i++) {
		const struct plan_dataset *d = clear ? plan_dataset(p, p->clear.datasets.v[i]) : &p->datasets[i];

		if (!d)
			return err_set(e, ERR_BUG, "plan %s: clear names no dataset", p->name);
		f->datasets[i].name = d->name;
		f->datasets[i].host = clear ? d->from.host : NULL;
		f->datasets[i].path = clear ? d->from.path : NULL;
		f->datasets[i].block = clear && d->kind == DATASET_BLOCK;
	}
	f->f.datasets = f->datasets;
	f->f.dataset_count = n;
	return 0;
}

static bool has_device(const struct facts *f, const struct plan_place *at)
{
	for (size_t i = 0; i < f->f.device_count; i++)
		if (strcmp(f->devices[i].host, at->host) == 0 && strcmp(f->devices[i].path, at->path) == 0)
			return true;
	return false;
}

/* Those that the plan names, and the places of block datasets, which are wiped in the same way. */
static void fill_devices(struct facts *f, const struct plan *p)
{
	const struct plan_clear *c = &p->clear;

	for (size_t i = 0; i < c->ndevices; i++)
		f->devices[f->f.device_count++] = (struct statement_device){ c->devices[i].at.host, c->devices[i].at.path, c->devices[i].serial };
	for (size_t i = 0; i < c->datasets.n; i++) {
		const struct plan_dataset *d = plan_dataset(p, c->datasets.v[i]);

		if (d && d->kind == DATASET_BLOCK && !has_device(f, &d->from))
			f->devices[f->f.device_count++] = (struct statement_device){ d->from.host, d->from.path, d->block.serial_from };
	}
	f->f.devices = f->devices;
}

static int fill_clear(struct facts *f, const struct plan *p, struct err *e)
{
	const struct plan_clear *c = &p->clear;

	f->devices = calloc(c->ndevices + c->datasets.n + 1, sizeof(*f->devices));
	f->discards = calloc(c->ndiscard + 1, sizeof(*f->discards));
	f->copies = calloc(c->ncopies + 1, sizeof(*f->copies));
	if (!f->devices || !f->discards || !f->copies)
		return err_sys(e, "statement");
	fill_devices(f, p);
	for (size_t i = 0; i < c->ndiscard; i++)
		f->discards[i] = (struct statement_discard){ c->discard[i].dataset, c->discard[i].path, c->discard[i].reason };
	for (size_t i = 0; i < c->ncopies; i++)
		f->copies[i] = (struct statement_copy){ c->copies[i].what, c->copies[i].held_by };
	f->f.discards = f->discards;
	f->f.discard_count = c->ndiscard;
	f->f.copies = f->copies;
	f->f.copy_count = c->ncopies;
	f->f.method = method_name(c->method);
	f->f.require = plan_verdict_name(c->require);
	f->f.operator_name = c->oper;
	f->f.verifier = c->verifier;
	if (c->retain_until)
		f->f.retain_until = clock_text(c->retain_until, p->timezone, f->retain);
	return 0;
}

static void fill_window(struct facts *f, const struct plan *p, enum plan_stage stage)
{
	const struct plan_window *w = stage == STAGE_CLEAR ? &p->clear.valid : &p->cutover.window;

	if (w->given && (stage == STAGE_CLEAR || (stage >= STAGE_FREEZE && stage <= STAGE_SMOKE)))
		f->f.window = statement_window_text(w->start, w->end, p->timezone, f->window);
}

int facts_from_plan(struct facts *f, const struct plan *p, const char *stage, const char *plan_digest, unsigned round, struct err *e)
{
	enum plan_stage s;

	*f = (struct facts)FACTS_INIT;
	if (!plan_stage_parse(stage, &s))
		return err_set(e, ERR_USAGE, "no stage is called so; see waybill help approve");
	f->f = (struct statement_facts){ .plan = p->name, .plan_digest = plan_digest, .kind = plan_kind_name(p->kind),
		.title = p->title, .stage = plan_stage_name(s), .round = round };
	fill_window(f, p, s);
	if (s != STAGE_PACKAGE && s != STAGE_ACCEPT && s != STAGE_CLEAR)
		return 0;
	if (fill_datasets(f, p, s == STAGE_CLEAR, e) < 0 || (s == STAGE_CLEAR && fill_clear(f, p, e) < 0)) {
		facts_dispose(f);
		return -1;
	}
	return 0;
}
