#include "takeover.h"

#include <string.h>
#include <time.h>

#include "clock.h"
#include "hooks.h"
#include "log.h"
#include "made.h"

#define SESSION_S 0.03	/* until this run has measured it: over a local network, on a machine that is not busy */
#define EVENT_S 0.02
#define PLACE_SESSIONS 3	/* to look at a swapped or merged dataset twice, and to exchange it */
#define STAGE_EVENTS 6		/* freeze and cut-over started and done, final and verify done */

static double one_session(const struct run *r) { return r->cost.sessions ? r->cost.session_s / r->cost.sessions : SESSION_S; }
static double one_event(const struct run *r) { return r->cost.events ? r->cost.event_s / r->cost.events : EVENT_S; }

/* Their own time includes their sessions, and not that each is recorded. */
static double hooks_and_events(const struct run *r, enum plan_point point)
{
	double n = 0;

	for (size_t i = 0; i < r->plan->hooks[point].n; i++)
		n += (double)r->plan->hooks[point].v[i].hosts.n;
	return hooks_seconds(r, point) + n * one_event(r);
}

static double last_pass(const struct standing_dataset *d) { return d->seconds + d->verify_seconds; }

/*
 * The final pass sends little: it is like the last pass that did.  When the newest one sent nearly everything (a first pass, or the
 * one after a roll-back), an earlier one, in proportion to the entries, or the rehearsal is the better measure.
 */
static double final_pass(const struct standing_dataset *d)
{
	double took = last_pass(d);

	if (d->mostly_new && d->later_entries)
		took = (d->later_seconds + d->later_verify_seconds) * (double)d->entries / (double)d->later_entries;
	else if (d->mostly_new && d->rehearsed > 0)
		return d->rehearsed;
	/* A rehearsal that took longer warns of what the pass did not meet. */
	return took > d->rehearsed ? took : d->rehearsed;
}

double takeover_predict(const struct run *r)
{
	double fixed = hooks_and_events(r, POINT_FREEZE) + hooks_and_events(r, POINT_CUTOVER) + STAGE_EVENTS * one_event(r);
	double live = 0, passes = 0;

	for (size_t i = 0; i < r->plan->ndatasets; i++) {
		const struct plan_dataset *p = &r->plan->datasets[i];
		const struct standing_dataset *d = standing_dataset(&r->standing, p->name);

		if (!d || (!d->version && d->rehearsed <= 0))
			return -1;
		if (p->kind == DATASET_FILES && p->files.activate != ACTIVATE_IN_PLACE)
			fixed += PLACE_SESSIONS * one_session(r) + one_event(r);
		if (made_is(p)) {	/* in full each time */
			passes += last_pass(d) > d->rehearsed ? last_pass(d) : d->rehearsed;
			live += made_due(p, "copy") ? d->seconds : 0;
			continue;
		}
		passes += final_pass(d);
		live += last_pass(d);
	}
	/* What the last live pass over all datasets took beyond them lies between them, and will again. */
	return fixed + passes + (r->standing.pass_seconds > live ? r->standing.pass_seconds - live : 0);
}

static int64_t now_s(void) { return clock_now_ns() / 1000000000; }

static int window(struct run *r, struct err *e)
{
	const struct plan_window *w = &r->plan->cutover.window;
	const struct timespec nap = { 1, 0 };
	char at[CLOCK_TEXT];
	bool said = false;

	if (!w->given)
		return 0;
	while (now_s() < w->start) {
		clock_text(w->start, r->plan->timezone, at);
		if (!r->o->wait) {
			err_set(e, ERR_REFUSED, "plan %s: the cut-over window opens at %s", r->plan->name, at);
			return err_hint(e, "run again then, or add --wait");
		}
		if (!said)
			log_warn("plan %s waits for its window, which opens at %s", r->plan->name, at);
		said = true;
		if (run_check(r, e) < 0)
			return -1;
		(void)nanosleep(&nap, NULL);
	}
	if (now_s() < w->end)
		return 0;
	err_set(e, ERR_REFUSED, "plan %s: the cut-over window closed at %s", r->plan->name, clock_text(w->end, r->plan->timezone, at));
	return err_hint(e, "agree on another one, write it into cutover.window and run with --amend REASON");
}

