/*
 * Acknowledgements: an entry counts as done for a resumed pass once the objects it rests on are durable in the archive
 * and, where there is a target, the target has said that all before a FLUSH is durable there.
 */
#include "pass_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "path.h"
#include "sys.h"

#define OPEN_BATCHES 4	/* flushes under way at a time: rows are kept in memory until theirs is answered */

static void free_rows(struct pass_row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		entry_freep(&rows[i].entry);
	free(rows);
}

int pass_row(struct pass *p, const struct entry *en, uint64_t place, struct err *e)
{
	struct pass_row *v;

	if ((p->row_count & (p->row_count - 1)) == 0) {
		if (!(v = realloc(p->rows, (p->row_count ? p->row_count * 2 : 1) * sizeof(*v))))
			return err_sys(e, "pass");
		p->rows = v;
	}
	if (!(p->rows[p->row_count].entry = entry_dup(en)))
		return err_sys(e, "pass");
	p->rows[p->row_count++].place = place;
	return 0;
}

/* *written: how many rows are new in state.db; what the target lacks brings nobody on. */
static int write_batch(struct pass *p, const struct pass_batch *b, size_t *written, struct err *e)
{
	OWN_BUF struct buf key = BUF_INIT, row = BUF_INIT;
	struct location none = { .kind = LOCATION_NONE };
	struct state *s = p->r->w->state;

	*written = 0;
	if (state_begin(s, e) < 0)
		return -1;
	for (size_t i = 0; i < b->count; i++) {
		const struct pass_row *r = &b->rows[i];

		/* Acknowledged, but not there: it is sent whole in the end, and by the next pass if this one does not get so far. */
		if (target_lacks_base(&p->target, r->entry->path, r->entry->path_len))
			continue;
		buf_reset(&key);
		buf_reset(&row);
		path_sort_key(&key, r->entry->path, r->entry->path_len);
		known_row_encode(&row, r->entry, r->place ? &p->places[r->place - 1].at : &none);
		if (buf_finish(&key, e) < 0 || buf_finish(&row, e) < 0 ||
		    state_ack_put(s, p->r->plan->name, p->d->name, p->version, key.data ? key.data : "", key.len,
		    row.data, row.len, e) < 0) {
			state_rollback(s);	/* the same handle records the failure */
			return -1;
		}
		++*written;
	}
	return state_commit(s, e);
}

/* ---- the archive's syncs, beside the receiving: a disk that takes its time stops nobody ---- */

static void *sync_main(void *arg)
{
	struct pass *p = arg;
	struct pass_sync *y = &p->sync;
	struct err e = ERR_INIT;

	pthread_mutex_lock(&y->lock);
	while (!y->ending && !y->failed) {
		uint64_t token = y->asked;
		int r;

		if (token == y->done) {
			(void)pthread_cond_wait(&y->changed, &y->lock);
			continue;
		}
		pthread_mutex_unlock(&y->lock);
		r = store_sync(p->r->w->store, &e);
		if (r == 0)
			sys_point("pass-stored");
		pthread_mutex_lock(&y->lock);
		if (r == 0)
			y->done = token;
		else
			y->why = e;
		y->failed = r < 0;
		pthread_cond_broadcast(&y->changed);
	}
	pthread_mutex_unlock(&y->lock);
	return NULL;
}

static int sync_ask(struct pass *p, uint64_t token, struct err *e)
{
	struct pass_sync *y = &p->sync;

	if (!y->running) {
		(void)pthread_mutex_init(&y->lock, NULL);
		(void)pthread_cond_init(&y->changed, NULL);
		if ((errno = pthread_create(&y->thread, NULL, sync_main, p)) != 0)
			return err_sys(e, "thread");
		y->running = true;
	}
	pthread_mutex_lock(&y->lock);
	y->asked = token;
	pthread_cond_broadcast(&y->changed);
	pthread_mutex_unlock(&y->lock);
	return 0;
}

/* *done: what is durable in the archive; waits until that is at least token (0: does not wait). */
static int sync_done(struct pass *p, uint64_t token, uint64_t *done, struct err *e)
{
	struct pass_sync *y = &p->sync;
	int r = 0;

	*done = 0;
	if (!y->running)
		return 0;
	pthread_mutex_lock(&y->lock);
	while (!y->failed && y->done < token)
		(void)pthread_cond_wait(&y->changed, &y->lock);
	*done = y->done;
	if (y->failed) {
		*e = y->why;
		r = -1;
	}
	pthread_mutex_unlock(&y->lock);
	return r;
}

