#include "feed.h"

#include <string.h>

void feed_begin(struct feed *f, struct target *t, struct archive *a)
{
	*f = (struct feed){ .target = t, .archive = a, .message = BUF_INIT };
}

static int send_message(struct feed *f, enum msg_type t, struct err *e)
{
	if (buf_finish(&f->message, e) < 0)
		return -1;
	return target_send(f->target, (uint8_t)t, f->message.data, f->message.len, e);
}

static int begin_object(struct feed *f, enum msg_kind kind, uint64_t large_id, uint64_t offset, struct err *e)
{
	f->ordinal++;
	buf_reset(&f->message);
	buf_put_varint(&f->message, f->ordinal);
	buf_put_u8(&f->message, (uint8_t)kind);
	if (kind == MSG_KIND_SLICE) {
		buf_put_varint(&f->message, large_id);
		buf_put_varint(&f->message, offset);
	}
	return send_message(f, MSG_OBJ_BEGIN, e);
}

static int end_object(struct feed *f, uint64_t raw, uint64_t stored, struct err *e)
{
	buf_reset(&f->message);
	buf_put_varint(&f->message, f->ordinal);
	buf_put_varint(&f->message, raw);
	buf_put_varint(&f->message, stored);
	return send_message(f, MSG_OBJ_END, e);
}

/* Stored bytes of the open object, in messages of at most half a frame's payload. */
static int object_sink(void *ctx, const void *p, size_t n, struct err *e)
{
	struct feed *f = ctx;
	const char *s = p;

	while (n) {
		size_t k = n < WIRE_PAYLOAD_MAX / 2 ? n : WIRE_PAYLOAD_MAX / 2;

		buf_reset(&f->message);
		buf_put_varint(&f->message, f->ordinal);
		buf_put(&f->message, s, k);
		if (send_message(f, MSG_OBJ_DATA, e) < 0)
			return -1;
		s += k;
		n -= k;
	}
	return 0;
}

static int close_pack(struct feed *f, struct err *e)
{
	uint64_t raw, stored;

	if (!f->pack)
		return 0;
	if (pack_writer_finish(f->pack, &raw, &stored, e) < 0)
		return -1;
	pack_writer_free(take_ptr(&f->pack));
	return end_object(f, raw, stored, e);
}

static int need_pack(struct feed *f, struct err *e)
{
	if (f->pack && pack_writer_raw(f->pack) >= PACK_RAW_TARGET && close_pack(f, e) < 0)
		return -1;
	if (f->pack)
		return 0;
	if (begin_object(f, MSG_KIND_PACK, 0, 0, e) < 0)
		return -1;
	return pack_writer_new(&f->pack, PACK_LEVEL_RAW, object_sink, f, e);
}

struct collect { struct feed *f; const struct entry *en; };

/* A small content arrives checked and whole. */
static int add_small(void *ctx, uint64_t offset, const void *p, size_t n, struct err *e)
{
	struct collect *c = ctx;

	if (offset != 0 || n != c->en->size)
		return err_set(e, ERR_BUG, "a packed content came in pieces");
	if (need_pack(c->f, e) < 0 || pack_add(c->f->pack, c->en, NULL, e) < 0)
		return -1;
	return pack_data(c->f->pack, p, n, e);
}

static int add_slice(void *ctx, uint64_t offset, const void *p, size_t n, struct err *e)
{
	struct feed *f = ctx;
	OWN(frame_writer_freep) struct frame_writer *w = NULL;
	uint64_t raw, stored;

	if (begin_object(f, MSG_KIND_SLICE, f->large_id, offset, e) < 0 ||
	    frame_writer_new(&w, PACK_LEVEL_RAW, object_sink, f, e) < 0 ||
	    frame_writer_put(w, p, n, e) < 0 || frame_writer_finish(w, &raw, &stored, e) < 0)
		return -1;
	return end_object(f, raw, stored, e);
}

static int send_large(struct feed *f, const struct entry *en, const struct location *at, struct err *e)
{
	struct err ignored = ERR_INIT;

	if (close_pack(f, e) < 0)
		return -1;
	f->large_id++;
	buf_reset(&f->message);
	buf_put_varint(&f->message, f->large_id);
	buf_put_varint(&f->message, en->size);
	buf_put_bytes(&f->message, en->path, en->path_len);
	if (send_message(f, MSG_LARGE_BEGIN, e) < 0)
		return -1;
	if (archive_content(f->archive, en, at, add_slice, f, e) < 0) {
		buf_reset(&f->message);
		buf_put_varint(&f->message, f->large_id);
		if (e->class == ERR_INTEGRITY && send_message(f, MSG_LARGE_ABORT, &ignored) < 0)
			*e = ignored;
		return -1;
	}
	if (target_attrs(f->target, en, e) < 0)
		return -1;
	buf_reset(&f->message);
	buf_put_varint(&f->message, f->large_id);
	entry_encode(&f->message, en, NULL);
	return send_message(f, MSG_LARGE_END, e);
}

int feed_entry(struct feed *f, const struct entry *en, const struct location *at, struct err *e)
{
	struct collect c = { f, en };

	if (en->link_to)
		return 0;		/* made by target_final */
	if (at->kind == LOCATION_RECIPE)
		return send_large(f, en, at, e);
	if (at->kind == LOCATION_PACK)
		return archive_content(f->archive, en, at, add_small, &c, e);
	if (en->type == ENTRY_DIR)
		return 0;
	return need_pack(f, e) < 0 ? -1 : pack_add(f->pack, en, NULL, e);
}

int feed_end(struct feed *f, struct err *e) { return close_pack(f, e); }

void feed_free(struct feed *f)
{
	pack_writer_free(f->pack);
	buf_dispose(&f->message);
}
