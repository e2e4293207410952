/* Messages of the role scan. */
#include "messages_scan.h"

#include <errno.h>
#include <string.h>

#include "messages_internal.h"
#include "path.h"

#define TEXT_MAX 8192u

static void take_key(struct view *v, uint8_t out[MSG_SCAN_KEY])
{
	const uint8_t *p = view_raw(v, MSG_SCAN_KEY);

	if (p)
		memcpy(out, p, MSG_SCAN_KEY);
	else
		memset(out, 0, MSG_SCAN_KEY);
}

void msg_scan_begin_encode(struct buf *b, const struct msg_scan_begin *m)
{
	buf_put(b, m->key, sizeof(m->key));
	buf_put_varint(b, m->witnesses);
	buf_put_varint(b, m->flags);
	buf_put_varint(b, m->hits_max);
	buf_put_varint(b, m->reads);
	buf_put(b, m->seed, sizeof(m->seed));
}

int msg_scan_begin_decode(const void *p, size_t n, struct msg_scan_begin *m, struct err *e)
{
	struct view v = view_of(p, n);

	take_key(&v, m->key);
	m->witnesses = view_varint(&v);
	m->flags = view_varint(&v);
	m->hits_max = view_varint(&v);
	m->reads = view_varint(&v);
	take_key(&v, m->seed);
	v.failed |= m->witnesses > (UINT64_C(1) << 31) || m->flags > 7 || m->hits_max > 1000000 || m->reads > (UINT64_C(1) << 40);
	return msg_done_view(&v, "SCAN_BEGIN", e);
}

static bool unaligned(uint8_t cls) { return cls == 1 || cls == 2; }

void msg_witness_put(struct buf *b, const struct msg_witness *w)
{
	buf_put_u8(b, w->cls);
	buf_put_u64(b, w->hash);
	if (!unaligned(w->cls))
		return;
	buf_put_u8(b, w->len);
	buf_put_u8(b, w->off);
	buf_put_u32(b, w->tag);
}

int msg_witness_next(struct view *v, struct msg_witness *w, struct err *e)
{
	if (view_left(v) == 0 && !v->failed)
		return 0;
	*w = (struct msg_witness){ .cls = view_u8(v) };
	w->hash = view_u64(v);
	if (unaligned(w->cls)) {
		w->len = view_u8(v);
		w->off = view_u8(v);
		w->tag = view_u32(v);
	}
	if (v->failed || w->cls >= MSG_SCAN_CLASSES)
		return msg_bad(e, "WITNESSES");
	return 1;
}

void msg_medium_dispose(struct msg_medium *m)
{
	free(m->path);
	free(m->serial);
	free(m->fstype);
	free(m->note);
	free(m->uuid);
	free(m->where);
	*m = (struct msg_medium){ .path = NULL };
}

void msg_medium_encode(struct buf *b, const struct msg_medium *m)
{
	msg_put_text(b, m->path);
	msg_put_text(b, m->serial);
	msg_put_text(b, m->fstype);
	msg_put_text(b, m->note);
	msg_put_text(b, m->uuid);
	msg_put_text(b, m->where);
	buf_put_varint(b, m->size);
	buf_put_varint(b, m->sector);
	buf_put_varint(b, m->flags);
}

int msg_medium_decode(const void *p, size_t n, struct msg_medium *m, struct err *e)
{
	struct view v = view_of(p, n);
	uint64_t sector, flags;

	*m = (struct msg_medium){ .path = msg_text(&v, TEXT_MAX) };
	m->serial = msg_text(&v, TEXT_MAX);
	m->fstype = msg_text(&v, TEXT_MAX);
	m->note = msg_text(&v, TEXT_MAX);
	m->uuid = msg_text(&v, TEXT_MAX);
	m->where = msg_text(&v, TEXT_MAX);
	m->size = view_varint(&v);
	sector = view_varint(&v);
	flags = view_varint(&v);
	v.failed |= sector < 512 || sector > 65536 || flags > 31;
	m->sector = (uint32_t)sector;
	m->flags = (uint32_t)flags;
	if (msg_done_view(&v, "MEDIUM", e) < 0) {
		msg_medium_dispose(m);
		return -1;
	}
	return 0;
}

void msg_hit_dispose(struct msg_hit *m)
{
	free(m->owner);
	*m = (struct msg_hit){ .owner = NULL };
}

void msg_hit_encode(struct buf *b, const struct msg_hit *m)
{
	buf_put_varint(b, m->witness);
	buf_put_varint(b, m->offset);
	buf_put_varint(b, m->length);
	msg_put_text(b, m->owner);
}

int msg_hit_decode(const void *p, size_t n, struct msg_hit *m, struct err *e)
{
	struct view v = view_of(p, n);

	*m = (struct msg_hit){ .witness = view_varint(&v) };
	m->offset = view_varint(&v);
	m->length = view_varint(&v);
	m->owner = msg_text(&v, PATH_BYTES_MAX + 64);
	if (msg_done_view(&v, "HIT", e) < 0) {
		msg_hit_dispose(m);
		return -1;
	}
	return 0;
}

