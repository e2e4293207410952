#include "emit.h"

#include <string.h>

#include "clock.h"

#define OUT_FULL (256u << 10)
#define ADAPTIVE INT32_MIN	/* of struct msg_start */
#define LEVEL_DEFAULT 1
#define LEVEL_LOW (-5)
#define LEVEL_HIGH 3
#define SLOW_LINK (25u << 20)	/* stored bytes a second: below that a sender that waits waits for the link, not for a processor */
#define HOLE_MIN (1u << 20)

void emit_init(struct emit *em, struct agent *a)
{
	bool adaptive = a->start.level == ADAPTIVE;

	*em = (struct emit){ .a = a, .level = adaptive ? LEVEL_DEFAULT : a->start.level, .adaptive = adaptive, .since = clock_mono_ns() };
}

/*
 * After each object: a link that keeps us waiting is worth more work on fewer bytes; where sending hardly waits, or waits for
 * processors that are busy with the bytes (they come that fast), less work is worth more.
 */
static void adapt(struct emit *em)
{
	int64_t now = clock_mono_ns(), took = now - em->since;
	uint64_t rate;

	if (!em->adaptive || took <= 0)
		return;
	rate = em->sent * 1000 / ((uint64_t)took / 1000000 + 1);
	if (em->waited > took / 2 && rate < SLOW_LINK)
		em->level += em->level < LEVEL_HIGH;
	else if (em->waited < took / 10 || rate >= SLOW_LINK)
		em->level -= em->level > LEVEL_LOW;
	em->since = now;
	em->waited = 0;
	em->sent = 0;
}

void emit_dispose(struct emit *em)
{
	pack_writer_free(em->pack);
	buf_dispose(&em->pack_out.b);
	em->pack = NULL;
}

/* ---- stored bytes to messages ---- */

static int out_flush(struct emit_out *o, struct err *e)
{
	int64_t before = clock_mono_ns();
	size_t n = o->b.len;
	int r = 0;

	if (o->b.len || o->b.failed)
		r = agent_send(o->em->a, WIRE_DATA, MSG_OBJ_DATA, &o->b, e);
	o->em->waited += clock_mono_ns() - before;
	o->em->sent += n;
	return r;
}

static int out_put(void *ctx, const void *p, size_t n, struct err *e)
{
	struct emit_out *o = ctx;
	const char *at = p;

	while (n) {
		size_t k = n < OUT_FULL ? n : OUT_FULL;

		if (o->b.len == 0)
			buf_put_varint(&o->b, o->ordinal);
		buf_put(&o->b, at, k);
		if (o->b.len >= OUT_FULL && out_flush(o, e) < 0)
			return -1;
		at += k;
		n -= k;
	}
	return 0;
}

static int begin_object(struct emit *em, struct emit_out *o, enum msg_kind kind, uint64_t large_id, uint64_t offset, struct err *e)
{
	OWN_BUF struct buf b = BUF_INIT;
	struct msg_obj_begin m = { ++em->ordinals, kind, large_id, offset };

	o->em = em;
	o->ordinal = m.ordinal;
	buf_reset(&o->b);
	msg_obj_begin_encode(&b, &m);
	return agent_send(em->a, WIRE_DATA, MSG_OBJ_BEGIN, &b, e);
}

static int end_object(struct emit_out *o, uint64_t raw, uint64_t stored, struct err *e)
{
	OWN_BUF struct buf b = BUF_INIT;
	struct msg_obj_end m = { o->ordinal, raw, stored };

	if (out_flush(o, e) < 0)
		return -1;
	adapt(o->em);
	msg_obj_end_encode(&b, &m);
	return agent_send(o->em->a, WIRE_DATA, MSG_OBJ_END, &b, e);
}

/* ---- packs ---- */

int emit_finish(struct emit *em, struct err *e)
{
	OWN(pack_writer_freep) struct pack_writer *w = take_ptr(&em->pack);
	uint64_t raw, stored;

	if (!w)
		return 0;
	if (pack_writer_finish(w, &raw, &stored, e) < 0)
		return -1;
	return end_object(&em->pack_out, raw, stored, e);
}

