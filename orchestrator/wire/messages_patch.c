/* Messages about changed blocks of large contents. */
#include "messages_internal.h"

#include <string.h>

#define OFFSET_MAX ((uint64_t)INT64_MAX)

void msg_blocks_encode(struct buf *b, const struct msg_blocks *m)
{
	buf_put_varint(b, m->block);
	if (m->block == 0)
		return;
	buf_put_varint(b, m->size);
	buf_put_varint(b, m->room);
	buf_put(b, m->hashes, m->count * MSG_BLOCK_HASH);
}

int msg_blocks_decode(const void *p, size_t n, struct msg_blocks *m, struct err *e)
{
	struct view v = view_of(p, n);

	*m = (struct msg_blocks){ .block = view_varint(&v) };
	if (m->block) {
		m->size = view_varint(&v);
		m->room = view_varint(&v);
		m->count = view_left(&v) / MSG_BLOCK_HASH;
		m->hashes = view_raw(&v, m->count * MSG_BLOCK_HASH);
		/* every block, the last of them short or whole */
		v.failed |= m->size > OFFSET_MAX || m->count != m->size / m->block + (m->size % m->block != 0);
	}
	return msg_done_view(&v, "BLOCKS", e);
}

int msg_hashes_decode(const void *p, size_t n, uint64_t *large_id, const uint8_t **hashes, size_t *bytes, struct err *e)
{
	struct view v = view_of(p, n);

	*large_id = view_varint(&v);
	*bytes = view_left(&v);
	*hashes = view_raw(&v, *bytes);
	v.failed |= *large_id == 0 || *bytes == 0 || *bytes % MSG_BLOCK_HASH != 0;
	return msg_done_view(&v, "HASHES", e);
}

void msg_patch_begin_dispose(struct msg_patch_begin *m) { free(take_ptr(&m->path)); }

void msg_patch_begin_encode(struct buf *b, const struct msg_patch_begin *m)
{
	buf_put_varint(b, m->large_id);
	buf_put_varint(b, m->size);
	msg_put_text(b, m->path);
	buf_put_varint(b, m->base_size);
	buf_put_zigzag(b, m->mtime_s);
	buf_put_varint(b, m->mtime_ns);
}

int msg_patch_begin_decode(const void *p, size_t n, struct msg_patch_begin *m, struct err *e)
{
	struct view v = view_of(p, n);
	uint64_t ns;

	*m = (struct msg_patch_begin){ .large_id = view_varint(&v) };
	m->size = view_varint(&v);
	m->path = msg_path(&v);
	m->base_size = view_varint(&v);
	m->mtime_s = view_zigzag(&v);
	ns = view_varint(&v);
	m->mtime_ns = (uint32_t)ns;
	v.failed |= m->large_id == 0 || m->size > OFFSET_MAX || m->base_size > OFFSET_MAX || ns >= 1000000000;
	if (msg_done_view(&v, "PATCH_BEGIN", e) == 0)
		return 0;
	msg_patch_begin_dispose(m);
	return -1;
}

void msg_ranges_dispose(struct msg_ranges *m) { free(take_ptr(&m->v)); }

void msg_ranges_encode(struct buf *b, const struct msg_ranges *m)
{
	uint64_t at = 0;

	buf_put_varint(b, m->ordinal);
	buf_put_varint(b, m->count);
	for (size_t i = 0; i < m->count; i++) {
		buf_put_varint(b, m->v[i].offset - at);
		buf_put_varint(b, m->v[i].length);
		at = m->v[i].offset + m->v[i].length;
	}
}

static bool get_ranges(struct view *v, struct msg_ranges *m)
{
	uint64_t at = 0, count;

	m->ordinal = view_varint(v);
	count = view_varint(v);
	if (v->failed || m->ordinal == 0 || count == 0 || count > view_left(v) / 2 || !(m->v = calloc((size_t)count, sizeof(*m->v))))
		return false;
	m->count = (size_t)count;
	for (size_t i = 0; i < m->count; i++) {
		struct msg_range *r = &m->v[i];
		uint64_t gap = view_varint(v);

		r->length = view_varint(v);
		if (v->failed || r->length == 0 || gap > OFFSET_MAX - at || r->length > OFFSET_MAX - at - gap)
			return false;
		r->offset = at + gap;
		at = r->offset + r->length;
	}
	return true;
}

int msg_ranges_decode(const void *p, size_t n, struct msg_ranges *m, struct err *e)
{
	struct view v = view_of(p, n);

	*m = (struct msg_ranges){ .v = NULL };
	if (get_ranges(&v, m) && view_done(&v))
		return 0;
	msg_ranges_dispose(m);
	return msg_bad(e, "RANGES");
}

void msg_nobase_encode(struct buf *b, uint64_t large_id, const char *path)
{
	buf_put_varint(b, large_id);
	msg_put_text(b, path);
}

int msg_nobase_decode(const void *p, size_t n, uint64_t *large_id, char **path, struct err *e)
{
	struct view v = view_of(p, n);

	*large_id = view_varint(&v);
	*path = msg_path(&v);
	v.failed |= *large_id == 0;
	if (msg_done_view(&v, "NOBASE", e) == 0)
		return 0;
	free(take_ptr(path));
	return -1;
}

void msg_hole_encode(struct buf *b, uint64_t large_id, uint64_t offset, uint64_t length)
{
	buf_put_varint(b, large_id);
	buf_put_varint(b, offset);
	buf_put_varint(b, length);
}

int msg_hole_decode(const void *p, size_t n, uint64_t *large_id, uint64_t *offset, uint64_t *length, struct err *e)
{
	struct view v = view_of(p, n);

	*large_id = view_varint(&v);
	*offset = view_varint(&v);
	*length = view_varint(&v);
	v.failed |= *large_id == 0 || *length == 0 || *offset > OFFSET_MAX || *length > OFFSET_MAX - *offset;
	return msg_done_view(&v, "HOLE", e);
}
