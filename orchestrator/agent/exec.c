/* Role exec: one command, its input and output carried, its end told. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent.h"
#include "clock.h"
#include "exec.h"

#define READ_BYTES 65536
#define GRACE_NS 5000000000LL		/* between SIGTERM and SIGKILL */
#define LEFTOVER_NS 2000000000LL	/* for output after the command's end, held open by what it left behind */

struct job {
	struct agent *a;
	struct msg_exec m;
	struct exec_pipes p;		/* p.in is the feeder's */
	pid_t pid;
	int wake;			/* eventfd: to_end was set */
	atomic_bool to_end;		/* told to end, or nobody is there any more */
	atomic_bool ended;		/* it has: what still comes for it is dropped */
	struct err feeder_failure;
	struct msg_exec_end end;
	struct buf tail;
	int64_t deadline;		/* monotonic; 0 = none */
	int signals;			/* sent so far */
	bool reaped;
	int64_t reaped_at;
};

static void ask_to_end(struct job *j)
{
	atomic_store(&j->to_end, true);
	(void)!eventfd_write(j->wake, 1);
}

/* ---- its input ---- */

/* All of it, or as much as it wants: a command need not read its input to the end. */
static void feed(struct job *j, const uint8_t *p, size_t n)
{
	while (n && j->p.in >= 0 && !atomic_load(&j->ended)) {
		struct pollfd f = { j->p.in, POLLOUT, 0 };
		ssize_t w;

		if (poll(&f, 1, 200) <= 0)
			continue;
		w = write(j->p.in, p, n);
		if (w < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (w < 0) {
			(void)close(take_fd(&j->p.in));
			return;
		}
		p += w;
		n -= (size_t)w;
	}
}

/* A stream that was cut must not look complete: the input stays open until the command has been ended. */
static void *feeder(void *arg)
{
	struct job *j = arg;
	int got;

	for (;;) {
		OWN_FRAME struct wire_frame f = WIRE_FRAME_INIT;

		if ((got = wire_recv(j->a->wire, WIRE_DATA, &f, &j->feeder_failure)) <= 0)
			break;
		if (f.type != MSG_EXEC_IN) {
			got = err_set(&j->feeder_failure, ERR_INTEGRITY, "exec: message type %u does not belong here", f.type);
			break;
		}
		feed(j, f.data, f.len);
	}
	if (got < 0)
		ask_to_end(j);
	else if (j->p.in >= 0)
		(void)close(take_fd(&j->p.in));
	return NULL;
}

/* The stream that nothing else uses: its end without a word means that the orchestrator has gone. */
static void *watcher(void *arg)
{
	struct job *j = arg;
	struct err e = ERR_INIT;
	int got;

	for (;;) {
		OWN_FRAME struct wire_frame f = WIRE_FRAME_INIT;

		if ((got = wire_recv(j->a->wire, WIRE_KNOWN, &f, &e)) == 0)
			return NULL;
		ask_to_end(j);
		if (got < 0)
			return NULL;
	}
}

/* ---- its output ---- */

static int carry_out(struct job *j, struct err *e)
{
	char t[READ_BYTES];
	ssize_t n = read(j->p.out, t, sizeof(t));

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return 0;
	if (n <= 0) {
		(void)close(take_fd(&j->p.out));
		return 0;
	}
	j->end.out_bytes += (uint64_t)n;
	return wire_send(j->a->wire, WIRE_DATA, MSG_EXEC_OUT, t, (size_t)n, e);
}

static void keep_err(struct job *j)
{
	char t[READ_BYTES];
	ssize_t n = read(j->p.err, t, sizeof(t));

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0) {
		(void)close(take_fd(&j->p.err));
		return;
	}
	j->end.err_bytes += (uint64_t)n;
	buf_put(&j->tail, t, (size_t)n);
	if (j->tail.len > MSG_EXEC_TAIL)
		buf_consume(&j->tail, j->tail.len - MSG_EXEC_TAIL);
}

/* ---- its end ---- */

