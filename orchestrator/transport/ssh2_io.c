#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "clock.h"
#include "esc.h"
#include "ssh2.h"

#ifdef __SANITIZE_ADDRESS__
/* libssh2 1.10.0 itself leaks the host key at each rekey and two numbers for each ECDSA key file. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) { return "leak:libssh2.so"; }
#endif

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void init(void)
{
	(void)libssh2_init(0);	/* its only failure is the crypto library's own start, which the session reports again */
}

void ssh2_library_init(void)
{
	(void)pthread_once(&once, init);
}

static void die(struct ssh2 *s, int cause)
{
	if (!s->dead) {
		s->dead = true;
		s->dead_errno = cause;
	}
}

static size_t send_some(struct ssh2 *s, const char *p, size_t n)
{
	size_t done = 0;

	while (done < n) {
		ssize_t r = send(s->fd, p + done, n - done, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0) {
			if (errno != EAGAIN && errno != EWOULDBLOCK)
				die(s, errno);
			break;
		}
		done += (size_t)r;
	}
	return done;
}

void ssh2_flush(struct ssh2 *s)
{
	s->outq_at += send_some(s, s->outq.data + s->outq_at, ssh2_queued(s));
	if (s->outq_at == s->outq.len) {
		buf_reset(&s->outq);
		s->outq_at = 0;
	} else if (s->outq_at > s->outq.len / 2) {
		buf_consume(&s->outq, s->outq_at);
		s->outq_at = 0;
	}
}

/* Never short, never -EAGAIN: see ssh2.h. */
static ssize_t on_send(libssh2_socket_t fd, const void *p, size_t n, int flags, void **abstract)
{
	struct ssh2 *s = *abstract;
	size_t done = 0;

	(void)fd;
	(void)flags;
	if (s->dead)
		return -ECONNRESET;
	if (ssh2_queued(s) == 0)
		done = send_some(s, p, n);
	buf_put(&s->outq, (const char *)p + done, n - done);
	if (s->outq.failed) {
		die(s, ENOMEM);
		return -ENOMEM;
	}
	return s->dead ? -ECONNRESET : (ssize_t)n;
}

static ssize_t on_recv(libssh2_socket_t fd, void *p, size_t n, int flags, void **abstract)
{
	struct ssh2 *s = *abstract;
	ssize_t r;

	(void)flags;
	if (s->dead)
		return -ECONNRESET;
	do {
		r = recv(fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);
	} while (r < 0 && errno == EINTR);
	if (r < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return -EAGAIN;
	if (r <= 0) {
		die(s, r < 0 ? errno : 0);
		return -ECONNRESET;
	}
	s->received++;
	if (s->hello.len < HELLO_MAX)
		buf_put(&s->hello, p, (size_t)r < HELLO_MAX - s->hello.len ? (size_t)r : HELLO_MAX - s->hello.len);
	return r;
}

static void set_callbacks(struct ssh2 *s)
{
#if LIBSSH2_VERSION_NUM >= 0x010b01
	(void)libssh2_session_callback_set2(s->session, LIBSSH2_CALLBACK_SEND, (libssh2_cb_generic *)(void (*)(void))on_send);
	(void)libssh2_session_callback_set2(s->session, LIBSSH2_CALLBACK_RECV, (libssh2_cb_generic *)(void (*)(void))on_recv);
#else
	union { ssize_t (*send)(libssh2_socket_t, const void *, size_t, int, void **);
		ssize_t (*recv)(libssh2_socket_t, void *, size_t, int, void **); void *p; } u;

	u.send = on_send;
	(void)libssh2_session_callback_set(s->session, LIBSSH2_CALLBACK_SEND, u.p);
	u.recv = on_recv;
	(void)libssh2_session_callback_set(s->session, LIBSSH2_CALLBACK_RECV, u.p);
#endif
}

struct ssh2 *ssh2_new(int fd, const char *who, struct err *e)
{
	struct ssh2 *s = calloc(1, sizeof(*s));
	pthread_condattr_t attr;

	if (!s || !(s->who = strdup(who))) {
		free(s);
		(void)close(fd);
		err_sys(e, "%s", who);
		return NULL;
	}
	s->base.ops = &ssh2_ops;
	s->fd = fd;
	(void)pthread_mutex_init(&s->lock, NULL);
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&s->changed, &attr);
	(void)pthread_condattr_destroy(&attr);
	s->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	s->session = libssh2_session_init_ex(NULL, NULL, NULL, s);
	if (s->wake < 0 || !s->session) {
		err_set(e, ERR_TEMPORARY, "%s: no memory or file descriptor for an SSH session", who);
		ssh2_free(s);
		return NULL;
	}
	libssh2_session_set_blocking(s->session, 0);
	set_callbacks(s);
	return s;
}

void ssh2_free(struct ssh2 *s)
{
	/* With dead set no call can return EAGAIN, so this cannot hang; the bound is for a library that thinks otherwise. */
	s->dead = true;
	for (int i = 0; s->session && i < 1000 && libssh2_session_free(s->session) == LIBSSH2_ERROR_EAGAIN; i++)
		continue;
	if (s->fd >= 0)
		(void)close(s->fd);
	channel_abandon(s->tunnel);
	if (s->wake >= 0)
		(void)close(s->wake);
	buf_dispose(&s->outq);
	buf_dispose(&s->hello);
	(void)pthread_cond_destroy(&s->changed);
	(void)pthread_mutex_destroy(&s->lock);
	free(s->who);
	free(s);
}

bool ssh2_wait(struct ssh2 *s, int64_t deadline)
{
	struct pollfd f = { s->fd, POLLIN, 0 };
	int64_t left = (deadline - clock_mono_ns()) / 1000000;

	ssh2_flush(s);
	if (s->dead)
		return true;	/* the next call into libssh2 says so */
	if (left <= 0)
		return false;
	if (ssh2_queued(s))
		f.events |= POLLOUT;
	(void)poll(&f, 1, left > 1000 ? 1000 : (int)left);
	ssh2_flush(s);
	return true;
}

void ssh2_give_up(struct ssh2 *s)
{
	if (s->dead)
		return;
	(void)snprintf(s->dead_text, sizeof(s->dead_text), "%s", esc_s(ssh2_why(s)));
	die(s, 0);
}

const char *ssh2_why(struct ssh2 *s)
{
	char *text = NULL;
	int n = 0;

	(void)libssh2_session_last_error(s->session, &text, &n, 0);
	return text && n ? text : "no reason given";
}
