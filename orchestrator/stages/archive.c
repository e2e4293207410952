#include "archive.h"

#include <errno.h>
#include <string.h>

#include "esc.h"
#include "pack.h"

#define OPEN_PACKS 8
#define SLICES_MAX 64			/* raw slices kept: contents that were patched go back and forth between a few */
#define SLICES_BYTES (160u << 20)

struct open_pack {
	struct object_id id;
	struct store_get *get;		/* NULL: slot is free */
	struct pack_reader *reader;
	uint64_t used;			/* clock of the last use */
};

struct open_slice {
	struct object_id id;
	struct buf raw;			/* empty: slot is free */
	uint64_t used;
};

struct archive {
	struct workspace *w;
	struct open_pack packs[OPEN_PACKS];
	uint64_t clock, bytes;
	struct buf content;		/* of the entry being read from a pack */
	struct open_slice slices[SLICES_MAX];
	size_t slice_bytes;
	struct digest *digest;
	bool sink_failed;		/* the taker of the bytes failed, not the archive */
};

int archive_open(struct workspace *w, struct archive **out, struct err *e)
{
	OWN(archive_closep) struct archive *a = calloc(1, sizeof(*a));

	if (!a || !(a->digest = digest_new(DIGEST_SHA256)))
		return err_sys(e, "archive");
	a->w = w;
	*out = take_ptr(&a);
	return 0;
}

static void close_pack(struct open_pack *p)
{
	pack_reader_free(p->reader);
	store_get_close(p->get);
	memset(p, 0, sizeof(*p));
}

static ssize_t from_store(void *ctx, void *p, size_t n, struct err *e) { return store_get_read(ctx, p, n, e); }

static int open_pack(struct archive *a, const struct object_id *id, bool fresh, struct open_pack **out, struct err *e)
{
	struct open_pack *oldest = &a->packs[0];

	for (size_t i = 0; i < OPEN_PACKS; i++) {
		struct open_pack *p = &a->packs[i];

		if (p->get && memcmp(&p->id, id, sizeof(*id)) == 0) {
			if (!fresh) {
				p->used = ++a->clock;
				*out = p;
				return 0;
			}
			oldest = p;
			break;
		}
		if (!p->get || (oldest->get && p->used < oldest->used))
			oldest = p;
	}
	close_pack(oldest);
	if (store_get_open(a->w->store, STORE_PACK, id, &oldest->get, e) < 0)
		return -1;
	oldest->id = *id;
	oldest->used = ++a->clock;
	if (pack_reader_new(&oldest->reader, from_store, oldest->get, e) < 0) {
		close_pack(oldest);
		return -1;
	}
	*out = oldest;
	return 0;
}

/* Content of the pack's current entry into a->content with its digest; entries that are too large are nobody's. */
static int load_entry(struct archive *a, struct open_pack *p, uint64_t size, uint8_t digest[DIGEST_LEN], struct err *e)
{
	char *room;
	ssize_t n;

	buf_reset(&a->content);
	if (size > PACK_FILE_MAX)
		return err_set(e, ERR_INTEGRITY, "an entry of the pack is larger than packs allow");
	for (;;) {
		if (!(room = buf_reserve(&a->content, 65536)))
			return buf_finish(&a->content, e);
		if ((n = pack_read(p->reader, room, 65536, e)) <= 0)
			break;
		a->content.len += (size_t)n;
		if (a->content.len > PACK_FILE_MAX)
			return err_set(e, ERR_INTEGRITY, "an entry of the pack is larger than packs allow");
	}
	if (n < 0)
		return -1;
	digest_update(a->digest, a->content.data, a->content.len);
	digest_final(a->digest, digest);
	return 0;
}

/* Goes forward in the pack to the content with that digest: 1, 0 = not before its end, -1. */
static int seek_content(struct archive *a, struct open_pack *p, const struct entry *want, struct err *e)
{
	uint8_t digest[DIGEST_LEN];

	for (;;) {
		OWN_ENTRY struct entry en = ENTRY_INIT;
		int got = pack_next(p->reader, &en, NULL, e);

		if (got <= 0)
			return got;
		if (en.type != ENTRY_FILE || en.size != want->size)
			continue;
		if (load_entry(a, p, en.size, digest, e) < 0)
			return -1;
		if (memcmp(digest, want->sha256, DIGEST_LEN) == 0)
			return 1;
	}
}

