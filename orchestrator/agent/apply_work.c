/* Complete objects to workers; see struct pool. */
#include "apply.h"

#include <errno.h>
#include <inttypes.h>
#include <sched.h>

struct job {
	struct job *next;
	uint64_t number;
	struct object o;	/* owned */
	uint64_t raw;
	struct large *large;	/* of a slice; NULL: a pack */
};

static void job_free(struct job *j)
{
	object_dispose(&j->o);
	free(j);
}

/* ---- a worker ---- */

struct worker { struct apply *ap; unsigned slot; };

static int work(struct apply *hand, const struct job *j, struct err *e)
{
	int r = j->large ? apply_slice(hand, &j->o, j->large, j->raw, e) : apply_pack(hand, &j->o, e);

	/* By the next job another message may have taken the directory away. */
	tree_forget_parent(hand);
	return r < 0 ? err_at(e, "object %" PRIu64, j->o.is.ordinal) : 0;
}

/* NULL: the end.  Called and left with the lock held. */
static struct job *next_job(struct pool *p, unsigned slot)
{
	struct job *j;

	while (!p->first && !p->stop)
		pthread_cond_wait(&p->changed, &p->lock);
	if (p->stop)
		return NULL;
	j = p->first;
	if (!(p->first = j->next))
		p->last = &p->first;
	p->waiting--;
	p->running[slot] = j->number;
	pthread_cond_broadcast(&p->changed);
	return j;
}

static void fail(struct apply *ap, const struct err *why)
{
	struct pool *p = &ap->pool;

	if (!p->failed)
		p->why = *why;
	p->failed = p->stop = true;
	wire_cancel(ap->a->wire);	/* the role may be waiting for input: its reason is here */
}

