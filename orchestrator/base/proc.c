#include "proc.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "clock.h"
#include "esc.h"

extern char **environ;

struct pipes { int in[2], out[2], err[2]; };

static void close_pipes(struct pipes *p)
{
	int *all[] = { &p->in[0], &p->in[1], &p->out[0], &p->out[1], &p->err[0], &p->err[1] };

	for (size_t i = 0; i < 6; i++)
		if (*all[i] >= 0)
			(void)close(take_fd(all[i]));
}

void proc_result_dispose(struct proc_result *r)
{
	buf_dispose(&r->out);
	buf_dispose(&r->err);
}

/* Between fork and exec only async-signal-safe calls: the program has threads. */
static void child(const char *const *argv, char *const *env, const char *cwd, const int fds[3])
{
	sigset_t none;

	(void)setpgid(0, 0);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)signal(SIGPIPE, SIG_DFL);
	(void)signal(SIGINT, SIG_DFL);
	for (int i = 0; i < 3; i++) {
		int fd = fds[i];

		if (fd < 0)
			fd = i == 2 ? STDERR_FILENO : open("/dev/null", i == 0 ? O_RDONLY : O_WRONLY);
		if (fd != i && dup2(fd, i) < 0)
			_exit(126);
		if (fd == i)
			(void)fcntl(fd, F_SETFD, 0);
	}
	if (cwd && chdir(cwd) < 0)
		_exit(126);
	(void)execvpe(argv[0], (char *const *)(uintptr_t)argv, env);
	_exit(errno == ENOENT ? 127 : 126);
}

/* environ plus the extra strings; a later name wins.  NULL when memory is short. */
static char **merge_env(const char *const *extra)
{
	size_t n = 0, m = 0, k = 0;
	char **env;

	while (environ[n])
		n++;
	while (extra && extra[m])
		m++;
	if (!(env = calloc(n + m + 1, sizeof(*env))))
		return NULL;
	for (size_t i = 0; i < n; i++) {
		bool replaced = false;

		for (size_t j = 0; j < m; j++) {
			size_t name = strcspn(extra[j], "=") + 1;
			replaced |= strncmp(environ[i], extra[j], name) == 0;
		}
		if (!replaced)
			env[k++] = environ[i];
	}
	for (size_t j = 0; j < m; j++)
		env[k++] = (char *)(uintptr_t)extra[j];
	return env;
}

static int spawn(const struct proc_options *o, struct pipes *p, bool keep_in, bool keep_out, bool keep_err, struct err *e)
{
	OWN_FREE char **env = merge_env(o->env);
	pid_t pid;

	if (!env || (keep_in && pipe2(p->in, O_CLOEXEC) < 0) || (keep_out && pipe2(p->out, O_CLOEXEC) < 0) ||
	    (keep_err && pipe2(p->err, O_CLOEXEC) < 0))
		return err_sys(e, "pipes for %s", esc_s(o->argv[0]));
	pid = fork();
	if (pid < 0)
		return err_sys(e, "fork for %s", esc_s(o->argv[0]));
	if (pid == 0)
		child(o->argv, env, o->cwd, (int[]){ p->in[0], p->out[1], p->err[1] });
	(void)setpgid(pid, pid);
	if (p->in[0] >= 0)
		(void)close(take_fd(&p->in[0]));
	if (p->out[1] >= 0)
		(void)close(take_fd(&p->out[1]));
	if (p->err[1] >= 0)
		(void)close(take_fd(&p->err[1]));
	return (int)pid;
}

/* Read what is there; closes the fd at its end. */
static void drain(int *fd, struct buf *b, size_t limit)
{
	char t[16384];
	ssize_t n = read(*fd, t, sizeof(t));

	if (n > 0) {
		size_t room = b->len < limit ? limit - b->len : 0;
		buf_put(b, t, (size_t)n < room ? (size_t)n : room);
	} else if (n == 0 || (errno != EINTR && errno != EAGAIN)) {
		(void)close(take_fd(fd));
	}
}

static void feed(int *fd, const struct proc_options *o, size_t *done)
{
	ssize_t n = write(*fd, (const char *)o->input + *done, o->input_len - *done);

	if (n > 0)
		*done += (size_t)n;
	if (*done == o->input_len || (n < 0 && errno != EINTR && errno != EAGAIN))
		(void)close(take_fd(fd));
}

static void watch(const struct proc_options *o, struct proc_result *r, struct pipes *p, pid_t pid)
{
	size_t limit = o->limit ? o->limit : 1 << 20, done = 0;
	int64_t end = o->timeout_ms ? clock_mono_ns() + (int64_t)o->timeout_ms * 1000000 : 0;

	while (p->out[0] >= 0 || p->err[0] >= 0 || p->in[1] >= 0) {
		struct pollfd f[3] = { { p->out[0], POLLIN, 0 }, { p->err[0], POLLIN, 0 }, { p->in[1], POLLOUT, 0 } };
		int64_t left = end ? (end - clock_mono_ns()) / 1000000 : -1;

		if (end && left <= 0) {
			(void)kill(-pid, r->timed_out ? SIGKILL : SIGTERM);
			if (r->timed_out)
				return;
			r->timed_out = true;
			end = clock_mono_ns() + 5000000000LL;
			left = 5000;
		}
		if (poll(f, 3, left < 0 ? -1 : (int)left) < 0 && errno != EINTR)
			return;
		if (f[0].revents)
			drain(&p->out[0], &r->out, limit);
		if (f[1].revents)
			drain(&p->err[0], &r->err, limit);
		if (f[2].revents)
			feed(&p->in[1], o, &done);
	}
}

int proc_run(const struct proc_options *o, struct proc_result *r, struct err *e)
{
	OWN(close_pipes) struct pipes p = { { -1, -1 }, { -1, -1 }, { -1, -1 } };
	int status = 0;
	pid_t pid = spawn(o, &p, o->input != NULL, true, true, e);

	if (pid < 0)
		return -1;
	if (p.in[1] >= 0)
		(void)fcntl(p.in[1], F_SETFL, O_NONBLOCK);
	watch(o, r, &p, pid);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_sys(e, "wait for %s", esc_s(o->argv[0]));
	r->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	if (buf_finish(&r->out, e) < 0 || buf_finish(&r->err, e) < 0)
		return -1;
	return 0;
}

const char *proc_first_line(const struct buf *b, char out[256])
{
	const char *s = b->data ? b->data : "";

	return esc_into(out, 256, s, strcspn(s, "\r\n"));
}

const char *proc_last_line(const struct buf *b, char out[256])
{
	const char *s = b->data ? b->data : "";
	size_t end = b->len, begin;

	while (end && strchr(" \t\r\n", s[end - 1]))
		end--;
	begin = end;
	while (begin && s[begin - 1] != '\n')
		begin--;
	return esc_into(out, 256, s + begin, end - begin);
}

int proc_start(const char *const *argv, int *in, int *out, int *err_fd, struct err *e)
{
	OWN(close_pipes) struct pipes p = { { -1, -1 }, { -1, -1 }, { -1, -1 } };
	struct proc_options o = { .argv = argv };
	int pid = spawn(&o, &p, in != NULL, out != NULL, err_fd != NULL, e);

	if (pid < 0)
		return -1;
	if (in)
		*in = take_fd(&p.in[1]);
	if (out)
		*out = take_fd(&p.out[0]);
	if (err_fd)
		*err_fd = take_fd(&p.err[0]);
	return pid;
}
