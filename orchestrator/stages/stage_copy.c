/* copy: passes over the live source until one is short enough.  final: one more that counts as frozen. */
#include <inttypes.h>
#include <string.h>

#include "clock.h"
#include "esc.h"
#include "hooks.h"
#include "limit.h"
#include "log.h"
#include "made.h"
#include "pass.h"
#include "persist.h"
#include "places.h"
#include "resend.h"
#include "runner.h"
#include "verify.h"
#include "window.h"

/* A pass is read back where it was written; what differs is sent again by the next pass. */
static int read_back(struct run *r, const struct plan_dataset *d, const char *stage, struct err *e)
{
	OWN_VERIFY struct verify_result v = VERIFY_RESULT_INIT;
	struct verify_options o = { .side = VERIFY_TARGET, .keep_extra = true };

	if (verify_run(r, d, &o, &v, e) < 0)
		return -1;
	if (resend_note(r, &v, e) < 0 || verify_record(r, stage, &v, e) < 0)
		return -1;
	if (!v.difference_total && !v.unverified_total)
		return 0;
	err_set(e, v.difference_total ? ERR_INTEGRITY : ERR_UNVERIFIED, "dataset %s version %" PRIu64 " at the target: %" PRIu64
	    " differences, %" PRIu64 " unverified; first: %s", d->name, v.version, v.difference_total, v.unverified_total,
	    v.difference_count ? v.differences[0].path : v.unverified[0].path);
	return err_hint(e, "the next run sends what differs again; list it with: waybill verify %s %s", r->plan->name, d->name);
}

struct sums { uint64_t blocked, unsettled; double seconds; const char *first; };	/* first: a dataset that has blocked entries */

/* Between preflight and now, or between two runs, a source can lose its mount. */
static int still_there(struct run *r, const struct plan_dataset *d, struct err *e)
{
	json_t *facts;
	char place[PLACE_NAME];
	bool there;

	if (place_facts(r, d->from.host, d->from.path, &facts, e) < 0)
		return -1;
	there = strcmp(place_fact(facts, "exists"), "yes") == 0;
	json_decref(facts);
	if (there)
		return 0;
	err_set(e, ERR_REFUSED, "%s does not exist any more", place_name(d->from.host, d->from.path, place));
	return err_hint(e, "is it mounted? nothing was changed and nothing recorded");
}

struct pass_act { struct run *r; const struct plan_dataset *d; const char *stage; struct pass_result *res; bool again; };

static int pass_once(void *ctx, struct err *e)
{
	struct pass_act *a = ctx;

	/* Whoever still writes over the lost connection is overtaken (fence.h). */
	if (a->again && run_next_epoch(a->r, e) < 0)
		return -1;
	a->again = true;
	return still_there(a->r, a->d, e) < 0 ? -1 : pass_run(a->r, a->d, a->stage, a->res, e);
}

/* Nothing is fed into what holds something; and a plan that is run once more is no wish to have it dropped. */
static int finished_before(struct run *r, const struct plan_dataset *d, bool *finished, struct err *e)
{
	*finished = false;
	if (!made_is(d))
		return 0;
	if (made_finished(r, d, finished, e) < 0)
		return -1;
	if (*finished)
		log_warn("dataset %s is finished: version %" PRIu64 " was fed at host %s and found good there; to move the database anew, drop it there and run again",
		    d->name, standing_dataset(&r->standing, d->name)->version, d->to.host);
	return 0;
}

static int one_pass(struct run *r, const struct plan_dataset *d, const char *stage, struct sums *s, struct err *e)
{
	struct pass_result res = { .version = 0 };
	struct pass_act act = { r, d, stage, &res, false };
	bool finished;

	if (finished_before(r, d, &finished, e) < 0 || finished)
		return finished ? 0 : -1;
	limit_frozen(r, strcmp(stage, "final") == 0);
	/* What a command was fed with cannot be taken back: such a pass is not tried again by itself. */
	if ((made_is(d) ? made_pass_run(r, d, stage, &res, e) : persist(r, pass_once, &act, e)) < 0)
		return -1;
	s->blocked += res.blocked;
	s->unsettled += res.balance.unsettled;
	s->seconds += res.seconds;
	if (res.blocked && !s->first)
		s->first = d->name;
	log_info("%s version %" PRIu64 ": scanned %" PRIu64 " = copied %" PRIu64 " + unchanged %" PRIu64 " + skipped %" PRIu64
	    " + unsettled %" PRIu64 " + failed %" PRIu64, d->name, res.version, res.balance.scanned, res.balance.copied,
	    res.balance.unchanged, res.balance.skipped, res.balance.unsettled, res.balance.failed);
	if (res.losses[0])
		log_warn("%s: known losses at the target: %s", d->name, res.losses);
	if (res.problems)
		log_warn("%s: %" PRIu64 " entries could not be kept as they are at the target; verify names them", d->name, res.problems);
	if (strcmp(stage, "copy") == 0 && r->plan->passes.verify && d->to.host && !made_is(d))
		return read_back(r, d, "verify", e);
	return 0;
}

