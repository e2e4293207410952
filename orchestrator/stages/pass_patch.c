/* Large contents of which only changed blocks come: what the source agent asks, and recipes that go on using slices of before. */
#include "pass_internal.h"

#include <inttypes.h>
#include <string.h>

#include "archive_check.h"
#include "block_hash.h"
#include "esc.h"
#include "feed.h"
#include "log.h"

#define PARTS_SPARE 4096u		/* parts of a recipe beyond one for each: */
#define PART_BYTES (64u << 10)
#define HASHES_OPEN_MAX 256
#define HASHES_BYTES_MAX (256u << 20)	/* an agent reads ahead of the entry that is due by 14 contents, each with up to 16 MiB of them */
#define SLICES_SPARE 64u		/* slices beyond twice those that it takes whole */

int pass_blocks_open(struct pass *p, struct err *e)
{
	if (blocks_open(p->r->w, p->r->plan->name, p->d->name, &p->blocks, e) < 0)
		return -1;
	return wire_send(p->source->wire, WIRE_DATA, MSG_KEY, blocks_key(p->blocks), MSG_KEY_LEN, e);
}

/* ---- hashes that come in ---- */

static struct pass_hashes *hashes_of(struct pass *p, uint64_t large_id)
{
	for (size_t i = 0; i < p->hashes_count; i++)
		if (p->hashes[i].large_id == large_id)
			return &p->hashes[i];
	return NULL;
}

int pass_hashes(struct pass *p, const struct wire_frame *f, struct err *e)
{
	struct pass_hashes *h;
	const uint8_t *v;
	uint64_t id;
	size_t n;

	if (msg_hashes_decode(f->data, f->len, &id, &v, &n, e) < 0)
		return -1;
	/* Kept in memory until the content ends: an honest agent has a few open at a time. */
	p->hashes_bytes += n;
	if (id > p->large_max || p->hashes_count > HASHES_OPEN_MAX || p->hashes_bytes > HASHES_BYTES_MAX)
		return err_set(e, ERR_INTEGRITY, "the source agent sends more block hashes than it may");
	if (!(h = hashes_of(p, id))) {
		if (!(h = reallocarray(p->hashes, p->hashes_count + 1, sizeof(*h))))
			return err_sys(e, "block hashes");
		p->hashes = h;
		h = &p->hashes[p->hashes_count++];
		*h = (struct pass_hashes){ id, BUF_INIT };
	}
	buf_put(&h->b, v, n);
	return buf_finish(&h->b, e);
}

void pass_hashes_drop(struct pass *p, uint64_t large_id)
{
	struct pass_hashes *h = hashes_of(p, large_id);

	if (!h)
		return;
	p->hashes_bytes -= h->b.len;
	buf_dispose(&h->b);
	*h = p->hashes[--p->hashes_count];
}

/* For the next pass; without them it sends the content whole. */
int pass_hashes_keep(struct pass *p, const struct pass_large *l, struct err *e)
{
	const struct entry *en = &l->m.entry;
	struct pass_hashes *h = hashes_of(p, l->m.large_id);
	struct blocks_of of = { .size = en->size, .block = block_size_for(en->size), .recipe = p->places[l->place - 1].at.id };
	int r = 0;

	if (!h)
		return 0;
	of.hashes = h->b.data;
	of.bytes = h->b.len;
	/* One that shrank while it was read may have been cut in larger blocks than fit it now. */
	if (of.bytes / MSG_BLOCK_HASH == of.size / of.block + (of.size % of.block != 0))
		r = blocks_save(p->blocks, en->sha256, &of, e);
	pass_hashes_drop(p, l->m.large_id);
	return r;
}

/* ---- questions ---- */

static int load_recipe(struct pass *p, const struct object_id *id, struct recipe *rc, struct err *e)
{
	OWN_BUF struct buf text = BUF_INIT;

	if (store_get_bytes(p->r->w->store, STORE_RECIPE, id, RECIPE_BYTES_MAX, &text, e) < 0)
		return -1;
	return recipe_decode(rc, text.data, text.len, e);
}

static int count_slices(const struct recipe *rc, uint64_t *n, struct err *e)
{
	struct u64set seen = U64SET_INIT;
	int r = 0;

	*n = 0;
	for (size_t i = 0; r >= 0 && i < rc->count; i++)
		if (!rc->parts[i].hole && (r = u64set_add(&seen, u64set_key(rc->parts[i].slice, DIGEST_LEN))) == 1)
			++*n;
	u64set_dispose(&seen);
	return r < 0 ? err_sys(e, "recipe") : 0;
}

/* How many segments a patch of it may have: 0 when it is cut up so much already that it is better sent whole again. */
static int room_for(struct pass *p, const struct blocks_of *of, uint64_t *room, struct err *e)
{
	OWN_RECIPE struct recipe rc = RECIPE_INIT;
	uint64_t parts = of->size / PART_BYTES + PARTS_SPARE, slices;
	struct err why = ERR_INIT;

	*room = 0;
	if (load_recipe(p, &of->recipe, &rc, &why) < 0) {
		log_warn("a content is sent whole: %s", why.text);
		return 0;
	}
	if (count_slices(&rc, &slices, e) < 0)
		return -1;
	if (rc.count < parts && slices <= 2 * (of->size / SLICE_RAW + 1) + SLICES_SPARE)
		*room = parts - rc.count;
	return 0;
}

