#include "ssh2_channel.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>

#include "clock.h"
#include "esc.h"

#define OPEN_PATIENCE_MS 5000
#define BUSY_PATIENCE_MS 300	/* while others run here: then the place is theirs, and a further connection is the way */
#define ROUNDS 64	/* buffers moved for one channel before the others get their turn */

static void set_stage(struct ssh2_channel *c, enum stage stage)
{
	(void)pthread_mutex_lock(&c->s->lock);
	c->stage = stage;
	c->running |= stage == STAGE_RUN;
	(void)pthread_cond_broadcast(&c->s->changed);
	(void)pthread_mutex_unlock(&c->s->lock);
}

void ssh2_channel_fail(struct ssh2_channel *c, const struct err *why)
{
	if (c->stage == STAGE_DONE)
		return;
	(void)pthread_mutex_lock(&c->s->lock);
	if (c->fault.class == ERR_NONE)
		c->fault = *why;
	c->status = -1;
	(void)pthread_mutex_unlock(&c->s->lock);
	/* Not closed: bytes the caller has not read yet stay readable, and unread ones of his must not become a reset. */
	(void)shutdown(c->fd, SHUT_RDWR);
	set_stage(c, STAGE_DONE);
}

static bool others_run(const struct ssh2_channel *c)
{
	for (const struct ssh2_channel *o = c->s->channels; o; o = o->next)
		if (o != c && (o->stage == STAGE_EXEC || o->stage == STAGE_RUN))
			return true;
	return false;
}

/* expected: the error that means what; any other is the session's end, and the pump tells every channel so. */
static void fail(struct ssh2_channel *c, int expected, enum err_class class, const char *what)
{
	struct err e = ERR_INIT;

	if (c->s->dead || libssh2_session_last_errno(c->s->session) != expected) {
		ssh2_give_up(c->s);
		return;
	}
	err_set(&e, class, "%s: %s: %s", c->s->who, what, esc_s(ssh2_why(c->s)));
	e.sys = expected == LIBSSH2_ERROR_CHANNEL_FAILURE ? EUSERS : 0;	/* route_start tries a further connection */
	ssh2_channel_fail(c, &e);
}

/* The state of an open lies in the session: the pump lets one channel at a time in here. */
static bool step_open(struct ssh2_channel *c)
{
	int64_t now = clock_mono_ns();

	if (c->retry_at > now)
		return false;
	c->retry_at = 0;
	c->lc = c->port ? libssh2_channel_direct_tcpip_ex(c->s->session, c->line, c->port, "127.0.0.1", 0) :
	    libssh2_channel_open_ex(c->s->session, "session", 7, CHANNEL_WINDOW, LIBSSH2_CHANNEL_PACKET_DEFAULT, NULL, 0);
	if (c->lc) {
		set_stage(c, c->port ? STAGE_RUN : STAGE_EXEC);
		return true;
	}
	if (libssh2_session_last_errno(c->s->session) == LIBSSH2_ERROR_EAGAIN)
		return false;
	if (c->port) {
		fail(c, LIBSSH2_ERROR_CHANNEL_FAILURE, ERR_UNREACHABLE, "it does not forward");
		return true;
	}
	if (!c->give_up_at)
		c->give_up_at = now + (others_run(c) ? BUSY_PATIENCE_MS : OPEN_PATIENCE_MS) * 1000000LL;
	if (libssh2_session_last_errno(c->s->session) == LIBSSH2_ERROR_CHANNEL_FAILURE && now < c->give_up_at) {
		c->retry_at = now + SSH2_RETRY_MS * 1000000LL;
		return false;
	}
	fail(c, LIBSSH2_ERROR_CHANNEL_FAILURE, ERR_TEMPORARY, "it refuses another channel (MaxSessions?)");
	return true;
}

static bool step_exec(struct ssh2_channel *c)
{
	const char *what = c->subsystem ? "subsystem" : "exec";
	int rc = libssh2_channel_process_startup(c->lc, what, (unsigned)strlen(what), c->line, (unsigned)strlen(c->line));

	if (rc == LIBSSH2_ERROR_EAGAIN)
		return false;
	if (rc < 0)
		fail(c, LIBSSH2_ERROR_CHANNEL_REQUEST_DENIED, ERR_PERMANENT, c->subsystem ? "it does not offer this subsystem (sftp)" : "it refuses to run commands");
	else
		set_stage(c, STAGE_RUN);
	return true;
}

/*
 * Both streams are read with buffers of one size.  A window adjustment that a key exchange holds up is kept by the channel but
 * counted by the call that at last sends it, from its own buffer size: with 4 KiB here and 32 KiB there, the server may
 * send 28 KiB more than libssh2 (1.10.0) thinks, and it throws them away.
 */
static bool read_stderr(struct ssh2_channel *c)
{
	char t[CHANNEL_BUFFER];
	bool moved = false;

	for (int i = 0; i < ROUNDS; i++) {
		ssize_t n = libssh2_channel_read_stderr(c->lc, t, sizeof(t));

		if (n <= 0)
			break;
		moved = true;
		(void)pthread_mutex_lock(&c->s->lock);
		buf_put(&c->tail, t, (size_t)n);
		keep_tail(&c->tail, STDERR_TAIL);
		(void)pthread_mutex_unlock(&c->s->lock);
	}
	return moved;
}

