#include "tcp.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "clock.h"
#include "esc.h"

static void addrinfo_freep(struct addrinfo **a) { if (*a) freeaddrinfo(*a); }

/* 0 connected, else an errno. */
static int finish_connect(int fd, int64_t deadline)
{
	for (;;) {
		struct pollfd f = { fd, POLLOUT, 0 };
		int64_t left = (deadline - clock_mono_ns()) / 1000000;
		int cause = 0;
		socklen_t n = sizeof(cause);

		if (left <= 0)
			return ETIMEDOUT;
		if (poll(&f, 1, (int)left) <= 0)
			continue;
		return getsockopt(fd, SOL_SOCKET, SO_ERROR, &cause, &n) < 0 ? errno : cause;
	}
}

static int try_one(const struct addrinfo *a, int64_t deadline, int user_timeout_s, int *out)
{
	OWN_FD int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, a->ai_protocol);
	unsigned ms = (unsigned)user_timeout_s * 1000;
	int on = 1, cause;

	if (fd < 0)
		return errno;
	/* Failing to set them costs speed or patience, not correctness. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof(ms));
	if (connect(fd, a->ai_addr, a->ai_addrlen) < 0) {
		if (errno != EINPROGRESS)
			return errno;
		cause = finish_connect(fd, deadline);
		if (cause)
			return cause;
	}
	*out = take_fd(&fd);
	return 0;
}

static int say(const char *who, int cause, struct err *e)
{
	char t[128];

	switch (cause) {
	case ECONNREFUSED:
		return err_set(e, ERR_UNREACHABLE, "%s: connection refused; is sshd running there, on this port?", who);
	case ETIMEDOUT:
		return err_set(e, ERR_UNREACHABLE, "%s: no answer in time; is the host up, and does a firewall let this port through?", who);
	default:
		return err_set(e, ERR_UNREACHABLE, "%s: %s; check address and route", who, strerror_r(cause, t, sizeof(t)));
	}
}

int tcp_connect(const char *hostname, int port, int64_t deadline, int user_timeout_s, const char *who, int *fd, struct err *e)
{
	OWN(addrinfo_freep) struct addrinfo *list = NULL;
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV };
	int rc, cause = ETIMEDOUT;
	size_t left = 0;
	char service[16];

	(void)snprintf(service, sizeof(service), "%d", port);
	rc = getaddrinfo(hostname, service, &hints, &list);
	if (rc)
		return err_set(e, ERR_UNREACHABLE, "%s: the name %s is not found (%s); write the address, or a Host of your ssh configuration",
		    who, esc_s(hostname), gai_strerror(rc));
	for (struct addrinfo *a = list; a; a = a->ai_next)
		left++;
	for (struct addrinfo *a = list; a; a = a->ai_next, left--) {
		int64_t now = clock_mono_ns();

		if (now >= deadline)
			break;
		cause = try_one(a, now + (deadline - now) / (int64_t)left, user_timeout_s, fd);
		if (cause == 0)
			return 0;
	}
	return say(who, cause, e);
}
