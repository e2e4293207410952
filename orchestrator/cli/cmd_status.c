/* status: where a plan stands, and who must do what next; without PLAN a line for each. */
#include <inttypes.h>
#include <string.h>

#include "clock.h"
#include "esc.h"
#include "gates.h"
#include "job.h"
#include "output.h"
#include "runner.h"
#include "takeover.h"
#include "workspace.h"

static const char *verdict_of(const struct standing_dataset *d)
{
	const struct standing_check *c = d->target.version == d->version ? &d->target : d->archive.version == d->version ? &d->archive : NULL;

	return c && d->version ? c->verdict : "none";
}

static json_t *dataset_rows(const struct standing *s)
{
	json_t *o = json_object();

	for (size_t i = 0; i < s->dataset_count; i++) {
		const struct standing_dataset *d = &s->datasets[i];

		(void)json_object_set_new(o, d->name, json_pack("{s:I,s:I,s:I,s:s,s:s,s:I,s:I,s:s}", "version", (json_int_t)d->version, "entries",
		    (json_int_t)d->entries, "bytes", (json_int_t)d->bytes, "root", d->root, "verdict", verdict_of(d),
		    "failed", (json_int_t)d->failed, "unsettled", (json_int_t)d->unsettled, "losses", d->losses));
	}
	return o;
}

static json_t *stage_rows(const struct job *j)
{
	json_t *a = json_array();

	for (size_t i = 0; i < j->plan->nstages; i++) {
		enum plan_stage s = j->plan->stages[i];

		(void)json_array_append_new(a, json_pack("{s:s,s:s,s:s}", "name", plan_stage_name(s), "state", stage_state_name(j->run.standing.stages[s]),
		    "text", j->run.standing.stage_text[s]));
	}
	return a;
}

static void approval_rows(json_t *a, const struct gate *g)
{
	for (size_t i = 0; i < g->approval_count; i++)
		(void)json_array_append_new(a, json_pack("{s:s,s:s,s:s,s:s?}", "person", g->approvals[i].person, "stage", g->approvals[i].stage,
		    "state", approval_state_name(g->approvals[i].state), "why_fallen", g->approvals[i].why));
}

/* "zhang, li" -> ["zhang", "li"] */
static json_t *people_array(const char *names)
{
	json_t *a = json_array();

	while (*names) {
		size_t n = strcspn(names, ",");

		(void)json_array_append_new(a, json_stringn(names, n));
		names += n;
		names += strspn(names, ", ");
	}
	return a;
}

static void waiting_rows(json_t *a, const struct gate *g)
{
	for (size_t i = 0; i < g->missing_count; i++)
		(void)json_array_append_new(a, json_pack("{s:s,s:o,s:s}", "party", g->missing[i].party, "people", people_array(g->missing[i].people),
		    "command", g->missing[i].command));
}

/* Gates that need a version which is not there yet cannot be judged; they are simply not open. */
static int gates_of(struct job *j, json_t *approvals, json_t *waits, struct err *e)
{
	const enum plan_stage *next = runner_next(&j->run);

	for (size_t i = 0; i < j->plan->nstages; i++) {
		OWN_GATE struct gate g = GATE_INIT;
		const char *name = plan_stage_name(j->plan->stages[i]);

		if (!gate_exists(j->plan, name))
			continue;
		if (gate_now(&j->run, name, &g, e) < 0) {
			if (e->class != ERR_USAGE)
				return -1;
			err_clear(e);
			continue;
		}
		approval_rows(approvals, &g);
		if (next && *next == j->plan->stages[i] && !g.open)
			waiting_rows(waits, &g);
	}
	return 0;
}

static char *next_line(const struct job *j, const json_t *waits)
{
	const enum plan_stage *next = runner_next(&j->run);
	char *line = NULL;
	int n;

	if (j->run.standing.abandoned)
		n = asprintf(&line, "nothing: the plan was abandoned");
	else if (!next)
		n = asprintf(&line, "nothing: the plan is finished");
	else if (json_array_size(waits))
		n = asprintf(&line, "%s", json_string_value(json_object_get(json_array_get(waits, 0), "command")));
	else
		n = asprintf(&line, "waybill run %s", j->plan->name);
	return n < 0 ? NULL : line;
}

static void print_waiting(struct cli_context *c, const json_t *row)
{
	const json_t *person;
	size_t i;

	out_text(c, "waits for %s (", json_string_value(json_object_get(row, "party")));
	json_array_foreach(json_object_get(row, "people"), i, person)
		out_text(c, "%s%s", i ? ", " : "", json_string_value(person));
	out_text(c, "): %s\n", json_string_value(json_object_get(row, "command")));
}

static void print_people(struct cli_context *c, const json_t *approvals, const json_t *waits)
{
	const json_t *row;
	size_t i;

	json_array_foreach(approvals, i, row) {
		const char *why = json_string_value(json_object_get(row, "why_fallen"));

		out_text(c, "approval of %s by %s: %s%s%s\n", json_string_value(json_object_get(row, "stage")),
		    json_string_value(json_object_get(row, "person")), json_string_value(json_object_get(row, "state")), why ? ": " : "", why ? why : "");
	}
	json_array_foreach(waits, i, row)
		print_waiting(c, row);
}