static void *worker_main(void *arg)
{
	struct worker w = *(struct worker *)arg;
	struct pool *p = &w.ap->pool;
	struct job *j;

	free(arg);
	pthread_mutex_lock(&p->lock);
	while ((j = next_job(p, w.slot))) {
		struct err e = ERR_INIT;
		int r;

		pthread_mutex_unlock(&p->lock);
		r = work(p->hands[w.slot], j, &e);
		pthread_mutex_lock(&p->lock);
		p->running[w.slot] = 0;
		p->bytes -= j->o.stored.len;
		if (j->large)
			j->large->slices--;
		if (r < 0)
			fail(w.ap, &e);
		pthread_cond_broadcast(&p->changed);
		job_free(j);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

/* ---- the pool ---- */

static unsigned cores(void)
{
	cpu_set_t s;
	int n = sched_getaffinity(0, sizeof(s), &s) == 0 ? CPU_COUNT(&s) : 1;

	return n < 1 ? 1 : n > WORKERS_MAX ? WORKERS_MAX : (unsigned)n;
}

static struct apply *new_hand(const struct apply *ap)
{
	struct apply *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	h->a = ap->a;
	h->block = ap->block;
	h->common = ap->common;
	h->staging = ap->staging;
	h->staging_plain = ap->staging_plain;
	h->fsync_each = ap->fsync_each;
	h->parent_fd = -1;
	if ((h->copy = out_memory(COPY_BYTES)))
		return h;
	free(h);
	return NULL;
}

static int add_worker(struct apply *ap, struct err *e)
{
	struct pool *p = &ap->pool;
	struct worker *w = malloc(sizeof(*w));
	struct apply *hand = new_hand(ap);

	if (!w || !hand) {
		free(w);
		if (hand)
			free(hand->copy);
		free(hand);
		return err_set(e, ERR_TEMPORARY, "out of memory");
	}
	*w = (struct worker){ ap, p->count };
	p->hands[p->count] = hand;
	errno = pthread_create(&p->threads[p->count], NULL, worker_main, w);
	if (errno) {
		(void)err_sys(e, "thread");
		free(w);
		free(hand->copy);
		free(hand);
		return -1;
	}
	p->count++;
	return 0;
}

int pool_start(struct apply *ap, struct err *e)
{
	struct pool *p = &ap->pool;

	p->last = &p->first;
	for (unsigned n = cores(); n; n--)
		/* Fewer do as well, but one there must be. */
		if (add_worker(ap, e) < 0)
			break;
	if (p->count == 0)
		return -1;
	err_clear(e);
	return 0;
}

void pool_stop(struct apply *ap)
{
	struct pool *p = &ap->pool;
	unsigned n = p->count;

	if (n == 0)
		return;
	pthread_mutex_lock(&p->lock);
	p->stop = true;
	if (p->first && !p->failed) {
		p->failed = true;
		(void)err_set(&p->why, ERR_CANCELLED, "objects were left unwritten");
	}
	pthread_cond_broadcast(&p->changed);
	pthread_mutex_unlock(&p->lock);
	for (unsigned i = 0; i < n; i++) {
		pthread_join(p->threads[i], NULL);
		tree_dispose(p->hands[i]);
		free(p->hands[i]);
	}
	p->count = 0;
	while (p->first) {
		struct job *j = p->first;

		p->first = j->next;
		job_free(j);
	}
}

/* ---- giving and waiting ---- */

/* With the lock held. */
static int state(const struct pool *p, struct err *e)
{
	if (!p->failed)
		return 0;
	*e = p->why;
	return -1;
}

static void append(struct pool *p, struct job *j)
{
	j->number = ++p->given;
	if (j->large)
		j->large->slices++;
	*p->last = j;
	p->last = &j->next;
	p->waiting++;
	p->bytes += j->o.stored.len;
	pthread_cond_broadcast(&p->changed);
}

/* With the lock held.  An object by itself always has room. */
static bool has_room(const struct pool *p, const struct job *j)
{
	return p->waiting < POOL_WAITING && (!p->bytes || p->bytes + j->o.stored.len <= POOL_BYTES);
}

/* A slice of a content that was given up is read past: *large is NULL then. */
static int slice_of(struct apply *ap, const struct object *o, struct large **large, struct err *e)
{
	struct large *l = large_find(ap, o->is.large_id);

	if (!l && o->is.large_id > ap->large_max)
		return err_set(e, ERR_INTEGRITY, "a slice of large content %" PRIu64 ", which never began", o->is.large_id);
	*large = l && l->fd >= 0 ? l : NULL;
	return 0;
}

int pool_give(struct apply *ap, struct object *o, uint64_t raw, struct err *e)
{
	struct pool *p = &ap->pool;
	struct large *large = NULL;
	struct job *j;
	int r;

	if (o->is.kind != MSG_KIND_PACK && (slice_of(ap, o, &large, e) < 0 || !large)) {
		object_dispose(o);
		return e->class == ERR_NONE ? 0 : -1;
	}
	if (!(j = calloc(1, sizeof(*j)))) {
		object_dispose(o);
		return err_set(e, ERR_TEMPORARY, "out of memory");
	}
	*j = (struct job){ .o = *o, .raw = raw, .large = large };
	*o = (struct object){ .stored = BUF_INIT };	/* transferred */
	pthread_mutex_lock(&p->lock);
	while (!p->failed && !has_room(p, j))
		pthread_cond_wait(&p->changed, &p->lock);
	if ((r = state(p, e)) == 0)
		append(p, j);
	pthread_mutex_unlock(&p->lock);
	if (r < 0)
		job_free(j);
	return r;
}

/* The job before which all are done; with the lock held. */
static uint64_t first_undone(const struct pool *p)
{
	uint64_t n = p->first ? p->first->number : p->given + 1;

	for (unsigned i = 0; i < WORKERS_MAX; i++)
		if (p->running[i] && p->running[i] < n)
			n = p->running[i];
	return n;
}

int pool_drain_until(struct pool *p, uint64_t job, uint64_t *done, struct err *e)
{
	int r;

	pthread_mutex_lock(&p->lock);
	while (!p->failed && first_undone(p) <= job)
		pthread_cond_wait(&p->changed, &p->lock);
	*done = first_undone(p) - 1;
	r = state(p, e);
	pthread_mutex_unlock(&p->lock);
	return r;
}

int pool_drain(struct apply *ap, struct err *e)
{
	uint64_t done;

	return pool_drain_until(&ap->pool, ap->pool.given, &done, e);
}

int pool_drain_large(struct apply *ap, const struct large *l, struct err *e)
{
	struct pool *p = &ap->pool;
	int r;

	pthread_mutex_lock(&p->lock);
	while (!p->failed && l->slices)
		pthread_cond_wait(&p->changed, &p->lock);
	r = state(p, e);
	pthread_mutex_unlock(&p->lock);
	return r;
}

int pool_state(struct apply *ap, struct err *e)
{
	struct pool *p = &ap->pool;
	int r;

	pthread_mutex_lock(&p->lock);
	r = state(p, e);
	pthread_mutex_unlock(&p->lock);
	return r;
}
