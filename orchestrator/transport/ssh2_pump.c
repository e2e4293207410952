#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "clock.h"
#include "esc.h"
#include "ssh2_channel.h"

#define LINE_MAX_BYTES 32768u	/* one packet holds the whole command line (libraries.md 1.2) */
#define POLL_MAX_MS 5000

static void ring(struct ssh2 *s)
{
	uint64_t one = 1;

	(void)!write(s->wake, &one, sizeof(one));	/* full means: rung already */
}

static void channel_destroy(struct ssh2_channel *c)
{
	if (c->fd >= 0)
		(void)close(c->fd);
	if (c->base.in >= 0)
		(void)close(c->base.in);
	buf_dispose(&c->tail);
	free(c->line);
	free(c);
}

/* Finished and dropped channels leave the list; the last one stays open as pilot. */
static void retire(struct ssh2 *s, struct ssh2_channel *c)
{
	if (c->lc) {
		LIBSSH2_CHANNEL *old = s->pilot;

		s->pilot = c->lc;
		c->lc = NULL;
		/* Both sides have closed it: freeing sends nothing and cannot say EAGAIN. */
		if (old)
			(void)libssh2_channel_free(old);
	}
	channel_destroy(c);
}

static void take_fresh(struct ssh2 *s)
{
	struct ssh2_channel **end = &s->channels;

	while (*end)
		end = &(*end)->next;
	*end = s->fresh;
	s->fresh = NULL;
}

/* A dropped channel whose far side is still open; one in STAGE_OPEN must be seen through first. */
static bool must_close(const struct ssh2_channel *c)
{
	return c->dropped && c->lc && !c->closed && !c->s->dead && c->stage != STAGE_OPEN && c->stage != STAGE_CLOSE;
}

/* Commands from the other threads; false when the pump is to end. */
static bool take_orders(struct ssh2 *s)
{
	struct ssh2_channel **p;
	bool go_on;

	(void)pthread_mutex_lock(&s->lock);
	take_fresh(s);
	go_on = !s->quit;
	for (p = &s->channels; *p; ) {
		struct ssh2_channel *c = *p;

		if (must_close(c))
			c->stage = STAGE_CLOSE;
		if (c->dropped && (c->stage == STAGE_DONE || (c->stage == STAGE_OPEN && (s->dead || c->retry_at)))) {
			*p = c->next;
			retire(s, c);
			continue;
		}
		p = &c->next;
	}
	(void)pthread_mutex_unlock(&s->lock);
	return go_on;
}

static void tell_dead(struct ssh2 *s)
{
	struct err e = ERR_INIT;
	char t[128];

	err_set(&e, ERR_TEMPORARY, "%s: connection lost: %s", s->who,
	    s->dead_errno ? strerror_r(s->dead_errno, t, sizeof(t)) : *s->dead_text ? s->dead_text : "the far side closed it");
	for (struct ssh2_channel *c = s->channels; c; c = c->next)
		ssh2_channel_fail(c, &e);
}

static bool step_all(struct ssh2 *s)
{
	bool moved = false, opening = false, driven = false;
	uint64_t before = s->received;

	for (struct ssh2_channel *c = s->channels; c && !s->dead; c = c->next) {
		/* One open at a time; a dropped one is seen through first, as its state lies in the session. */
		if (c->stage == STAGE_OPEN) {
			if (opening)
				continue;
			opening = true;	/* a refused one keeps its turn: the others would be refused as well */
		}
		driven |= c->stage != STAGE_DONE;
		moved |= ssh2_channel_step(c);
	}
	if (!driven && s->pilot && !s->dead) {
		char t[512];

		if (libssh2_channel_read_stderr(s->pilot, t, sizeof(t)) < 0 && libssh2_session_last_errno(s->session) != LIBSSH2_ERROR_EAGAIN)
			ssh2_give_up(s);
	}
	return moved || s->received != before;
}