int pass_ask(struct pass *p, const struct wire_frame *f, struct err *e)
{
	OWN_BUF struct buf text = BUF_INIT, b = BUF_INIT;
	struct msg_blocks m = { .block = 0 };
	struct blocks_of of;
	int got;

	if (f->len != DIGEST_LEN)
		return err_set(e, ERR_INTEGRITY, "the source agent's ASK is not as the protocol says");
	if ((got = blocks_load(p->blocks, f->data, &text, &of, e)) < 0 || (got && room_for(p, &of, &m.room, e) < 0))
		return -1;
	if (got && m.room) {
		m.block = of.block;
		m.size = of.size;
		m.hashes = of.hashes;
		m.count = of.bytes / MSG_BLOCK_HASH;
	}
	msg_blocks_encode(&b, &m);
	return buf_finish(&b, e) < 0 ? -1 : wire_send(p->source->wire, WIRE_DATA, MSG_BLOCKS, b.data, b.len, e);
}

/* ---- recipes ---- */

int pass_base_open(struct pass *p, const struct pass_large *l, struct pass_base *base, struct err *e)
{
	*base = (struct pass_base){ .rc = RECIPE_INIT };
	if (l->m.content != MSG_CONTENT_PATCH)
		return 0;
	if (load_recipe(p, &l->base.id, &base->rc, e) < 0)
		return -1;
	if (memcmp(base->rc.sha256, l->m.base, DIGEST_LEN) != 0)
		return err_set(e, ERR_INTEGRITY, "its base is another content");
	return 0;
}

int pass_base_cut(struct pass_base *base, uint64_t offset, uint64_t length, struct recipe *to, struct err *e)
{
	while (length) {
		const struct recipe_part *part = base->i < base->rc.count ? &base->rc.parts[base->i] : NULL;
		struct recipe_part cut;

		if (!part || offset < base->at)
			return err_set(e, ERR_INTEGRITY, "the source agent keeps more than its base holds");
		if (offset - base->at >= part->length) {
			base->at += part->length;
			base->i++;
			continue;
		}
		cut = *part;
		cut.offset += offset - base->at;
		cut.length -= offset - base->at;
		if (cut.length > length)
			cut.length = length;
		if (recipe_add(to, &cut, e) < 0)
			return -1;
		offset += cut.length;
		length -= cut.length;
	}
	return 0;
}

void pass_base_dispose(struct pass_base *base) { recipe_dispose(&base->rc); }

/* ---- is it what the source read? ---- */

/* 1: one was found and is right; 0: no more; -1. */
static int check_next(struct pass *p, struct archive *a, struct err *e)
{
	uint64_t mark;
	int got;

	for (;;) {
		OWN_ENTRY struct entry en = ENTRY_INIT;

		if ((got = passfile_next(p->found, &en, &mark, e)) != 1)
			return got;
		if (!(mark & FOUND_PATCH) || !(mark >> FOUND_MARKS) || !objects_has_content(&en))
			continue;
		if (run_check(p->r, e) < 0)
			return -1;
		return archive_check(a, p->r->w, &en, &p->places[(mark >> FOUND_MARKS) - 1].at, e) < 0 ? -1 : 1;
	}
}

int pass_check_patches(struct pass *p, struct err *e)
{
	OWN(archive_closep) struct archive *a = NULL;
	int got;

	/* The flush goes out first: a sync and a decoding wait for different things. */
	if (!p->patched || !p->target.session)
		return 0;
	if (pass_flush(p, true, false, e) < 0 || archive_open(p->r->w, &a, e) < 0 || passfile_rewind(p->found, e) < 0)
		return -1;
	do
		got = check_next(p, a, e);
	while (got == 1);
	p->patches_checked = got == 0;
	return got;
}

/* ---- what the target could not patch ---- */

static int send_whole(struct pass *p, struct feed *f, struct err *e)
{
	uint64_t mark;
	int got;

	if (passfile_rewind(p->found, e) < 0)
		return -1;
	for (;;) {
		OWN_ENTRY struct entry en = ENTRY_INIT;
		uint64_t place;

		if ((got = passfile_next(p->found, &en, &mark, e)) < 0)
			return -1;
		if (got == 0)
			return feed_end(f, e);
		place = mark >> FOUND_MARKS;
		if (!(mark & FOUND_PATCH) || !place || !target_lacks_base(&p->target, en.path, en.path_len))
			continue;
		log_warn("%s: what stands at the target is not what was written there last; it is sent whole", esc_s(en.path));
		if (run_check(p->r, e) < 0 || feed_entry(f, &en, &p->places[place - 1].at, e) < 0)
			return -1;
	}
}

int pass_send_whole(struct pass *p, struct err *e)
{
	OWN(archive_closep) struct archive *a = NULL;
	OWN(feed_free) struct feed f = { .target = NULL };

	if (!target_lacks_any(&p->target))
		return 0;
	if (archive_open(p->r->w, &a, e) < 0)
		return -1;
	feed_begin(&f, &p->target, a);
	f.ordinal = p->object_count;
	f.large_id = p->large_max;
	return send_whole(p, &f, e);
}

void pass_patch_free(struct pass *p)
{
	for (size_t i = 0; i < p->hashes_count; i++)
		buf_dispose(&p->hashes[i].b);
	free(p->hashes);
	blocks_close(p->blocks);
}