static int rehearsal(struct run *r, struct err *e)
{
	if (!r->plan->cutover.require_rehearsal || r->standing.rehearsed)
		return 0;
	err_set(e, ERR_REFUSED, "plan %s asks for a rehearsal, and this version of it has had none that was good", r->plan->name);
	return err_hint(e, "waybill rehearse %s", r->plan->name);
}

static int in_time(struct run *r, struct err *e)
{
	int64_t give_up = r->plan->cutover.give_up;
	double predicted = takeover_predict(r);
	char at[CLOCK_TEXT];

	if (!give_up || (double)now_s() + (predicted > 0 ? predicted : 0) < (double)give_up)
		return 0;
	err_set(e, ERR_REFUSED, "plan %s gives up at %s, and the freeze is predicted to take %.0f s from now", r->plan->name,
	    clock_text(give_up, r->plan->timezone, at), predicted > 0 ? predicted : 0);
	return err_hint(e, "begin earlier, or write a later cutover.give_up and run with --amend REASON");
}

int takeover_ends_well(const struct run *r, enum plan_stage until, struct err *e)
{
	if (until < STAGE_FREEZE || until > STAGE_VERIFY || !r->plan->hooks[POINT_FREEZE].n || r->o->stay_frozen)
		return 0;
	err_set(e, ERR_USAGE, "--until %s would leave production frozen", plan_stage_name(until));
	return err_hint(e, "add --stay-frozen if that is wanted");
}

/* Without freeze hooks production is as it was until the cut-over. */
static bool touches_nothing(const struct run *r)
{
	enum plan_stage until;

	return !r->plan->hooks[POINT_FREEZE].n && r->o->until && plan_stage_parse(r->o->until, &until) && until < STAGE_CUTOVER;
}

static int confirm(struct run *r, struct err *e)
{
	double predicted = takeover_predict(r);
	char question[256], seconds[40] = "unknown";

	if (r->o->yes || touches_nothing(r))
		return 0;
	if (predicted >= 0)
		(void)snprintf(seconds, sizeof(seconds), "%.0f s", predicted);
	(void)snprintf(question, sizeof(question), "plan %s: freeze production now and take over? (predicted freeze: %s) Type yes: ", r->plan->name, seconds);
	if (r->view && r->view->confirm && r->view->confirm(r->view->ctx, question))
		return 0;
	err_set(e, ERR_WAITING, "plan %s: production would be frozen now (predicted: %s), and nobody confirmed it", r->plan->name, seconds);
	return err_hint(e, "run again with --yes");
}

int takeover_ready(struct run *r, struct err *e)
{
	if (window(r, e) < 0 || rehearsal(r, e) < 0 || in_time(r, e) < 0)
		return -1;
	return plan_takes_over(r->plan) ? confirm(r, e) : 0;
}

const char *takeover_serving(const struct run *r)
{
	switch (r->standing.phase) {
	case PHASE_LIVE:
		return plan_takes_over(r->plan) ? "source" : "unknown";
	case PHASE_FREEZING: case PHASE_FROZEN:
		return r->plan->hooks[POINT_FREEZE].n ? "none" : "source";
	case PHASE_CUT:
		return r->standing.smoke_blind ? "unknown" : "target";
	case PHASE_FINISHING: case PHASE_FINISHED:
		return "target";
	default:
		return "unknown";
	}
}

bool takeover_interrupted(const struct run *r)
{
	enum standing_phase p = r->standing.phase;

	return p == PHASE_FREEZING || p == PHASE_FROZEN || p == PHASE_CUTTING || p == PHASE_THAWING || p == PHASE_ROLLING;
}