/* Wait for socket, orders and callers.  Without anything that drives the session only a hang-up of the socket counts. */
static void wait_any(struct ssh2 *s, int timeout_ms)
{
	size_t n = 0, i = 2;
	bool driver = s->pilot != NULL;

	for (struct ssh2_channel *c = s->channels; c; c = c->next, n++)
		driver |= c->stage != STAGE_DONE;
	struct pollfd f[n + 2];

	f[0] = (struct pollfd){ s->dead ? -1 : s->fd, (short)((driver ? POLLIN : 0) | (ssh2_queued(s) ? POLLOUT : 0) | POLLRDHUP), 0 };
	f[1] = (struct pollfd){ s->wake, POLLIN, 0 };
	for (struct ssh2_channel *c = s->channels; c; c = c->next, i++) {
		short events = ssh2_channel_events(c);

		f[i] = (struct pollfd){ events ? c->fd : -1, events, 0 };
		if (c->stage == STAGE_OPEN && c->retry_at && timeout_ms > SSH2_RETRY_MS)
			timeout_ms = SSH2_RETRY_MS;
	}
	(void)poll(f, n + 2, timeout_ms);
	if (f[1].revents) {
		uint64_t count;

		(void)!read(s->wake, &count, sizeof(count));
	}
	if (!driver && (f[0].revents & (POLLRDHUP | POLLHUP | POLLERR)))
		s->dead = true;
}

static int keep_alive(struct ssh2 *s)
{
	int next = 0;

	if (s->dead || libssh2_keepalive_send(s->session, &next) < 0 || next <= 0)
		return POLL_MAX_MS;
	return next > POLL_MAX_MS / 1000 ? POLL_MAX_MS : next * 1000;
}

/* Let what is queued go out, but not for long: a far side that does not read must not hold us. */
static void say_goodbye(struct ssh2 *s)
{
	int64_t end = clock_mono_ns() + 500000000LL;

	if (s->dead)
		return;
	(void)libssh2_session_disconnect(s->session, "done");
	while (!s->dead && ssh2_queued(s) && ssh2_wait(s, end))
		continue;
}

static void *pump(void *arg)
{
	struct ssh2 *s = arg;

	while (take_orders(s)) {
		bool moved = !s->dead && step_all(s);
		int timeout = keep_alive(s);

		if (!s->dead)
			ssh2_flush(s);
		if (s->dead)
			tell_dead(s);
		wait_any(s, moved && !s->dead ? 0 : timeout);
	}
	say_goodbye(s);
	return NULL;
}

int ssh2_pump_start(struct ssh2 *s, int keepalive_s, struct err *e)
{
	sigset_t all, old;
	int rc;

	/* Without a wanted reply: TCP_USER_TIMEOUT notices an unanswered one, and replies would pile up in libssh2. */
	libssh2_keepalive_config(s->session, 0, (unsigned)keepalive_s);
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_BLOCK, &all, &old);
	rc = pthread_create(&s->thread, NULL, pump, s);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (rc) {
		errno = rc;
		return err_sys(e, "%s: thread", s->who);
	}
	s->started = true;
	return 0;
}

static void on_end_input(struct channel *base)
{
	(void)shutdown(base->in, SHUT_WR);
}

static int on_wait(struct channel *base, int64_t deadline, int *status, struct buf *tail, struct err *e)
{
	struct ssh2_channel *c = (struct ssh2_channel *)base;
	struct timespec until = { deadline / 1000000000, deadline % 1000000000 };
	int rc = 0, late = 0;

	*status = -1;
	(void)pthread_mutex_lock(&c->s->lock);
	while (c->stage != STAGE_DONE && late != ETIMEDOUT)
		late = pthread_cond_timedwait(&c->s->changed, &c->s->lock, &until);
	if (tail)
		buf_put(tail, c->tail.data, c->tail.len);
	if (c->stage != STAGE_DONE) {
		rc = err_set(e, ERR_TEMPORARY, "%s: the command closed its output but does not end", c->s->who);
	} else if (c->fault.class != ERR_NONE) {
		*e = c->fault;
		rc = -1;
	} else {
		*status = c->status;
	}
	(void)pthread_mutex_unlock(&c->s->lock);
	return rc;
}

