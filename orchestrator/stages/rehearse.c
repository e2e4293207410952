#include "rehearse.h"

#include <string.h>

#include "clock.h"
#include "derived_name.h"
#include "hooks.h"
#include "log.h"
#include "pass.h"
#include "persist.h"
#include "place_ask.h"
#include "places.h"
#include "resend.h"
#include "verify.h"

#define PASSES 2	/* the first makes the place what a live copy is; the second is measured */

struct rehearsed {
	struct plan_dataset d;	/* the plan's, with another name and place; name owned */
	const struct plan_dataset *real;
	double seconds, full_seconds;
};

static void dispose(struct rehearsed *h) { free((char *)(uintptr_t)h->d.name); }

static int prepare(const struct plan *p, const struct plan_rehearsal_place *at, struct rehearsed *h, struct err *e)
{
	char name[DERIVED_NAME], *own;

	*h = (struct rehearsed){ .real = plan_dataset(p, at->dataset) };
	if (h->real->kind != DATASET_FILES)
		return err_set(e, ERR_PERMANENT, "dataset %s: a rehearsal of %s datasets is not built yet", h->real->name, plan_dataset_kind_name(h->real->kind));
	h->d = *h->real;
	h->d.name = NULL;
	if (derived_name(h->real->name, "-rehearsal", name, e) < 0)
		return -1;
	if (!(own = strdup(name)))
		return err_sys(e, "rehearsal");
	h->d.name = own;
	h->d.to = at->to;
	h->d.files.activate = ACTIVATE_IN_PLACE;
	if (plan_dataset(p, name))
		return err_set(e, ERR_USAGE, "the plan has a dataset %s, whose name its rehearsal needs", name);
	return 0;
}

/* ---- the place ---- */

static void mark_name(const struct run *r, const struct rehearsed *h, char out[200])
{
	(void)snprintf(out, 200, "rehearsal/%s/%s", r->plan->name, h->d.name);
}

/* A place that a rehearsal left carries its identity in state.db; anything else must be absent or empty. */
static int check_place(struct run *r, const struct rehearsed *h, struct err *e)
{
	OWN_BUF struct buf b = BUF_INIT;
	char name[200], place[PLACE_NAME];
	json_t *facts;
	bool ours, gone;

	mark_name(r, h, name);
	if (state_get(r->w->state, name, &b, e) < 0 || place_facts(r, h->d.to.host, h->d.to.path, &facts, e) < 0)
		return -1;
	ours = b.len && strcmp(place_fact(facts, "identity"), b.data) == 0;
	gone = strcmp(place_fact(facts, "exists"), "yes") != 0;
	json_decref(facts);
	if (ours)
		return 0;
	if (!gone) {
		err_set(e, ERR_REFUSED, "%s is there already, and no rehearsal put it there", place_name(h->d.to.host, h->d.to.path, place));
		return err_hint(e, "name a place that does not exist yet");
	}
	/* What an earlier rehearsal sent is gone with its place. */
	return resend_everything(r, h->d.name, e);
}

static int mark_place(struct run *r, const struct rehearsed *h, struct err *e)
{
	const char *identity;
	char name[200];
	json_t *facts;
	int res;

	mark_name(r, h, name);
	if (place_facts(r, h->d.to.host, h->d.to.path, &facts, e) < 0)
		return -1;
	identity = place_fact(facts, "identity");
	res = state_set(r->w->state, name, identity, strlen(identity), e);
	json_decref(facts);
	return res;
}

static int drop_place(struct run *r, const struct rehearsed *h, struct err *e)
{
	OWN_BUF struct buf mark = BUF_INIT;
	OWN_FREE char *id = place_id(r, &h->d.to, e);
	char name[200], place[PLACE_NAME];
	json_t *facts;
	bool ours;

	mark_name(r, h, name);
	if (!id)
		return -1;
	if (!*id)
		return state_set(r->w->state, name, "", 0, e) < 0 ? -1 : resend_everything(r, h->d.name, e);
	if (state_get(r->w->state, name, &mark, e) < 0 || place_facts(r, h->d.to.host, h->d.to.path, &facts, e) < 0)
		return -1;
	/* What stands there is compared with the mark by one name, and removed by the other: exchanged in between, it stays. */
	ours = mark.len && strcmp(place_fact(facts, "identity"), mark.data) == 0;
	json_decref(facts);
	/* Whatever the outcome, the mark has done its work: an inode number is given again to others. */
	if (state_set(r->w->state, name, "", 0, e) < 0)
		return -1;
	if (!ours)
		return err_set(e, ERR_REFUSED, "%s is not what the rehearsal made: it stays", place_name(h->d.to.host, h->d.to.path, place));
	if (place_remove(r, &h->d.to, id, e) < 0)
		return -1;
	return resend_everything(r, h->d.name, e);
}

/* ---- passes ---- */

struct act { struct run *r; const struct rehearsed *h; struct pass_result res; bool again; };

static int pass_once(void *ctx, struct err *e)
{
	struct act *a = ctx;

	if (a->again && run_next_epoch(a->r, e) < 0)
		return -1;
	a->again = true;
	return pass_run(a->r, &a->h->d, "copy", &a->res, e);
}

