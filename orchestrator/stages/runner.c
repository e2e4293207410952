#include "runner.h"

#include <inttypes.h>
#include <string.h>

#include "clock.h"
#include "esc.h"
#include "gates.h"
#include "give_up.h"
#include "log.h"
#include "persist.h"
#include "takeover.h"
#include "undo.h"

static int (*const stage_functions[STAGE_COUNT])(struct run *, struct err *) = {
	[STAGE_PREFLIGHT] = stage_preflight, [STAGE_COPY] = stage_copy,
	[STAGE_FREEZE] = stage_freeze, [STAGE_FINAL] = stage_final, [STAGE_VERIFY] = stage_verify,
	[STAGE_CUTOVER] = stage_cutover, [STAGE_SMOKE] = stage_smoke,
	[STAGE_PACKAGE] = stage_package, [STAGE_ACCEPT] = stage_accept, [STAGE_RESTORE_TEST] = stage_restore_test,
	[STAGE_CLEAR] = stage_clear, [STAGE_CERTIFY] = stage_certify,
};

bool runner_wants(const struct run *r, const struct plan_dataset *d)
{
	const char *const *only = r->o->only;

	if (!only || !only[0])
		return true;
	for (; *only; only++)
		if (strcmp(*only, d->name) == 0)
			return true;
	return false;
}

static bool at_end(const struct run *r)
{
	for (size_t i = 0; i < r->plan->nstages; i++)
		if (r->standing.stages[r->plan->stages[i]] != STAGE_DONE)
			return false;
	return true;
}

/* A plan that can always be run again: nothing in it is irreversible and nothing takes over (contract 4.1). */
static bool repeats(const struct plan *p)
{
	enum plan_stage last = p->stages[p->nstages - 1];

	return (p->kind == PLAN_MIGRATION && !plan_takes_over(p)) || last == STAGE_COPY || last == STAGE_VERIFY;
}

const enum plan_stage *runner_next(const struct run *r)
{
	const struct plan *p = r->plan;
	int copy = plan_stage_index(p, STAGE_COPY);
	size_t i = 0;

	if (r->standing.abandoned)
		return NULL;
	while (i < p->nstages && r->standing.stages[p->stages[i]] == STAGE_DONE)
		i++;
	if (i == p->nstages)
		return repeats(p) && copy >= 0 ? &p->stages[copy] : NULL;
	/* Until something froze, was packed or cleared, going on means looking at the live source again. */
	if (copy >= 0 && (int)i > copy && p->stages[i] <= STAGE_CUTOVER && r->standing.phase == PHASE_LIVE)
		return &p->stages[copy];
	if (copy >= 0 && (int)i > copy && repeats(p))
		return &p->stages[copy];
	return &p->stages[i];
}

/* Between freeze and smoke nothing waits for a person: their gates are looked at together, before freeze. */
static int check_gates(struct run *r, enum plan_stage s, struct err *e)
{
	int freeze = plan_stage_index(r->plan, STAGE_FREEZE);

	if (s != STAGE_FREEZE) {
		bool looked_at = s >= STAGE_FINAL && s <= STAGE_SMOKE && freeze >= 0 && freeze < plan_stage_index(r->plan, s);

		if (looked_at || gate_pass(r, plan_stage_name(s), e) < 0)
			return looked_at ? 0 : -1;
		return s == STAGE_CUTOVER && r->standing.phase == PHASE_LIVE ? takeover_ready(r, e) : 0;
	}
	for (enum plan_stage g = STAGE_FREEZE; g <= STAGE_SMOKE; g++)
		if (plan_stage_index(r->plan, g) >= freeze && gate_pass(r, plan_stage_name(g), e) < 0)
			return -1;
	/* A run that was cut while frozen goes on: it was asked before. */
	return r->standing.phase == PHASE_LIVE ? takeover_ready(r, e) : 0;
}

static int blocked_by_failures(struct run *r, enum plan_stage s, struct err *e)
{
	if (s != STAGE_FREEZE && s != STAGE_PACKAGE && s != STAGE_CLEAR)
		return 0;
	/* stage_copy and stage_final ended as failed then; this guards plans with their own order of stages. */
	if (r->standing.stages[STAGE_COPY] == STAGE_FAILED || r->standing.stages[STAGE_FINAL] == STAGE_FAILED)
		return err_set(e, ERR_PERMANENT, "plan %s: entries of the last version failed; %s is blocked until they are read or stand in known_faults",
		    r->plan->name, plan_stage_name(s));
	return 0;
}

/* A refusal that is met again for the same reason needs no second event; another reason does. */
static bool said_before(const struct run *r, enum plan_stage s, enum stage_state now, const char *text)
{
	const char *last = r->standing.stage_text[s];

	return now != STAGE_FAILED && r->standing.stages[s] == now && *last && strncmp(last, text, strlen(last)) == 0;
}

static int record_failure(struct run *r, enum plan_stage s, const struct err *why)
{
	struct err e = ERR_INIT;
	enum stage_state now = why->class == ERR_WAITING ? STAGE_WAITING : why->class == ERR_REFUSED ? STAGE_REFUSED : STAGE_FAILED;
	const char *name = plan_stage_name(s), *word = stage_state_name(now);
	json_t *data;

	/* Done, and the exit code only says that the outcome is less than was asked for. */
	if (r->standing.stages[s] == STAGE_DONE) {
		run_show_stage(r, name, "done", r->standing.stage_text[s]);
		return 0;
	}
	run_show_stage(r, name, word, why->text);
	if (said_before(r, s, now, why->text))
		return 0;
	data = json_pack("{s:s,s:i,s:s}", "class", err_class_name(why->class), "exit", err_exit_code(why->class), "text", why->text);
	if (run_event(r, NULL, name, word, data, &e, "%.600s", why->text) < 0) {
		log_error("%s", e.text);
		return -1;
	}
	return 0;
}

