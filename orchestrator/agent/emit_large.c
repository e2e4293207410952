/* Large contents: slices, made here or by threads of the crew that have nothing else to do. */
#include "emit.h"

#include <string.h>

#define HOLE_MIN (1u << 20)
#define SAMPLE (16u << 10)

struct emit_slice {
	struct task task;		/* first: the crew gives it back */
	struct emit *em;
	struct emit_slice *next;	/* given */
	size_t number;			/* in its content, from 1 */
	struct msg_obj_begin is;
	bool patch;
	struct msg_ranges ranges;	/* of a patch */
	size_t range_cap;
	size_t len;
	int result;
	struct err e;
	uint8_t *raw;			/* owned: SLICE_RAW bytes, freed as soon as they have been sent */
};

static void slice_free(struct emit_slice *s)
{
	if (s) {
		free(s->raw);
		msg_ranges_dispose(&s->ranges);
	}
	free(s);
}

/* ---- beginnings ---- */

static void large_anew(struct emit *em, struct emit_large *l, uint64_t size)
{
	l->em = em;
	l->id = ++em->large_ids;
	l->at = l->hole = 0;
	l->count = l->slices = 0;
	l->patch = l->tell_holes = false;
	/* Grows with the size, so that the number of slices stays bounded however the holes lie. */
	l->hole_min = size >> 16 > HOLE_MIN ? size >> 16 : HOLE_MIN;
}

/* Contents begin in the order of their numbers: both under the lock. */
int emit_large_begin(struct emit *em, struct emit_large *l, const char *path, uint64_t size, struct err *e)
{
	OWN_BUF struct buf b = BUF_INIT;
	int r;

	pthread_mutex_lock(&em->turn);
	large_anew(em, l, size);
	msg_large_begin_encode(&b, l->id, size, path);
	r = agent_send(em->a, WIRE_DATA, MSG_LARGE_BEGIN, &b, e);
	pthread_mutex_unlock(&em->turn);
	return r;
}

int emit_patch_begin(struct emit *em, struct emit_large *l, const char *path, uint64_t size, const struct entry *base, struct err *e)
{
	OWN_BUF struct buf b = BUF_INIT;
	struct msg_patch_begin m = { .size = size, .path = (char *)(uintptr_t)path, .base_size = base->size,
		.mtime_s = base->mtime_s, .mtime_ns = base->mtime_ns };
	int r;

	pthread_mutex_lock(&em->turn);
	large_anew(em, l, size);
	l->patch = true;
	memcpy(l->base, base->sha256, DIGEST_LEN);
	m.large_id = l->id;
	msg_patch_begin_encode(&b, &m);
	r = agent_send(em->a, WIRE_DATA, MSG_PATCH_BEGIN, &b, e);
	pthread_mutex_unlock(&em->turn);
	return r;
}

/* ---- what the content is made of ---- */

/* Room for one more in a list of count of size bytes each; its new capacity is set. */
static int grow(void **v, size_t count, size_t *cap, size_t size, struct err *e)
{
	size_t n = *cap ? *cap * 2 : 8;
	void *p;

	if (count < *cap)
		return 0;
	if (!(p = reallocarray(*v, n, size)))
		return err_sys(e, "large content");
	*v = p;
	*cap = n;
	return 0;
}

/* Continues the last segment where it can. */
static int add_segment(struct emit_large *l, uint64_t ordinal, uint64_t offset, uint64_t length, struct err *e)
{
	struct msg_segment *last = l->count ? &l->segments[l->count - 1] : NULL;

	if (last && last->ordinal == ordinal && (ordinal == 0 || last->offset + last->length == offset)) {
		last->length += length;
		return 0;
	}
	if (l->count >= MSG_SEGMENTS_MAX)
		return err_set(e, ERR_PERMANENT, "a content in more than %u slices", MSG_SEGMENTS_MAX);
	if (grow((void **)&l->segments, l->count, &l->cap, sizeof(*l->segments), e) < 0)
		return -1;
	l->segments[l->count++] = (struct msg_segment){ ordinal, offset, length };
	return 0;
}

/* n bytes at the end of a slice of a patch belong at this place. */
static int add_range(struct emit_slice *s, uint64_t at, uint64_t n, struct err *e)
{
	struct msg_ranges *r = &s->ranges;
	struct msg_range *last = r->count ? &r->v[r->count - 1] : NULL;

	if (last && last->offset + last->length == at) {
		last->length += n;
		return 0;
	}
	if (grow((void **)&r->v, r->count, &s->range_cap, sizeof(*r->v), e) < 0)
		return -1;
	r->v[r->count++] = (struct msg_range){ at, n };
	return 0;
}

/* All slices have been sent: their own numbers become those of the session. */
static void name_slices(struct emit_large *l)
{
	for (size_t i = 0; i < l->count; i++) {
		struct msg_segment *s = &l->segments[i];

		if (s->ordinal != 0 && s->ordinal != MSG_SEGMENT_BASE)
			s->ordinal = l->ordinals[s->ordinal - 1];
	}
}

/* ---- one slice ---- */

/* Is a frame's worth of bytes worth compressing?  Beginning, middle and end tell; a wrong guess costs time or bytes, nothing else. */
static bool worth_compressing(const uint8_t *p, size_t n)
{
	if (n <= 3 * SAMPLE)
		return frame_compressible(p, n);
	return frame_compressible(p, SAMPLE) || frame_compressible(p + n / 2, SAMPLE) || frame_compressible(p + n - SAMPLE, SAMPLE);
}

