/* Messages of a few fields. */
#include "messages_internal.h"

#include <string.h>

#define PROBLEM_TEXT_MAX 4096
#define ERASED_TEXT_MAX 4096
#define EH_KNOWN 1023u

/* ---- one number ---- */

void msg_number_encode(struct buf *b, uint64_t number) { buf_put_varint(b, number); }

int msg_number_decode(const void *p, size_t n, uint64_t *number, struct err *e)
{
	struct view v = view_of(p, n);

	*number = view_varint(&v);
	return msg_done_view(&v, "number", e);
}

/* ---- objects ---- */

void msg_obj_begin_encode(struct buf *b, const struct msg_obj_begin *m)
{
	buf_put_varint(b, m->ordinal);
	buf_put_u8(b, (uint8_t)m->kind);
	if (m->kind == MSG_KIND_SLICE) {
		buf_put_varint(b, m->large_id);
		buf_put_varint(b, m->offset);
	}
}

int msg_obj_begin_decode(const void *p, size_t n, struct msg_obj_begin *m, struct err *e)
{
	struct view v = view_of(p, n);

	*m = (struct msg_obj_begin){ .ordinal = view_varint(&v) };
	m->kind = (enum msg_kind)view_u8(&v);
	if (m->kind == MSG_KIND_SLICE) {
		m->large_id = view_varint(&v);
		m->offset = view_varint(&v);
		v.failed |= m->large_id == 0;
	} else if (m->kind != MSG_KIND_PACK) {
		v.failed = true;
	}
	v.failed |= m->ordinal == 0;
	return msg_done_view(&v, "OBJ_BEGIN", e);
}

void msg_obj_data_encode(struct buf *b, uint64_t ordinal, const void *p, size_t n)
{
	buf_put_varint(b, ordinal);
	buf_put(b, p, n);
}

int msg_obj_data_decode(const void *p, size_t n, uint64_t *ordinal, const uint8_t **data, size_t *len, struct err *e)
{
	struct view v = view_of(p, n);

	*ordinal = view_varint(&v);
	*len = view_left(&v);
	*data = view_raw(&v, *len);
	v.failed |= *ordinal == 0 || *len == 0;
	return msg_done_view(&v, "OBJ_DATA", e);
}

void msg_obj_end_encode(struct buf *b, const struct msg_obj_end *m)
{
	buf_put_varint(b, m->ordinal);
	buf_put_varint(b, m->raw);
	buf_put_varint(b, m->stored);
}

int msg_obj_end_decode(const void *p, size_t n, struct msg_obj_end *m, struct err *e)
{
	struct view v = view_of(p, n);

	m->ordinal = view_varint(&v);
	m->raw = view_varint(&v);
	m->stored = view_varint(&v);
	v.failed |= m->ordinal == 0;
	return msg_done_view(&v, "OBJ_END", e);
}

void msg_large_begin_dispose(struct msg_large_begin *m)
{
	free(m->path);
	*m = (struct msg_large_begin){ 0 };
}

void msg_large_begin_encode(struct buf *b, uint64_t large_id, uint64_t size, const char *path)
{
	buf_put_varint(b, large_id);
	buf_put_varint(b, size);
	msg_put_text(b, path);
}

int msg_large_begin_decode(const void *p, size_t n, struct msg_large_begin *m, struct err *e)
{
	struct view v = view_of(p, n);

	*m = (struct msg_large_begin){ .large_id = view_varint(&v) };
	m->size = view_varint(&v);
	m->path = msg_path(&v);
	v.failed |= m->large_id == 0;
	if (msg_done_view(&v, "LARGE_BEGIN", e) < 0) {
		msg_large_begin_dispose(m);
		return -1;
	}
	return 0;
}

/* ---- paths ---- */

void msg_remove_dispose(struct msg_remove *m)
{
	free(m->path);
	*m = (struct msg_remove){ 0 };
}

void msg_remove_encode(struct buf *b, const char *path, enum entry_type type)
{
	msg_put_text(b, path);
	buf_put_u8(b, (uint8_t)type);
}

