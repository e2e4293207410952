/* preview: where the plan stands, its gates, and for each dataset what a pass would find; nothing is changed. */
#include <inttypes.h>
#include <string.h>

#include "answers.h"
#include "block_place.h"
#include "clock.h"
#include "esc.h"
#include "gates.h"
#include "job.h"
#include "loss_survey.h"
#include "made.h"
#include "output.h"
#include "places.h"
#include "runner.h"
#include "takeover.h"
#include "version.h"

struct forecast {		/* of the next pass of one dataset */
	uint64_t entries, bytes;	/* at the source now */
	uint64_t new_entries, changed, removed, new_bytes, skipped, failed;
	uint64_t foreign;		/* at the target, before a first copy */
	double seconds;			/* what the last pass took */
	json_t *losses;			/* owned: loss_forecast_json; NULL = none */
};

struct counting { struct forecast *f; };

static int count_one(void *ctx, const struct entry *old, const struct entry *now, struct err *e)
{
	struct forecast *f = ((struct counting *)ctx)->f;

	(void)e;
	if (!now) {
		f->removed += old->outcome != ENTRY_SKIPPED && old->outcome != ENTRY_FAILED;
		return 0;
	}
	f->entries++;
	f->skipped += now->outcome == ENTRY_SKIPPED;
	f->failed += now->outcome == ENTRY_FAILED;
	if (now->outcome == ENTRY_SKIPPED || now->outcome == ENTRY_FAILED)
		return 0;
	f->bytes += now->type == ENTRY_FILE && !now->link_to ? now->size : 0;
	if (!old)
		f->new_entries++;
	else if (now->outcome != ENTRY_UNCHANGED && (old->type != now->type || old->size != now->size || old->mtime_s != now->mtime_s ||
	    old->mtime_ns != now->mtime_ns || old->mode != now->mode || old->uid != now->uid || old->gid != now->gid))
		f->changed++;
	else
		return 0;
	f->new_bytes += now->type == ENTRY_FILE && !now->link_to ? now->size : 0;
	return 0;
}

static int next_answer(void *ctx, struct entry *en, struct err *e) { return answers_next(ctx, en, e); }

static int count_foreign(struct run *r, const struct plan_dataset *d, struct forecast *f, struct err *e)
{
	OWN(answers_closep) struct answers *a = NULL;
	struct answers_options o = { .host = d->to.host, .path = d->to.path, .flags = MSG_F_HASH_ONLY | MSG_F_NO_HASH };
	json_t *facts;
	bool there;
	int got;

	if (place_facts(r, d->to.host, d->to.path, &facts, e) < 0)
		return -1;
	there = strcmp(place_fact(facts, "exists"), "yes") == 0;
	json_decref(facts);
	if (!there)
		return 0;
	if (answers_open(r, d, &o, &a, e) < 0)
		return -1;
	for (;;) {
		OWN_ENTRY struct entry en = ENTRY_INIT;

		if ((got = answers_next(a, &en, e)) != 1)
			return got;
		f->foreign += strcmp(en.path, ".") != 0;
	}
}

static int foresee_losses(struct run *r, const struct plan_dataset *d, struct forecast *f, struct err *e)
{
	OWN_FORECAST struct loss_forecast lost = { .first = NULL };
	json_t *from = NULL, *to = NULL;
	int res = place_facts(r, d->from.host, d->from.path, &from, e);

	if (res == 0 && d->to.host)
		res = place_facts(r, d->to.host, d->to.path, &to, e);
	if (res == 0)
		res = loss_survey(r, d, from, to, &lost, e);
	if (res == 0 && loss_forecast_any(&lost))
		f->losses = loss_forecast_json(&lost);
	json_decref(from);
	json_decref(to);
	return res;
}

static void print_losses(struct cli_context *c, const json_t *losses)
{
	char text[1024];

	loss_counts_text(json_object_get(losses, "target"), text, sizeof(text));
	if (*text)
		out_text(c, "  the target's user is not root, or in a user namespace; cannot be kept: %s\n", text);
	if (json_object_get(losses, "unseen"))
		out_text(c, "  the source's user is not shown trusted.* extended attributes\n");
}

/* What preflight would say; how much there is, as far as anybody can tell beforehand. */
static int foresee_other(struct run *r, const struct plan_dataset *d, struct forecast *f, struct err *e)
{
	const struct standing_dataset *s = standing_dataset(&r->standing, d->name);
	json_t *facts = json_object();
	int res = made_is(d) ? made_preflight(r, d, facts, e) : block_preflight(r, d, facts, e);

	if (res == 0 && s) {
		f->entries = s->entries;
		f->bytes = s->bytes;
	}
	if (res == 0 && !made_is(d))
		f->bytes = place_number(json_object_get(facts, "from"), "size");
	f->new_bytes = s && s->version ? 0 : f->bytes;
	json_decref(facts);
	return res;
}

