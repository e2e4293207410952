/* One content on its way through: its sectors and strings. */
#include "witness_set.h"

#define SMALL 512u		/* contents up to here: all of it as strings */
#define MAY_BE_INLINE 4096u	/* contents up to here may lie inside metadata, at any offset */
#define EXT4_SPLIT 60u		/* ext4 keeps the first 60 bytes of an inline content apart from the rest */
#define STRIDE 256u

void witness_take_begin(struct witness_taker *t, struct witness_set *s, const uint8_t sha256[32], uint64_t size)
{
	t->s = s;
	t->size = size;
	memcpy(&t->content, sha256, sizeof(t->content));
	t->block = 0;
	t->have = 0;
	t->any = false;
	t->full = true;
	s->contents++;
	s->too_short += size < WITNESS_STRING_MIN;
}

static int take_sector(struct witness_taker *t, size_t len, struct err *e)
{
	unsigned n = (unsigned)(len / WITNESS_SECTOR_BYTES), first;

	if (n == 0)
		return 0;
	first = witness_pick(&t->s->key, t->content, t->block, n);
	for (unsigned i = 0; i < n; i++) {
		const uint8_t *p = t->data + (size_t)((first + i) % n) * WITNESS_SECTOR_BYTES;

		if (witness_probative(p, WITNESS_SECTOR_BYTES))
			return witness_set_sector(t->s, WITNESS_SECTOR, p, e);
	}
	t->s->weak[WITNESS_SECTOR]++;
	return 0;
}

static int take_string(struct witness_taker *t, size_t at, size_t n, struct err *e)
{
	return n < WITNESS_STRING_MIN ? 0 : witness_set_text(t->s, WITNESS_STRING, t->data + at, n < WITNESS_STRING_BYTES ? n : WITNESS_STRING_BYTES, 0, e);
}

/* No string crosses a multiple of 512: beyond it the medium may go on elsewhere. */
static int take_small(struct witness_taker *t, size_t len, struct err *e)
{
	size_t at = 0;

	while (at < len) {
		size_t end = (at / WITNESS_SECTOR_BYTES + 1) * WITNESS_SECTOR_BYTES, room = (end < len ? end : len) - at;

		if (at < EXT4_SPLIT && room > EXT4_SPLIT - at)
			room = EXT4_SPLIT - at;
		if (take_string(t, at, room, e) < 0)
			return -1;
		if (at < EXT4_SPLIT)
			at = EXT4_SPLIT;
		else if (t->size <= SMALL)
			at += WITNESS_STRING_BYTES;
		else
			at = (at / STRIDE + 1) * STRIDE;
	}
	return 0;
}

/* The first place in the first sector whose bytes can be told from others. */
static int take_head(struct witness_taker *t, struct err *e)
{
	size_t at = 0;

	while (at + WITNESS_STRING_BYTES + 8 <= WITNESS_SECTOR_BYTES && (!witness_probative(t->data + at, WITNESS_STRING_BYTES) ||
	    witness_find_anchor(&t->s->key, t->data + at, WITNESS_STRING_BYTES) < 0))
		at += 8;
	return take_string(t, at, WITNESS_STRING_BYTES, e);
}

static int take_tail(struct witness_taker *t, size_t len, struct err *e)
{
	size_t rest = len % WITNESS_SECTOR_BYTES, end = len;

	if (rest < WITNESS_STRING_MIN && len >= WITNESS_SECTOR_BYTES)
		end = len - rest;
	if (end < len || rest == 0)
		rest = WITNESS_SECTOR_BYTES;
	if (rest > WITNESS_STRING_BYTES)
		rest = WITNESS_STRING_BYTES;
	return end < rest ? 0 : take_string(t, end - rest, rest, e);
}

/* The block in t->data has len bytes from its start. */
static int take_block(struct witness_taker *t, size_t len, struct err *e)
{
	bool last = t->block * WITNESS_BLOCK + len == t->size;

	if (!t->full || len == 0)
		return 0;
	if (take_sector(t, len, e) < 0)
		return -1;
	if (t->size <= MAY_BE_INLINE)
		return take_small(t, len, e);
	if (t->block == 0 && len >= WITNESS_SECTOR_BYTES && take_head(t, e) < 0)
		return -1;
	return last ? take_tail(t, len, e) : 0;
}

int witness_take_data(struct witness_taker *t, uint64_t offset, const void *p, size_t n, struct err *e)
{
	const uint8_t *from = p;

	while (n > 0) {
		uint64_t block = offset / WITNESS_BLOCK;
		size_t at = (size_t)(offset % WITNESS_BLOCK), k = WITNESS_BLOCK - at < n ? WITNESS_BLOCK - at : n;

		if (!t->any || block != t->block) {
			if (t->any && take_block(t, t->have, e) < 0)
				return -1;
			t->block = block;
			t->have = 0;
			t->full = true;
			t->any = true;
		}
		/* A hole at the front or in between reads as zeros on the medium as well, if it is stored at all. */
		if (at > t->have)
			memset(t->data + t->have, 0, at - t->have);
		memcpy(t->data + at, from, k);
		t->have = at + k;
		from += k;
		offset += k;
		n -= k;
	}
	return 0;
}

int witness_take_end(struct witness_taker *t, struct err *e)
{
	return t->any ? take_block(t, t->have, e) : 0;
}
