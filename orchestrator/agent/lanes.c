#include "lanes.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stddef.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#define NAME "waybill-lane-"
#define PATIENCE_MS 5000

struct agent_lanes { struct wire *w; int listener, stop; pthread_t thread; };

struct lane_fds { int in, out, peer; };	/* owned; peer: the lane's process ends when it is closed */

static socklen_t address(const char *token, struct sockaddr_un *a)
{
	*a = (struct sockaddr_un){ .sun_family = AF_UNIX };
	(void)snprintf(a->sun_path + 1, sizeof(a->sun_path) - 1, NAME "%s", token);
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(a->sun_path + 1));
}

static bool is_token(const char *s)
{
	size_t n = strlen(s);

	return n >= 16 && n <= 64 && strspn(s, "0123456789abcdef") == n;
}

static bool is_ours(int fd)
{
	struct ucred c;
	socklen_t n = sizeof(c);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &c, &n) == 0 && c.uid == geteuid();
}

static void release(void *arg)
{
	struct lane_fds *f = arg;

	(void)close(f->in);
	(void)close(f->out);
	(void)close(f->peer);
	free(f);
}

#define FDS_MAX 8	/* a peer that sends more has its further ones closed by the kernel */

/* How many came with m, into got. */
static size_t received_fds(struct msghdr *m, int got[FDS_MAX])
{
	struct cmsghdr *c = CMSG_FIRSTHDR(m);
	size_t n;

	if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS || c->cmsg_len < CMSG_LEN(0))
		return 0;
	n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	memcpy(got, CMSG_DATA(c), n * sizeof(int));
	return n;
}

/* Both fds of the lane's process, or false. */
static bool take_fds(int fd, struct lane_fds *f)
{
	union { struct cmsghdr align; char space[CMSG_SPACE(FDS_MAX * sizeof(int))]; } u;
	char byte;
	struct iovec v = { &byte, 1 };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = &u, .msg_controllen = sizeof(u) };
	struct timeval limit = { PATIENCE_MS / 1000, 0 };
	int got[FDS_MAX];
	size_t n;

	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	if (!is_ours(fd) || recvmsg(fd, &m, MSG_CMSG_CLOEXEC) != 1)
		return false;
	n = received_fds(&m, got);
	if (n == 2) {
		*f = (struct lane_fds){ got[0], got[1], fd };
		return true;
	}
	while (n)
		(void)close(got[--n]);
	return false;
}

/* A lane that does not come about is the orchestrator's to notice: the session has the leader. */
static void take_lane(struct agent_lanes *l, int fd)
{
	struct lane_fds *f = calloc(1, sizeof(*f));
	struct wire_lane_options o = { .build = wire_build_id(), .done = release, .ctx = f };
	struct wire_lane *lane = NULL;
	struct err e = ERR_INIT;

	if (!f || !take_fds(fd, f)) {
		free(f);
		(void)close(fd);
		return;
	}
	o.in = f->in;
	o.out = f->out;
	if (wire_lane_add(l->w, &o, &lane, &e) < 0 && !lane)
		release(f);
}

static void *accept_lanes(void *arg)
{
	struct agent_lanes *l = arg;

	for (;;) {
		struct pollfd f[2] = { { l->listener, POLLIN, 0 }, { l->stop, POLLIN, 0 } };
		int fd;

		if (poll(f, 2, -1) < 0 && errno != EINTR)
			return NULL;
		if (f[1].revents)
			return NULL;
		if (f[0].revents && (fd = accept4(l->listener, NULL, NULL, SOCK_CLOEXEC)) >= 0)
			take_lane(l, fd);
	}
}

static void lanes_free(struct agent_lanes *l)
{
	if (l->listener >= 0)
		(void)close(l->listener);
	if (l->stop >= 0)
		(void)close(l->stop);
	free(l);
}

int lanes_listen(struct wire *w, const char *token, struct agent_lanes **out, struct err *e)
{
	struct agent_lanes *l;
	struct sockaddr_un a;
	socklen_t n;

	*out = NULL;
	if (!*token)
		return 0;
	if (!is_token(token))
		return err_set(e, ERR_INTEGRITY, "the orchestrator's token for lanes is none");
	if (!(l = calloc(1, sizeof(*l))))
		return err_sys(e, "lanes");
	n = address(token, &a);
	l->w = w;
	l->stop = eventfd(0, EFD_CLOEXEC);
	l->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (l->stop < 0 || l->listener < 0 || bind(l->listener, (struct sockaddr *)&a, n) < 0 || listen(l->listener, 8) < 0 ||
	    (errno = pthread_create(&l->thread, NULL, accept_lanes, l)) != 0) {
		err_sys(e, "the socket for lanes");
		lanes_free(l);
		return -1;
	}
	*out = l;
	return 0;
}

void lanes_stop(struct agent_lanes *l)
{
	uint64_t one = 1;

	if (!l)
		return;
	(void)!write(l->stop, &one, sizeof(one));
	(void)pthread_join(l->thread, NULL);
	lanes_free(l);
}

/* ---- the process at the end of another connection ---- */

static int reach_leader(const char *token)
{
	const struct timespec nap = { 0, 50000000 };
	struct sockaddr_un a;
	socklen_t n = address(token, &a);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	for (int ms = 0; fd >= 0 && connect(fd, (struct sockaddr *)&a, n) < 0; ms += 50) {
		if (ms >= PATIENCE_MS) {
			(void)close(fd);
			return -1;
		}
		(void)nanosleep(&nap, NULL);
	}
	return fd;
}

static bool hand_over(int fd)
{
	union { struct cmsghdr align; char space[CMSG_SPACE(2 * sizeof(int))]; } u = { .space = "" };
	int fds[2] = { STDIN_FILENO, STDOUT_FILENO };
	struct iovec v = { (char[]){ 'L' }, 1 };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = &u, .msg_controllen = sizeof(u) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(fds));
	memcpy(CMSG_DATA(c), fds, sizeof(fds));
	return sendmsg(fd, &m, MSG_NOSIGNAL) == 1;
}

int lane_main(const char *token)
{
	int fd, null;
	char byte;

	if (!is_token(token) || (fd = reach_leader(token)) < 0 || !is_ours(fd) || !hand_over(fd)) {
		(void)fprintf(stderr, "waybill-agent: no leader takes this lane\n");
		return 1;
	}
	/* Their ends must be seen when the leader closes them, so none may stay open here. */
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0)
		return 1;
	while (read(fd, &byte, 1) > 0 || errno == EINTR)
		continue;
	return 0;
}
