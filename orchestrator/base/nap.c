#include "nap.h"

#include <errno.h>
#include <time.h>

void nap_init(struct nap *n)
{
	pthread_condattr_t mono;

	(void)pthread_condattr_init(&mono);
	(void)pthread_condattr_setclock(&mono, CLOCK_MONOTONIC);
	(void)pthread_mutex_init(&n->lock, NULL);
	(void)pthread_cond_init(&n->changed, &mono);
	(void)pthread_condattr_destroy(&mono);
	n->stop = false;
}

void nap_dispose(struct nap *n)
{
	(void)pthread_cond_destroy(&n->changed);
	(void)pthread_mutex_destroy(&n->lock);
}

void nap_stop(struct nap *n)
{
	pthread_mutex_lock(&n->lock);
	n->stop = true;
	pthread_cond_broadcast(&n->changed);
	pthread_mutex_unlock(&n->lock);
}

bool nap_stopped(struct nap *n)
{
	bool stop;

	pthread_mutex_lock(&n->lock);
	stop = n->stop;
	pthread_mutex_unlock(&n->lock);
	return stop;
}

bool nap_take(struct nap *n, int ms)
{
	struct timespec t;
	bool stop;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += ms / 1000;
	t.tv_nsec += ms % 1000 * 1000000L;
	if (t.tv_nsec >= 1000000000) {
		t.tv_sec++;
		t.tv_nsec -= 1000000000;
	}
	pthread_mutex_lock(&n->lock);
	while (!n->stop && pthread_cond_timedwait(&n->changed, &n->lock, &t) != ETIMEDOUT)
		;
	stop = n->stop;
	pthread_mutex_unlock(&n->lock);
	return !stop;
}
