/* Role challenge: SHA-256 of a nonce and a content, read now. */
#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "digest.h"
#include "io.h"
#include "own.h"
#include "path.h"

#define SITE "challenge"
#define BLOCK (1u << 20)

static int open_again(struct agent *a, const char *path, struct err *why)
{
	struct stat st;
	OWN_FD int fd = path_open_beneath(a->root, path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY, 0);

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(why, "open");
	if (!S_ISREG(st.st_mode))
		return err_set(why, ERR_PERMANENT, "it is no regular file any more");
	if (agent_flag(a, MSG_F_MEDIUM))
		(void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	return take_fd(&fd);
}

static int digest_with(struct agent *a, const struct msg_challenge *m, void *block, struct digest *d, struct msg_answer *out,
    struct err *why)
{
	OWN_FD int fd = open_again(a, m->path, why);
	uint64_t at = m->offset, end = m->length ? m->offset + m->length : UINT64_MAX;
	ssize_t n;

	if (fd < 0)
		return -1;
	digest_reset(d);
	digest_update(d, m->nonce, sizeof(m->nonce));
	while ((n = io_pread_full(SITE, fd, block, end - at < BLOCK ? (size_t)(end - at) : BLOCK, at, "content", why)) > 0) {
		digest_update(d, block, (size_t)n);
		at += (uint64_t)n;
	}
	if (n < 0)
		return -1;
	a->done.bytes += at - m->offset;
	digest_final(d, out->digest);
	out->read = true;
	return 0;
}

static int answer(struct agent *a, const struct wire_frame *f, void *block, struct digest *d, struct err *e)
{
	OWN(msg_challenge_dispose) struct msg_challenge m = { .path = NULL };
	struct msg_answer out = { .read = false };
	OWN_BUF struct buf b = BUF_INIT;
	struct err why = ERR_INIT;

	if (f->type != MSG_CHALLENGE)
		return err_set(e, ERR_INTEGRITY, "challenge: message type %u does not belong here", f->type);
	if (msg_challenge_decode(f->data, f->len, &m, e) < 0)
		return -1;
	out.index = m.index;
	if (digest_with(a, &m, block, d, &out, &why) < 0 && agent_problem(a, m.path, &why, e) < 0)
		return -1;
	msg_answer_encode(&b, &out);
	return agent_send(a, WIRE_ACK, MSG_ANSWER, &b, e);
}

int role_challenge(struct agent *a, struct err *e)
{
	OWN(digest_freep) struct digest *d = digest_new(DIGEST_SHA256);
	OWN_FREE void *block = malloc(BLOCK);
	int got;

	if (!d || !block)
		return err_set(e, ERR_TEMPORARY, "out of memory");
	wire_set_state(a->wire, "challenge");
	for (;;) {
		OWN_FRAME struct wire_frame f = WIRE_FRAME_INIT;

		if ((got = wire_recv(a->wire, WIRE_DATA, &f, e)) <= 0)
			return got;
		if (answer(a, &f, block, d, e) < 0)
			return -1;
	}
}
