#include "archive_check.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "log.h"
#include "pack.h"
#include "u64set.h"

#define LOADERS 2
#define SLOTS 8			/* decoded slices in memory */

struct need {			/* a slice, in the order of first use */
	struct object_id id;
	size_t last;		/* the part that uses it last */
	uint8_t *raw;		/* a slot, from when a loader takes it on until after that part */
	size_t len;
	bool ready;
};

struct check {
	struct workspace *w;
	struct recipe rc;
	struct need *needs;	/* owned */
	size_t need_count;
	uint32_t *of;		/* owned: index into needs of each part */
	pthread_mutex_t lock;	/* of what follows, and of raw, len and ready */
	pthread_cond_t changed;
	size_t next;		/* need that the next loader takes on */
	uint8_t *slots[SLOTS];	/* owned where not in use */
	size_t free_slots;
	bool stop, failed;
};

/* ---- what is needed when ---- */

struct index { uint32_t *v; size_t mask; };	/* open addressing; 0 = free, else need + 1 */

static uint32_t *find(struct check *c, const struct index *x, const uint8_t slice[DIGEST_LEN])
{
	size_t i = (size_t)u64set_key(slice, DIGEST_LEN) & x->mask;

	while (x->v[i] && memcmp(c->needs[x->v[i] - 1].id.sha256, slice, DIGEST_LEN) != 0)
		i = (i + 1) & x->mask;
	return &x->v[i];
}

static int list_needs(struct check *c, struct err *e)
{
	struct index x = { NULL, 15 };
	OWN_FREE uint32_t *owner = NULL;

	while (x.mask < 2 * c->rc.count)
		x.mask = 2 * x.mask + 1;
	owner = x.v = calloc(x.mask + 1, sizeof(*x.v));
	c->needs = calloc(c->rc.count + 1, sizeof(*c->needs));
	c->of = calloc(c->rc.count + 1, sizeof(*c->of));
	if (!x.v || !c->needs || !c->of)
		return err_set(e, ERR_TEMPORARY, "out of memory");
	for (size_t i = 0; i < c->rc.count; i++) {
		const struct recipe_part *p = &c->rc.parts[i];
		uint32_t *at = p->hole ? NULL : find(c, &x, p->slice);

		if (!at)
			continue;
		if (!*at) {
			memcpy(c->needs[c->need_count].id.sha256, p->slice, DIGEST_LEN);
			*at = (uint32_t)++c->need_count;
		}
		c->of[i] = *at - 1;
		c->needs[c->of[i]].last = i;
	}
	return 0;
}

/* Never more at a time than there is room for, and one that is on its way? */
static bool fits(const struct check *c)
{
	size_t live = 0, seen = 0;

	for (size_t i = 0; i < c->rc.count; i++) {
		if (c->rc.parts[i].hole)
			continue;
		if (c->of[i] == seen) {
			seen++;
			live++;
		}
		if (live >= SLOTS)
			return false;
		live -= c->needs[c->of[i]].last == i;
	}
	return true;
}

/* ---- loaders ---- */

/* The next slice to be loaded with a slot for it; NULL: the end. */
static struct need *take_on(struct check *c)
{
	struct need *n = NULL;

	pthread_mutex_lock(&c->lock);
	while (!c->stop && c->next < c->need_count && !c->free_slots)
		(void)pthread_cond_wait(&c->changed, &c->lock);
	if (!c->stop && c->next < c->need_count) {
		n = &c->needs[c->next++];
		n->raw = c->slots[--c->free_slots];
	}
	pthread_mutex_unlock(&c->lock);
	return n;
}

/* Bytes decoded; -1. */
static ssize_t decode(const struct store_whole *b, uint8_t *raw, struct err *e)
{
	OWN(frame_reader_freep) struct frame_reader *r = NULL;
	size_t len = 0;
	ssize_t n;
	char more;

	if (frame_reader_new_memory(&r, b->p, b->len, e) < 0)
		return -1;
	while (len < SLICE_RAW && (n = frame_reader_get(r, raw + len, SLICE_RAW - len, e)) != 0) {
		if (n < 0)
			return -1;
		len += (size_t)n;
	}
	n = frame_reader_get(r, &more, 1, e);
	return n < 0 ? -1 : n ? err_set(e, ERR_INTEGRITY, "the slice is larger than slices are") : (ssize_t)len;
}