static void print_other(struct cli_context *c, const struct plan_dataset *d, const struct forecast *f)
{
	char size[OUT_SIZE];

	if (f->bytes)
		out_text(c, "  %s%s\n", made_is(d) ? "the last one had " : "", out_size(f->bytes, size));
	else
		out_text(c, "  how much it is shows when it is taken\n");
	if (made_is(d))
		out_text(c, "  taken %s\n", made_due(d, "copy") ? "in every pass" : "once, in the stage final");
}

static int foresee(struct run *r, const struct plan_dataset *d, struct forecast *f, struct err *e)
{
	OWN(version_closep) struct version_reader *v = NULL;
	OWN(answers_closep) struct answers *a = NULL;
	const struct standing_dataset *s = standing_dataset(&r->standing, d->name);
	struct answers_options o = { .host = d->from.host, .path = d->from.path, .flags = MSG_F_HASH_ONLY | MSG_F_NO_HASH };
	struct counting c = { f };

	f->seconds = s ? s->seconds : 0;
	if (d->kind != DATASET_FILES)
		return foresee_other(r, d, f, e);
	if (version_open(r->w, r->plan->name, d->name, s ? s->version : 0, VERSION_SCAN, &v, e) < 0 || answers_open(r, d, &o, &a, e) < 0 ||
	    entry_merge(version_next_entry, v, next_answer, a, count_one, &c, e) < 0)
		return -1;
	if (foresee_losses(r, d, f, e) < 0)
		return -1;
	return d->to.host && (!s || !s->version) ? count_foreign(r, d, f, e) : 0;
}

static json_t *forecast_json(const struct forecast *f)
{
	return json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:f,s:O?}", "entries", (json_int_t)f->entries, "bytes", (json_int_t)f->bytes,
	    "new", (json_int_t)f->new_entries, "changed", (json_int_t)f->changed, "deletions", (json_int_t)f->removed,
	    "to_send", (json_int_t)f->new_bytes, "skipped", (json_int_t)f->skipped, "failed", (json_int_t)f->failed,
	    "foreign", (json_int_t)f->foreign, "last_pass_s", f->seconds, "losses", f->losses);
}

static void print_forecast(struct cli_context *c, const struct plan_dataset *d, const struct forecast *f)
{
	char from[PLACE_NAME], to[PLACE_NAME], all[OUT_SIZE], send[OUT_SIZE], took[OUT_SIZE];

	out_text(c, "dataset %s: %s -> %s\n", d->name, place_name(d->from.host, d->from.path, from),
	    d->to.host ? place_name(d->to.host, d->to.path, to) : "archive only");
	if (d->kind != DATASET_FILES) {
		print_other(c, d, f);
		if (f->seconds > 0)
			out_text(c, "  the last pass took %s\n", out_duration(f->seconds, took));
		return;
	}
	out_text(c, "  %" PRIu64 " entries, %s at the source; %" PRIu64 " new, %" PRIu64 " changed, %s to send; %" PRIu64 " deletions%s\n",
	    f->entries, out_size(f->bytes, all), f->new_entries, f->changed, out_size(f->new_bytes, send), f->removed,
	    d->to.host && !d->files.delete ? " (delete: no)" : "");
	if (f->skipped || f->failed)
		out_text(c, "  %" PRIu64 " skipped by rule, %" PRIu64 " cannot be read\n", f->skipped, f->failed);
	print_losses(c, f->losses);
	if (f->foreign)
		out_text(c, "  %" PRIu64 " foreign entries at the target: %s\n", f->foreign, d->files.activate != ACTIVATE_SWAP ? "they stay" :
		    d->files.foreign == FOREIGN_CARRY ? "they are carried into the new tree" : d->files.foreign == FOREIGN_DROP ? "they stay in the old tree" :
		    "a swap is refused without foreign: drop or carry");
	if (f->seconds > 0)
		out_text(c, "  the last pass took %s\n", out_duration(f->seconds, took));
}

/* The hooks of a stage, in the order in which it would run them; those that only a failure or roll-back calls stand with freeze. */
static const enum plan_point *points_of(enum plan_stage s)
{
	static const enum plan_point copy[] = { POINT_BEFORE_COPY, POINT_AFTER_COPY, POINT_COUNT }, freeze[] = { POINT_FREEZE, POINT_THAW, POINT_COUNT },
	    cutover[] = { POINT_CUTOVER, POINT_ROLLBACK, POINT_COUNT }, smoke[] = { POINT_SMOKE, POINT_COUNT }, none[] = { POINT_COUNT };

	switch (s) {
	case STAGE_COPY: case STAGE_FINAL: return copy;
	case STAGE_FREEZE: return freeze;
	case STAGE_CUTOVER: return cutover;
	case STAGE_SMOKE: return smoke;
	default: return none;
	}
}

