#include "witness_table.h"

#include <errno.h>
#include <sys/mman.h>

struct staged { uint64_t hash; uint32_t tag; uint8_t off; };
struct prefix_slot { uint32_t tag; uint8_t len, off; };	/* len 0 = free */

struct witness_table {
	struct witness_key key;
	uint32_t n, max, texts;
	uint8_t *len;			/* by index; 0 = a sector */
	uint8_t *cls;			/* by index */
	struct staged *staged;		/* until ready */
	/* hash -> index */
	uint64_t *hash;
	uint32_t *index;		/* index + 1; 0 = free */
	uint64_t mask;
	uint64_t *sectors;		/* bitmap over the high bits of the hash */
	unsigned sector_shift;
	/* prefix -> lengths */
	struct prefix_slot *prefixes;
	uint64_t prefix_mask;
	uint64_t *text;			/* bitmap over the high bits of the prefix */
	unsigned text_shift;
};

/* Zeroed; in huge pages where they are to be had, for these tables are hit at random. */
static void *map_pages(size_t n)
{
	void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	(void)madvise(p, n, MADV_HUGEPAGE);	/* advice */
	return p;
}

static void unmap_pages(void *p, size_t n)
{
	if (p)
		(void)munmap(p, n);
}

static size_t bitmap_bytes(unsigned shift) { return (size_t)1 << (64 - shift - 3); }

void witness_table_free(struct witness_table *t)
{
	if (!t)
		return;
	free(t->len);
	free(t->cls);
	free(t->staged);
	unmap_pages(t->hash, (t->mask + 1) * sizeof(*t->hash));
	unmap_pages(t->index, (t->mask + 1) * sizeof(*t->index));
	unmap_pages(t->prefixes, (t->prefix_mask + 1) * sizeof(*t->prefixes));
	unmap_pages(t->sectors, bitmap_bytes(t->sector_shift));
	unmap_pages(t->text, bitmap_bytes(t->text_shift));
	free(t);
}

static int no_memory(struct err *e)
{
	errno = ENOMEM;
	return err_sys(e, "table of witnesses");
}

int witness_table_new(struct witness_table **out, const struct witness_key *k, uint32_t n, struct err *e)
{
	OWN(witness_table_freep) struct witness_table *t = calloc(1, sizeof(*t));

	if (!t)
		return no_memory(e);
	t->key = *k;
	t->max = n;
	t->len = calloc(n ? n : 1, 1);
	t->cls = calloc(n ? n : 1, 1);
	t->staged = calloc(n ? n : 1, sizeof(*t->staged));
	if (!t->len || !t->cls || !t->staged)
		return no_memory(e);
	*out = take_ptr(&t);
	return 0;
}

static bool is_text(enum witness_class c) { return c == WITNESS_STRING || c == WITNESS_NAME; }

int witness_table_add(struct witness_table *t, const struct witness_item *w, struct err *e)
{
	if (t->n == t->max || (unsigned)w->cls >= WITNESS_CLASSES || is_text(w->cls) != (w->len != 0) ||
	    (w->len && (w->len < WITNESS_NAME_MIN || w->off + WITNESS_PREFIX > w->len)))
		return err_set(e, ERR_INTEGRITY, "witness %u is not as it was announced", t->n);
	t->len[t->n] = w->len;
	t->cls[t->n] = (uint8_t)w->cls;
	t->staged[t->n++] = (struct staged){ w->hash, w->tag, w->off };
	t->texts += w->len != 0;
	return 0;
}

static unsigned bits_for(uint64_t n, unsigned low, unsigned high)
{
	unsigned b = low;

	while (b < high && (UINT64_C(1) << b) < n)
		b++;
	return b;
}

static void put_hash(struct witness_table *t, uint32_t i)
{
	uint64_t at = t->staged[i].hash & t->mask;

	while (t->index[at])
		at = (at + 1) & t->mask;
	t->hash[at] = t->staged[i].hash;
	t->index[at] = i + 1;
}