/* First of all: is production frozen because somebody's run was cut? */
static void print_takeover(struct job *j)
{
	const struct standing *s = &j->run.standing;
	double predicted = takeover_predict(&j->run);
	char at[CLOCK_TEXT], time[OUT_SIZE];

	if (takeover_interrupted(&j->run))
		out_text(j->c, "PRODUCTION HAS BEEN FROZEN SINCE %s: go on with waybill run %s, or go back with waybill rollback %s\n",
		    clock_text(s->frozen_at, j->plan->timezone, at), j->plan->name, j->plan->name);
	if (!plan_takes_over(j->plan))
		return;
	out_text(j->c, "serving: %s", takeover_serving(&j->run));
	if (s->phase == PHASE_LIVE && predicted >= 0)
		out_text(j->c, "; predicted freeze: %s", out_duration(predicted, time));
	if (s->freeze_seconds > 0)
		out_text(j->c, "; the last freeze took %.1f s, predicted were %.1f s", s->freeze_seconds, s->predicted_freeze);
	out_text(j->c, "\n");
}

static void print_status(struct job *j, const json_t *approvals, const json_t *waits, const char *next)
{
	struct cli_context *c = j->c;
	const struct standing *s = &j->run.standing;
	char size[OUT_SIZE];

	print_takeover(j);
	out_text(c, "plan %s (%s), version %" PRIu64 ", %" PRIu64 " events, head %.12s\n", j->plan->name, plan_kind_name(j->plan->kind), s->plan_version,
	    s->count, s->head);
	if (s->clearing)
		out_text(c, "CLEARING WAS INTERRUPTED: it goes on with waybill run %s\n", j->plan->name);
	for (size_t i = 0; i < j->plan->nstages; i++)
		out_text(c, "  %-13s%-9s%s\n", plan_stage_name(j->plan->stages[i]), stage_state_name(s->stages[j->plan->stages[i]]),
		    s->stage_text[j->plan->stages[i]]);
	for (size_t i = 0; i < s->dataset_count; i++)
		out_text(c, "dataset %s: version %" PRIu64 ", %" PRIu64 " entries, %s, verified: %s, root %.16s...\n", s->datasets[i].name,
		    s->datasets[i].version, s->datasets[i].entries, out_size(s->datasets[i].bytes, size), verdict_of(&s->datasets[i]), s->datasets[i].root);
	for (size_t i = 0; i < s->dataset_count; i++)
		if (s->datasets[i].losses[0])
			out_text(c, "dataset %s: known losses at the target: %s\n", s->datasets[i].name, s->datasets[i].losses);
	print_people(c, approvals, waits);
	out_text(c, "next: %s\n", next ? next : "?");
}

static json_t *prediction(const struct job *j)
{
	double s = plan_takes_over(j->plan) ? takeover_predict(&j->run) : -1;

	return s < 0 ? json_null() : json_real(s);
}

static int one(struct cli_context *c, const char *arg, json_t **out, struct err *e)
{
	OWN_JOB struct job j = JOB_INIT;
	json_t *approvals = json_array(), *waits = json_array();
	OWN_FREE char *next = NULL;

	if (job_open(&j, c, arg, e) < 0 || gates_of(&j, approvals, waits, e) < 0) {
		json_decref(approvals);
		json_decref(waits);
		return -1;
	}
	next = next_line(&j, waits);
	print_status(&j, approvals, waits, next);
	*out = json_pack("{s:s,s:s,s:s,s:s,s:o,s:o,s:o,s:o,s:o,s:s,s:s,s:I,s:b,s:b}", "plan", j.plan->name, "kind", plan_kind_name(j.plan->kind),
	    "digest", j.run.standing.plan_digest, "serving", takeover_serving(&j.run), "stages", stage_rows(&j), "datasets", dataset_rows(&j.run.standing),
	    "waits_for", waits, "approvals", approvals, "predicted_freeze_s", prediction(&j), "next", next ? next : "", "head", j.run.standing.head,
	    "events", (json_int_t)j.run.standing.count, "clearing", j.run.standing.clearing, "frozen",
	    takeover_interrupted(&j.run));
	return *out ? 0 : err_set(e, ERR_TEMPORARY, "out of memory");
}

struct all { struct cli_context *c; json_t *list; struct err *e; bool failed; };

static int add_plan(void *ctx, const char *plan)
{
	struct all *a = ctx;
	json_t *o = NULL;

	a->failed = one(a->c, plan, &o, a->e) < 0;
	if (!a->failed)
		(void)json_array_append_new(a->list, o);
	return a->failed;
}

static int every_plan(struct cli_context *c, struct err *e)
{
	OWN(workspace_closep) struct workspace *w = NULL;
	struct all a = { c, json_array(), e, false };

	if (cli_workspace_open(c, NULL, &w, e) < 0 || ledger_plans(w->ledger, add_plan, &a, e) < 0 || a.failed) {
		json_decref(a.list);
		return -1;
	}
	if (json_array_size(a.list) == 0)
		out_text(c, "no plan has run here yet; print one with: waybill new\n");
	if (c->json)
		return out_json(c, json_pack("{s:o}", "plans", a.list), e);
	json_decref(a.list);
	return out_finish(e);
}

int cmd_status(struct cli_context *c, int argc, char **argv, struct err *e)
{
	json_t *o = NULL;

	if (argc == 0)
		return every_plan(c, e);
	for (;;) {
		if (one(c, argv[0], &o, e) < 0)
			return -1;
		if (!cli_flag(c, "watch"))
			break;
		if (strncmp(json_string_value(json_object_get(o, "next")), "nothing", 7) == 0)
			break;
		json_decref(o);
		if (out_finish(e) < 0)
			return -1;
		(void)sleep(2);
		out_text(c, "\n");
	}
	if (c->json)
		return out_json(c, o, e);
	json_decref(o);
	return out_finish(e);
}
