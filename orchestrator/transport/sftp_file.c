/* SFTP: contents, with requests kept in flight. */
#include <errno.h>
#include <string.h>

#include "esc.h"
#include "io.h"
#include "route.h"
#include "sftp_wire.h"

struct handle { uint8_t bytes[SFTP_HANDLE_MAX]; size_t n; };

static int open_file(struct sftp *s, const char *path, uint32_t flags, struct handle *h, struct err *e)
{
	uint32_t id = sftp_begin(s, FXP_OPEN);
	struct sftp_reply r;
	const uint8_t *p;

	sftp_put_string(&s->out, path, strlen(path));
	sftp_put32(&s->out, flags);
	sftp_put32(&s->out, 0);
	if (sftp_submit(s, e) < 0 || sftp_expect(s, id, FXP_HANDLE, &r, "open", path, e) < 0)
		return -1;
	p = sftp_get_string(&r.rest, &h->n);
	if (!p || h->n > sizeof(h->bytes))
		return err_set(e, ERR_PERMANENT, "host %s: its SFTP server gives no handle for %s", esc_s(s->host->spec->name), esc_s(path));
	memcpy(h->bytes, p, h->n);
	return 0;
}

static int with_handle(struct sftp *s, int type, const struct handle *h, const char *doing, const char *path, struct err *e)
{
	uint32_t id = sftp_begin(s, type);
	struct sftp_reply r;

	if (type == FXP_EXTENDED)
		sftp_put_string(&s->out, "fsync@openssh.com", 17);
	sftp_put_string(&s->out, h->bytes, h->n);
	return sftp_submit(s, e) < 0 ? -1 : sftp_expect(s, id, FXP_STATUS, &r, doing, path, e);
}

struct flight {			/* requests without an answer yet, by consecutive ids */
	uint32_t first, count;
	uint64_t at;		/* of the next request */
};

static uint32_t piece(const struct flight *f, uint64_t size, uint32_t most)
{
	return size - f->at < most ? (uint32_t)(size - f->at) : most;
}

static int write_piece(struct sftp *s, const struct handle *h, struct flight *f, int fd, uint64_t size, const char *path, struct err *e)
{
	char t[SFTP_PIECE];
	uint32_t n = piece(f, size, SFTP_PIECE), id;
	ssize_t got = io_pread_full("sftp", fd, t, n, f->at, path, e);

	if (got < 0)
		return -1;
	if ((uint32_t)got != n)
		return err_set(e, ERR_INTEGRITY, "%s became shorter while it was sent", esc_s(path));
	id = sftp_begin(s, FXP_WRITE);
	sftp_put_string(&s->out, h->bytes, h->n);
	sftp_put64(&s->out, f->at);
	sftp_put_string(&s->out, t, n);
	if (sftp_submit(s, e) < 0)
		return -1;
	f->first = f->count++ ? f->first : id;
	f->at += n;
	return sftp_tick(s, n, e);
}

static int write_all(struct sftp *s, const struct handle *h, const char *path, int fd, uint64_t from, uint64_t size, struct err *e)
{
	struct flight f = { .at = from };
	struct sftp_reply r;

	while (f.at < size || f.count) {
		if (f.at < size && f.count < SFTP_IN_FLIGHT) {
			if (write_piece(s, h, &f, fd, size, path, e) < 0)
				return -1;
			continue;
		}
		if (sftp_expect(s, f.first, FXP_STATUS, &r, "write", path, e) < 0)
			return -1;
		f.first++;
		f.count--;
	}
	return 0;
}

/* After a failure the handle is left to the end of the connection: answers to what is in flight may still come. */
int sftp_send(struct sftp *s, const char *path, int fd, uint64_t from, uint64_t size, struct err *e)
{
	struct handle h;

	if (open_file(s, path, FXF_WRITE | FXF_CREAT | (from ? 0 : FXF_TRUNC), &h, e) < 0 || write_all(s, &h, path, fd, from, size, e) < 0 ||
	    (s->fsync && with_handle(s, FXP_EXTENDED, &h, "sync", path, e) < 0))
		return -1;
	return with_handle(s, FXP_CLOSE, &h, "close", path, e);
}

static int ask_piece(struct sftp *s, const struct handle *h, struct flight *f, uint64_t size, uint32_t most, struct err *e)
{
	uint32_t n = piece(f, size, most), id = sftp_begin(s, FXP_READ);

	sftp_put_string(&s->out, h->bytes, h->n);
	sftp_put64(&s->out, f->at);
	sftp_put32(&s->out, n);
	if (sftp_submit(s, e) < 0)
		return -1;
	f->first = f->count++ ? f->first : id;
	f->at += n;
	return 0;
}

/* Answers that are of no use any more. */
static int forget(struct sftp *s, struct flight *f, struct err *e)
{
	struct sftp_reply r;

	for (; f->count; f->count--)
		if (sftp_answer(s, &r, e) < 0)
			return -1;
	return 0;
}

int sftp_receive(struct sftp *s, const char *path, uint64_t from, uint64_t size, sftp_sink sink, void *arg, struct err *e)
{
	struct flight f = { .at = from };
	struct handle h;
	uint32_t most = SFTP_PIECE;
	uint64_t done = from;

	if (open_file(s, path, FXF_READ, &h, e) < 0)
		return -1;
	while (done < size) {
		struct sftp_reply r;
		const uint8_t *p;
		size_t n;
		uint32_t want = size - done < most ? (uint32_t)(size - done) : most;

		while (f.at < size && f.count < SFTP_IN_FLIGHT)
			if (ask_piece(s, &h, &f, size, most, e) < 0)
				return -1;
		if (sftp_expect(s, f.first, FXP_DATA, &r, "read", path, e) < 0)
			return -1;
		p = sftp_get_string(&r.rest, &n);
		if (!p || n == 0 || n > want)
			return err_set(e, ERR_TEMPORARY, "host %s: read %s: %s", esc_s(s->host->spec->name), esc_s(path), "another number of bytes than asked for");
		f.first++;
		f.count--;
		done += n;
		if (sink(arg, p, n, e) < 0 || sftp_tick(s, n, e) < 0)
			return -1;
		if (n < want) {	/* a server that gives less at a time: asked for that much from here on */
			if (forget(s, &f, e) < 0)
				return -1;
			most = (uint32_t)n;
			f.at = done;
		}
	}
	return with_handle(s, FXP_CLOSE, &h, "close", path, e);
}
