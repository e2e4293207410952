/*
 * Making things durable beside the writing: a sync takes as long as the disk needs, and the next pack can be written meanwhile.
 * What is written after a FLUSH may be synced with it; nothing before it may be left out, and nothing is: the sync begins when
 * all of that has been written, by whichever worker.
 */
#include "apply.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "sys.h"

#define TOKENS_MAX 256
#define WATCH_NS 500000000L

int apply_durable(struct apply *ap, struct err *e)
{
	char name[AGENT_NAME];

	if ((ap->block ? sys_fsync(SITE, ap->a->root) : sys_syncfs(SITE, ap->a->root)) == 0)
		return 0;
	(void)err_sys(e, "sync of %s", agent_name(ap->a, ".", name));
	e->class = ERR_TEMPORARY;
	return -1;
}

/* Answers the first of them, and those for which nothing is being written any more: *n becomes their number. */
static int answer(struct apply *ap, const struct flush *tokens, size_t *n, struct err *e)
{
	OWN_BUF struct buf b = BUF_INIT;
	uint64_t done;
	size_t patched;

	if (pool_drain_until(&ap->pool, tokens[0].after, &done, e) < 0)
		return -1;
	while (tokens[*n - 1].after > done)
		--*n;
	patched = undo_count(ap);
	if (apply_durable(ap, e) < 0 || fence_still(&ap->fence, e) < 0 || undo_forget(ap, patched, e) < 0)
		return -1;
	for (size_t i = 0; i < *n; i++) {
		msg_number_encode(&b, tokens[i].token);
		if (agent_send(ap->a, WIRE_ACK, MSG_ACK, &b, e) < 0)
			return -1;
	}
	return 0;
}

static void give_up(struct apply *ap, const struct err *why)
{
	ap->syncer.failed = true;
	ap->syncer.why = *why;
	wire_cancel(ap->a->wire);	/* the role may be waiting for input that will not come before our answer */
}

/* With the lock held, nothing to do: a later runner waits for us to notice it (fence.h). */
static void wait_or_watch(struct apply *ap)
{
	struct syncer *y = &ap->syncer;
	struct err e = ERR_INIT;
	struct timespec t;

	(void)clock_gettime(CLOCK_REALTIME, &t);
	t.tv_nsec += WATCH_NS;
	t.tv_sec += t.tv_nsec / 1000000000;
	t.tv_nsec %= 1000000000;
	if (pthread_cond_timedwait(&y->changed, &y->lock, &t) != ETIMEDOUT)
		return;
	pthread_mutex_unlock(&y->lock);
	if (fence_still(&ap->fence, &e) == 0)
		err_clear(&e);
	pthread_mutex_lock(&y->lock);
	if (e.class != ERR_NONE)
		give_up(ap, &e);
}

static void *sync_main(void *arg)
{
	struct apply *ap = arg;
	struct syncer *y = &ap->syncer;
	struct flush tokens[TOKENS_MAX];
	struct err e = ERR_INIT;
	size_t n;
	int r;

	pthread_mutex_lock(&y->lock);
	while (!y->failed) {
		if (y->count == 0) {
			if (y->ending)
				break;
			wait_or_watch(ap);
			continue;
		}
		n = y->count;
		memcpy(tokens, y->tokens, n * sizeof(*tokens));
		pthread_mutex_unlock(&y->lock);
		r = answer(ap, tokens, &n, &e);
		pthread_mutex_lock(&y->lock);
		y->count -= n;
		memmove(y->tokens, y->tokens + n, y->count * sizeof(*y->tokens));
		if (r < 0)
			give_up(ap, &e);
		pthread_cond_broadcast(&y->changed);
	}
	pthread_mutex_unlock(&y->lock);
	return NULL;
}

int apply_sync_start(struct apply *ap, struct err *e)
{
	struct syncer *y = &ap->syncer;

	if (!(y->tokens = calloc(TOKENS_MAX, sizeof(*y->tokens))))
		return err_set(e, ERR_TEMPORARY, "out of memory");
	pthread_mutex_init(&y->lock, NULL);
	pthread_cond_init(&y->changed, NULL);
	errno = pthread_create(&y->thread, NULL, sync_main, ap);
	if (errno)
		return err_sys(e, "thread");
	y->running = true;
	return 0;
}

int apply_sync_ask(struct apply *ap, uint64_t token, struct err *e)
{
	struct syncer *y = &ap->syncer;
	int r = 0;

	pthread_mutex_lock(&y->lock);
	while (!y->failed && y->count == TOKENS_MAX)
		pthread_cond_wait(&y->changed, &y->lock);
	if (y->failed) {
		*e = y->why;
		r = -1;
	} else {
		y->tokens[y->count++] = (struct flush){ token, ap->pool.given };
		pthread_cond_broadcast(&y->changed);
	}
	pthread_mutex_unlock(&y->lock);
	return r;
}

int apply_sync_state(struct apply *ap, struct err *e)
{
	struct syncer *y = &ap->syncer;
	int r = 0;

	pthread_mutex_lock(&y->lock);
	if (y->failed) {
		*e = y->why;
		r = -1;
	}
	pthread_mutex_unlock(&y->lock);
	return r;
}

int apply_sync_stop(struct apply *ap, struct err *e)
{
	struct syncer *y = &ap->syncer;

	if (y->running) {
		pthread_mutex_lock(&y->lock);
		y->ending = true;
		pthread_cond_broadcast(&y->changed);
		pthread_mutex_unlock(&y->lock);
		pthread_join(y->thread, NULL);
		y->running = false;
	}
	if (!y->failed)
		return 0;
	*e = y->why;
	return -1;
}
