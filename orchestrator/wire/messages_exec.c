/* EXEC and EXEC_END. */
#include "messages_exec.h"

#include <string.h>

#include "messages_internal.h"

#define USER_MAX 256

static void free_words(char **v)
{
	for (char **p = v; p && *p; p++)
		free(*p);
	free(v);
}

void msg_exec_dispose(struct msg_exec *m)
{
	free(m->user);
	free_words(m->argv);
	free_words(m->env);
	free(m->program);
	*m = (struct msg_exec){ 0 };
}

static void put_words(struct buf *b, char *const *v)
{
	uint64_t n = 0;

	while (v && v[n])
		n++;
	buf_put_varint(b, n);
	for (uint64_t i = 0; i < n; i++)
		msg_put_text(b, v[i]);
}

static char **get_words(struct view *v, uint64_t least)
{
	uint64_t n = view_varint(v);
	char **out;

	if (v->failed || n < least || n > MSG_EXEC_WORDS || !(out = calloc(n + 1, sizeof(*out)))) {
		v->failed = true;
		return NULL;
	}
	for (uint64_t i = 0; i < n && !v->failed; i++)
		out[i] = msg_text(v, MSG_EXEC_WORD_MAX);
	return out;
}

static bool are_variables(char *const *env)
{
	for (; env && *env; env++)
		if (**env == '=' || !strchr(*env, '='))
			return false;
	return true;
}

void msg_exec_encode(struct buf *b, const struct msg_exec *m)
{
	buf_put_varint(b, m->flags);
	msg_put_text(b, m->user);
	buf_put_varint(b, m->timeout_ms);
	put_words(b, m->argv);
	put_words(b, m->env);
	buf_put_bytes(b, m->program ? m->program : (const uint8_t *)"", m->program ? m->program_len : 0);
}

int msg_exec_decode(const void *p, size_t n, struct msg_exec *m, struct err *e)
{
	struct view v = view_of(p, n);
	const uint8_t *program;

	*m = (struct msg_exec){ .flags = view_varint(&v) };
	m->user = msg_text(&v, USER_MAX);
	m->timeout_ms = view_varint(&v);
	m->argv = get_words(&v, 1);
	m->env = get_words(&v, 0);
	program = view_bytes(&v, MSG_EXEC_PROGRAM_MAX, &m->program_len);
	if (program && m->program_len && !(m->program = malloc(m->program_len)))
		v.failed = true;
	if (m->program)
		memcpy(m->program, program, m->program_len);
	v.failed |= (m->flags & ~(uint64_t)MSG_EXEC_TO_EOF) != 0 || m->timeout_ms > INT32_MAX || !are_variables(m->env);
	if (msg_done_view(&v, "EXEC", e) < 0) {
		msg_exec_dispose(m);
		return -1;
	}
	return 0;
}

void msg_exec_end_dispose(struct msg_exec_end *m)
{
	free(m->tail);
	*m = (struct msg_exec_end){ 0 };
}

void msg_exec_end_encode(struct buf *b, const struct msg_exec_end *m)
{
	buf_put_u8(b, (uint8_t)m->how);
	buf_put_varint(b, m->code);
	buf_put_u8(b, m->timed_out);
	buf_put_varint(b, m->out_bytes);
	buf_put_varint(b, m->err_bytes);
	buf_put_bytes(b, m->tail ? m->tail : "", m->tail ? m->tail_len : 0);
}

int msg_exec_end_decode(const void *p, size_t n, struct msg_exec_end *m, struct err *e)
{
	struct view v = view_of(p, n);
	uint8_t how = view_u8(&v), timed_out;
	const uint8_t *tail;
	uint64_t code;

	*m = (struct msg_exec_end){ .how = (enum msg_exec_how)how };
	code = view_varint(&v);
	m->code = (uint32_t)code;
	timed_out = view_u8(&v);
	m->timed_out = timed_out == 1;
	m->out_bytes = view_varint(&v);
	m->err_bytes = view_varint(&v);
	tail = view_bytes(&v, MSG_EXEC_TAIL, &m->tail_len);
	/* A NUL behind it, so that it can be looked at as text. */
	if (tail && !(m->tail = calloc(1, m->tail_len + 1)))
		v.failed = true;
	if (m->tail)
		memcpy(m->tail, tail, m->tail_len);
	v.failed |= how < MSG_EXEC_EXITED || how > MSG_EXEC_NOT_RUN || code > 65535 || timed_out > 1;
	if (msg_done_view(&v, "EXEC_END", e) < 0) {
		msg_exec_end_dispose(m);
		return -1;
	}
	return 0;
}