static void sync_stop(struct pass *p)
{
	struct pass_sync *y = &p->sync;

	if (!y->running)
		return;
	pthread_mutex_lock(&y->lock);
	y->ending = true;
	pthread_cond_broadcast(&y->changed);
	pthread_mutex_unlock(&y->lock);
	(void)pthread_join(y->thread, NULL);
	(void)pthread_cond_destroy(&y->changed);
	(void)pthread_mutex_destroy(&y->lock);
	y->running = false;
}

/* Write down what is durable in the archive and acknowledged by the target by now. */
static int reap(struct pass *p, struct err *e)
{
	uint64_t acked = target_acked(&p->target), done;

	if (!p->batches)
		return 0;
	if (sync_done(p, 0, &done, e) < 0)
		return -1;
	if (done < acked)
		acked = done;

	while (p->batches && p->batches->token <= acked) {
		struct pass_batch *b = p->batches;
		size_t written;

		if (write_batch(p, b, &written, e) < 0)
			return -1;
		sys_point("pass-acked");
		p->r->acks += written > 0;
		p->batches = b->next;
		if (!p->batches)
			p->batches_end = &p->batches;
		free_rows(b->rows, b->count);
		free(b);
	}
	return 0;
}

/* Moves the rows whose objects have ended into a batch of their own. */
static int cut_batch(struct pass *p, struct pass_batch **out, struct err *e)
{
	struct pass_batch *b = calloc(1, sizeof(*b));
	size_t kept = 0;

	*out = NULL;
	if (!b || !(b->rows = calloc(p->row_count ? p->row_count : 1, sizeof(*b->rows)))) {
		free(b);
		return err_sys(e, "pass");
	}
	for (size_t i = 0; i < p->row_count; i++) {
		if (pass_place_ready(p, p->rows[i].place))
			b->rows[b->count++] = p->rows[i];
		else
			p->rows[kept++] = p->rows[i];
	}
	/* rows grows by powers of two: shrink through a fresh array, or the rule would break */
	if (kept != p->row_count) {
		size_t cap = 1;
		struct pass_row *v;

		while (cap < kept)
			cap *= 2;
		if (!(v = malloc(cap * sizeof(*v)))) {
			free_rows(b->rows, b->count);
			free(b);
			p->row_count = kept;
			return err_sys(e, "pass");
		}
		memcpy(v, p->rows, kept * sizeof(*v));
		free(p->rows);
		p->rows = v;
		p->row_count = kept;
	}
	*out = b;
	return 0;
}

static int start_flush(struct pass *p, struct err *e)
{
	struct pass_batch *batch;

	if (cut_batch(p, &batch, e) < 0)
		return -1;
	batch->token = ++p->token;
	*p->batches_end = batch;
	p->batches_end = &batch->next;
	if (sync_ask(p, batch->token, e) < 0)
		return -1;
	p->stored_since = 0;
	p->flushed_at = clock_mono_ns();
	return target_flush(&p->target, batch->token, e);
}

/* Stored bytes between two acknowledgements. */
static uint64_t flush_bytes(void)
{
	static uint64_t bytes;
	const char *s;

	if (!bytes) {
		s = getenv("WAYBILL_FLUSH");
		bytes = s ? strtoull(s, NULL, 10) : 0;
		if (!bytes || bytes > FLUSH_BYTES)
			bytes = FLUSH_BYTES;
	}
	return bytes;
}

int pass_flush(struct pass *p, bool force, bool wait, struct err *e)
{
	uint64_t wait_for = 0, done;
	bool due = p->stored_since >= flush_bytes() || p->row_count >= FLUSH_ROWS ||
	    (p->row_count && clock_mono_ns() - p->flushed_at > FLUSH_NS);

	if ((force || due) && start_flush(p, e) < 0)
		return -1;
	if (wait)
		wait_for = p->token;
	else if (due && p->token > OPEN_BATCHES)
		wait_for = p->token - OPEN_BATCHES;
	if (wait_for && (sync_done(p, wait_for, &done, e) < 0 || target_wait(&p->target, wait_for, e) < 0))
		return -1;
	return reap(p, e);
}

void pass_acks_free(struct pass *p)
{
	sync_stop(p);
	free_rows(p->rows, p->row_count);
	while (p->batches) {
		struct pass_batch *b = p->batches;

		p->batches = b->next;
		free_rows(b->rows, b->count);
		free(b);
	}
}
