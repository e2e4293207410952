/* CHALLENGE and ANSWER: a digest that nobody can have kept from before. */
#include "messages_internal.h"

#include <stdint.h>
#include <string.h>

void msg_challenge_dispose(struct msg_challenge *m)
{
	free(m->path);
	*m = (struct msg_challenge){ 0 };
}

void msg_challenge_encode(struct buf *b, const struct msg_challenge *m)
{
	buf_put_varint(b, m->index);
	buf_put(b, m->nonce, sizeof(m->nonce));
	msg_put_text(b, m->path);
	buf_put_varint(b, m->offset);
	buf_put_varint(b, m->length);
}

static void take_32(struct view *v, uint8_t out[32])
{
	for (size_t i = 0; i < 32; i++)
		out[i] = view_u8(v);
}

int msg_challenge_decode(const void *p, size_t n, struct msg_challenge *m, struct err *e)
{
	struct view v = view_of(p, n);

	*m = (struct msg_challenge){ .index = view_varint(&v) };
	take_32(&v, m->nonce);
	m->path = msg_path(&v);
	m->offset = view_varint(&v);
	m->length = view_varint(&v);
	v.failed |= m->offset > INT64_MAX || m->length > INT64_MAX - m->offset;
	if (msg_done_view(&v, "CHALLENGE", e) < 0) {
		msg_challenge_dispose(m);
		return -1;
	}
	return 0;
}

void msg_answer_encode(struct buf *b, const struct msg_answer *m)
{
	buf_put_varint(b, m->index);
	buf_put_u8(b, m->read);
	buf_put(b, m->digest, sizeof(m->digest));
}

int msg_answer_decode(const void *p, size_t n, struct msg_answer *m, struct err *e)
{
	struct view v = view_of(p, n);
	uint8_t read;

	*m = (struct msg_answer){ .index = view_varint(&v) };
	read = view_u8(&v);
	take_32(&v, m->digest);
	m->read = read == 1;
	v.failed |= read > 1;
	return msg_done_view(&v, "ANSWER", e);
}
