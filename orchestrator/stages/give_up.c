#include "give_up.h"

#include <errno.h>
#include <time.h>

#include "clock.h"
#include "log.h"

struct give_up {
	struct run *r;
	pthread_t thread;
	atomic_bool stop;
};

void give_up_arm(struct run *r, bool frozen) { atomic_store(&r->may_give_up, frozen); }

static void *wait_for_it(void *arg)
{
	struct give_up *g = arg;
	const struct timespec nap = { 0, 200000000 };

	while (!atomic_load(&g->stop)) {
		if (atomic_load(&g->r->may_give_up) && clock_now_ns() / 1000000000 >= g->r->plan->cutover.give_up) {
			log_warn("plan %s: give_up has come before the cut-over", g->r->plan->name);
			atomic_store(&g->r->gave_up, true);
			run_cancel(g->r);
			return NULL;
		}
		(void)nanosleep(&nap, NULL);
	}
	return NULL;
}

int give_up_start(struct run *r, struct give_up **out, struct err *e)
{
	struct give_up *g;

	*out = NULL;
	if (!r->plan->cutover.give_up)
		return 0;
	if (!(g = calloc(1, sizeof(*g))))
		return err_sys(e, "give_up");
	g->r = r;
	atomic_init(&g->stop, false);
	if ((errno = pthread_create(&g->thread, NULL, wait_for_it, g)) != 0) {
		free(g);
		return err_sys(e, "thread");
	}
	*out = g;
	return 0;
}

void give_up_stop(struct give_up *g)
{
	if (!g)
		return;
	atomic_store(&g->stop, true);
	(void)pthread_join(g->thread, NULL);
	free(g);
}
