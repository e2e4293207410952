#include "undo.h"

#include <string.h>

#include "activation.h"
#include "clock.h"
#include "hooks.h"
#include "log.h"
#include "save.h"
#include "takeover.h"

/* What must be undone is undone, also when the ledger cannot take the line. */
static void note(struct run *r, const char *stage, const char *state, const char *why, const char *text)
{
	struct err e = ERR_INIT;

	run_show_stage(r, stage, state, text);
	if (run_event(r, NULL, stage, state, json_pack("{s:s}", "why", why), &e, "%s", text) < 0)
		log_error("%s", e.text);
}

static void worst_of(struct err *worst, const struct err *one)
{
	if (worst->class == ERR_NONE)
		*worst = *one;
	else
		log_error("%s", one->text);
}

static int hooks_of(struct run *r, enum plan_point p, const char *stage, const char *why, struct err *worst)
{
	struct hooks_call c = { .point = p, .stage = stage, .why = why, .go_on = true };
	struct err e = ERR_INIT;

	if (hooks_run(r, &c, &e) == 0)
		return 0;
	worst_of(worst, &e);
	return -1;
}

/* 0, or ERR_DOWN. */
static int ended(struct run *r, const char *stage, const char *why, const struct err *worst, struct err *e)
{
	if (worst->class == ERR_NONE) {
		/* Recorded as undone, or it is not: the next run would look at it as cut, and do it again. */
		run_show_stage(r, stage, "done", "the source serves again");
		if (run_event(r, NULL, stage, "done", json_pack("{s:s}", "why", why), e, "%s done: the source serves again", stage) == 0)
			return 0;
		return -1;
	}
	note(r, stage, "failed", why, worst->text);
	err_set(e, ERR_DOWN, "%s failed, production may be down: %s", stage, worst->text);
	return err_hint(e, "act now: put it right and run waybill rollback %s --yes, which does all of it once more", r->plan->name);
}

static void begin(struct run *r)
{
	run_shield(r);
	atomic_store(&r->must_undo, true);
}

int undo_thaw(struct run *r, const char *why, struct err *e)
{
	struct err worst = ERR_INIT;

	begin(r);
	note(r, "thaw", "started", why, "thaw started");
	(void)hooks_of(r, POINT_THAW, "thaw", why, &worst);
	return ended(r, "thaw", why, &worst, e);
}

static void places_back(struct run *r, struct err *worst)
{
	struct err e = ERR_INIT;

	if (activation_undo(r, &e) < 0)
		worst_of(worst, &e);
}

int undo_rollback(struct run *r, const char *why, struct err *e)
{
	struct err worst = ERR_INIT;
	bool cut = r->standing.cut_data != NULL;

	begin(r);
	note(r, "rollback", "started", why, "rollback started");
	(void)hooks_of(r, POINT_ROLLBACK, "rollback", why, &worst);
	places_back(r, &worst);
	(void)hooks_of(r, POINT_THAW, "rollback", why, &worst);
	if (ended(r, "rollback", why, &worst, e) < 0)
		return -1;
	/* The source serves again; now there is time. */
	if (cut && save_rolled_back(r, e) < 0)
		return err_hint(e, "the plan is rolled back all the same, and the target holds what it held");
	return 0;
}

static const char *reason(const struct run *r, const struct err *e)
{
	if (r->gave_up)
		return "give_up";
	return e->class == ERR_CANCELLED || atomic_load(&r->cancelled) ? "interrupted" : "failed";
}

static int needs_rollback(const struct run *r, enum plan_stage failed, const struct err *e)
{
	if (r->standing.phase == PHASE_CUTTING)
		return 1;
	return r->standing.phase == PHASE_CUT && failed == STAGE_SMOKE && e->class == ERR_INTEGRITY && r->plan->rollback.on_failed_smoke;
}

int undo_after(struct run *r, enum plan_stage failed, struct err *e)
{
	const char *why = reason(r, e);
	struct err u = ERR_INIT;
	bool back = needs_rollback(r, failed, e);
	bool thaw = !back && (r->standing.phase == PHASE_FREEZING || r->standing.phase == PHASE_FROZEN);

	if (failed < STAGE_FREEZE || failed > STAGE_SMOKE || (!back && !thaw))
		return -1;
	if (r->gave_up)
		err_set(e, ERR_TEMPORARY, "plan %s: give_up was reached before the cut-over", r->plan->name);
	if ((back ? undo_rollback(r, failed == STAGE_SMOKE ? "smoke" : why, &u) : undo_thaw(r, why, &u)) == 0)
		return err_hint(e, "%s, the source serves again", back ? "rolled back" : "thawed");
	/* Undone, and only what was to be kept besides could not be. */
	if (r->standing.phase == PHASE_LIVE) {
		log_error("%s", u.text);
		return err_hint(e, "rolled back, the source serves again");
	}
	log_error("%s", e->text);
	*e = u;
	return -1;
}