static int compress(const struct emit_slice *s, struct emit_object *o, struct err *e)
{
	OWN(frame_writer_freep) struct frame_writer *w = NULL;
	int level = emit_level(s->em);

	if (frame_writer_new(&w, level, emit_object_sink, o, e) < 0)
		return -1;
	for (size_t at = 0; at < s->len; ) {
		size_t n = s->len - at < FRAME_RAW ? s->len - at : FRAME_RAW;

		frame_writer_level(w, worth_compressing(s->raw + at, n) ? level : PACK_LEVEL_RAW);
		if (frame_writer_put(w, s->raw + at, n, e) < 0)
			return -1;
		at += n;
	}
	return frame_writer_finish(w, NULL, NULL, e);
}

static void run_slice(struct task *t, void *hand)
{
	struct emit_slice *s = (struct emit_slice *)t;
	struct emit_object o = { .em = s->em };

	(void)hand;
	s->result = compress(s, &o, &s->e);
	if (s->result == 0)
		s->result = emit_object_send(&o, &s->is, s->patch ? &s->ranges : NULL, s->len, &s->e);
	emit_object_dispose(&o);
	free(take_ptr(&s->raw));
}

/* Takes s, which has been run. */
static int collect(struct emit_large *l, struct emit_slice *s, struct err *e)
{
	int r = s->result;

	if (r < 0)
		*e = s->e;
	else
		l->ordinals[s->number - 1] = s->is.ordinal;
	slice_free(s);
	return r;
}

/* The slices that the crew has done, so that a content of any length needs no memory of its own. */
static int collect_done(struct emit *em, struct emit_large *l, struct err *e)
{
	for (struct emit_slice **at = &l->given; *at; ) {
		struct emit_slice *s = *at;

		if (!crew_done(em->crew, &s->task)) {
			at = &s->next;
			continue;
		}
		*at = s->next;
		if (collect(l, s, e) < 0)
			return -1;
	}
	return 0;
}

/* All slices that the crew has; the first failure counts. */
static int collect_given(struct emit *em, struct emit_large *l, struct err *e)
{
	struct err late = ERR_INIT;
	int r = 0;

	while (l->given) {
		struct emit_slice *s = l->given;

		l->given = s->next;
		crew_wait(em->crew, &s->task, true, NULL);
		if (collect(l, s, r == 0 ? e : &late) < 0)
			r = -1;
	}
	return r;
}

static int end_slice(struct emit *em, struct emit_large *l, struct err *e)
{
	struct emit_slice *s = take_ptr(&l->slice);

	if (!s)
		return 0;
	if (collect_done(em, l, e) < 0) {
		slice_free(s);
		return -1;
	}
	/* Only to a thread that is free at once, so that there are no more slices in memory than threads. */
	if (em->crew && crew_idle(em->crew)) {
		s->next = l->given;
		l->given = s;
		crew_give(em->crew, &s->task, true);
		return 0;
	}
	run_slice(&s->task, NULL);
	return collect(l, s, e);
}

static int begin_slice(struct emit *em, struct emit_large *l, struct err *e)
{
	struct emit_slice *s = calloc(1, sizeof(*s));

	if (!s || !(s->raw = malloc(SLICE_RAW)) || grow((void **)&l->ordinals, l->slices, &l->ordinal_cap, sizeof(*l->ordinals), e) < 0) {
		slice_free(s);
		return err_sys(e, "slice");
	}
	s->task.run = run_slice;
	s->em = em;
	s->is = (struct msg_obj_begin){ .kind = MSG_KIND_SLICE, .large_id = l->id, .offset = l->at };
	s->patch = l->patch;
	s->number = ++l->slices;
	l->slice = s;
	return 0;
}

static int put_bytes(struct emit *em, struct emit_large *l, const uint8_t *p, size_t n, struct err *e)
{
	while (n) {
		size_t k;

		if (!l->slice && begin_slice(em, l, e) < 0)
			return -1;
		k = n < SLICE_RAW - l->slice->len ? n : SLICE_RAW - l->slice->len;
		if ((l->patch && add_range(l->slice, l->at, k, e) < 0) || add_segment(l, l->slice->number, l->slice->len, k, e) < 0)
			return -1;
		memcpy(l->slice->raw + l->slice->len, p, k);
		l->slice->len += k;
		l->at += k;
		p += k;
		n -= k;
		if (l->slice->len == SLICE_RAW && end_slice(em, l, e) < 0)
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
	if (end_slice(em, l, e) < 0)
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
	if (settle_hole(em, l, true, e) < 0 || end_slice(em, l, e) < 0 || collect_given(em, l, e) < 0)
		return -1;
	name_slices(l);
	return 0;
}

int emit_large_abort(struct emit *em, struct emit_large *l, struct err *e)
{
	OWN_BUF struct buf b = BUF_INIT;
	uint64_t id = l->id;

	if (id == 0)
		return 0;
	l->id = 0;
	slice_free(take_ptr(&l->slice));
	if (collect_given(em, l, e) < 0)
		return -1;
	msg_number_encode(&b, id);
	return agent_send(em->a, WIRE_DATA, MSG_LARGE_ABORT, &b, e);
}

void emit_large_dispose(struct emit_large *l)
{
	struct err ignored = ERR_INIT;	/* of a content that is given up */

	if (collect_given(l->em, l, &ignored) < 0)
		err_clear(&ignored);
	slice_free(l->slice);
	free(l->segments);
	free(l->ordinals);
	*l = (struct emit_large)EMIT_LARGE_INIT;
}
