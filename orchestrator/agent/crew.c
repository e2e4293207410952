#include "crew.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

struct crew {
	pthread_mutex_t lock;
	pthread_cond_t work, done;
	struct task *first;
	size_t waiting;			/* threads without work */
	size_t queued;
	bool ending;
	size_t count;			/* threads that run */
	struct member { pthread_t thread; struct crew *crew; void *hand; } *members;
};

static struct task *take_first(struct crew *c)
{
	struct task *t = c->first;

	c->first = t->next;
	c->queued--;
	t->state = TASK_RUNS;
	return t;
}

/* With the lock held, which is given up meanwhile. */
static void run(struct crew *c, struct task *t, void *hand)
{
	pthread_mutex_unlock(&c->lock);
	t->run(t, hand);
	pthread_mutex_lock(&c->lock);
	t->state = TASK_DONE;
	pthread_cond_broadcast(&c->done);
}

static void *member_main(void *arg)
{
	struct member *m = arg;
	struct crew *c = m->crew;

	pthread_mutex_lock(&c->lock);
	while (!c->ending) {
		if (c->first) {
			run(c, take_first(c), m->hand);
			continue;
		}
		c->waiting++;
		pthread_cond_wait(&c->work, &c->lock);
		c->waiting--;
	}
	pthread_mutex_unlock(&c->lock);
	return NULL;
}

int crew_new(struct crew **out, size_t n, void *const *hands, struct err *e)
{
	struct crew *c = calloc(1, sizeof(*c));

	if (!c || !(c->members = calloc(n, sizeof(*c->members)))) {
		free(c);
		return err_sys(e, "threads");
	}
	(void)pthread_mutex_init(&c->lock, NULL);
	(void)pthread_cond_init(&c->work, NULL);
	(void)pthread_cond_init(&c->done, NULL);
	for (size_t i = 0; i < n; i++) {
		c->members[i] = (struct member){ .crew = c, .hand = hands[i] };
		if ((errno = pthread_create(&c->members[i].thread, NULL, member_main, &c->members[i])) != 0)
			break;
		c->count++;
	}
	if (c->count == 0) {
		(void)err_sys(e, "threads");
		crew_free(c);
		return -1;
	}
	*out = c;
	return 0;
}

void crew_give(struct crew *c, struct task *t, bool urgent)
{
	struct task **at = &c->first;

	pthread_mutex_lock(&c->lock);
	while (!urgent && *at)
		at = &(*at)->next;
	t->next = *at;
	*at = t;
	t->state = TASK_QUEUED;
	c->queued++;
	pthread_cond_signal(&c->work);
	pthread_mutex_unlock(&c->lock);
}

bool crew_idle(struct crew *c)
{
	bool idle;

	pthread_mutex_lock(&c->lock);
	idle = c->waiting > c->queued;
	pthread_mutex_unlock(&c->lock);
	return idle;
}

bool crew_done(struct crew *c, const struct task *t)
{
	bool done;

	pthread_mutex_lock(&c->lock);
	done = t->state == TASK_DONE;
	pthread_mutex_unlock(&c->lock);
	return done;
}

static void unlist(struct crew *c, struct task *t)
{
	struct task **at = &c->first;

	while (*at != t)
		at = &(*at)->next;
	*at = t->next;
	c->queued--;
	t->state = TASK_RUNS;
}

void crew_wait(struct crew *c, struct task *t, bool help, void *hand)
{
	pthread_mutex_lock(&c->lock);
	if (help && t->state == TASK_QUEUED) {
		unlist(c, t);
		run(c, t, hand);
	}
	while (t->state != TASK_DONE)
		pthread_cond_wait(&c->done, &c->lock);
	pthread_mutex_unlock(&c->lock);
}

void crew_free(struct crew *c)
{
	if (!c)
		return;
	pthread_mutex_lock(&c->lock);
	c->ending = true;
	pthread_cond_broadcast(&c->work);
	pthread_mutex_unlock(&c->lock);
	for (size_t i = 0; i < c->count; i++)
		(void)pthread_join(c->members[i].thread, NULL);
	(void)pthread_cond_destroy(&c->work);
	(void)pthread_cond_destroy(&c->done);
	(void)pthread_mutex_destroy(&c->lock);
	free(c->members);
	free(c);
}