int msg_remove_decode(const void *p, size_t n, struct msg_remove *m, struct err *e)
{
	struct view v = view_of(p, n);
	uint8_t type;

	*m = (struct msg_remove){ .path = msg_path(&v) };
	type = view_u8(&v);
	m->type = (enum entry_type)type;
	/* The root itself is never removed by a message. */
	v.failed |= type < ENTRY_FILE || type > ENTRY_SOCKET || (m->path && strcmp(m->path, ".") == 0);
	if (msg_done_view(&v, "REMOVE", e) < 0) {
		msg_remove_dispose(m);
		return -1;
	}
	return 0;
}

void msg_problem_dispose(struct msg_problem *m)
{
	free(m->path);
	free(m->text);
	*m = (struct msg_problem){ 0 };
}

void msg_problem_encode(struct buf *b, enum err_class class, const char *path, const char *text)
{
	buf_put_u8(b, (uint8_t)class);
	msg_put_text(b, path);
	buf_put_bytes(b, text, strnlen(text, PROBLEM_TEXT_MAX));
}

int msg_problem_decode(const void *p, size_t n, struct msg_problem *m, struct err *e)
{
	struct view v = view_of(p, n);
	const uint8_t *text;
	size_t len;

	*m = (struct msg_problem){ .class = msg_class(view_u8(&v)) };
	m->path = msg_path(&v);
	text = view_bytes(&v, PROBLEM_TEXT_MAX, &len);
	if (text && !(m->text = msg_clean((const char *)text, len)))
		v.failed = true;
	if (msg_done_view(&v, "PROBLEM", e) < 0) {
		msg_problem_dispose(m);
		return -1;
	}
	return 0;
}

/* ---- erase ---- */

void msg_erased_dispose(struct msg_erased *m)
{
	free(m->text);
	*m = (struct msg_erased){ 0 };
}

void msg_erased_encode(struct buf *b, const struct msg_erased *m)
{
	const char *text = m->text ? m->text : "";

	buf_put_varint(b, m->index);
	buf_put_u8(b, (uint8_t)m->state);
	buf_put_varint(b, m->how);
	buf_put_varint(b, m->bytes);
	buf_put_bytes(b, text, strnlen(text, ERASED_TEXT_MAX));
}

int msg_erased_decode(const void *p, size_t n, struct msg_erased *m, struct err *e)
{
	struct view v = view_of(p, n);
	const uint8_t *text;
	uint64_t how;
	uint8_t state;
	size_t len;

	*m = (struct msg_erased){ .index = view_varint(&v) };
	state = view_u8(&v);
	how = view_varint(&v);
	m->state = (enum msg_erase_state)state;
	m->how = (uint32_t)how;
	m->bytes = view_varint(&v);
	text = view_bytes(&v, ERASED_TEXT_MAX, &len);
	if (text && !(m->text = msg_clean((const char *)text, len)))
		v.failed = true;
	v.failed |= ((state < MSG_ERASE_DONE || state > MSG_ERASE_FAILED) && state != MSG_ERASE_INTENDED) || how & ~(uint64_t)EH_KNOWN;
	if (msg_done_view(&v, "ERASED", e) < 0) {
		msg_erased_dispose(m);
		return -1;
	}
	return 0;
}

/* ---- facts ---- */

void msg_fact_dispose(struct msg_fact *m)
{
	free(m->key);
	free(m->value);
	*m = (struct msg_fact){ 0 };
}

void msg_fact_encode(struct buf *b, const char *key, const char *value)
{
	msg_put_text(b, key);
	msg_put_text(b, value);
}

int msg_fact_decode(const void *p, size_t n, struct msg_fact *m, struct err *e)
{
	struct view v = view_of(p, n);

	*m = (struct msg_fact){ .key = msg_text(&v, MSG_FACT_MAX) };
	m->value = msg_text(&v, MSG_FACT_MAX);
	v.failed |= !m->key || !m->key[0];
	if (msg_done_view(&v, "FACT", e) < 0) {
		msg_fact_dispose(m);
		return -1;
	}
	return 0;
}