static int preflight_again(void *run, struct err *e) { return stage_preflight(run, e); }

/* Preflight only looks: a lost connection means to look again.  Passes and verifications see to theirs themselves. */
static int act(struct run *r, enum plan_stage s, struct err *e)
{
	return s == STAGE_PREFLIGHT ? persist(r, preflight_again, r, e) : stage_functions[s](r, e);
}

static int run_stage(struct run *r, enum plan_stage s, struct err *e)
{
	const char *name = plan_stage_name(s);

	if (run_check(r, e) < 0)
		return -1;
	if (check_gates(r, s, e) < 0 || blocked_by_failures(r, s, e) < 0)
		return -1;
	run_show_stage(r, name, "started", "");
	if (act(r, s, e) < 0) {
		(void)record_failure(r, s, e);
		return -1;
	}
	if (r->standing.stages[s] != STAGE_DONE && run_event(r, NULL, name, "done", NULL, e, "%s done", name) < 0)
		return -1;
	run_show_stage(r, name, "done", r->standing.stage_text[s]);
	return 0;
}

/*
 * --only makes versions and moves nothing on: beyond copy, where approvals, tests and a clearing rest on the version that there is,
 * it would pull the ground from under them.
 */
static int may_run_only(const struct run *r, struct err *e)
{
	const enum plan_stage *next = runner_next(r);

	if (next && *next <= STAGE_COPY)
		return 0;
	if (next)
		err_set(e, ERR_REFUSED, "plan %s stands at %s: --only makes new versions and works until copy only", r->plan->name, plan_stage_name(*next));
	else
		err_set(e, ERR_REFUSED, "plan %s is finished: --only would make a version that nobody asked for", r->plan->name);
	return err_hint(e, "run it without --only");
}

static int run_only(struct run *r, struct err *e)
{
	static int (*const three[])(struct run *, struct err *) = { stage_preflight, stage_copy, stage_verify };
	static const char *const names[] = { "preflight", "copy", "verify" };

	for (const char *const *o = r->o->only; *o; o++)
		if (!plan_dataset(r->plan, *o))
			return err_set(e, ERR_USAGE, "plan %s has no dataset %s", r->plan->name, esc_s(*o));
	if (may_run_only(r, e) < 0)
		return -1;
	for (size_t i = 0; i < 3; i++) {
		run_show_stage(r, names[i], "started", "");
		if (three[i](r, e) < 0)
			return -1;
		run_show_stage(r, names[i], "done", "");
	}
	return 0;
}

static int find_until(struct run *r, const enum plan_stage *from, int *until, struct err *e)
{
	enum plan_stage s;

	*until = (int)r->plan->nstages - 1;
	if (!r->o->until)
		return 0;
	if (!plan_stage_parse(r->o->until, &s) || (*until = plan_stage_index(r->plan, s)) < 0)
		return err_set(e, ERR_USAGE, "plan %s has no stage %s", r->plan->name, esc_s(r->o->until));
	if (*until < (int)(from - r->plan->stages))
		log_info("plan %s is already beyond %s", r->plan->name, r->o->until);
	return 0;
}

/* What a run finds that was cut while production was frozen: said first, and brought to an end or gone on with. */
static int go_on_frozen(struct run *r, struct err *e)
{
	char at[CLOCK_TEXT];

	if (undo_pending(r, e) < 0)
		return -1;
	if (!takeover_interrupted(r))
		return 0;
	atomic_store(&r->must_undo, true);
	log_warn("plan %s HAS BEEN FROZEN SINCE %s; it goes on from there", r->plan->name,
	    clock_text(r->standing.frozen_at, r->plan->timezone, at));
	if (!r->plan->cutover.give_up || clock_now_ns() / 1000000000 < r->plan->cutover.give_up)
		return 0;
	atomic_store(&r->gave_up, true);
	return undo_after(r, STAGE_FREEZE, e);
}

static int run_stages(struct run *r, const enum plan_stage *next, int until, struct err *e)
{
	OWN(give_up_stopp) struct give_up *watch = NULL;

	if (give_up_start(r, &watch, e) < 0)
		return undo_after(r, *next, e);
	for (int i = (int)(next - r->plan->stages); i <= until; i++) {
		enum plan_stage s = r->plan->stages[i];

		give_up_arm(r, s < STAGE_CUTOVER && takeover_interrupted(r));
		if (run_stage(r, s, e) < 0) {
			give_up_arm(r, false);
			return undo_after(r, s, e);
		}
	}
	return 0;
}

int runner_run(struct run *r, struct runner_result *out, struct err *e)
{
	const enum plan_stage *next;
	int until;

	if (r->standing.abandoned)
		return err_set(e, ERR_REFUSED, "plan %s was abandoned; make a new plan with another name", r->plan->name);
	out->reason = "only";
	if (r->o->only && r->o->only[0])
		return run_only(r, e);
	if (go_on_frozen(r, e) < 0)
		return -1;
	if (!(next = runner_next(r))) {
		out->reason = "finished";
		return 0;
	}
	if (find_until(r, next, &until, e) < 0)
		return -1;
	if (takeover_ends_well(r, r->plan->stages[until], e) < 0 || run_stages(r, next, until, e) < 0)
		return -1;
	out->reason = at_end(r) ? "done" : "until";
	return 0;
}
