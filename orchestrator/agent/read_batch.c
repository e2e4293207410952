/* Items in batches: hands of the crew take them, their answers go out in walk order. */
#include "reader.h"

#include <sched.h>
#include <string.h>

#define BATCH_ITEMS 4096u
#define ITEM_RAW 1024u		/* about what an entry adds to a pack beside its content */
#define GIVEN_MAX 12		/* batches under way: further ones would only fill memory */
#define OPEN_LARGES 200u	/* the target takes 256 */
#define OPEN_FOR_HEAD 32u	/* of these, for the batch that everything waits for */
#define SAME_FLUSH 4096u	/* so that the orchestrator merges while we walk */

/* ---- hands ---- */

static int hand_init(struct hand *h, struct reader *r, struct err *e)
{
	*h = (struct hand){ .r = r, .sha256 = digest_new(DIGEST_SHA256) };
	emit_packs_init(&h->packs, &r->emit);
	if (agent_flag(r->a, MSG_F_SM3))
		h->sm3 = digest_new(DIGEST_SM3);
	if (!h->sha256 || (agent_flag(r->a, MSG_F_SM3) && !h->sm3))
		return err_set(e, ERR_PERMANENT, "%s is not to be had from libcrypto", h->sha256 ? "SM3" : "SHA-256");
	return (h->data = malloc(PACK_FILE_MAX)) ? 0 : err_sys(e, "buffer");
}

static void hand_dispose(struct hand *h)
{
	if (!h->r)
		return;
	h->r->a->done.bytes += h->bytes;
	emit_packs_dispose(&h->packs);
	digest_free(h->sha256);
	digest_free(h->sm3);
	free(h->data);
	*h = (struct hand){ .r = NULL };
}

static size_t processors(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof(set), &set) < 0 ? 1 : (size_t)CPU_COUNT(&set);
}

int hands_start(struct reader *r, struct err *e)
{
	size_t n = processors();
	void *hands[HANDS_MAX];

	n = n > HANDS_MAX ? HANDS_MAX : n;
	(void)pthread_mutex_init(&r->lock, NULL);
	(void)pthread_cond_init(&r->moved, NULL);
	r->last = &r->first;
	if (!(r->hands = calloc(n, sizeof(*r->hands))) || hand_init(&r->own, r, e) < 0)
		return r->hands ? -1 : err_sys(e, "reader");
	for (r->hand_count = 0; r->hand_count < n; r->hand_count++) {
		hands[r->hand_count] = &r->hands[r->hand_count];
		if (hand_init(&r->hands[r->hand_count], r, e) < 0)
			return -1;
	}
	if (crew_new(&r->crew, n, hands, e) < 0)
		return -1;
	r->emit.crew = r->crew;
	return 0;
}

/* ---- batches ---- */

static void item_dispose(struct item *x)
{
	msg_entry_dispose(&x->m);
	entry_freep(&x->known);
	dir_put(x->dir);
	dir_put(x->self);
	free(x->why);
}

static void batch_free(struct batch *b)
{
	if (!b)
		return;
	for (size_t i = 0; i < b->n; i++)
		item_dispose(&b->v[i]);
	free(b->v);
	free(b);
}

void hands_stop(struct reader *r)
{
	if (!r->hands)
		return;
	pthread_mutex_lock(&r->lock);
	r->stopping = true;
	pthread_cond_broadcast(&r->moved);
	pthread_mutex_unlock(&r->lock);
	crew_free(take_ptr(&r->crew));
	batch_free(take_ptr(&r->filling));
	while (r->first) {
		struct batch *b = r->first;

		r->first = b->next;
		batch_free(b);
	}
	hand_dispose(&r->own);
	for (size_t i = 0; i < r->hand_count; i++)
		hand_dispose(&r->hands[i]);
	free(take_ptr(&r->hands));
	(void)pthread_cond_destroy(&r->moved);
	(void)pthread_mutex_destroy(&r->lock);
}