int emit_pack(struct emit *em, const struct entry *en, const struct attr_set *attrs, const void *data, uint64_t *ordinal, struct err *e)
{
	int r;

	if (!em->pack && (begin_object(em, &em->pack_out, MSG_KIND_PACK, 0, 0, e) < 0 ||
	    pack_writer_new(&em->pack, em->level, out_put, &em->pack_out, e) < 0))
		return -1;
	*ordinal = em->pack_out.ordinal;
	r = pack_add(em->pack, en, attrs, e);
	/* More attributes than a pack takes: the manifest's blob has them all. */
	if (r < 0 && e->class == ERR_PERMANENT && attrs && attrs->n) {
		err_clear(e);
		r = pack_add(em->pack, en, NULL, e);
	}
	if (r < 0 || (en->type == ENTRY_FILE && en->size && pack_data(em->pack, data, (size_t)en->size, e) < 0))
		return -1;
	return pack_writer_raw(em->pack) >= PACK_RAW_TARGET ? emit_finish(em, e) : 0;
}

/* ---- large contents ---- */

static void large_anew(struct emit *em, struct emit_large *l, uint64_t size)
{
	l->id = ++em->large_ids;
	l->at = l->hole = 0;
	l->count = l->range_count = 0;
	l->patch = l->tell_holes = false;
	/* Grows with the size, so that the number of slices stays bounded however the holes lie. */
	l->hole_min = size >> 16 > HOLE_MIN ? size >> 16 : HOLE_MIN;
}

int emit_large_begin(struct emit *em, struct emit_large *l, const char *path, uint64_t size, struct err *e)
{
	OWN_BUF struct buf b = BUF_INIT;

	large_anew(em, l, size);
	msg_large_begin_encode(&b, l->id, size, path);
	return agent_send(em->a, WIRE_DATA, MSG_LARGE_BEGIN, &b, e);
}

int emit_patch_begin(struct emit *em, struct emit_large *l, const char *path, uint64_t size, const struct entry *base, struct err *e)
{
	OWN_BUF struct buf b = BUF_INIT;
	struct msg_patch_begin m = { .size = size, .path = (char *)(uintptr_t)path, .base_size = base->size,
		.mtime_s = base->mtime_s, .mtime_ns = base->mtime_ns };

	large_anew(em, l, size);
	l->patch = true;
	memcpy(l->base, base->sha256, DIGEST_LEN);
	m.large_id = l->id;
	msg_patch_begin_encode(&b, &m);
	return agent_send(em->a, WIRE_DATA, MSG_PATCH_BEGIN, &b, e);
}

/* Continues the last segment where it can. */
static int add_segment(struct emit_large *l, uint64_t ordinal, uint64_t offset, uint64_t length, struct err *e)
{
	struct msg_segment *last = l->count ? &l->segments[l->count - 1] : NULL;

	if (last && last->ordinal == ordinal && (ordinal == 0 || last->offset + last->length == offset)) {
		last->length += length;
		return 0;
	}
	if (l->count == l->cap) {
		size_t cap = l->cap ? l->cap * 2 : 8;
		struct msg_segment *s = reallocarray(l->segments, cap, sizeof(*s));

		if (!s)
			return err_sys(e, "list of slices");
		l->segments = s;
		l->cap = cap;
	}
	if (l->count >= MSG_SEGMENTS_MAX)
		return err_set(e, ERR_PERMANENT, "a content in more than %u slices", MSG_SEGMENTS_MAX);
	l->segments[l->count++] = (struct msg_segment){ ordinal, offset, length };
	return 0;
}

/* n bytes of the open slice of a patch belong at l->at. */
static int add_range(struct emit_large *l, uint64_t n, struct err *e)
{
	struct msg_range *last = l->range_count ? &l->ranges[l->range_count - 1] : NULL;

	if (last && last->offset + last->length == l->at) {
		last->length += n;
		return 0;
	}
	if (l->range_count == l->range_cap) {
		size_t cap = l->range_cap ? l->range_cap * 2 : 64;
		struct msg_range *r = reallocarray(l->ranges, cap, sizeof(*r));

		if (!r)
			return err_sys(e, "list of ranges");
		l->ranges = r;
		l->range_cap = cap;
	}
	l->ranges[l->range_count++] = (struct msg_range){ l->at, n };
	return 0;
}

static int send_ranges(struct emit_large *l, struct err *e)
{
	OWN_BUF struct buf b = BUF_INIT;
	struct msg_ranges m = { l->out.ordinal, l->ranges, l->range_count };

	msg_ranges_encode(&b, &m);
	l->range_count = 0;
	return agent_send(l->out.em->a, WIRE_DATA, MSG_RANGES, &b, e);
}