static void put_prefix(struct witness_table *t, uint32_t tag, uint8_t len, uint8_t off)
{
	uint64_t at = tag & t->prefix_mask;

	for (; t->prefixes[at].len; at = (at + 1) & t->prefix_mask)
		if (t->prefixes[at].tag == tag && t->prefixes[at].len == len && t->prefixes[at].off == off)
			return;
	t->prefixes[at] = (struct prefix_slot){ tag, len, off };
}

static void set_bit(uint64_t *map, uint64_t i) { map[i >> 6] |= UINT64_C(1) << (i & 63); }

int witness_table_ready(struct witness_table *t, struct err *e)
{
	unsigned table = bits_for(3 * (uint64_t)t->n / 2 + 1, 6, 40), prefixes = bits_for(2 * (uint64_t)t->texts + 1, 6, 40);
	/* A tag has 32 bits: the bitmap may not ask for more. */
	unsigned sector = bits_for(16 * (uint64_t)(t->n - t->texts), 12, 34), text = bits_for(32 * (uint64_t)t->texts, 15, 32);

	t->mask = (UINT64_C(1) << table) - 1;
	t->prefix_mask = (UINT64_C(1) << prefixes) - 1;
	t->sector_shift = 64 - sector;
	t->text_shift = 64 - text;
	t->hash = map_pages((t->mask + 1) * sizeof(*t->hash));
	t->index = map_pages((t->mask + 1) * sizeof(*t->index));
	t->prefixes = map_pages((t->prefix_mask + 1) * sizeof(*t->prefixes));
	t->sectors = map_pages(bitmap_bytes(t->sector_shift));
	t->text = map_pages(bitmap_bytes(t->text_shift));
	if (!t->hash || !t->index || !t->prefixes || !t->sectors || !t->text)
		return no_memory(e);
	for (uint32_t i = 0; i < t->n; i++) {
		put_hash(t, i);
		if (t->len[i]) {
			put_prefix(t, t->staged[i].tag, t->len[i], t->staged[i].off);
			set_bit(t->text, (uint64_t)t->staged[i].tag << 32 >> t->text_shift);
		} else {
			set_bit(t->sectors, t->staged[i].hash >> t->sector_shift);
		}
	}
	free(take_ptr(&t->staged));
	return 0;
}

bool witness_table_has_text(const struct witness_table *t) { return t->texts > 0; }

enum witness_class witness_table_class(const struct witness_table *t, uint32_t index) { return (enum witness_class)t->cls[index]; }

/* Every witness with that hash and length. */
static void look_up(const struct witness_table *t, uint64_t hash, unsigned len, uint64_t at, witness_hit hit, void *ctx)
{
	for (uint64_t i = hash & t->mask; t->index[i]; i = (i + 1) & t->mask)
		if (t->hash[i] == hash && t->len[t->index[i] - 1] == len)
			hit(ctx, at, len ? len : WITNESS_SECTOR_BYTES, t->index[i] - 1);
}

static bool all_zero(const uint8_t *p, size_t n)
{
	uint64_t x[8], any = 0;

	for (size_t i = 0; i + 64 <= n; i += 64) {
		memcpy(x, p + i, 64);
		any |= (x[0] | x[1] | x[2] | x[3]) | (x[4] | x[5] | x[6] | x[7]);
	}
	return any == 0;
}

#define BATCH 32u

void witness_table_sectors(const struct witness_table *t, const uint8_t *p, size_t n, uint64_t at, witness_hit hit, void *ctx)
{
	uint64_t h[BATCH];

	if (t->n == t->texts)
		return;
	for (size_t base = 0; base < n; base += BATCH * WITNESS_SECTOR_BYTES) {
		size_t left = (n - base) / WITNESS_SECTOR_BYTES, k = left < BATCH ? left : BATCH;

		/* The words of the bitmap are fetched while the next sectors are hashed. */
		for (size_t i = 0; i < k; i++) {
			h[i] = witness_sector_hash(&t->key, p + base + i * WITNESS_SECTOR_BYTES);
			__builtin_prefetch(&t->sectors[h[i] >> t->sector_shift >> 6]);
		}
		for (size_t i = 0; i < k; i++) {
			uint64_t bit = h[i] >> t->sector_shift;

			if (t->sectors[bit >> 6] >> (bit & 63) & 1)
				look_up(t, h[i], 0, at + base + i * WITNESS_SECTOR_BYTES, hit, ctx);
		}
	}
}