/* ---- taking a batch ---- */

/* The entries before item to that went into the pack which has gone out now. */
static void name_pack(struct hand *h, size_t to, uint64_t ordinal)
{
	for (; h->unnamed < to; h->unnamed++) {
		struct msg_entry *m = &h->batch->v[h->unnamed].m;

		if (m->content == MSG_CONTENT_PACK && m->ordinal == 0)
			m->ordinal = ordinal;
	}
}

static int take_batch(struct hand *h, struct batch *b, struct err *e)
{
	uint64_t ended;

	h->batch = b;
	h->unnamed = 0;
	for (h->at = 0; h->at < b->n; h->at++) {
		struct item *x = &b->v[h->at];

		if (x->kind != ITEM_TAKE)
			continue;
		if (item_take(h, x, &ended, e) < 0) {
			char name[AGENT_NAME];

			return err_at(e, "%s", agent_name(h->r->a, x->m.entry.path, name));
		}
		/* Later ones must be able to open theirs: what is no longer needed is closed at once. */
		dir_put(take_ptr(&x->dir));
		dir_put(take_ptr(&x->self));
		if (ended)
			name_pack(h, h->at + 1, ended);
	}
	if (emit_finish(&h->packs, &ended, e) < 0)
		return -1;
	name_pack(h, b->n, ended);
	return 0;
}

static void run_batch(struct task *t, void *hand)
{
	struct batch *b = (struct batch *)t;
	struct hand *h = hand;
	struct err e = ERR_INIT;
	int res = take_batch(h, b, &e);

	pthread_mutex_lock(&h->r->lock);
	b->result = res;
	b->e = e;
	b->ready = res < 0 ? b->ready : b->n;
	b->finished = true;
	pthread_cond_broadcast(&h->r->moved);
	pthread_mutex_unlock(&h->r->lock);
}

static bool may_open(const struct reader *r, const struct batch *b)
{
	return r->stopping || r->open_larges < (r->head == b ? OPEN_LARGES : OPEN_LARGES - OPEN_FOR_HEAD);
}

int hand_open_large(struct hand *h, struct err *e)
{
	struct batch *b = h->batch;
	struct reader *r = h->r;
	uint64_t ended;
	bool open;

	if (!b || b->v[h->at].open)
		return 0;
	pthread_mutex_lock(&r->lock);
	open = may_open(r, b);
	r->open_larges += open;
	pthread_mutex_unlock(&r->lock);
	if (!open) {
		/* What is before it can go out as soon as its pack has. */
		if (emit_finish(&h->packs, &ended, e) < 0)
			return -1;
		name_pack(h, h->at, ended);
		pthread_mutex_lock(&r->lock);
		b->ready = h->at;
		pthread_cond_broadcast(&r->moved);
		while (!may_open(r, b))
			pthread_cond_wait(&r->moved, &r->lock);
		r->open_larges++;
		pthread_mutex_unlock(&r->lock);
	}
	b->v[h->at].open = true;
	return 0;
}

struct item *item_add(struct reader *r, enum item_kind kind, struct err *e)
{
	struct batch *b = r->filling;

	if (!b) {
		if (!(b = r->filling = calloc(1, sizeof(*b)))) {
			(void)err_sys(e, "reader");
			return NULL;
		}
		b->task.run = run_batch;
	}
	if (b->n == b->cap) {
		size_t cap = b->cap ? b->cap * 2 : 64;
		struct item *v = reallocarray(b->v, cap, sizeof(*v));

		if (!v) {
			(void)err_sys(e, "reader");
			return NULL;
		}
		b->v = v;
		b->cap = cap;
	}
	b->v[b->n] = (struct item){ .kind = kind };
	return &b->v[b->n++];
}

/* ---- out, in walk order ---- */

