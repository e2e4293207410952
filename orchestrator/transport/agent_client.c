#include "agent_client.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "clock.h"
#include "esc.h"
#include "sshkey_blob.h"

#define REPLY_LIMIT (256u << 10)	/* as OpenSSH's own client */
#define REPLY_TIMEOUT_S 60		/* an agent may ask a person to confirm */
enum { REQUEST_IDENTITIES = 11, IDENTITIES_ANSWER = 12, SIGN_REQUEST = 13, SIGN_RESPONSE = 14 };

void agent_close(struct agent *a)
{
	for (size_t i = 0; i < a->n; i++) {
		buf_dispose(&a->keys[i].blob);
		free(a->keys[i].comment);
	}
	free(a->keys);
	if (a->fd >= 0)
		(void)close(a->fd);
	*a = (struct agent)AGENT_INIT;
}

static int send_all(int fd, const char *p, size_t n, struct err *e)
{
	while (n) {
		ssize_t r = send(fd, p, n, MSG_NOSIGNAL);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return err_sys(e, "ssh-agent");
		p += r;
		n -= (size_t)r;
	}
	return 0;
}

static int recv_all(int fd, char *p, size_t n, int64_t deadline, struct err *e)
{
	while (n) {
		struct pollfd f = { fd, POLLIN, 0 };
		int64_t left = (deadline - clock_mono_ns()) / 1000000;
		ssize_t r;

		if (left <= 0 || poll(&f, 1, (int)left) == 0)
			return err_set(e, ERR_TEMPORARY, "ssh-agent gave no answer in %d s", REPLY_TIMEOUT_S);
		r = recv(fd, p, n, 0);
		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			return err_set(e, ERR_TEMPORARY, "ssh-agent closed the connection");
		p += r;
		n -= (size_t)r;
	}
	return 0;
}

static int ask(int fd, const struct buf *body, struct buf *reply, struct err *e)
{
	OWN_BUF struct buf b = BUF_INIT;
	int64_t deadline = clock_mono_ns() + REPLY_TIMEOUT_S * 1000000000LL;
	uint8_t head[4];
	uint32_t n;
	char *room;

	ssh_put_string(&b, body->data, body->len);
	if (buf_finish(body, e) < 0 || buf_finish(&b, e) < 0 || send_all(fd, b.data, b.len, e) < 0 ||
	    recv_all(fd, (char *)head, 4, deadline, e) < 0)
		return -1;
	n = (uint32_t)head[0] << 24 | (uint32_t)head[1] << 16 | (uint32_t)head[2] << 8 | head[3];
	if (n == 0 || n > REPLY_LIMIT)
		return err_set(e, ERR_PERMANENT, "ssh-agent answers with %u bytes", n);
	if (!(room = buf_reserve(reply, n)))
		return buf_finish(reply, e);
	if (recv_all(fd, room, n, deadline, e) < 0)
		return -1;
	reply->len += n;
	return 0;
}

static int add_key(struct agent *a, const uint8_t *blob, size_t n, const uint8_t *comment, size_t cn, struct err *e)
{
	struct agent_key *more = realloc(a->keys, (a->n + 1) * sizeof(*more)), *k;

	if (!more)
		return err_sys(e, "ssh-agent");
	a->keys = more;
	k = &a->keys[a->n++];
	*k = (struct agent_key){ BUF_INIT, esc_dup(comment, cn) };
	buf_put(&k->blob, blob, n);
	if (!k->comment)
		return err_sys(e, "ssh-agent");
	return buf_finish(&k->blob, e);
}

static int list(struct agent *a, struct err *e)
{
	OWN_BUF struct buf body = BUF_INIT;
	OWN_BUF struct buf reply = BUF_INIT;
	struct view v;
	uint32_t n;

	buf_put_u8(&body, REQUEST_IDENTITIES);
	if (ask(a->fd, &body, &reply, e) < 0)
		return -1;
	v = view_of(reply.data, reply.len);
	if (view_u8(&v) != IDENTITIES_ANSWER)
		return err_set(e, ERR_PERMANENT, "ssh-agent does not list its keys");
	n = ssh_get_u32(&v);
	for (uint32_t i = 0; i < n; i++) {
		size_t bn, cn;
		const uint8_t *blob = ssh_get_string(&v, &bn), *comment = ssh_get_string(&v, &cn);

		if (!blob || !comment)
			return err_set(e, ERR_PERMANENT, "ssh-agent's list of keys is cut short");
		if (add_key(a, blob, bn, comment, cn, e) < 0)
			return -1;
	}
	return view_done(&v) ? 0 : err_set(e, ERR_PERMANENT, "ssh-agent's list of keys has trailing bytes");
}

int agent_open(struct agent *a, const char *socket_name, struct err *e)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	const char *path = socket_name;

	if (!path || strcmp(path, "SSH_AUTH_SOCK") == 0)
		path = getenv("SSH_AUTH_SOCK");
	else if (*path == '$')
		path = getenv(path + 1);
	if (!path || !*path || strcmp(path, "none") == 0)
		return 0;
	if (strlen(path) >= sizeof(addr.sun_path))
		return err_set(e, ERR_PERMANENT, "ssh-agent: the path %s is too long for a socket", esc_s(path));
	(void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	a->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (a->fd < 0)
		return err_sys(e, "ssh-agent");
	if (connect(a->fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		err_sys(e, "ssh-agent at %s", esc_s(path));
		agent_close(a);
		return -1;
	}
	return list(a, e);
}

const struct agent_key *agent_find(const struct agent *a, const void *blob, size_t n)
{
	for (size_t i = 0; i < a->n; i++)
		if (a->keys[i].blob.len == n && memcmp(a->keys[i].blob.data, blob, n) == 0)
			return &a->keys[i];
	return NULL;
}

int agent_sign(const struct agent *a, const struct agent_key *k, const void *data, size_t n, uint32_t flags,
    struct buf *signature, struct err *e)
{
	OWN_BUF struct buf body = BUF_INIT;
	OWN_BUF struct buf reply = BUF_INIT;
	struct view v, inner;
	const uint8_t *p;
	size_t len;

	buf_put_u8(&body, SIGN_REQUEST);
	ssh_put_string(&body, k->blob.data, k->blob.len);
	ssh_put_string(&body, data, n);
	ssh_put_u32(&body, flags);
	if (ask(a->fd, &body, &reply, e) < 0)
		return -1;
	v = view_of(reply.data, reply.len);
	if (view_u8(&v) != SIGN_RESPONSE)
		return err_set(e, ERR_PERMANENT, "ssh-agent refused to sign with it");
	p = ssh_get_string(&v, &len);
	if (!p || !view_done(&v))
		return err_set(e, ERR_PERMANENT, "ssh-agent's signature cannot be read");
	inner = view_of(p, len);
	(void)ssh_get_string(&inner, &len);
	p = ssh_get_string(&inner, &len);
	if (!p || !view_done(&inner))
		return err_set(e, ERR_PERMANENT, "ssh-agent's signature cannot be read");
	buf_put(signature, p, len);
	return buf_finish(signature, e);
}