static void show_hooks(struct cli_context *c, const struct plan *p, enum plan_stage s, json_t *list)
{
	for (const enum plan_point *at = points_of(s); *at != POINT_COUNT; at++)
		for (size_t i = 0; i < p->hooks[*at].n; i++) {
			const struct plan_hook *h = &p->hooks[*at].v[i];
			json_t *hosts = json_array();

			out_text(c, "    %s: %s at", plan_point_name(*at), esc_s(h->run));
			for (size_t k = 0; k < h->hosts.n; k++) {
				out_text(c, " %s", h->hosts.v[k]);
				(void)json_array_append_new(hosts, json_string(h->hosts.v[k]));
			}
			out_text(c, "\n");
			(void)json_array_append_new(list, json_pack("{s:s,s:o,s:o}", "point", plan_point_name(*at), "hook", out_json_text(h->run), "hosts", hosts));
		}
}

static void show_stages(struct cli_context *c, struct job *j, json_t *stages)
{
	const enum plan_stage *next = runner_next(&j->run);

	for (size_t i = 0; i < j->plan->nstages; i++) {
		enum plan_stage s = j->plan->stages[i];
		const char *name = plan_stage_name(s);
		bool gate = gate_exists(j->plan, name);
		json_t *hooks = json_array();

		out_text(c, "  %s%s%s\n", name, gate ? " (gate)" : "", next == &j->plan->stages[i] ? "  <- the next run begins here" : "");
		show_hooks(c, j->plan, s, hooks);
		(void)json_array_append_new(stages, json_pack("{s:s,s:s,s:b,s:o}", "name", name, "state", stage_state_name(j->run.standing.stages[s]), "gate", gate,
		    "hooks", hooks));
	}
}

/* How long production would stand still, and what else the freeze would meet. */
static json_t *show_freeze(struct cli_context *c, struct job *j)
{
	const struct plan *p = j->plan;
	double predicted = takeover_predict(&j->run);
	char at[CLOCK_TEXT], end[CLOCK_TEXT], took[OUT_SIZE];

	if (!plan_takes_over(p))
		return json_null();
	out_text(c, "serving: %s; predicted freeze: %s\n", takeover_serving(&j->run), predicted < 0 ? "unknown before the first pass" : out_duration(predicted, took));
	if (p->cutover.window.given)
		out_text(c, "window: %s to %s\n", clock_text(p->cutover.window.start, p->timezone, at), clock_text(p->cutover.window.end, p->timezone, end));
	if (p->cutover.give_up)
		out_text(c, "gives up at %s\n", clock_text(p->cutover.give_up, p->timezone, at));
	if (p->cutover.require_rehearsal && !j->run.standing.rehearsed)
		out_text(c, "a rehearsal is required and has not been: waybill rehearse %s\n", p->name);
	return predicted < 0 ? json_null() : json_real(predicted);
}

static bool asked_for(const struct cli_context *c, const char *name)
{
	size_t n = cli_count(c, "only");

	for (size_t i = 0; i < n; i++)
		if (strcmp(cli_value_at(c, "only", i), name) == 0)
			return true;
	return n == 0;
}

int cmd_preview(struct cli_context *c, int argc, char **argv, struct err *e)
{
	OWN_JOB struct job j = JOB_INIT;
	json_t *datasets = json_object(), *stages = json_array(), *predicted;

	(void)argc;
	if (job_watch_signals(&j, e) < 0 || job_open_runner(&j, c, argv[0], true, e) < 0)
		return -1;
	out_text(c, "plan %s (%s): nothing is changed by this preview\nstages:\n", j.plan->name, plan_kind_name(j.plan->kind));
	show_stages(c, &j, stages);
	predicted = show_freeze(c, &j);
	for (size_t i = 0; i < j.plan->ndatasets; i++) {
		struct forecast f = { .entries = 0 };

		if (!asked_for(c, j.plan->datasets[i].name))
			continue;
		if (foresee(&j.run, &j.plan->datasets[i], &f, e) < 0)
			return -1;
		print_forecast(c, &j.plan->datasets[i], &f);
		(void)json_object_set_new(datasets, j.plan->datasets[i].name, forecast_json(&f));
		json_decref(f.losses);
	}
	if (!c->json) {
		json_decref(datasets);
		json_decref(stages);
		json_decref(predicted);
		return out_finish(e);
	}
	return out_json(c, json_pack("{s:s,s:s,s:o,s:o,s:o}", "plan", j.plan->name, "kind", plan_kind_name(j.plan->kind), "stages", stages,
	    "datasets", datasets, "predicted_freeze_s", predicted), e);
}
