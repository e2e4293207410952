#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>

#include "clock.h"
#include "digest.h"
#include "esc.h"
#include "route.h"

#define OUTPUT_LIMIT (1u << 20)
#define END_BYTES 128u

/*
 * A short command at a host.  At the far side of a shell its output stands between two marks: before the first a noisy
 * login may say what it likes, and the second carries the exit status, so that a status never has to be believed without proof.
 */
struct run {
	struct channel *c;
	char mark[24];
	bool marked;
	struct buf end;			/* the last bytes of all output, beyond the limit too */
	const char *input;
	size_t left;
};

static void run_dispose(struct run *x)
{
	channel_abandon(x->c);
	buf_dispose(&x->end);
}

static int start(struct run *x, struct host *h, const char *const *argv, struct err *e)
{
	OWN_BUF struct buf line = BUF_INIT;
	uint8_t random[8];

	x->marked = h->route->ops->shell;
	if (x->marked) {
		random_bytes(random, sizeof(random));
		memcpy(x->mark, "wb:", 3);
		hex_of(random, sizeof(random), x->mark + 3);
		buf_printf(&line, "printf '\\n%%s\\n' %s; ", x->mark);
		shell_quote(&line, argv);
		buf_printf(&line, "; printf '\\n%%s %%s\\n' %s $?", x->mark);
		if (buf_finish(&line, e) < 0)
			return -1;
	}
	if (route_start(h, argv, line.data, &x->c, e) < 0)
		return -1;
	(void)fcntl(x->c->in, F_SETFL, O_NONBLOCK);
	(void)fcntl(x->c->out, F_SETFL, O_NONBLOCK);
	return 0;
}

static void feed(struct run *x)
{
	while (x->left) {
		ssize_t n = write(x->c->in, x->input, x->left);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			if (errno != EAGAIN)
				x->left = 0;	/* it does not want more; its exit status will tell */
			return;
		}
		x->input += n;
		x->left -= (size_t)n;
	}
}

/* False at the end. */
static bool take(struct run *x, struct buf *out)
{
	char t[32768];
	ssize_t n = read(x->c->out, t, sizeof(t));
	size_t room = out->len < OUTPUT_LIMIT ? OUTPUT_LIMIT - out->len : 0;

	if (n < 0)
		return errno == EINTR || errno == EAGAIN;
	buf_put(out, t, (size_t)n < room ? (size_t)n : room);
	buf_put(&x->end, t, (size_t)n);
	keep_tail(&x->end, END_BYTES);
	return n > 0;
}

/* False: time is up. */
static bool watch(struct run *x, struct buf *out, int64_t deadline)
{
	bool open = true, fed = false;

	while (open) {
		struct pollfd f[2] = { { x->c->out, POLLIN, 0 }, { x->left ? x->c->in : -1, POLLOUT, 0 } };
		int64_t left = deadline ? (deadline - clock_mono_ns()) / 1000000 : 1000;

		if (!x->left && !fed) {
			x->c->ops->end_input(x->c);
			fed = true;
		}
		if (left <= 0)
			return false;
		if (poll(f, 2, left > 1000 ? 1000 : (int)left) < 0)
			continue;
		if (f[1].revents)
			feed(x);
		if (f[0].revents)
			open = take(x, out);
	}
	return true;
}

static char *find(struct buf *b, size_t from, const char *s)
{
	return b->data && from <= b->len ? memmem(b->data + from, b->len - from, s, strlen(s)) : NULL;
}

/* Cut the marks away and believe the status behind the second. */
static int unmark(struct run *x, struct proc_result *r, struct err *e)
{
	char first[40], second[40], *p;

	(void)snprintf(first, sizeof(first), "\n%s\n", x->mark);
	(void)snprintf(second, sizeof(second), "\n%s ", x->mark);
	if (!(p = find(&x->end, 0, second)))
		return err_set(e, ERR_TEMPORARY, "the command's end was not seen");
	r->status = atoi(p + strlen(second));
	if (!(p = find(&r->out, 0, first)))
		return err_set(e, ERR_TEMPORARY, "the login shell prints more than %u bytes before a command's own output", OUTPUT_LIMIT);
	buf_consume(&r->out, (size_t)(p - r->out.data) + strlen(first));
	if ((p = find(&r->out, 0, second))) {
		r->out.len = (size_t)(p - r->out.data);
		*p = '\0';
	}
	return 0;
}

static int finish(struct run *x, struct proc_result *r, struct err *e)
{
	struct channel *c = take_ptr(&x->c);
	int status;

	if (channel_close(c, &status, &r->err, e) < 0)
		return -1;
	r->status = status;
	if (x->marked && unmark(x, r, e) < 0)
		return err_hint(e, "it ended with status %d and said: %.200s", status, esc_s(r->err.data ? r->err.data : ""));
	if (buf_finish(&r->out, e) < 0)
		return -1;
	return buf_finish(&r->err, e);
}

int host_run(struct host *h, const char *const *argv, const void *input, size_t n, int timeout_ms, struct proc_result *r, struct err *e)
{
	OWN(run_dispose) struct run x = { .end = BUF_INIT, .input = input, .left = n };
	int64_t deadline = timeout_ms ? clock_mono_ns() + timeout_ms * 1000000LL : 0;

	if (start(&x, h, argv, e) < 0)
		return err_at(e, "host %s: %s", esc_s(h->spec->name), esc_s(argv[0]));
	if (!watch(&x, &r->out, deadline)) {
		r->timed_out = true;
		r->status = 128 + 15;
		return 0;
	}
	if (finish(&x, r, e) < 0)
		return err_at(e, "host %s: %s", esc_s(h->spec->name), esc_s(argv[0]));
	return 0;
}
