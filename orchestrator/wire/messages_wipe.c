/* Messages of the role wipe. */
#include "messages_wipe.h"

#include <string.h>

#include "messages_internal.h"

#define KEEP_MAX 65536u
#define TEXT_MAX 8192u

static char *text(struct view *v, size_t max) { return msg_text(v, max); }

void msg_wipe_begin_encode(struct buf *b, const struct msg_wipe_begin *m)
{
	buf_put(b, m->seed, sizeof(m->seed));
	buf_put_u8(b, m->write);
	msg_put_text(b, m->keep);
}

int msg_wipe_begin_decode(const void *p, size_t n, struct msg_wipe_begin *m, struct err *e)
{
	struct view v = view_of(p, n);
	const uint8_t *seed = view_raw(&v, MSG_WIPE_SEED);
	uint8_t write = view_u8(&v);

	*m = (struct msg_wipe_begin){ .write = write == 1, .keep = text(&v, KEEP_MAX) };
	if (seed)
		memcpy(m->seed, seed, sizeof(m->seed));
	v.failed |= write > 1;
	return msg_done_view(&v, "WIPE_BEGIN", e);
}

void msg_wipe_facts_dispose(struct msg_wipe_facts *m)
{
	free(m->serial);
	free(m->model);
	free(m->parts);
	free(m->storage);
	free(m->where);
	free(m->head);
	m->serial = m->model = m->parts = m->storage = m->where = m->head = NULL;
}

void msg_wipe_facts_encode(struct buf *b, const struct msg_wipe_facts *m)
{
	buf_put_varint(b, m->size);
	buf_put_varint(b, m->sector);
	buf_put_varint(b, m->flags);
	buf_put_varint(b, m->luks);
	msg_put_text(b, m->serial);
	msg_put_text(b, m->model);
	msg_put_text(b, m->parts);
	msg_put_text(b, m->storage);
	msg_put_text(b, m->where);
	msg_put_text(b, m->head);
}

int msg_wipe_facts_decode(const void *p, size_t n, struct msg_wipe_facts *m, struct err *e)
{
	struct view v = view_of(p, n);
	uint64_t sector, flags;

	*m = (struct msg_wipe_facts){ .size = view_varint(&v) };
	sector = view_varint(&v);
	flags = view_varint(&v);
	m->luks = view_varint(&v);
	m->serial = text(&v, TEXT_MAX);
	m->model = text(&v, TEXT_MAX);
	m->parts = text(&v, KEEP_MAX);
	m->storage = text(&v, TEXT_MAX);
	m->where = text(&v, TEXT_MAX);
	m->head = text(&v, DIGEST_HEX);
	v.failed |= sector > 65536 || flags > 15 || m->luks > m->size;
	m->sector = (uint32_t)sector;
	m->flags = (uint32_t)flags;
	return msg_done_view(&v, "WIPE_FACTS", e);
}

void msg_wipe_act_encode(struct buf *b, const struct msg_wipe_act *m)
{
	buf_put_u8(b, m->how);
	buf_put_varint(b, m->offset);
	buf_put_varint(b, m->length);
}

int msg_wipe_act_decode(const void *p, size_t n, struct msg_wipe_act *m, struct err *e)
{
	struct view v = view_of(p, n);

	m->how = view_u8(&v);
	m->offset = view_varint(&v);
	m->length = view_varint(&v);
	v.failed |= m->how < MSG_WIPE_OVERWRITE || m->how > MSG_WIPE_DEVICE || m->length == 0 || m->offset + m->length < m->offset ||
	    m->offset + m->length > INT64_MAX;
	return msg_done_view(&v, "WIPE_ACT", e);
}

void msg_wipe_result_dispose(struct msg_wipe_result *m) { free(m->text); m->text = NULL; }

void msg_wipe_result_encode(struct buf *b, const struct msg_wipe_result *m)
{
	buf_put_u8(b, m->done);
	buf_put_varint(b, m->bytes);
	buf_put_varint(b, m->pattern);
	buf_put_varint(b, m->zero);
	buf_put_varint(b, m->other);
	buf_put_varint(b, m->bad);
	buf_put_varint(b, m->bad_at);
	msg_put_text(b, m->text ? m->text : "");
}

int msg_wipe_result_decode(const void *p, size_t n, struct msg_wipe_result *m, struct err *e)
{
	struct view v = view_of(p, n);
	uint8_t done = view_u8(&v);

	*m = (struct msg_wipe_result){ .done = done == 1, .bytes = view_varint(&v) };
	m->pattern = view_varint(&v);
	m->zero = view_varint(&v);
	m->other = view_varint(&v);
	m->bad = view_varint(&v);
	m->bad_at = view_varint(&v);
	m->text = text(&v, TEXT_MAX);
	v.failed |= done > 1 || m->pattern > m->bytes || m->zero > m->bytes - m->pattern || m->other > m->bytes - m->pattern - m->zero;
	return msg_done_view(&v, "WIPE_RESULT", e);
}