/* ---- unaligned ---- */

#define STEP 512u

struct candidates { uint16_t at[STEP]; uint64_t prefix[STEP]; unsigned n; };

static void try_text(const struct witness_table *t, const struct witness_window *w, size_t i, uint64_t prefix, witness_hit hit, void *ctx)
{
	uint32_t tag = witness_tag(prefix);

	for (uint64_t k = tag & t->prefix_mask; t->prefixes[k].len; k = (k + 1) & t->prefix_mask) {
		const struct prefix_slot *s = &t->prefixes[k];

		if (s->tag == tag && s->off <= i + w->before && i - s->off + s->len <= w->avail)
			look_up(t, witness_text_hash(&t->key, w->p + i - s->off, s->len), s->len, w->at + i - s->off, hit, ctx);
	}
}

typedef uint8_t v16 __attribute__((vector_size(16)));

static inline v16 load16(const uint8_t *p)
{
	v16 v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/* Bit i: the byte i is not 0 (each is 0 or 255). */
static inline unsigned mask16(v16 v)
{
#ifdef __SSE2__
	typedef char c16 __attribute__((vector_size(16)));

	return (unsigned)__builtin_ia32_pmovmskb128((c16)v);
#else
	uint64_t x[2];

	memcpy(x, &v, sizeof(x));
	return (unsigned)((x[0] & UINT64_C(0x0101010101010101)) * UINT64_C(0x0102040810204080) >> 56) |
	    (unsigned)((x[1] & UINT64_C(0x0101010101010101)) * UINT64_C(0x0102040810204080) >> 56) << 8;
#endif
}

/* witness_anchor for 16 places at once. */
static inline unsigned anchors16(const uint8_t *p, v16 a, v16 b, v16 m)
{
	v16 next = load16(p + 1), t = ((load16(p) ^ a) + next + next) ^ (load16(p + 3) + b);

	return mask16((v16)((t & m) == 0));
}

/* The words of the bitmap are fetched while the next places are looked for. */
static void collect(const struct witness_table *t, const uint8_t *p, size_t n, struct candidates *c)
{
	const struct witness_key *k = &t->key;
	v16 a = (v16){ 0 } + k->anchor[0], b = (v16){ 0 } + k->anchor[1], m = (v16){ 0 } + (uint8_t)WITNESS_ANCHOR;

	c->n = 0;
	for (size_t base = 0; base < n; base += 64) {
		uint64_t places = 0;

		for (unsigned j = 0; j < 4; j++)
			places |= (uint64_t)anchors16(p + base + 16 * j, a, b, m) << (16 * j);
		if (n - base < 64)
			places &= (UINT64_C(1) << (n - base)) - 1;
		for (; places; places &= places - 1) {
			unsigned i = (unsigned)__builtin_ctzll(places);
			uint64_t h = witness_prefix(k, p + base + i);

			c->at[c->n] = (uint16_t)(base + i);
			c->prefix[c->n++] = h;
			__builtin_prefetch(&t->text[h >> t->text_shift >> 6]);
		}
	}
}

void witness_table_text(const struct witness_table *t, const struct witness_window *w, witness_hit hit, void *ctx)
{
	struct candidates c;

	for (size_t base = 0; base < w->n; base += STEP) {
		size_t n = w->n - base < STEP ? w->n - base : STEP;

		/* Long runs of zeros are the rule on media, and no witness is recognised by them. */
		if (n == STEP && base + STEP + WITNESS_PREFIX <= w->avail && all_zero(w->p + base, STEP) && all_zero(w->p + base + STEP - 56, 64))
			continue;
		collect(t, w->p + base, n, &c);
		for (unsigned i = 0; i < c.n; i++) {
			uint64_t bit = c.prefix[i] >> t->text_shift;

			if (__builtin_expect((long)(t->text[bit >> 6] >> (bit & 63) & 1), 0))
				try_text(t, w, base + c.at[i], c.prefix[i], hit, ctx);
		}
	}
}