static int check(struct run *r, const struct rehearsed *h, double *seconds, struct err *e)
{
	OWN_VERIFY struct verify_result v = VERIFY_RESULT_INIT;
	struct verify_options o = { .side = VERIFY_TARGET };

	if (verify_run(r, &h->d, &o, &v, e) < 0 || verify_record(r, "verify", &v, e) < 0)
		return -1;
	*seconds += v.seconds;
	if (!v.difference_total && !v.unverified_total)
		return 0;
	return err_set(e, v.difference_total ? ERR_INTEGRITY : ERR_UNVERIFIED, "rehearsal of dataset %s: the place differs from what was sent; first: %s",
	    h->real->name, v.difference_count ? v.differences[0].path : v.unverified[0].path);
}

static int passes(struct run *r, struct rehearsed *h, struct err *e)
{
	for (int pass = 0; pass < PASSES; pass++) {
		struct act a = { .r = r, .h = h };
		double seconds;

		struct err unmarked = ERR_INIT;
		int res = persist(r, pass_once, &a, e);

		/* Also of a pass that failed: it may have begun to make the place. */
		if (pass == 0 && mark_place(r, h, res < 0 ? &unmarked : e) < 0)
			return -1;
		if (res < 0)
			return -1;
		seconds = a.res.seconds;
		if (check(r, h, &seconds, e) < 0)
			return -1;
		*(pass ? &h->seconds : &h->full_seconds) = seconds;
		if (a.res.blocked)
			return err_set(e, ERR_PERMANENT, "rehearsal of dataset %s: %llu entries could not be read", h->real->name, (unsigned long long)a.res.blocked);
	}
	return 0;
}

static int smoke(struct run *r, struct err *e)
{
	struct hooks_call c = { .point = POINT_SMOKE, .stage = "rehearse", .instead = &r->plan->rehearsal.smoke, .go_on = true, .rehearsal = true };

	if (hooks_run(r, &c, e) == 0)
		return 0;
	/* Production is untouched, whatever the hook could not find out. */
	if (e->class == ERR_DOWN)
		e->class = ERR_UNVERIFIED;
	return -1;
}

static int rehearse_all(struct run *r, struct rehearsed *h, size_t n, struct err *e)
{
	struct hooks_call c = { .point = POINT_BEFORE_COPY, .stage = "rehearse", .pass = 1, .rehearsal = true };
	struct err late = ERR_INIT;
	int res = hooks_run(r, &c, e);

	for (size_t i = 0; res == 0 && i < n; i++)
		res = passes(r, &h[i], e);
	c.point = POINT_AFTER_COPY;
	c.outcome = res == 0 ? "done" : "failed";
	c.go_on = true;
	run_shield(r);
	if (hooks_run(r, &c, &late) < 0 && res == 0) {
		*e = late;
		res = -1;
	}
	run_unshield(r);
	return res == 0 ? smoke(r, e) : -1;
}

static int record(struct run *r, const struct rehearsed *h, size_t n, const struct err *why, struct err *e)
{
	json_t *all = json_object();

	for (size_t i = 0; i < n; i++)
		(void)json_object_set_new(all, h[i].real->name, json_pack("{s:f,s:f,s:s}", "seconds", h[i].seconds, "full_seconds", h[i].full_seconds,
		    "dataset", h[i].d.name));
	if (why->class != ERR_NONE)
		return run_event(r, NULL, "rehearse", "failed", json_pack("{s:o,s:s}", "datasets", all, "text", why->text), e, "rehearsal failed: %s", why->text);
	return run_event(r, NULL, "rehearse", "done", json_pack("{s:o}", "datasets", all), e, "rehearsal of %zu datasets was good", n);
}

static int go(struct run *r, struct rehearsed *h, size_t n, bool keep, struct err *e)
{
	struct err why = ERR_INIT, late = ERR_INIT;

	for (size_t i = 0; i < n; i++)
		if (prepare(r->plan, &r->plan->rehearsal.to[i], &h[i], e) < 0 || check_place(r, &h[i], e) < 0)
			return -1;
	run_show_stage(r, "rehearse", "started", "");
	if (rehearse_all(r, h, n, &why) < 0)
		run_show_stage(r, "rehearse", "failed", why.text);
	else
		run_show_stage(r, "rehearse", "done", "");
	run_shield(r);	/* what was made is taken away again */
	for (size_t i = 0; !keep && i < n; i++)
		if (drop_place(r, &h[i], &late) < 0)
			log_warn("%s", late.text);
	if (record(r, h, n, &why, e) < 0)
		return -1;
	if (why.class == ERR_NONE)
		return 0;
	*e = why;
	return -1;
}

int rehearse(struct run *r, bool keep, struct err *e)
{
	size_t n = r->plan->rehearsal.nto;
	struct rehearsed *h;
	int res;

	if (!n) {
		err_set(e, ERR_USAGE, "plan %s has no rehearsal", r->plan->name);
		return err_hint(e, "add rehearsal: {to: {DATASET: HOST:/PATH}}");
	}
	if (r->standing.phase != PHASE_LIVE || r->standing.clearing || r->standing.cleared)
		return err_set(e, ERR_REFUSED, "plan %s has frozen, taken over or begun to clear: that is no time to rehearse", r->plan->name);
	if (!(h = calloc(n, sizeof(*h))))
		return err_sys(e, "rehearsal");
	res = go(r, h, n, keep, e);
	for (size_t i = 0; i < n; i++)
		dispose(&h[i]);
	free(h);
	return res;
}
