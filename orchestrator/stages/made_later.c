/* A command whose answer is waited for while other work goes on: both ends of a move have time that nothing else uses. */
#include "made.h"

#include <errno.h>
#include <string.h>

static int keep(struct made_later *l, const struct wire_frame *f)
{
	if (l->out.len + f->len > l->limit)
		return err_set(&l->why, ERR_PERMANENT, "it says more than %zu bytes", l->limit);
	buf_put(&l->out, f->data, f->len);
	return buf_finish(&l->out, &l->why);
}

static void *listen_to(void *arg)
{
	struct made_later *l = arg;
	int got;

	do {
		OWN_FRAME struct wire_frame f = WIRE_FRAME_INIT;

		got = exec_read(l->x, &f, &l->why);
		if (got == 1 && keep(l, &f) < 0)
			got = -1;
	} while (got == 1);
	return NULL;
}

static int begin(struct made *m, const char *host, const struct made_command *c, struct made_later *l, struct err *e)
{
	struct exec_command x = { .host = host, .user = m->user, .argv = c->argv, .env = (const char *const *)m->env, .to_eof = true };
	const char *in = c->input ? c->input : "";

	if (exec_start(m->r, &x, &l->x, e) < 0 || exec_write(l->x, in, strlen(in), e) < 0 || exec_end_input(l->x, e) < 0)
		return -1;
	if ((errno = pthread_create(&l->thread, NULL, listen_to, l)) != 0)
		return err_sys(e, "thread");
	l->running = true;
	return 0;
}

int made_later(struct made *m, const char *host, const struct made_command *c, size_t limit, struct made_later *l, struct err *e)
{
	*l = (struct made_later){ .limit = limit };
	if (begin(m, host, c, l, e) == 0)
		return 0;
	made_later_close(l);
	return -1;
}

int made_later_end(struct made_later *l, struct msg_exec_end *end, struct err *e)
{
	(void)pthread_join(l->thread, NULL);
	l->running = false;
	if (l->why.class != ERR_NONE) {
		*e = l->why;
		return -1;
	}
	return exec_finish(l->x, end, e);
}

void made_later_close(struct made_later *l)
{
	if (l->running) {
		exec_cancel(l->x);
		(void)pthread_join(l->thread, NULL);
	}
	exec_close(l->x);
	buf_dispose(&l->out);
	*l = (struct made_later){ .x = NULL };
}
