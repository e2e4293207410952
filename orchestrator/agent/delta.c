#include "delta.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#define HASHES_FULL (64u << 10)		/* bytes of hashes in one message */

struct delta {
	struct agent *a;
	struct block_key *key;		/* owned; NULL: no hashes are wanted */
	pthread_mutex_t asking;		/* one question at a time, with its answer */
};

int delta_new(struct delta **out, struct agent *a, struct err *e)
{
	OWN_FRAME struct wire_frame f = WIRE_FRAME_INIT;
	struct delta *d = calloc(1, sizeof(*d));
	int got;

	if (!d)
		return err_sys(e, "delta");
	d->a = a;
	(void)pthread_mutex_init(&d->asking, NULL);
	*out = d;
	if (!agent_flag(a, MSG_F_BLOCKS))
		return 0;
	if ((got = wire_recv(a->wire, WIRE_DATA, &f, e)) < 0)
		return -1;
	if (got == 0 || f.type != MSG_KEY || f.len != MSG_KEY_LEN)
		return err_set(e, ERR_INTEGRITY, "the orchestrator did not send the key of the block hashes");
	return (d->key = block_key_new(f.data)) ? 0 : err_set(e, ERR_TEMPORARY, "out of memory");
}

void delta_free(struct delta *d)
{
	if (!d)
		return;
	block_key_free(d->key);
	(void)pthread_mutex_destroy(&d->asking);
	free(d);
}

void delta_content_dispose(struct delta_content *c)
{
	free(c->base);
	free(c->part);
	buf_dispose(&c->hashes);
	*c = (struct delta_content)DELTA_CONTENT_INIT;
}

/* ---- what is known ---- */

static int take_answer(struct delta_content *c, const struct wire_frame *f, struct err *e)
{
	struct msg_blocks m;

	if (f->type != MSG_BLOCKS)
		return err_set(e, ERR_INTEGRITY, "the orchestrator answered a question about blocks with message %u", f->type);
	if (msg_blocks_decode(f->data, f->len, &m, e) < 0)
		return -1;
	if (m.block != c->block || m.count == 0)
		return 0;
	if (!(c->base = malloc(m.count * BLOCK_HASH_LEN)))
		return err_sys(e, "block hashes");
	memcpy(c->base, m.hashes, m.count * BLOCK_HASH_LEN);
	c->base_count = m.count;
	c->base_size = m.size;
	c->room = m.room;
	return 0;
}

static int ask(struct delta *d, struct delta_content *c, const struct entry *known, struct err *e)
{
	OWN_FRAME struct wire_frame f = WIRE_FRAME_INIT;
	OWN_BUF struct buf b = BUF_INIT;
	int got = -1;

	buf_put(&b, known->sha256, DIGEST_LEN);
	pthread_mutex_lock(&d->asking);
	if (agent_send(d->a, WIRE_DATA, MSG_ASK, &b, e) == 0)
		got = wire_recv(d->a->wire, WIRE_DATA, &f, e);
	pthread_mutex_unlock(&d->asking);
	if (got < 0)
		return -1;
	return got ? take_answer(c, &f, e) : err_set(e, ERR_INTEGRITY, "the orchestrator left a question about blocks without an answer");
}

int delta_begin(struct delta *d, struct delta_content *c, struct emit *em, struct emit_large *l, const char *path, uint64_t size,
    const struct entry *known, struct err *e)
{
	delta_content_dispose(c);
	c->d = d;
	c->l = l;
	c->hashing = d->key != NULL;
	c->block = block_size_for(size);
	c->size = size;
	c->part_hole = true;
	if (c->hashing && known && (known->has & ENTRY_HAS_SHA256) && known->size && block_size_for(known->size) == c->block &&
	    ask(d, c, known, e) < 0)
		return -1;
	return c->base ? emit_patch_begin(em, l, path, size, known, e) : emit_large_begin(em, l, path, size, e);
}

/* ---- block by block ---- */

static int tell_hashes(struct delta_content *c, struct emit *em, struct err *e)
{
	OWN_BUF struct buf b = BUF_INIT;

	if (c->hashes.len == 0 && !c->hashes.failed)
		return 0;
	if (buf_finish(&c->hashes, e) < 0)
		return -1;
	buf_put_varint(&b, c->l->id);
	buf_put(&b, c->hashes.data, c->hashes.len);
	buf_reset(&c->hashes);
	return agent_send(em->a, WIRE_DATA, MSG_HASHES, &b, e);
}

/* The block stands in the base as it is, in its full length. */
static bool is_kept(const struct delta_content *c, const uint8_t hash[BLOCK_HASH_LEN], size_t n)
{
	uint64_t at = c->index * c->block;

	return c->index < c->base_count && n <= c->base_size - at &&
	    memcmp(c->base + c->index * BLOCK_HASH_LEN, hash, BLOCK_HASH_LEN) == 0;
}

static int take_block(struct delta_content *c, struct emit *em, const uint8_t *p, size_t n, bool hole, struct err *e)
{
	uint8_t hash[BLOCK_HASH_LEN];
	int r = 0;

	block_hash(c->d->key, p, n, hash);
	buf_put(&c->hashes, hash, sizeof(hash));
	if (is_kept(c, hash, n))
		r = emit_large_keep(em, c->l, n, e);
	else if (hole)
		emit_large_hole(c->l, n);
	else
		r = emit_large_data(em, c->l, p, n, e);
	c->index++;
	if (r < 0 || (c->hashes.len >= HASHES_FULL && tell_hashes(c, em, e) < 0))
		return -1;
	return c->base && c->l->count > c->room;
}

/* A block that is neither whole in one piece nor all hole is gathered first. */
static int gather(struct delta_content *c, const uint8_t *p, size_t n, bool hole, struct err *e)
{
	if (!c->part && !(c->part = malloc(c->block)))
		return err_sys(e, "block");
	memcpy(c->part + c->part_len, p, n);
	c->part_len += n;
	c->part_hole = c->part_hole && hole;
	return 0;
}

static int give_part(struct delta_content *c, struct emit *em, struct err *e)
{
	size_t n = c->part_len;
	bool hole = c->part_hole;

	c->part_len = 0;
	c->part_hole = true;
	return take_block(c, em, c->part, n, hole, e);
}

int delta_take(struct delta_content *c, struct emit *em, const uint8_t *p, size_t n, bool hole, struct err *e)
{
	int r = 0;

	if (!c->hashing) {
		if (hole)
			emit_large_hole(c->l, n);
		return hole ? 0 : emit_large_data(em, c->l, p, n, e);
	}
	while (n && r == 0) {
		size_t k = c->block - c->part_len < n ? (size_t)(c->block - c->part_len) : n;

		if (k == c->block)
			r = take_block(c, em, p, k, hole, e);
		else if (gather(c, p, k, hole, e) < 0)
			return -1;
		else if (c->part_len == c->block)
			r = give_part(c, em, e);
		p += k;
		n -= k;
	}
	return r;
}

int delta_end(struct delta_content *c, struct emit *em, struct err *e)
{
	int r = c->part_len ? give_part(c, em, e) : 0;

	if (r)
		return r;
	return tell_hashes(c, em, e) < 0 ? -1 : emit_large_end(em, c->l, e);
}