static void reap(struct job *j, bool wait)
{
	siginfo_t dead = { .si_pid = 0 };
	int status;

	if (j->reaped || waitid(P_PID, (id_t)j->pid, &dead, WEXITED | WNOWAIT | (wait ? 0 : WNOHANG)) < 0 || dead.si_pid != j->pid)
		return;
	/* Whatever it started and was to end with it; now, while its number still is its own. */
	if (j->signals)
		(void)kill(-j->pid, SIGKILL);
	if (waitpid(j->pid, &status, 0) != j->pid)
		return;
	j->reaped = true;
	j->reaped_at = clock_mono_ns();
	if (j->end.how == MSG_EXEC_NOT_RUN)
		return;
	j->end.how = WIFSIGNALED(status) ? MSG_EXEC_SIGNAL : MSG_EXEC_EXITED;
	j->end.code = (uint32_t)(WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

/* First asked, later made to; what it left behind in its group as well. */
static void end_it(struct job *j)
{
	j->end.timed_out = true;
	if (!j->reaped)
		(void)kill(-j->pid, j->signals ? SIGKILL : SIGTERM);
	j->signals++;
	j->deadline = clock_mono_ns() + GRACE_NS;
}

static bool time_up(const struct job *j)
{
	if (!j->signals && atomic_load(&j->to_end))
		return true;
	return j->deadline && j->signals < 2 && clock_mono_ns() >= j->deadline;
}

/* Is anything left to wait for? */
static bool going_on(const struct job *j)
{
	if (!j->reaped)
		return true;
	if (j->p.out < 0 && j->p.err < 0)
		return false;
	/* What it left running may hold its output open for ever. */
	if (j->signals || !(j->m.flags & MSG_EXEC_TO_EOF))
		return clock_mono_ns() - j->reaped_at < LEFTOVER_NS;
	return true;
}

/* Output first ends, then the command, mostly within the same millisecond; otherwise it is looked for every now and then. */
static int patience(const struct job *j) { return j->p.out < 0 && j->p.err < 0 ? 2 : 50; }

static int watch(struct job *j, struct err *e)
{
	int r = 0;

	while (going_on(j)) {
		struct pollfd f[3] = { { j->p.out, POLLIN, 0 }, { j->p.err, POLLIN, 0 }, { j->signals ? -1 : j->wake, POLLIN, 0 } };

		if (poll(f, 3, patience(j)) < 0 && errno != EINTR)
			return err_sys(e, "poll");
		if (time_up(j))
			end_it(j);
		if (j->p.err >= 0 && f[1].revents)
			keep_err(j);
		if (r == 0 && j->p.out >= 0 && f[0].revents && (r = carry_out(j, e)) < 0)
			ask_to_end(j);
		reap(j, false);
	}
	return r;
}

static int send_end(struct job *j, struct err *e)
{
	OWN_BUF struct buf b = BUF_INIT;

	if (buf_finish(&j->tail, e) < 0)
		return -1;
	j->end.tail = j->tail.data;
	j->end.tail_len = j->tail.len;
	msg_exec_end_encode(&b, &j->end);
	j->end.tail = NULL;
	return agent_send(j->a, WIRE_DATA, (enum msg_type)MSG_EXEC_END, &b, e);
}

static int run(struct job *j, struct err *e)
{
	pthread_t feeding, watching;
	int r;

	if ((errno = pthread_create(&feeding, NULL, feeder, j)) != 0)
		return err_sys(e, "thread");
	if ((errno = pthread_create(&watching, NULL, watcher, j)) != 0) {
		(void)kill(-j->pid, SIGKILL);
		return err_sys(e, "thread");	/* the process ends with it: the session is over */
	}
	r = watch(j, e);
	atomic_store(&j->ended, true);
	if (r == 0)
		r = send_end(j, e);
	/* Both end when the orchestrator ends its streams, which it does once it has the end; or with the connection. */
	(void)pthread_join(feeding, NULL);
	(void)pthread_join(watching, NULL);
	if (r == 0 && j->feeder_failure.class == ERR_INTEGRITY) {
		*e = j->feeder_failure;
		return -1;
	}
	return r;
}

static int get_command(struct agent *a, struct msg_exec *m, struct err *e)
{
	OWN_FRAME struct wire_frame f = WIRE_FRAME_INIT;
	int got = wire_recv(a->wire, WIRE_DATA, &f, e);

	if (got < 0)
		return -1;
	if (got == 0 || f.type != MSG_EXEC)
		return err_set(e, ERR_INTEGRITY, "exec: the orchestrator did not begin with EXEC");
	return msg_exec_decode(f.data, f.len, m, e);
}

static void job_dispose(struct job *j)
{
	int *fds[] = { &j->p.in, &j->p.out, &j->p.err, &j->wake };

	if (j->pid > 0 && !j->reaped) {
		(void)kill(-j->pid, SIGKILL);
		reap(j, true);
	}
	for (size_t i = 0; i < 4; i++)
		own_closep(fds[i]);
	buf_dispose(&j->tail);
	msg_exec_dispose(&j->m);
}

int role_exec(struct agent *a, struct err *e)
{
	OWN(job_dispose) struct job j = { .a = a, .p = { -1, -1, -1 }, .wake = -1 };
	int failed;

	wire_set_state(a->wire, "exec");
	if (get_command(a, &j.m, e) < 0)
		return -1;
	if ((j.wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) < 0)
		return err_sys(e, "eventfd");
	if (exec_child(&j.m, &j.p, &j.pid, &failed, e) < 0)
		return -1;
	if (failed) {
		j.end.how = MSG_EXEC_NOT_RUN;
		j.end.code = (uint32_t)failed;
	}
	(void)fcntl(j.p.in, F_SETFL, O_NONBLOCK);
	if (j.m.timeout_ms)
		j.deadline = clock_mono_ns() + (int64_t)j.m.timeout_ms * 1000000;
	return run(&j, e);
}
