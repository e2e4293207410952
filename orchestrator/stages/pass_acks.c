/*
 * Acknowledgements: an entry counts as done for a resumed pass once the objects it rests on are durable in the archive
 * and, where there is a target, the target has said that all before a FLUSH is durable there.
 */
#include "pass_internal.h"

#include <errno.h>
#include <string.h>

#include "clock.h"
#include "path.h"
#include "sys.h"

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

static int write_batch(struct pass *p, const struct pass_batch *b, struct err *e)
{
	OWN_BUF struct buf key = BUF_INIT, row = BUF_INIT;
	struct location none = { .kind = LOCATION_NONE };
	struct state *s = p->r->w->state;

	if (state_begin(s, e) < 0)
		return -1;
	for (size_t i = 0; i < b->count; i++) {
		const struct pass_row *r = &b->rows[i];

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
	}
	return state_commit(s, e);
}

/* Write down what the target has acknowledged by now. */
static int reap(struct pass *p, struct err *e)
{
	uint64_t acked = target_acked(&p->target);

	while (p->batches && p->batches->token <= acked) {
		struct pass_batch *b = p->batches;

		if (write_batch(p, b, e) < 0)
			return -1;
		sys_point("pass-acked");
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
	OWN_BUF struct buf b = BUF_INIT;
	struct pass_batch *batch;

	if (store_sync(p->r->w->store, e) < 0)
		return -1;
	sys_point("pass-stored");
	if (cut_batch(p, &batch, e) < 0)
		return -1;
	batch->token = ++p->token;
	*p->batches_end = batch;
	p->batches_end = &batch->next;
	p->stored_since = 0;
	p->flushed_at = clock_mono_ns();
	buf_put_varint(&b, batch->token);
	return buf_finish(&b, e) < 0 ? -1 : target_send(&p->target, MSG_FLUSH, b.data, b.len, e);
}

int pass_flush(struct pass *p, bool force, bool wait, struct err *e)
{
	bool due = p->stored_since >= FLUSH_BYTES || p->row_count >= FLUSH_ROWS ||
	    (p->row_count && clock_mono_ns() - p->flushed_at > FLUSH_NS);

	if ((force || due) && start_flush(p, e) < 0)
		return -1;
	if (wait && target_wait(&p->target, p->token, e) < 0)
		return -1;
	return reap(p, e);
}

void pass_acks_free(struct pass *p)
{
	free_rows(p->rows, p->row_count);
	while (p->batches) {
		struct pass_batch *b = p->batches;

		p->batches = b->next;
		free_rows(b->rows, b->count);
		free(b);
	}
}