void msg_bad_encode(struct buf *b, const struct msg_bad *m)
{
	buf_put_varint(b, m->offset);
	buf_put_varint(b, m->length);
}

int msg_bad_decode(const void *p, size_t n, struct msg_bad *m, struct err *e)
{
	struct view v = view_of(p, n);

	m->offset = view_varint(&v);
	m->length = view_varint(&v);
	return msg_done_view(&v, "BAD", e);
}

void msg_found_encode(struct buf *b, const struct msg_found *m)
{
	buf_put_varint(b, m->first);
	buf_put(b, m->bits, m->bytes);
}

int msg_found_decode(const void *p, size_t n, struct msg_found *m, struct err *e)
{
	struct view v = view_of(p, n);

	m->first = view_varint(&v);
	m->bytes = view_left(&v);
	m->bits = view_raw(&v, m->bytes);
	v.failed |= m->first % 8 != 0 || m->bytes == 0;
	return msg_done_view(&v, "FOUND", e);
}

void msg_scanned_encode(struct buf *b, const struct msg_scanned *m)
{
	buf_put_varint(b, m->bytes);
	buf_put_varint(b, m->reads);
	for (int i = 0; i < MSG_SCAN_CLASSES; i++)
		buf_put_varint(b, m->hits[i]);
	buf_put_varint(b, m->bad);
	buf_put_varint(b, m->own);
	buf_put_varint(b, m->ns);
	buf_put_u8(b, m->done);
}

int msg_scanned_decode(const void *p, size_t n, struct msg_scanned *m, struct err *e)
{
	struct view v = view_of(p, n);
	uint8_t done;

	m->bytes = view_varint(&v);
	m->reads = view_varint(&v);
	for (int i = 0; i < MSG_SCAN_CLASSES; i++)
		m->hits[i] = view_varint(&v);
	m->bad = view_varint(&v);
	m->own = view_varint(&v);
	m->ns = view_varint(&v);
	done = view_u8(&v);
	m->done = done == 1;
	v.failed |= done > 1;
	return msg_done_view(&v, "SCANNED", e);
}

void msg_mapped_dispose(struct msg_mapped *m)
{
	free(m->v);
	*m = (struct msg_mapped){ .v = NULL };
}

void msg_mapped_encode(struct buf *b, const struct msg_mapped *m)
{
	buf_put_varint(b, m->index);
	buf_put_u8(b, (uint8_t)m->storage);
	buf_put_varint(b, m->n);
	for (size_t i = 0; i < m->n; i++) {
		buf_put_varint(b, m->v[i].physical);
		buf_put_varint(b, m->v[i].length);
	}
}

int msg_mapped_decode(const void *p, size_t n, struct msg_mapped *m, struct err *e)
{
	struct view v = view_of(p, n);
	uint8_t storage;
	uint64_t count;

	*m = (struct msg_mapped){ .index = view_varint(&v) };
	storage = view_u8(&v);
	count = view_varint(&v);
	/* Each takes two bytes at least: what was announced must be there before memory is. */
	if (v.failed || storage >= MSG_STORAGES || count > MSG_EXTENTS_MAX || count > view_left(&v) / 2)
		return msg_bad(e, "MAPPED");
	m->storage = (enum msg_storage)storage;
	if (!(m->v = calloc(count ? (size_t)count : 1, sizeof(*m->v))))
		return err_sys(e, "MAPPED");
	for (m->n = 0; m->n < count; m->n++) {
		m->v[m->n].physical = view_varint(&v);
		m->v[m->n].length = view_varint(&v);
	}
	if (msg_done_view(&v, "MAPPED", e) < 0) {
		msg_mapped_dispose(m);
		return -1;
	}
	return 0;
}

void msg_map_encode(struct buf *b, uint64_t index, const char *path)
{
	buf_put_varint(b, index);
	msg_put_text(b, path);
}

int msg_map_decode(const void *p, size_t n, uint64_t *index, char **path, struct err *e)
{
	struct view v = view_of(p, n);

	*index = view_varint(&v);
	*path = msg_path(&v);
	if (msg_done_view(&v, "MAP", e) < 0) {
		free(take_ptr(path));
		return -1;
	}
	return 0;
}

void msg_canary_encode(struct buf *b, const struct msg_canary *m)
{
	buf_put_varint(b, m->count);
	buf_put_varint(b, m->spread);
	buf_put(b, m->key, sizeof(m->key));
}

int msg_canary_decode(const void *p, size_t n, struct msg_canary *m, struct err *e)
{
	struct view v = view_of(p, n);

	m->count = view_varint(&v);
	m->spread = view_varint(&v);
	take_key(&v, m->key);
	v.failed |= m->count > 4096;
	return msg_done_view(&v, "CANARY", e);
}