static int flush_counts(struct reader *r, struct err *e)
{
	OWN_BUF struct buf b = BUF_INIT;
	bool same = r->same > 0;
	uint64_t n = same ? r->same : r->gone;

	if (n == 0)
		return 0;
	r->same = r->gone = 0;
	msg_number_encode(&b, n);
	return agent_send(r->a, WIRE_DATA, same ? MSG_SAME : MSG_GONE, &b, e);
}

static void count(struct msg_done *d, enum entry_outcome o, uint64_t n)
{
	d->scanned += n;
	switch (o) {
	case ENTRY_COPIED: d->copied += n; return;
	case ENTRY_UNCHANGED: d->unchanged += n; return;
	case ENTRY_SKIPPED: d->skipped += n; return;
	case ENTRY_UNSETTLED: d->unsettled += n; return;
	case ENTRY_FAILED: d->failed += n; return;
	}
}

static int send_entry(struct reader *r, const struct item *x, struct err *e)
{
	OWN_BUF struct buf b = BUF_INIT;
	const struct msg_entry *m = &x->m;

	if ((x->why && agent_problem(r->a, m->entry.path, x->why, e) < 0) || entry_check(&m->entry, e) < 0 || flush_counts(r, e) < 0)
		return -1;
	msg_entry_encode(&b, m, r->prev);
	free(r->prev);
	if (!(r->prev = strdup(m->entry.path)))
		return err_sys(e, "entry");
	count(&r->a->done, m->entry.outcome, 1);
	return agent_send(r->a, WIRE_DATA, MSG_ENTRY, &b, e);
}

static int send_same(struct reader *r, uint64_t n, struct err *e)
{
	if (r->gone && flush_counts(r, e) < 0)
		return -1;
	r->same += n;
	count(&r->a->done, ENTRY_UNCHANGED, n);
	return r->same >= SAME_FLUSH ? flush_counts(r, e) : 0;
}

static int send_gone(struct reader *r, uint64_t n, struct err *e)
{
	if (r->same && flush_counts(r, e) < 0)
		return -1;
	r->gone += n;
	return 0;
}

/* What a name that may have others was found to be, for those. */
static int remember_link(struct reader *r, const struct item *x, struct err *e)
{
	const struct entry seen = { .scan = x->inode };
	struct entry en = x->m.entry;	/* borrowed */

	links_forget(&r->flying, &seen);
	if (x->vanished || !entry_is_present(&en) || en.nlink < 2)
		return 0;
	en.has |= ENTRY_HAS_SCAN;
	return links_add(&r->links, &en, e);
}

static int send_taken(struct reader *r, struct item *x, struct err *e)
{
	if (!x->vanished)
		return send_entry(r, x, e);
	return x->known ? send_gone(r, 1, e) : 0;
}

static int send_later(struct reader *r, struct item *x, struct err *e)
{
	bool first = !links_find(&r->links, &x->m.entry);
	int rc = item_decide(r, x, e);

	if (rc < 0)
		return -1;
	if (rc > 0)
		return send_same(r, 1, e);
	if (first && remember_link(r, x, e) < 0)
		return -1;
	return send_taken(r, x, e);
}

static int send_item(struct reader *r, struct item *x, struct err *e)
{
	switch (x->kind) {
	case ITEM_SAME:
		return send_same(r, x->count, e);
	case ITEM_GONE:
		return send_gone(r, x->count, e);
	case ITEM_ENTRY:
		return send_entry(r, x, e);
	case ITEM_TAKE:
		if (x->several && remember_link(r, x, e) < 0)
			return -1;
		return send_taken(r, x, e);
	case ITEM_LATER:
		return send_later(r, x, e);
	}
	return err_set(e, ERR_BUG, "item %d", (int)x->kind);
}