/* A migration without freeze has nothing to do in its final pass that the live passes did not, but what is taken once. */
static bool is_due(const struct run *r, const struct plan_dataset *d, const char *stage)
{
	bool frozen = r->plan->kind != PLAN_MIGRATION || r->plan->hooks[POINT_FREEZE].n;

	if (strcmp(stage, "final") == 0 && !frozen)
		return made_is(d) && !made_due(d, "copy");
	return !made_is(d) || made_due(d, stage);
}

static int every_dataset(struct run *r, const char *stage, struct sums *s, struct err *e)
{
	for (size_t i = 0; i < r->plan->ndatasets; i++)
		if (runner_wants(r, &r->plan->datasets[i]) && is_due(r, &r->plan->datasets[i], stage) &&
		    one_pass(r, &r->plan->datasets[i], stage, s, e) < 0)
			return -1;
	return 0;
}

/* after-copy undoes what before-copy did (a snapshot): also when the pass failed, and when somebody pressed Ctrl-C. */
static int after_copy(struct run *r, struct hooks_call *c, bool failed, struct err *e)
{
	struct err late = ERR_INIT;
	int res;

	c->point = POINT_AFTER_COPY;
	c->outcome = failed ? "failed" : "done";
	c->go_on = true;
	run_shield(r);
	res = hooks_run(r, c, &late);
	run_unshield(r);
	if (res == 0)
		return failed ? -1 : 0;
	if (failed)
		log_error("%s", late.text);
	else
		*e = late;
	return -1;
}

static int pass_over_all(struct run *r, const char *stage, unsigned pass, struct sums *s, struct err *e)
{
	struct hooks_call c = { .point = POINT_BEFORE_COPY, .stage = stage, .pass = pass };
	bool failed = hooks_run(r, &c, e) < 0 || every_dataset(r, stage, s, e) < 0;

	return after_copy(r, &c, failed, e);
}

static int blocked(struct run *r, const struct sums *s, struct err *e)
{
	if (!s->blocked)
		return 0;
	err_set(e, ERR_PERMANENT, "plan %s: %" PRIu64 " entries could not be read (dataset %s); the rest is copied", r->plan->name, s->blocked, s->first);
	return err_hint(e, "name them with: waybill show %s %s --skipped; make them readable, or put them in known_faults with a reason",
	    r->plan->name, s->first);
}

int stage_copy(struct run *r, struct err *e)
{
	struct sums s = { .blocked = 0 };
	struct err closed = ERR_INIT;
	int64_t began;
	double wall = 0;
	bool only = r->o->only && r->o->only[0];

	if (window_open(r, e) < 0)
		return -1;
	if (!only && run_event(r, NULL, "copy", "started", NULL, e, "copy started") < 0)
		return -1;
	for (int pass = 1; pass <= r->plan->passes.max; pass++) {
		/* A window that closed meanwhile ends the repetition, not the run: what was copied stands. */
		if (pass > 1 && window_open(r, &closed) < 0)
			break;
		memset(&s, 0, sizeof(s));
		began = clock_mono_ns();
		if (pass_over_all(r, "copy", (unsigned)pass, &s, e) < 0)
			return -1;
		wall = (double)(clock_mono_ns() - began) / 1e9;
		if (s.seconds < (double)r->plan->passes.until_s)
			break;
	}
	if (blocked(r, &s, e) < 0 || only)
		return s.blocked ? -1 : 0;
	/* A final pass and its verification take what the last live one took, with all around them. */
	return run_event(r, NULL, "copy", "done", json_pack("{s:f}", "last_pass_s", wall), e, "copy done");
}

int stage_final(struct run *r, struct err *e)
{
	struct sums s = { .blocked = 0 };

	bool any = false;

	for (size_t i = 0; i < r->plan->ndatasets; i++)
		any |= is_due(r, &r->plan->datasets[i], "final");
	if (!any)
		return 0;
	if (pass_over_all(r, "final", 1, &s, e) < 0)
		return -1;
	return blocked(r, &s, e);
}
