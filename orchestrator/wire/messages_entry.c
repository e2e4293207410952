/* Messages that carry entries. */
#include "messages_internal.h"

#include <string.h>

void msg_entry_dispose(struct msg_entry *m)
{
	entry_dispose(&m->entry);
	free(m->segments);
	*m = (struct msg_entry){ .entry = ENTRY_INIT };
}

static void put_segments(struct buf *b, const struct msg_entry *m)
{
	bool patch = m->content == MSG_CONTENT_PATCH;

	buf_put_varint(b, m->large_id);
	if (patch)
		buf_put(b, m->base, DIGEST_LEN);
	buf_put_varint(b, m->segment_count);
	for (size_t i = 0; i < m->segment_count; i++) {
		uint64_t o = m->segments[i].ordinal;

		/* in a patch 1 is the base, and slices count from 2 */
		buf_put_varint(b, !patch ? o : o == MSG_SEGMENT_BASE ? 1 : o ? o + 1 : 0);
		buf_put_varint(b, m->segments[i].offset);
		buf_put_varint(b, m->segments[i].length);
	}
}

void msg_entry_encode(struct buf *b, const struct msg_entry *m, const char *prev)
{
	entry_encode(b, &m->entry, prev);
	buf_put_u8(b, (uint8_t)m->content);
	if (m->content == MSG_CONTENT_PACK)
		buf_put_varint(b, m->ordinal);
	else if (m->content == MSG_CONTENT_LARGE || m->content == MSG_CONTENT_PATCH)
		put_segments(b, m);
}

/* The segments of a content: no empty run, no wrap, and together exactly its size. */
static bool get_segments(struct view *v, struct msg_entry *m)
{
	bool patch = m->content == MSG_CONTENT_PATCH;
	uint64_t count, sum = 0;
	const uint8_t *base;

	m->large_id = view_varint(v);
	if (patch && (base = view_raw(v, DIGEST_LEN)))
		memcpy(m->base, base, DIGEST_LEN);
	count = view_varint(v);
	/* Three bytes at least each: a count that the message cannot hold is refused before memory is taken for it. */
	if (v->failed || m->large_id == 0 || count > MSG_SEGMENTS_MAX || count > view_left(v) / 3)
		return false;
	if (count && !(m->segments = calloc((size_t)count, sizeof(*m->segments))))
		return false;
	m->segment_count = (size_t)count;
	for (size_t i = 0; i < m->segment_count; i++) {
		struct msg_segment *s = &m->segments[i];
		uint64_t end;

		s->ordinal = view_varint(v);
		s->offset = view_varint(v);
		s->length = view_varint(v);
		if (v->failed || s->length == 0 || __builtin_add_overflow(s->offset, s->length, &end) ||
		    __builtin_add_overflow(sum, s->length, &sum) || (s->ordinal == 0 && s->offset) || s->ordinal == MSG_SEGMENT_BASE)
			return false;
		if (patch && s->ordinal)
			s->ordinal = s->ordinal == 1 ? MSG_SEGMENT_BASE : s->ordinal - 1;
	}
	return sum == m->entry.size;
}

static bool get_content(struct view *v, struct msg_entry *m)
{
	uint8_t c = view_u8(v);

	m->content = (enum msg_content)c;
	switch (m->content) {
	case MSG_CONTENT_NONE:
		return true;
	case MSG_CONTENT_PACK:
		m->ordinal = view_varint(v);
		return m->ordinal != 0;
	case MSG_CONTENT_LARGE: case MSG_CONTENT_PATCH:
		return m->entry.type == ENTRY_FILE && get_segments(v, m);
	case MSG_CONTENT_KEPT:
		return m->entry.type == ENTRY_FILE;
	}
	return false;
}

int msg_entry_decode(const void *p, size_t n, struct msg_entry *m, const char *prev, struct err *e)
{
	struct view v = view_of(p, n);

	*m = (struct msg_entry){ .entry = ENTRY_INIT };
	if (entry_decode(&v, &m->entry, prev, e) < 0) {
		msg_entry_dispose(m);
		return -1;
	}
	if (!get_content(&v, m) || !view_done(&v)) {
		msg_entry_dispose(m);
		return msg_bad(e, "ENTRY");
	}
	return 0;
}

void msg_numbered_encode(struct buf *b, uint64_t number, const struct entry *en)
{
	buf_put_varint(b, number);
	entry_encode(b, en, NULL);
}

static int finish_entry(struct view *v, struct entry *en, const char *what, struct err *e)
{
	*en = (struct entry)ENTRY_INIT;
	if (v->failed)
		return msg_bad(e, what);
	if (entry_decode(v, en, NULL, e) < 0 || msg_done_view(v, what, e) < 0) {
		entry_dispose(en);
		return -1;
	}
	return 0;
}

int msg_numbered_decode(const void *p, size_t n, uint64_t *number, struct entry *en, struct err *e)
{
	struct view v = view_of(p, n);

	*number = view_varint(&v);
	return finish_entry(&v, en, "numbered entry", e);
}

void msg_final_encode(struct buf *b, const struct entry *en) { entry_encode(b, en, NULL); }

int msg_final_decode(const void *p, size_t n, struct entry *en, struct err *e)
{
	struct view v = view_of(p, n);

	return finish_entry(&v, en, "FINAL", e);
}

void msg_known_add(struct buf *b, const struct entry *en, const char *prev) { entry_encode(b, en, prev); }

int msg_known_next(struct view *v, struct entry *en, const char *prev, struct err *e)
{
	*en = (struct entry)ENTRY_INIT;
	if (view_done(v))
		return 0;
	if (entry_decode(v, en, prev, e) < 0) {
		entry_dispose(en);
		return -1;
	}
	return 1;
}