/* What is complete of the first batch; the lock is not held. */
static int send_items(struct reader *r, struct batch *b, size_t ready, struct err *e)
{
	size_t closed = 0;

	for (; b->sent < ready; b->sent++) {
		struct item *x = &b->v[b->sent];
		char name[AGENT_NAME];

		if (send_item(r, x, e) < 0)
			return x->m.entry.path ? err_at(e, "%s", agent_name(r->a, x->m.entry.path, name)) : -1;
		closed += x->open;
	}
	if (!closed)
		return 0;
	pthread_mutex_lock(&r->lock);
	r->open_larges -= closed;
	pthread_cond_broadcast(&r->moved);
	pthread_mutex_unlock(&r->lock);
	return 0;
}

/* How far the first batch is; wait: until it is further than what has gone out.  finished is set when it is at its end. */
static size_t how_far(struct reader *r, struct batch *b, bool wait, bool *finished)
{
	size_t ready;

	pthread_mutex_lock(&r->lock);
	r->head = b;
	pthread_cond_broadcast(&r->moved);
	while (wait && !b->finished && b->ready == b->sent)
		pthread_cond_wait(&r->moved, &r->lock);
	ready = b->ready;
	*finished = b->finished;
	pthread_mutex_unlock(&r->lock);
	return ready;
}

/* Sends batches in order while they are ready; waits as long as more than most are under way. */
static int send_ready(struct reader *r, size_t most, struct err *e)
{
	while (r->first) {
		struct batch *b = r->first;
		bool finished;
		size_t ready = how_far(r, b, r->given > most, &finished);

		if (send_items(r, b, ready, e) < 0)
			return -1;
		if (!finished) {
			if (r->given <= most)
				return 0;
			continue;
		}
		if (b->result < 0) {
			*e = b->e;
			return -1;
		}
		/* The crew may still be looking at it. */
		if (b->work)
			crew_wait(r->crew, &b->task, false, NULL);
		if (!(r->first = b->next))
			r->last = &r->first;
		r->given--;
		batch_free(b);
	}
	return 0;
}

int batch_close(struct reader *r, struct err *e)
{
	struct batch *b = take_ptr(&r->filling);

	if (!b)
		return 0;
	*r->last = b;
	r->last = &b->next;
	r->given++;
	if (b->work) {
		crew_give(r->crew, &b->task, false);
	} else {
		b->ready = b->n;
		b->finished = true;
	}
	/* Too many directories held: whoever reads their files lets go of them. */
	return send_ready(r, dir_open_count() > dir_open_max() ? 0 : GIVEN_MAX, e);
}

int batch_step(struct reader *r, struct err *e)
{
	struct batch *b = r->filling;
	struct item *x = b && b->n ? &b->v[b->n - 1] : NULL;

	if (x && x->kind == ITEM_TAKE) {
		b->work = true;
		b->raw += ITEM_RAW + x->m.entry.size;
	}
	if (b && (b->n >= BATCH_ITEMS || (x && x->count >= SAME_FLUSH) || b->raw >= PACK_RAW_TARGET || dir_open_count() > dir_open_max()))
		return batch_close(r, e);
	return 0;
}

int batch_finish(struct reader *r, struct err *e)
{
	return batch_close(r, e) < 0 || send_ready(r, 0, e) < 0 ? -1 : flush_counts(r, e);
}

/* Runs of counts are one item; with nothing before them they go straight out. */
static int add_count(struct reader *r, enum item_kind kind, struct err *e)
{
	struct batch *b = r->filling;
	struct item *x = b && b->n ? &b->v[b->n - 1] : NULL;

	if (!r->first && !b)
		return kind == ITEM_SAME ? send_same(r, 1, e) : send_gone(r, 1, e);
	if ((!x || x->kind != kind) && !(x = item_add(r, kind, e)))
		return -1;
	x->count++;
	return 0;
}

int add_same(struct reader *r, struct err *e) { return add_count(r, ITEM_SAME, e); }
int add_gone(struct reader *r, struct err *e) { return add_count(r, ITEM_GONE, e); }