int undo_pending(struct run *r, struct err *e)
{
	bool thaw = r->standing.phase == PHASE_THAWING;

	if (!thaw && r->standing.phase != PHASE_ROLLING)
		return 0;
	log_warn("plan %s: a %s was cut or failed; it is done again now", r->plan->name, thaw ? "thaw" : "roll-back");
	if ((thaw ? undo_thaw(r, "resumed", e) : undo_rollback(r, "resumed", e)) < 0)
		return -1;
	err_set(e, ERR_TEMPORARY, "plan %s: a %s that was cut has been brought to its end, the source serves again", r->plan->name, thaw ? "thaw" : "roll-back");
	return err_hint(e, "run again to go on from copy");
}

/* ---- the commands ---- */

static int still_possible(struct run *r, struct err *e)
{
	const struct plan *p = r->plan;
	int64_t until = p->rollback.until;
	char at[CLOCK_TEXT];

	if (r->standing.phase == PHASE_FINISHING || r->standing.phase == PHASE_FINISHED)
		return err_set(e, ERR_REFUSED, "plan %s is finished: what a roll-back needs was dropped", p->name);
	if (r->standing.clearing || r->standing.cleared)
		return err_set(e, ERR_REFUSED, "plan %s has begun to clear its source: there is nothing to go back to", p->name);
	/* Whatever is half done must be undone, however late it is. */
	if (!until || takeover_interrupted(r) || clock_now_ns() / 1000000000 < until)
		return 0;
	err_set(e, ERR_REFUSED, "plan %s can be rolled back until %s only", p->name, clock_text(until, p->timezone, at));
	return err_hint(e, "waybill finish %s drops what a roll-back would need", p->name);
}

/* From freeze on there is something to go back from. */
static bool beyond_freeze(const struct run *r)
{
	if (r->standing.phase != PHASE_LIVE)
		return true;
	for (int s = STAGE_FREEZE; s < STAGE_COUNT; s++)
		if (r->standing.stages[s] == STAGE_DONE && !plan_takes_over(r->plan))
			return true;
	return r->standing.stages[STAGE_CLEAR] == STAGE_REFUSED || r->standing.stages[STAGE_CLEAR] == STAGE_WAITING;
}

static int confirm(struct run *r, struct err *e)
{
	char question[256];

	if (r->o->yes || !plan_takes_over(r->plan))
		return 0;
	(void)snprintf(question, sizeof(question), "plan %s: roll back to the source now? What was written at the target since is not carried back. Type yes: ",
	    r->plan->name);
	if (r->view && r->view->confirm && r->view->confirm(r->view->ctx, question))
		return 0;
	err_set(e, ERR_WAITING, "plan %s would be rolled back to the source, and nobody confirmed it", r->plan->name);
	return err_hint(e, "run again with --yes");
}

int undo_command(struct run *r, bool *done, struct err *e)
{
	*done = false;
	if (!r->standing.exists || r->standing.abandoned || !beyond_freeze(r))
		return still_possible(r, e);
	if (still_possible(r, e) < 0 || confirm(r, e) < 0)
		return -1;
	*done = true;
	return undo_rollback(r, "asked for", e);
}

static int at_its_end(struct run *r, struct err *e)
{
	for (size_t i = 0; i < r->plan->nstages; i++) {
		enum plan_stage s = r->plan->stages[i];

		if (r->standing.stages[s] == STAGE_DONE)
			continue;
		err_set(e, ERR_REFUSED, "plan %s cannot be finished: its stage %s is not done", r->plan->name, plan_stage_name(s));
		return err_hint(e, "waybill run %s", r->plan->name);
	}
	return 0;
}

/* A helper left behind harms nobody. */
static void drop_agents(struct run *r)
{
	for (size_t i = 0; i < r->plan->nhosts; i++) {
		struct host *h;
		struct err e = ERR_INIT;

		if (strcmp(r->plan->hosts[i].name, "local") == 0)
			continue;
		if (run_host(r, r->plan->hosts[i].name, &h, &e) < 0 || host_agent_remove(h, &e) < 0)
			log_warn("the helper stays: %s", e.text);
	}
}

int finish_command(struct run *r, bool *done, struct err *e)
{
	struct hooks_call c = { .point = POINT_DONE, .stage = "finish" };

	*done = false;
	if (r->standing.phase == PHASE_FINISHED)
		return 0;
	if (at_its_end(r, e) < 0)
		return -1;
	*done = true;
	if (run_event(r, NULL, "finish", "started", NULL, e, "finish started: from here on nothing can be rolled back") < 0)
		return -1;
	if (activation_finish(r, e) < 0 || hooks_run(r, &c, e) < 0)
		return -1;
	drop_agents(r);
	return run_event(r, NULL, "finish", "done", NULL, e, "finished");
}