static int damaged(const struct entry *en, const struct object_id *id, struct err *e)
{
	char hex[DIGEST_HEX];
	OWN_FREE char *name = esc_dup(en->path, en->path_len);

	hex_of(id->sha256, DIGEST_LEN, hex);
	err_at(e, "archive object %s, needed for %s", hex, name ? name : "?");
	if (e->class == ERR_PERMANENT)
		e->class = ERR_INTEGRITY;
	return -1;
}

static int from_pack(struct archive *a, const struct entry *en, const struct location *at, struct err *e)
{
	struct open_pack *p;
	int got;

	if (open_pack(a, &at->id, false, &p, e) < 0)
		return damaged(en, &at->id, e);
	got = seek_content(a, p, en, e);
	/* Equal contents in one pack, or a caller that goes back: once more from the front. */
	if (got == 0) {
		if (open_pack(a, &at->id, true, &p, e) < 0)
			return damaged(en, &at->id, e);
		got = seek_content(a, p, en, e);
	}
	if (got < 0) {
		close_pack(p);
		return damaged(en, &at->id, e);
	}
	if (got == 0) {
		err_set(e, ERR_INTEGRITY, "the pack does not hold this content");
		return damaged(en, &at->id, e);
	}
	return 0;
}

static void drop_slice(struct archive *a, struct open_slice *s)
{
	a->slice_bytes -= s->raw.len;
	buf_dispose(&s->raw);
}

/* A free slot, with room for one more slice. */
static struct open_slice *free_slot(struct archive *a)
{
	for (;;) {
		struct open_slice *oldest = NULL, *unused = NULL;

		for (size_t i = 0; i < SLICES_MAX; i++) {
			struct open_slice *s = &a->slices[i];

			if (!s->raw.len)
				unused = s;
			else if (!oldest || s->used < oldest->used)
				oldest = s;
		}
		if (unused && (!oldest || a->slice_bytes + SLICE_RAW <= SLICES_BYTES))
			return unused;
		drop_slice(a, oldest);
	}
}

static int read_slice(struct archive *a, const struct object_id *id, struct buf *raw, struct err *e)
{
	OWN(store_get_closep) struct store_get *g = NULL;
	OWN(frame_reader_freep) struct frame_reader *r = NULL;
	ssize_t n;
	char rest[4096];

	if (store_get_open(a->w->store, STORE_SLICE, id, &g, e) < 0 || frame_reader_new(&r, from_store, g, e) < 0)
		return -1;
	do {
		char *room = buf_reserve(raw, 1 << 18);

		if (!room)
			return buf_finish(raw, e);
		if ((n = frame_reader_get(r, room, 1 << 18, e)) > 0)
			raw->len += (size_t)n;
		if (raw->len > 4 * (size_t)SLICE_RAW)
			return err_set(e, ERR_INTEGRITY, "the slice is larger than slices are");
	} while (n > 0);
	if (n < 0)
		return -1;
	/* To the very end, where the store compares the bytes with the id. */
	while ((n = store_get_read(g, rest, sizeof(rest), e)) > 0)
		;
	if (n < 0)
		return -1;
	return raw->len ? 0 : err_set(e, ERR_INTEGRITY, "the slice is empty");
}

static int load_slice(struct archive *a, const struct object_id *id, const struct buf **out, struct err *e)
{
	struct open_slice *s;

	for (size_t i = 0; i < SLICES_MAX; i++)
		if (a->slices[i].raw.len && memcmp(&a->slices[i].id, id, sizeof(*id)) == 0) {
			a->slices[i].used = ++a->clock;
			*out = &a->slices[i].raw;
			return 0;
		}
	s = free_slot(a);
	if (read_slice(a, id, &s->raw, e) < 0) {
		buf_dispose(&s->raw);
		return -1;
	}
	s->id = *id;
	s->used = ++a->clock;
	a->slice_bytes += s->raw.len;
	*out = &s->raw;
	return 0;
}

static int zeros(struct archive *a, uint64_t n)
{
	static const char z[65536];

	while (n) {
		size_t k = n < sizeof(z) ? (size_t)n : sizeof(z);

		digest_update(a->digest, z, k);
		n -= k;
	}
	return 0;
}

