#include "run.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "clock.h"
#include "esc.h"
#include "limit.h"
#include "sign.h"

static uint64_t epoch_now(void) { return (uint64_t)(clock_now_ns() / 1000); }

int run_next_epoch(struct run *r, struct err *e)
{
	OWN_BUF struct buf b = BUF_INIT;
	char name[96], text[32];

	(void)snprintf(name, sizeof(name), "epoch/%s", r->plan->name);
	if (state_get(r->w->state, name, &b, e) < 0)
		return -1;
	r->epoch = b.len ? strtoull(b.data, NULL, 10) : 0;
	/*
	 * Places remember the highest epoch that worked there, and may meet another ledger later: the clock makes epochs grow
	 * across ledgers (and when state.db is lost: in microseconds, so that the numbers of quick runs do not outrun it), the
	 * stored one across a clock that was set back.
	 */
	r->epoch++;
	if (r->epoch < epoch_now())
		r->epoch = epoch_now();
	(void)snprintf(text, sizeof(text), "%" PRIu64, r->epoch);
	return state_set(r->w->state, name, text, strlen(text), e);
}

/* What this workspace saw last of the ledger: a tail that was cut off, or a history written anew, shows against it. */
static int load_anchor(struct run *r, struct err *e)
{
	OWN_BUF struct buf b = BUF_INIT;
	char name[96];
	unsigned long long seq;

	(void)snprintf(name, sizeof(name), "head/%s", r->plan->name);
	if (state_get(r->w->state, name, &b, e) < 0)
		return -1;
	if (b.len && sscanf(b.data, "%40[0-9a-f] %llu", r->standing.anchor, &seq) == 2)
		r->standing.anchor_seq = seq;
	return 0;
}

static int check_anchor(const struct run *r, struct err *e)
{
	const struct standing *s = &r->standing;

	if (!s->anchor_seq || (s->count >= s->anchor_seq && !s->anchor_moved))
		return 0;
	err_set(e, ERR_INTEGRITY, "the ledger of plan %s was altered: event %llu with commit %s was the last seen here, now it has %llu events%s",
	    r->plan->name, (unsigned long long)s->anchor_seq, s->anchor, (unsigned long long)s->count,
	    s->anchor_moved ? " and another commit in that place" : "");
	return err_hint(e, "bring back the ledger that has that commit; waybill audit --expect %s says what is wrong", s->anchor);
}

int run_open_hosts(struct run *r, const struct plan *plan, const struct run_options *o, struct err *e)
{
	memset(r, 0, sizeof(*r));
	r->plan = plan;
	r->o = o;
	(void)pthread_mutex_init(&r->lock, NULL);
	atomic_init(&r->cancelled, false);
	atomic_init(&r->shielded, false);
	atomic_init(&r->must_undo, false);
	atomic_init(&r->gave_up, false);
	atomic_init(&r->may_give_up, false);
	return (r->hosts = calloc(plan->nhosts, sizeof(*r->hosts))) ? 0 : err_sys(e, "run");
}

int run_open(struct run *r, struct workspace *w, const struct plan *plan, const char *plan_digest,
    const struct run_options *o, const struct run_view *view, bool runner, struct err *e)
{
	if (run_open_hosts(r, plan, o, e) < 0)
		return -1;
	r->w = w;
	r->view = view;
	if (load_anchor(r, e) < 0 || standing_load(w->ledger, plan->name, &r->standing, e) < 0 || check_anchor(r, e) < 0) {
		run_close(r);
		return -1;
	}
	(void)snprintf(r->plan_digest, sizeof(r->plan_digest), "%s", plan_digest ? plan_digest : r->standing.plan_digest);
	/* Whoever is no runner writes to places of its own at most (restore): any epoch of today will do there. */
	r->epoch = epoch_now();
	if (runner && run_next_epoch(r, e) < 0) {
		run_close(r);
		return -1;
	}
	if (runner)
		limit_open(r);
	return 0;
}

void run_hang_up(struct run *r, struct run_slot *slot)
{
	struct host *h = slot->host;

	for (size_t i = 0; h && i < r->plan->nhosts; i++)
		if (r->hosts[i].host && r->hosts[i].spec.via == h)
			run_hang_up(r, &r->hosts[i]);
	host_close(take_ptr(&slot->host));
}

void run_close(struct run *r)
{
	limit_close(r);
	for (size_t i = 0; r->hosts && i < r->plan->nhosts; i++) {
		run_hang_up(r, &r->hosts[i]);
		free(r->hosts[i].identity);
	}
	free(r->hosts);
	for (size_t i = 0; r->staged && i < r->plan->ndatasets; i++)
		free((char *)(uintptr_t)r->staged[i].to.path);
	free(r->staged);
	free(r->derived);
	standing_dispose(&r->standing);
	(void)pthread_mutex_destroy(&r->lock);
	memset(r, 0, sizeof(*r));
}

void run_show_stage(struct run *r, const char *stage, const char *state, const char *text)
{
	if (r->view && r->view->stage)
		r->view->stage(r->view->ctx, stage, state, text);
}

void run_show_progress(struct run *r, const struct run_progress *p)
{
	if (r->view && r->view->progress)
		r->view->progress(r->view->ctx, p);
}

/* The head as seen last, so that a cut tail shows (design.md 5). */
static int remember_head(struct run *r, const struct ledger_event *ev, struct err *e)
{
	char name[96], text[96];

	(void)snprintf(name, sizeof(name), "head/%s", r->plan->name);
	(void)snprintf(text, sizeof(text), "%s %" PRIu64, ev->commit, ev->seq);
	return state_set(r->w->state, name, text, strlen(text), e);
}

int run_event(struct run *r, struct ledger_txn *t, const char *stage, const char *state, json_t *data,
    struct err *e, const char *text, ...)
{
	OWN_FREE char *json = data ? json_dumps(data, JSON_COMPACT | JSON_SORT_KEYS) : strdup("{}");
	OWN_FREE char *line = NULL;
	char raw[1024], at[CLOCK_TEXT];
	struct ledger_event ev = { .stage = stage, .state = state, .by = r->o->as ? r->o->as : "",
		.plan_digest = r->plan_digest };
	int64_t began = clock_mono_ns();
	va_list ap;

	json_decref(data);
	va_start(ap, text);
	(void)vsnprintf(raw, sizeof(raw), text, ap);
	va_end(ap);
	esc_trim(raw);
	for (char *c = raw; *c; c++)
		if (*c == '\n')
			*c = ' ';
	line = strdup(raw);
	if (!json || !line) {
		ledger_txn_abandon(t);
		return err_set(e, ERR_TEMPORARY, "record %s %s of plan %s: out of memory", stage, state, r->plan->name);
	}
	ev.text = line;
	ev.data = json;
	ev.at = clock_text(clock_now_ns() / 1000000000, r->plan->timezone, at);
	if (!t && ledger_txn_begin(r->w->ledger, r->plan->name, &t, e) < 0)
		return -1;
	if (ledger_txn_commit(t, &ev, r->o->key ? sign_for_ledger : NULL, (void *)(uintptr_t)r->o->key, e) < 0)
		return err_at(e, "record %s %s of plan %s", stage, state, r->plan->name);
	if (standing_apply(&r->standing, &ev, e) < 0)
		return -1;
	if (remember_head(r, &ev, e) < 0)
		return -1;
	r->cost.event_s += (double)(clock_mono_ns() - began) / 1e9;
	r->cost.events++;
	return 0;
}
