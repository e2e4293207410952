/* Packets of SFTP, there and back. */
#include "sftp_wire.h"

#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "clock.h"
#include "esc.h"
#include "route.h"

#define PACKET_MAX (256u * 1024)	/* as OpenSSH has it; answers to our requests stay far below */

void sftp_put32(struct buf *b, uint32_t v)
{
	v = htobe32(v);
	buf_put(b, &v, sizeof(v));
}

void sftp_put64(struct buf *b, uint64_t v)
{
	v = htobe64(v);
	buf_put(b, &v, sizeof(v));
}

void sftp_put_string(struct buf *b, const void *p, size_t n)
{
	sftp_put32(b, (uint32_t)n);
	buf_put(b, p, n);
}

uint32_t sftp_get32(struct view *v)
{
	const uint8_t *p = view_raw(v, 4);

	return p ? (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3] : 0;
}

uint64_t sftp_get64(struct view *v)
{
	uint64_t high = sftp_get32(v);

	return high << 32 | sftp_get32(v);
}

const uint8_t *sftp_get_string(struct view *v, size_t *n)
{
	*n = sftp_get32(v);
	return view_raw(v, *n);
}

int sftp_tick(struct sftp *s, uint64_t moved, struct err *e)
{
	return s->watch.tick ? s->watch.tick(s->watch.arg, moved, e) : 0;
}

static int await(struct sftp *s, int fd, short events, struct err *e)
{
	for (int silent = 0; silent < SILENCE_LIMIT_S; silent++) {
		struct pollfd f = { fd, events, 0 };
		int n = poll(&f, 1, 1000);

		if (n > 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return err_sys(e, "host %s", esc_s(s->host->spec->name));
		if (sftp_tick(s, 0, e) < 0)
			return -1;
	}
	return err_set(e, ERR_TEMPORARY, "host %s: its SFTP server said nothing for %d s", esc_s(s->host->spec->name), SILENCE_LIMIT_S);
}

static int ended(struct sftp *s, struct err *e)
{
	err_set(e, ERR_TEMPORARY, "host %s: the SFTP connection ended", esc_s(s->host->spec->name));
	e->sys = ECONNRESET;
	return err_hint(e, "the same command goes on from there");
}

static int send_all(struct sftp *s, const char *p, size_t n, struct err *e)
{
	while (n) {
		ssize_t done = write(s->channel->in, p, n);

		if (done >= 0) {
			p += done;
			n -= (size_t)done;
		} else if (errno == EAGAIN) {
			if (await(s, s->channel->in, POLLOUT, e) < 0)
				return -1;
		} else if (errno != EINTR) {
			return ended(s, e);
		}
	}
	return 0;
}

static int take(struct sftp *s, void *to, size_t n, struct err *e)
{
	char *p = to;

	while (n) {
		ssize_t got = read(s->channel->out, p, n);

		if (got > 0) {
			p += got;
			n -= (size_t)got;
		} else if (got < 0 && errno == EAGAIN) {
			if (await(s, s->channel->out, POLLIN, e) < 0)
				return -1;
		} else if (got == 0 || errno != EINTR) {
			return ended(s, e);
		}
	}
	return 0;
}

uint32_t sftp_begin(struct sftp *s, int type)
{
	uint32_t id = ++s->next_id;

	buf_reset(&s->out);
	sftp_put32(&s->out, 0);
	buf_put_u8(&s->out, (uint8_t)type);
	if (type != FXP_INIT)
		sftp_put32(&s->out, id);
	return id;
}

int sftp_submit(struct sftp *s, struct err *e)
{
	uint32_t n;

	if (buf_finish(&s->out, e) < 0)
		return -1;
	n = htobe32((uint32_t)(s->out.len - sizeof(n)));
	memcpy(s->out.data, &n, sizeof(n));
	return send_all(s, s->out.data, s->out.len, e);
}

int sftp_answer(struct sftp *s, struct sftp_reply *r, struct err *e)
{
	uint8_t head[5];
	uint32_t n;

	if (take(s, head, sizeof(head), e) < 0)
		return -1;
	n = (uint32_t)head[0] << 24 | (uint32_t)head[1] << 16 | (uint32_t)head[2] << 8 | head[3];
	if (n < 5 || n > PACKET_MAX)
		return err_set(e, ERR_PERMANENT, "host %s: what answers there is no SFTP server", esc_s(s->host->spec->name));
	buf_reset(&s->in);
	if (!buf_reserve(&s->in, n))
		return buf_finish(&s->in, e);
	if (take(s, s->in.data, n - 1, e) < 0)
		return -1;
	s->in.len = n - 1;
	r->type = head[4];
	r->rest = view_of(s->in.data, s->in.len);
	r->id = sftp_get32(&r->rest);
	return 0;
}

static int refused(struct sftp *s, struct sftp_reply *r, const char *doing, const char *path, struct err *e)
{
	uint32_t code = sftp_get32(&r->rest);
	size_t n = 0;
	const uint8_t *words = sftp_get_string(&r->rest, &n);
	OWN_BUF struct buf text = BUF_INIT;

	if (words)
		esc_put(&text, (const char *)words, n < 200 ? n : 200);
	err_set(e, ERR_PERMANENT, "host %s: %s %s: %s (SFTP status %u)", esc_s(s->host->spec->name), doing, esc_s(path),
	    text.data ? text.data : "refused", code);
	e->sys = code == FX_NO_SUCH_FILE ? ENOENT : code == FX_PERMISSION_DENIED ? EACCES : 0;
	return -1;
}

int sftp_expect(struct sftp *s, uint32_t id, int want, struct sftp_reply *r, const char *doing, const char *path, struct err *e)
{
	if (sftp_answer(s, r, e) < 0)
		return -1;
	if (r->id != id || (r->type != want && r->type != FXP_STATUS))
		return err_set(e, ERR_PERMANENT, "host %s: its SFTP server answers what was not asked", esc_s(s->host->spec->name));
	if (r->type == want && want != FXP_STATUS)
		return 0;
	if (want == FXP_STATUS) {
		struct view look = r->rest;

		if (sftp_get32(&look) == FX_OK && !look.failed)
			return 0;
	}
	return refused(s, r, doing, path, e);
}
