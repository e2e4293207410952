#include "limit.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "log.h"

#define LOOK_NS 500000000L

struct run_limit {
	struct run *r;
	struct state *state;		/* a handle of its own: another thread */
	uint64_t rate;			/* under r->lock, as is */
	bool frozen;
	pthread_mutex_t lock;		/* of stop */
	pthread_cond_t ended;
	bool stop;
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

	pthread_mutex_lock(&l->lock);
	while (!l->stop) {
		struct timespec until;

		pthread_mutex_unlock(&l->lock);
		look(l);
		(void)clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += LOOK_NS;
		if (until.tv_nsec >= 1000000000) {
			until.tv_sec++;
			until.tv_nsec -= 1000000000;
		}
		pthread_mutex_lock(&l->lock);
		if (!l->stop)	/* woken by the end: a run that is over does not wait for the next look */
			(void)pthread_cond_timedwait(&l->ended, &l->lock, &until);
	}
	pthread_mutex_unlock(&l->lock);
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
	(void)pthread_mutex_init(&l->lock, NULL);
	(void)pthread_cond_init(&l->ended, NULL);
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
	pthread_mutex_lock(&l->lock);
	l->stop = true;
	pthread_cond_signal(&l->ended);
	pthread_mutex_unlock(&l->lock);
	if (l->running)
		(void)pthread_join(l->thread, NULL);
	(void)pthread_cond_destroy(&l->ended);
	(void)pthread_mutex_destroy(&l->lock);
	state_close(l->state);
	free(l);
	r->limit = NULL;
}