static void *load(void *arg)
{
	OWN(store_whole_dispose) struct store_whole b = { .p = NULL };
	struct check *c = arg;
	struct need *n;

	while ((n = take_on(c))) {
		struct err e = ERR_INIT;
		ssize_t len = store_get_whole(c->w->store, STORE_SLICE, &n->id, &b, &e) < 0 ? -1 : decode(&b, n->raw, &e);

		if (len < 0)
			log_debug("a content is decoded once more: %s", e.text);
		pthread_mutex_lock(&c->lock);
		n->len = len < 0 ? 0 : (size_t)len;
		n->ready = true;
		c->failed |= len < 0;
		pthread_cond_broadcast(&c->changed);
		pthread_mutex_unlock(&c->lock);
	}
	return NULL;
}

/* ---- hashing ---- */

static void hash_zeros(struct digest *d, uint64_t n)
{
	static const uint8_t z[65536];

	for (size_t k; n; n -= k) {
		k = n < sizeof(z) ? (size_t)n : sizeof(z);
		digest_update(d, z, k);
	}
}

/* False: it cannot be had, or has fewer bytes than the recipe takes from it. */
static bool hash_part(struct check *c, struct digest *d, size_t i)
{
	const struct recipe_part *p = &c->rc.parts[i];
	struct need *n = &c->needs[c->of[i]];
	bool good;

	if (p->hole) {
		hash_zeros(d, p->length);
		return true;
	}
	pthread_mutex_lock(&c->lock);
	while (!n->ready && !c->failed)
		(void)pthread_cond_wait(&c->changed, &c->lock);
	good = n->ready && !c->failed && p->offset <= n->len && p->length <= n->len - p->offset;
	pthread_mutex_unlock(&c->lock);
	if (!good)
		return false;
	digest_update(d, n->raw + p->offset, (size_t)p->length);
	if (n->last != i)
		return true;
	pthread_mutex_lock(&c->lock);
	c->slots[c->free_slots++] = take_ptr(&n->raw);
	pthread_cond_broadcast(&c->changed);
	pthread_mutex_unlock(&c->lock);
	return true;
}

static bool hash_all(struct check *c, struct digest *d)
{
	uint8_t got[DIGEST_LEN];

	for (size_t i = 0; i < c->rc.count; i++)
		if (!hash_part(c, d, i))
			return false;
	digest_final(d, got);
	return memcmp(got, c->rc.sha256, DIGEST_LEN) == 0;
}

static bool run_threads(struct check *c, struct digest *d)
{
	pthread_t threads[LOADERS];
	int count = 0;
	bool good = false;

	while (count < LOADERS && pthread_create(&threads[count], NULL, load, c) == 0)
		count++;
	if (count)
		good = hash_all(c, d);
	pthread_mutex_lock(&c->lock);
	c->stop = true;
	pthread_cond_broadcast(&c->changed);
	pthread_mutex_unlock(&c->lock);
	while (count)
		(void)pthread_join(threads[--count], NULL);
	return good;
}

static void check_dispose(struct check *c)
{
	for (size_t i = 0; i < c->need_count; i++)
		free(c->needs[i].raw);
	while (c->free_slots)
		free(c->slots[--c->free_slots]);
	free(c->needs);
	free(c->of);
	recipe_dispose(&c->rc);
	(void)pthread_cond_destroy(&c->changed);
	(void)pthread_mutex_destroy(&c->lock);
}

static int load_recipe(struct check *c, const struct object_id *id, struct err *e)
{
	OWN_BUF struct buf text = BUF_INIT;

	return store_get_bytes(c->w->store, STORE_RECIPE, id, RECIPE_BYTES_MAX, &text, e) < 0 ||
	    recipe_decode(&c->rc, text.data, text.len, e) < 0 ? -1 : 0;
}

/* True: decoded, and right.  False says nothing yet. */
static bool decodes_right(struct workspace *w, const struct entry *en, const struct object_id *id)
{
	OWN(check_dispose) struct check c = { .w = w, .rc = RECIPE_INIT, .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };
	OWN(digest_freep) struct digest *d = digest_new(DIGEST_SHA256);
	struct err ignored = ERR_INIT;

	if (!d || load_recipe(&c, id, &ignored) < 0 || c.rc.size != en->size || memcmp(c.rc.sha256, en->sha256, DIGEST_LEN) != 0 ||
	    list_needs(&c, &ignored) < 0 || !fits(&c))
		return false;
	for (size_t n = c.need_count < SLOTS ? c.need_count : SLOTS; n; n--)
		if (!(c.slots[c.free_slots] = malloc(SLICE_RAW)) || !++c.free_slots)
			return false;
	digest_reset(d);
	return run_threads(&c, d);
}

int archive_check(struct archive *a, struct workspace *w, const struct entry *en, const struct location *at, struct err *e)
{
	return at->kind == LOCATION_RECIPE && decodes_right(w, en, &at->id) ? 0 : archive_content(a, en, at, NULL, NULL, e);
}