static void on_drop(struct channel *base)
{
	struct ssh2_channel *c = (struct ssh2_channel *)base;
	struct ssh2 *s = c->s;

	(void)pthread_mutex_lock(&s->lock);
	c->dropped = true;
	(void)pthread_mutex_unlock(&s->lock);
	ring(s);	/* c may be gone by now */
}

static const struct channel_ops channel_ops = { on_end_input, on_wait, on_drop };

static struct ssh2_channel *channel_new(struct ssh2 *s, const char *line, struct err *e)
{
	struct ssh2_channel *c = calloc(1, sizeof(*c));
	int pair[2];

	if (!c || !(c->line = strdup(line))) {
		free(c);
		err_sys(e, "%s: channel", s->who);
		return NULL;
	}
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
		err_sys(e, "%s: channel", s->who);
		free(c->line);
		free(c);
		return NULL;
	}
	c->base = (struct channel){ .ops = &channel_ops, .in = pair[0], .out = pair[0] };
	c->s = s;
	c->fd = pair[1];
	c->status = -1;
	return c;
}

static int wait_running(struct ssh2_channel *c, struct err *e)
{
	int64_t deadline = clock_mono_ns() + 60 * 1000000000LL;
	struct timespec until = { deadline / 1000000000, deadline % 1000000000 };
	int rc = 0, late = 0;

	(void)pthread_mutex_lock(&c->s->lock);
	while (!c->running && c->stage != STAGE_DONE && late != ETIMEDOUT)
		late = pthread_cond_timedwait(&c->s->changed, &c->s->lock, &until);
	if (!c->running) {
		*e = c->fault;
		rc = c->fault.class != ERR_NONE ? -1 : err_set(e, ERR_TEMPORARY, "%s: a channel did not open in 60 s", c->s->who);
	}
	(void)pthread_mutex_unlock(&c->s->lock);
	return rc;
}

/* Hand c to the pump and wait until it runs.  It is freed when it does not. */
static int start(struct ssh2 *s, struct ssh2_channel *c, struct channel **out, struct err *e)
{
	(void)pthread_mutex_lock(&s->lock);
	c->next = s->fresh;
	s->fresh = c;
	(void)pthread_mutex_unlock(&s->lock);
	ring(s);
	if (wait_running(c, e) < 0) {
		on_drop(&c->base);
		return -1;
	}
	*out = &c->base;
	return 0;
}

static int on_start(struct route *r, const char *const *argv, const char *line, struct channel **out, struct err *e)
{
	struct ssh2 *s = (struct ssh2 *)r;
	struct ssh2_channel *c;

	(void)argv;
	if (strlen(line) > LINE_MAX_BYTES)
		return err_set(e, ERR_BUG, "%s: a command line of %zu bytes is too long", s->who, strlen(line));
	return (c = channel_new(s, line, e)) ? start(s, c, out, e) : -1;
}

static int on_subsystem(struct route *r, const char *name, struct channel **out, struct err *e)
{
	struct ssh2 *s = (struct ssh2 *)r;
	struct ssh2_channel *c = channel_new(s, name, e);

	if (!c)
		return -1;
	c->subsystem = true;
	return start(s, c, out, e);
}

static int on_forward(struct route *r, const char *hostname, int port, struct channel **out, struct err *e)
{
	struct ssh2 *s = (struct ssh2 *)r;
	struct ssh2_channel *c = channel_new(s, hostname, e);

	if (!c)
		return -1;
	c->port = port;
	return start(s, c, out, e);
}

static void free_channels(struct ssh2_channel *c)
{
	while (c) {
		struct ssh2_channel *next = c->next;

		channel_destroy(c);	/* its libssh2 side goes with the session */
		c = next;
	}
}

static void on_close(struct route *r)
{
	struct ssh2 *s = (struct ssh2 *)r;

	(void)pthread_mutex_lock(&s->lock);
	s->quit = true;
	(void)pthread_mutex_unlock(&s->lock);
	ring(s);
	(void)pthread_join(s->thread, NULL);
	free_channels(s->fresh);
	free_channels(s->channels);
	ssh2_free(s);
}

const struct route_ops ssh2_ops = { .shell = true, .start = on_start, .close = on_close, .forward = on_forward,
	.subsystem = on_subsystem };