static int give_part(struct archive *a, const struct recipe_part *part, uint64_t offset, archive_sink sink, void *ctx, struct err *e)
{
	const struct buf *slice;
	struct object_id id;

	if (part->hole)
		return zeros(a, part->length);
	memcpy(id.sha256, part->slice, DIGEST_LEN);
	if (load_slice(a, &id, &slice, e) < 0)
		return -1;
	if (part->offset > slice->len || part->length > slice->len - part->offset)
		return err_set(e, ERR_INTEGRITY, "the recipe asks for more than the slice holds");
	digest_update(a->digest, slice->data + part->offset, (size_t)part->length);
	a->bytes += part->length;
	a->sink_failed = sink && sink(ctx, offset, slice->data + part->offset, (size_t)part->length, e) < 0;
	return a->sink_failed ? -1 : 0;
}

static int from_recipe(struct archive *a, const struct entry *en, const struct location *at, archive_sink sink, void *ctx, struct err *e)
{
	OWN_RECIPE struct recipe rc = RECIPE_INIT;
	OWN_BUF struct buf text = BUF_INIT;
	uint8_t digest[DIGEST_LEN];
	uint64_t offset = 0;

	if (store_get_bytes(a->w->store, STORE_RECIPE, &at->id, RECIPE_BYTES_MAX, &text, e) < 0 ||
	    recipe_decode(&rc, text.data, text.len, e) < 0)
		return damaged(en, &at->id, e);
	if (rc.size != en->size || memcmp(rc.sha256, en->sha256, DIGEST_LEN) != 0) {
		err_set(e, ERR_INTEGRITY, "the recipe is that of another content");
		return damaged(en, &at->id, e);
	}
	digest_reset(a->digest);
	a->sink_failed = false;
	for (size_t i = 0; i < rc.count; i++) {
		if (give_part(a, &rc.parts[i], offset, sink, ctx, e) < 0)
			return a->sink_failed ? -1 : damaged(en, &at->id, e);
		offset += rc.parts[i].length;
	}
	digest_final(a->digest, digest);
	if (memcmp(digest, en->sha256, DIGEST_LEN) != 0) {
		err_set(e, ERR_INTEGRITY, "the slices do not give the content's digest");
		return damaged(en, &at->id, e);
	}
	return 0;
}

int archive_content(struct archive *a, const struct entry *en, const struct location *at, archive_sink sink, void *ctx, struct err *e)
{
	if (at->kind == LOCATION_RECIPE)
		return from_recipe(a, en, at, sink, ctx, e);
	if (at->kind != LOCATION_PACK)
		return err_set(e, ERR_BUG, "content without a place");
	if (from_pack(a, en, at, e) < 0)
		return -1;
	a->bytes += a->content.len;
	return sink ? sink(ctx, 0, a->content.data, a->content.len, e) : 0;
}

int archive_range(struct archive *a, const struct entry *en, const struct location *at, uint64_t from, uint64_t n, archive_sink sink,
    void *ctx, struct err *e)
{
	OWN_RECIPE struct recipe rc = RECIPE_INIT;
	OWN_BUF struct buf text = BUF_INIT;
	uint64_t offset = 0;

	if (at->kind != LOCATION_RECIPE)
		return err_set(e, ERR_BUG, "a range of what is no large content");
	if (store_get_bytes(a->w->store, STORE_RECIPE, &at->id, RECIPE_BYTES_MAX, &text, e) < 0 ||
	    recipe_decode(&rc, text.data, text.len, e) < 0)
		return damaged(en, &at->id, e);
	a->sink_failed = false;
	for (size_t i = 0; i < rc.count; i++) {
		struct recipe_part part = rc.parts[i];
		uint64_t start = offset > from ? offset : from, end = offset + part.length < from + n ? offset + part.length : from + n;

		if (start < end) {
			part.offset += start - offset;
			part.length = end - start;
			if (give_part(a, &part, start, sink, ctx, e) < 0)
				return a->sink_failed ? -1 : damaged(en, &at->id, e);
		}
		offset += rc.parts[i].length;
	}
	return 0;
}

uint64_t archive_bytes(const struct archive *a) { return a->bytes; }

void archive_close(struct archive *a)
{
	if (!a)
		return;
	for (size_t i = 0; i < OPEN_PACKS; i++)
		close_pack(&a->packs[i]);
	buf_dispose(&a->content);
	for (size_t i = 0; i < SLICES_MAX; i++)
		buf_dispose(&a->slices[i].raw);
	digest_free(a->digest);
	free(a);
}
