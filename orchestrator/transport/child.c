#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "clock.h"
#include "esc.h"
#include "route.h"

#define PIPE_BYTES (1 << 20)

struct child {
	struct channel base;
	pid_t pid;
	bool reaped;
	int status;		/* of waitpid */
	bool lost255;
	char *name;		/* argv[0], for messages */
	int err_fd;
	int stop;		/* eventfd: the drainer takes what is there and ends */
	pthread_t drainer;
	bool draining;
	struct buf tail;	/* the drainer's until it is joined */
};

static bool drain_once(struct child *c)
{
	char t[4096];
	ssize_t n = read(c->err_fd, t, sizeof(t));

	if (n <= 0)
		return n < 0 && errno == EINTR;
	buf_put(&c->tail, t, (size_t)n);
	keep_tail(&c->tail, STDERR_TAIL);
	return true;
}

/* Ends at end of file, or when told to: a process left behind may keep stderr open for ever. */
static void *drain(void *arg)
{
	struct child *c = arg;

	for (;;) {
		struct pollfd f[2] = { { c->err_fd, POLLIN, 0 }, { c->stop, POLLIN, 0 } };

		if (poll(f, 2, -1) < 0)
			continue;
		if (f[0].revents && !drain_once(c))
			return NULL;
		if (f[1].revents && !f[0].revents)
			return NULL;
	}
}

static int start_drainer(struct child *c, struct err *e)
{
	sigset_t all, old;
	int rc;

	if ((c->stop = eventfd(0, EFD_CLOEXEC)) < 0)
		return err_sys(e, "%s", c->name);
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_BLOCK, &all, &old);
	rc = pthread_create(&c->drainer, NULL, drain, c);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	errno = rc;
	if (rc)
		return err_sys(e, "%s: thread", c->name);
	c->draining = true;
	return 0;
}

static void join_drainer(struct child *c)
{
	uint64_t one = 1;

	if (!c->draining)
		return;
	(void)!write(c->stop, &one, sizeof(one));
	(void)pthread_join(c->drainer, NULL);
	c->draining = false;
}

/* True when the child has ended by deadline. */
static bool reap(struct child *c, int64_t deadline)
{
	OWN_FD int pidfd = (int)syscall(SYS_pidfd_open, c->pid, 0);

	while (!c->reaped) {
		struct pollfd f = { pidfd, POLLIN, 0 };
		pid_t r = waitpid(c->pid, &c->status, WNOHANG);
		int64_t left = (deadline - clock_mono_ns()) / 1000000;

		if (r == c->pid || (r < 0 && errno == ECHILD)) {
			c->reaped = true;
			break;
		}
		if (left <= 0)
			return false;
		/* Where the kernel has no pidfd, looking now and then does. */
		(void)poll(&f, 1, pidfd < 0 && left > 20 ? 20 : left > 1000 ? 1000 : (int)left);
	}
	return true;
}

static void on_end_input(struct channel *base)
{
	if (base->in >= 0)
		(void)close(take_fd(&base->in));
}

static int on_wait(struct channel *base, int64_t deadline, int *status, struct buf *tail, struct err *e)
{
	struct child *c = (struct child *)base;

	*status = -1;
	if (!reap(c, deadline))
		return err_set(e, ERR_TEMPORARY, "%s closed its output but does not end", esc_s(c->name));
	join_drainer(c);
	if (tail)
		buf_put(tail, c->tail.data, c->tail.len);
	if (c->lost255 && WIFEXITED(c->status) && WEXITSTATUS(c->status) == 255)
		return err_set(e, ERR_TEMPORARY, "connection lost: the OpenSSH client got no exit status");
	*status = WIFEXITED(c->status) ? WEXITSTATUS(c->status) : 128 + WTERMSIG(c->status);
	return 0;
}

static void on_drop(struct channel *base)
{
	struct child *c = (struct child *)base;

	on_end_input(base);
	if (!c->reaped && c->pid > 0) {
		(void)kill(-c->pid, SIGKILL);
		(void)reap(c, clock_mono_ns() + 2000000000LL);	/* a process of another user ends by its closed pipes, later */
	}
	join_drainer(c);
	if (base->out >= 0)
		(void)close(base->out);
	if (c->err_fd >= 0)
		(void)close(c->err_fd);
	if (c->stop >= 0)
		(void)close(c->stop);
	buf_dispose(&c->tail);
	free(c->name);
	free(c);
}

static const struct channel_ops ops = { on_end_input, on_wait, on_drop };

int child_channel(const char *const *argv, bool lost255, struct channel **out, struct err *e)
{
	struct child *c = calloc(1, sizeof(*c));

	if (!c || !(c->name = strdup(argv[0]))) {
		free(c);
		return err_sys(e, "%s", esc_s(argv[0]));
	}
	c->base = (struct channel){ .ops = &ops, .in = -1, .out = -1 };
	c->err_fd = c->stop = -1;
	c->lost255 = lost255;
	c->pid = proc_start(argv, &c->base.in, &c->base.out, &c->err_fd, e);
	if (c->pid < 0 || start_drainer(c, e) < 0) {
		on_drop(&c->base);
		return -1;
	}
	/* Larger pipes only save wake-ups. */
	(void)fcntl(c->base.in, F_SETPIPE_SZ, PIPE_BYTES);
	(void)fcntl(c->base.out, F_SETPIPE_SZ, PIPE_BYTES);
	*out = &c->base;
	return 0;
}
