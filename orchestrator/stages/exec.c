#include "exec.h"

#include <string.h>

#include "esc.h"

struct exec {
	struct session *session;
	bool input_ended, ended;
	struct msg_exec_end end;	/* once ended */
};

static char **words(const char *const *v) { return (char **)(uintptr_t)v; }

static int send_command(struct exec *x, const struct exec_command *c, struct err *e)
{
	OWN_BUF struct buf b = BUF_INIT;
	static const char *const none[] = { NULL };
	struct msg_exec m = { .flags = c->to_eof ? MSG_EXEC_TO_EOF : 0, .user = (char *)(uintptr_t)(c->user ? c->user : ""),
		.timeout_ms = (uint64_t)c->timeout_s * 1000, .argv = words(c->argv), .env = words(c->env ? c->env : none),
		.program = (uint8_t *)(uintptr_t)c->program, .program_len = c->program_len };

	if (c->program_len > MSG_EXEC_PROGRAM_MAX)
		return err_set(e, ERR_PERMANENT, "%s is larger than %u MiB", esc_s(c->argv[0]), MSG_EXEC_PROGRAM_MAX >> 20);
	msg_exec_encode(&b, &m);
	if (buf_finish(&b, e) < 0)
		return -1;
	return wire_send(x->session->wire, WIRE_DATA, MSG_EXEC, b.data, b.len, e);
}

int exec_start(struct run *r, const struct exec_command *c, struct exec **out, struct err *e)
{
	OWN(exec_closep) struct exec *x = calloc(1, sizeof(*x));
	struct msg_start start = { .identity = (char[]){ "" }, .scope = (char[]){ "" } };

	if (!x)
		return err_sys(e, "exec");
	if (session_open(r, c->host, "exec", "/", &start, &x->session, e) < 0 || send_command(x, c, e) < 0)
		return -1;
	*out = take_ptr(&x);
	return 0;
}

int exec_write(struct exec *x, const void *p, size_t n, struct err *e)
{
	const char *s = p;

	while (n) {
		size_t k = n < WIRE_PAYLOAD_MAX ? n : WIRE_PAYLOAD_MAX;

		if (wire_send(x->session->wire, WIRE_DATA, MSG_EXEC_IN, s, k, e) < 0)
			return -1;
		s += k;
		n -= k;
	}
	return 0;
}

int exec_end_input(struct exec *x, struct err *e)
{
	if (x->input_ended)
		return 0;
	x->input_ended = true;
	return wire_end(x->session->wire, WIRE_DATA, e);
}

int exec_read(struct exec *x, struct wire_frame *f, struct err *e)
{
	int got;

	if (x->ended)
		return 0;
	if ((got = wire_recv(x->session->wire, WIRE_DATA, f, e)) < 0)
		return -1;
	if (got == 1 && f->type == MSG_EXEC_OUT)
		return 1;
	if (got == 0 || f->type != MSG_EXEC_END)
		return err_set(e, ERR_TEMPORARY, "host %s: the agent did not tell how the command ended", x->session->host_name);
	got = msg_exec_end_decode(f->data, f->len, &x->end, e);
	x->ended = got == 0;
	wire_frame_dispose(f);
	return got;
}

int exec_finish(struct exec *x, struct msg_exec_end *end, struct err *e)
{
	int got;

	do {
		OWN_FRAME struct wire_frame f = WIRE_FRAME_INIT;

		got = exec_read(x, &f, e);
	} while (got == 1);
	if (got < 0 || exec_end_input(x, e) < 0 || wire_end(x->session->wire, WIRE_KNOWN, e) < 0 || session_finish(x->session, NULL, e) < 0)
		return -1;
	*end = x->end;
	x->end = (struct msg_exec_end){ 0 };	/* handed over */
	return 0;
}

void exec_cancel(struct exec *x)
{
	if (x->session->wire)
		wire_cancel(x->session->wire);
}

void exec_close(struct exec *x)
{
	if (!x)
		return;
	session_close(x->session);
	msg_exec_end_dispose(&x->end);
	free(x);
}

int exec_run(struct run *r, const struct exec_command *c, const void *input, size_t n, size_t limit, struct buf *out,
    struct msg_exec_end *end, struct err *e)
{
	OWN(exec_closep) struct exec *x = NULL;
	int got;

	if (n > EXEC_INPUT_MAX)
		return err_set(e, ERR_PERMANENT, "%s: more than %u bytes of input", esc_s(c->argv[0]), EXEC_INPUT_MAX);
	if (exec_start(r, c, &x, e) < 0 || exec_write(x, input, n, e) < 0 || exec_end_input(x, e) < 0)
		return -1;
	do {
		OWN_FRAME struct wire_frame f = WIRE_FRAME_INIT;

		if ((got = exec_read(x, &f, e)) == 1 && out->len < limit)
			buf_put(out, f.data, f.len < limit - out->len ? f.len : limit - out->len);
	} while (got == 1);
	if (got < 0 || buf_finish(out, e) < 0)
		return -1;
	return exec_finish(x, end, e);
}

const char *exec_told(const struct msg_exec_end *end, int timeout_s, char out[EXEC_TOLD])
{
	if (end->how == MSG_EXEC_NOT_RUN)
		(void)snprintf(out, EXEC_TOLD, "could not be executed: %s", strerror((int)end->code));
	else if (end->timed_out)
		(void)snprintf(out, EXEC_TOLD, "took longer than %d s and was ended", timeout_s);
	else if (end->how == MSG_EXEC_SIGNAL)
		(void)snprintf(out, EXEC_TOLD, "was killed by signal %u (%s)", end->code, strsignal((int)end->code));
	else
		(void)snprintf(out, EXEC_TOLD, "ended with status %u", end->code);
	return out;
}
