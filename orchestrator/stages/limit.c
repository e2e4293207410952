#include "limit.h"

#include <inttypes.h>
#include <string.h>

#include "log.h"
#include "nap.h"

#define LOOK_MS 500

struct run_limit {
	struct run *r;
	struct state *state;		/* a handle of its own: another thread */
	uint64_t rate;			/* under r->lock, as is */
	bool frozen;
	struct nap nap;
	pthread_t thread;
	bool running;
};

static void key_of(const char *plan, char key[96]) { (void)snprintf(key, 96, "limit/%s", plan); }

int limit_wish(struct workspace *w, const char *plan, uint64_t rate, struct err *e)
{
	char key[96], text[32];

	key_of(plan, key);
	(void)snprintf(text, sizeof(text), "%" PRIu64, rate);
	return state_set(w->state, key, text, strlen(text), e);
}

uint64_t limit_now(const struct run *r) { return !r->limit || r->limit->frozen ? 0 : r->limit->rate; }

/* With r->lock held. */
static void tell_all(struct run *r)
{
	for (size_t i = 0; i < RUN_WIRES; i++)
		if (r->wires[i])
			wire_limit(r->wires[i], limit_now(r));
}

void limit_frozen(struct run *r, bool frozen)
{
	if (!r->limit)
		return;
	pthread_mutex_lock(&r->lock);
	if (r->limit->frozen != frozen) {
		r->limit->frozen = frozen;
		tell_all(r);
	}
	pthread_mutex_unlock(&r->lock);
}

static void look(struct run_limit *l)
{
	OWN_BUF struct buf b = BUF_INIT;
	struct err e = ERR_INIT;
	char key[96];
	uint64_t rate;

	key_of(l->r->plan->name, key);
	if (state_get(l->state, key, &b, &e) < 0 || !b.len || buf_finish(&b, &e) < 0)
		return;
	rate = strtoull(b.data, NULL, 10);
	pthread_mutex_lock(&l->r->lock);
	if (rate != l->rate) {
		l->rate = rate;
		tell_all(l->r);
		log_warn("bandwidth: %" PRIu64 " bytes a second from now on%s", rate, rate ? "" : " (no limit)");
	}
	pthread_mutex_unlock(&l->r->lock);
}

static void *watch(void *arg)
{
	struct run_limit *l = arg;

	do
		look(l);
	while (nap_take(&l->nap, LOOK_MS));
	return NULL;
}

void limit_open(struct run *r)
{
	struct run_limit *l = calloc(1, sizeof(*l));
	struct err e = ERR_INIT;

	if (!l)
		return;
	l->r = r;
	l->rate = r->plan->limits.bandwidth;
	nap_init(&l->nap);
	r->limit = l;
	if (limit_wish(r->w, r->plan->name, l->rate, &e) < 0 || workspace_state(r->w, &l->state, &e) < 0 ||
	    pthread_create(&l->thread, NULL, watch, l) != 0)
		log_warn("waybill limit will change nothing: %s", e.text);
	else
		l->running = true;
}

void limit_close(struct run *r)
{
	struct run_limit *l = r->limit;

	if (!l)
		return;
	nap_stop(&l->nap);
	if (l->running)
		(void)pthread_join(l->thread, NULL);
	nap_dispose(&l->nap);
	state_close(l->state);
	free(l);
	r->limit = NULL;
}
