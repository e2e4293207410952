/*
 * The digests of a manifest beside its writing: SHA-256 of each chunk, SHA-256 and SM3 of the whole.  Together they take as
 * long as the rest, SM3 alone half of that, and a whole text has no digest but by reading it from its start.
 */
#include "manifest_private.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <string.h>

struct manifest_hash {
	struct manifest_sum *sum;	/* borrowed; of it only the digests */
	struct digest *one;		/* of a chunk */
	struct buf text, index;
	char name[MANIFEST_NAME];
	uint64_t entries;
	pthread_mutex_t lock;		/* for those below; text to entries belong to the thread while busy */
	pthread_cond_t changed;
	bool busy, ended;
	bool started;			/* there is a thread */
	pthread_t thread;
};

int manifest_hash_new(struct manifest_hash **out, struct manifest_sum *sum, struct err *e)
{
	struct manifest_hash *h = calloc(1, sizeof(*h));

	if (!h || !(h->one = digest_new(DIGEST_SHA256))) {
		free(h);
		errno = ENOMEM;
		return err_sys(e, "manifest");
	}
	h->sum = sum;
	(void)pthread_mutex_init(&h->lock, NULL);
	(void)pthread_cond_init(&h->changed, NULL);
	*out = h;
	return 0;
}

static void hash_chunk(struct manifest_hash *h)
{
	uint8_t d[DIGEST_LEN];
	char hex[DIGEST_HEX];

	digest_update(h->one, h->text.data, h->text.len);
	digest_final(h->one, d);
	manifest_sum_text(h->sum, h->text.data, h->text.len);
	hex_of(d, DIGEST_LEN, hex);
	buf_printf(&h->index, "%s %" PRIu64 " %s\n", hex, h->entries, h->name);
}

static void *hash_main(void *arg)
{
	struct manifest_hash *h = arg;

	(void)pthread_mutex_lock(&h->lock);
	while (!h->ended) {
		if (!h->busy) {
			(void)pthread_cond_wait(&h->changed, &h->lock);
			continue;
		}
		(void)pthread_mutex_unlock(&h->lock);
		hash_chunk(h);
		(void)pthread_mutex_lock(&h->lock);
		h->busy = false;
		(void)pthread_cond_broadcast(&h->changed);
	}
	(void)pthread_mutex_unlock(&h->lock);
	return NULL;
}

/* Until the text before is done. */
static void settle(struct manifest_hash *h)
{
	(void)pthread_mutex_lock(&h->lock);
	while (h->busy)
		(void)pthread_cond_wait(&h->changed, &h->lock);
	(void)pthread_mutex_unlock(&h->lock);
}

const struct buf *manifest_hash_give(struct manifest_hash *h, struct buf *text, const char *name, uint64_t entries, bool last)
{
	struct buf empty;

	settle(h);
	empty = h->text;
	h->text = *text;
	*text = empty;
	buf_reset(text);
	(void)snprintf(h->name, sizeof(h->name), "%s", name);
	h->entries = entries;
	/* Nothing comes beside the last one; and most manifests have no other. */
	if (!last && !h->started)
		h->started = pthread_create(&h->thread, NULL, hash_main, h) == 0;
	if (last || !h->started) {
		hash_chunk(h);
		return &h->text;
	}
	(void)pthread_mutex_lock(&h->lock);
	h->busy = true;
	(void)pthread_cond_broadcast(&h->changed);
	(void)pthread_mutex_unlock(&h->lock);
	return &h->text;
}

const struct buf *manifest_hash_index(struct manifest_hash *h)
{
	settle(h);
	return &h->index;
}

void manifest_hash_free(struct manifest_hash *h)
{
	if (!h)
		return;
	if (h->started) {
		(void)pthread_mutex_lock(&h->lock);
		h->ended = true;
		(void)pthread_cond_broadcast(&h->changed);
		(void)pthread_mutex_unlock(&h->lock);
		(void)pthread_join(h->thread, NULL);
	}
	(void)pthread_cond_destroy(&h->changed);
	(void)pthread_mutex_destroy(&h->lock);
	digest_free(h->one);
	buf_dispose(&h->text);
	buf_dispose(&h->index);
	free(h);
}