/* False when the socketpair is full. */
static bool hand_over(struct ssh2_channel *c)
{
	while (c->down_at < c->down_len) {
		ssize_t n = c->deaf ? (ssize_t)(c->down_len - c->down_at) :
		    send(c->fd, c->down + c->down_at, c->down_len - c->down_at, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return false;
		if (n < 0) {
			c->deaf = true;
			continue;
		}
		c->down_at += (size_t)n;
	}
	c->down_at = c->down_len = 0;
	return true;
}

static bool read_output(struct ssh2_channel *c)
{
	bool moved = false;

	for (int i = 0; i < ROUNDS && !c->out_ended; i++) {
		ssize_t n;

		c->blocked_out = !hand_over(c);
		if (c->blocked_out)
			return moved;
		n = libssh2_channel_read(c->lc, c->down, sizeof(c->down));
		if (n > 0) {
			c->down_len = (size_t)n;
			moved = true;
			continue;
		}
		if (n < 0 && n != LIBSSH2_ERROR_EAGAIN)
			ssh2_give_up(c->s);
		/* eof is not said while any of it, stderr included, is unread. */
		if (n == 0 && libssh2_channel_eof(c->lc) > 0) {
			(void)shutdown(c->fd, SHUT_WR);
			c->out_ended = true;
			moved = true;
		}
		break;
	}
	return moved;
}

static bool fill_up(struct ssh2_channel *c)
{
	ssize_t n;

	if (c->up_at < c->up_len)
		return true;
	if (c->in_ended)
		return false;
	do {
		n = recv(c->fd, c->up, sizeof(c->up), MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return false;
	c->up_at = 0;
	c->up_len = n > 0 ? (size_t)n : 0;
	c->in_ended = n <= 0;
	return n > 0;
}

/* Nobody over there reads any more: the caller gets EPIPE. */
static void stop_input(struct ssh2_channel *c)
{
	(void)shutdown(c->fd, SHUT_RD);
	c->up_at = c->up_len = 0;
	c->in_ended = c->eof_sent = true;
}

static bool write_input(struct ssh2_channel *c)
{
	bool moved = false;

	while (ssh2_queued(c->s) < OUTQ_LIMIT && fill_up(c)) {
		ssize_t n = libssh2_channel_write(c->lc, c->up + c->up_at, c->up_len - c->up_at);

		if (n == LIBSSH2_ERROR_EAGAIN || n == 0)	/* the far side's window is full */
			return moved;
		if (n < 0) {
			stop_input(c);
			return true;
		}
		c->up_at += (size_t)n;
		moved = true;
	}
	if (c->in_ended && c->up_at == c->up_len && !c->eof_sent && libssh2_channel_send_eof(c->lc) != LIBSSH2_ERROR_EAGAIN) {
		c->eof_sent = true;
		moved = true;
	}
	return moved;
}

static int signal_number(const char *name, size_t n)
{
	char t[32];

	if (n >= sizeof(t))
		return 0;
	memcpy(t, name, n);
	t[n] = '\0';
	for (int i = 1; i < 32; i++) {
		const char *abbrev = sigabbrev_np(i);

		if (abbrev && strcmp(abbrev, t) == 0)
			return i;
	}
	return 0;
}

/* A status counts only because the session still lives: a cut one would read as 0 (libraries.md 0.5). */
static void take_status(struct ssh2_channel *c)
{
	char *name = NULL;
	size_t n = 0;
	int status = libssh2_channel_get_exit_status(c->lc);

	if (libssh2_channel_get_exit_signal(c->lc, &name, &n, NULL, NULL, NULL, NULL) == 0 && name) {
		status = 128 + signal_number(name, n);
		libssh2_free(c->s->session, name);
	}
	(void)pthread_mutex_lock(&c->s->lock);
	c->status = status;
	(void)pthread_mutex_unlock(&c->s->lock);
}

static bool step_run(struct ssh2_channel *c)
{
	bool moved = read_stderr(c);

	moved |= read_output(c);
	moved |= write_input(c);
	if (!c->out_ended || c->s->dead)
		return moved;
	if (libssh2_channel_wait_closed(c->lc) == LIBSSH2_ERROR_EAGAIN || c->s->dead)
		return moved;
	take_status(c);
	stop_input(c);
	while (libssh2_channel_close(c->lc) == LIBSSH2_ERROR_EAGAIN && !c->s->dead)
		continue;	/* theirs has come and ours fits into the queue: there is nothing to wait for */
	c->closed = true;
	set_stage(c, STAGE_DONE);
	return true;
}

static bool step_close(struct ssh2_channel *c)
{
	int rc = c->lc ? libssh2_channel_free(c->lc) : 0;

	if (rc == LIBSSH2_ERROR_EAGAIN && !c->s->dead)
		return false;
	c->lc = NULL;
	set_stage(c, STAGE_DONE);
	return true;
}

bool ssh2_channel_step(struct ssh2_channel *c)
{
	switch (c->stage) {
	case STAGE_OPEN: return step_open(c);
	case STAGE_EXEC: return step_exec(c);
	case STAGE_RUN: return step_run(c);
	case STAGE_CLOSE: return step_close(c);
	case STAGE_DONE: break;
	}
	return false;
}

short ssh2_channel_events(const struct ssh2_channel *c)
{
	short events = 0;

	if (c->stage != STAGE_RUN)
		return 0;
	if (!c->in_ended && c->up_at == c->up_len && ssh2_queued(c->s) < OUTQ_LIMIT)
		events |= POLLIN;
	if (c->blocked_out)
		events |= POLLOUT;
	return events;
}