static int end_slice(struct emit_large *l, struct err *e)
{
	OWN(frame_writer_freep) struct frame_writer *w = take_ptr(&l->slice);
	uint64_t raw, stored;

	if (!w)
		return 0;
	if (frame_writer_finish(w, &raw, &stored, e) < 0 || (l->patch && send_ranges(l, e) < 0))
		return -1;
	return end_object(&l->out, raw, stored, e);
}

static int put_bytes(struct emit *em, struct emit_large *l, const uint8_t *p, size_t n, struct err *e)
{
	while (n) {
		size_t k;

		if (!l->slice) {
			int level = frame_compressible(p, n < 65536 ? n : 65536) ? em->level : PACK_LEVEL_RAW;

			l->slice_len = 0;
			if (begin_object(em, &l->out, MSG_KIND_SLICE, l->id, l->at, e) < 0 ||
			    frame_writer_new(&l->slice, level, out_put, &l->out, e) < 0)
				return -1;
		}
		k = n < SLICE_RAW - l->slice_len ? n : (size_t)(SLICE_RAW - l->slice_len);
		if (frame_writer_put(l->slice, p, k, e) < 0 || (l->patch && add_range(l, k, e) < 0) ||
		    add_segment(l, l->out.ordinal, l->slice_len, k, e) < 0)
			return -1;
		l->at += k;
		l->slice_len += k;
		p += k;
		n -= k;
		if (l->slice_len == SLICE_RAW && end_slice(l, e) < 0)
			return -1;
	}
	return 0;
}

static int put_zeros(struct emit *em, struct emit_large *l, uint64_t n, struct err *e)
{
	static const uint8_t zeros[65536];

	while (n) {
		size_t k = n < sizeof(zeros) ? (size_t)n : sizeof(zeros);

		if (put_bytes(em, l, zeros, k, e) < 0)
			return -1;
		n -= k;
	}
	return 0;
}

/* What is there already may be data. */
static int told_hole(struct emit *em, struct emit_large *l, uint64_t n, struct err *e)
{
	OWN_BUF struct buf b = BUF_INIT;

	msg_hole_encode(&b, l->id, l->at, n);
	if (add_segment(l, 0, 0, n, e) < 0)
		return -1;
	l->at += n;
	return agent_send(em->a, WIRE_DATA, MSG_HOLE, &b, e);
}

/* Pass the pending run of holes on: as zeros when it is short and a slice is open, else as a segment of its own. */
static int settle_hole(struct emit *em, struct emit_large *l, bool last, struct err *e)
{
	uint64_t n = l->hole;

	l->hole = 0;
	if (n == 0)
		return 0;
	if (l->patch)
		return told_hole(em, l, n, e);
	if (l->slice && !last && n < l->hole_min)
		return put_zeros(em, l, n, e);
	if (end_slice(l, e) < 0)
		return -1;
	if (l->tell_holes)
		return told_hole(em, l, n, e);
	l->at += n;
	return add_segment(l, 0, 0, n, e);
}

int emit_large_keep(struct emit *em, struct emit_large *l, uint64_t n, struct err *e)
{
	if (settle_hole(em, l, false, e) < 0 || add_segment(l, MSG_SEGMENT_BASE, l->at, n, e) < 0)
		return -1;
	l->at += n;
	return 0;
}

int emit_large_data(struct emit *em, struct emit_large *l, const void *p, size_t n, struct err *e)
{
	return settle_hole(em, l, false, e) < 0 ? -1 : put_bytes(em, l, p, n, e);
}

void emit_large_hole(struct emit_large *l, uint64_t n) { l->hole += n; }

int emit_large_end(struct emit *em, struct emit_large *l, struct err *e)
{
	return settle_hole(em, l, true, e) < 0 ? -1 : end_slice(l, e);
}

int emit_large_abort(struct emit *em, struct emit_large *l, struct err *e)
{
	OWN_BUF struct buf b = BUF_INIT;
	uint64_t id = l->id;

	if (id == 0)
		return 0;
	l->id = 0;
	/* An open slice is ended in form, so that whoever stores objects need not know of aborts. */
	if (end_slice(l, e) < 0)
		return -1;
	msg_number_encode(&b, id);
	return agent_send(em->a, WIRE_DATA, MSG_LARGE_ABORT, &b, e);
}

void emit_large_dispose(struct emit_large *l)
{
	frame_writer_free(l->slice);
	buf_dispose(&l->out.b);
	free(l->segments);
	free(l->ranges);
	*l = (struct emit_large)EMIT_LARGE_INIT;
}
