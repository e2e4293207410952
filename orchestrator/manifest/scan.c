/* Scan files (waybill-manifest.5, Scan file). */
#include "io.h"
#include "manifest.h"

#include <errno.h>
#include <string.h>

#define SCAN_MAGIC "WBSCAN1\n"
#define SCAN_MAGIC_LEN 8u
#define SCAN_RECORD_MAX (4u << 20)
#define SCAN_BUFFER (256u << 10)

struct scan_writer {
	int fd;			/* borrowed */
	struct digest *sum;
	struct buf out, record, prev;
};

int scan_writer_new(struct scan_writer **out, int fd, struct err *e)
{
	OWN(scan_writer_freep) struct scan_writer *w = calloc(1, sizeof(*w));

	if (!w || !(w->sum = digest_new(DIGEST_SHA256))) {
		errno = ENOMEM;
		return err_sys(e, "scan file");
	}
	w->fd = fd;
	buf_put(&w->out, SCAN_MAGIC, SCAN_MAGIC_LEN);
	*out = take_ptr(&w);
	return 0;
}

void scan_writer_free(struct scan_writer *w)
{
	if (!w)
		return;
	digest_free(w->sum);
	buf_dispose(&w->out);
	buf_dispose(&w->record);
	buf_dispose(&w->prev);
	free(w);
}

static int flush(struct scan_writer *w, struct err *e)
{
	if (buf_finish(&w->out, e) < 0)
		return -1;
	digest_update(w->sum, w->out.data, w->out.len);
	if (io_write_all("scan", w->fd, w->out.data, w->out.len, "scan file", e) < 0)
		return -1;
	buf_reset(&w->out);
	return 0;
}

int scan_writer_add(struct scan_writer *w, const struct entry *en, struct err *e)
{
	buf_reset(&w->record);
	entry_encode(&w->record, en, w->prev.len ? w->prev.data : NULL);
	if (buf_finish(&w->record, e) < 0)
		return -1;
	if (w->record.len > SCAN_RECORD_MAX)
		return err_set(e, ERR_BUG, "scan file: an entry of %zu bytes", w->record.len);
	buf_put_bytes(&w->out, w->record.data, w->record.len);
	buf_reset(&w->prev);
	buf_put(&w->prev, en->path, en->path_len);
	if (buf_finish(&w->prev, e) < 0)
		return -1;
	return w->out.len >= SCAN_BUFFER ? flush(w, e) : buf_finish(&w->out, e);
}

int scan_writer_finish(struct scan_writer *w, struct err *e)
{
	uint8_t d[DIGEST_LEN];

	buf_put_varint(&w->out, 0);
	if (flush(w, e) < 0)
		return -1;
	digest_final(w->sum, d);
	return io_write_all("scan", w->fd, d, sizeof(d), "scan file", e);
}

struct scan_reader {
	int fd;			/* borrowed; read by offset only */
	uint64_t at, end;	/* next byte to fetch, and where the digest starts */
	uint8_t *data;		/* owned; SCAN_BUFFER + SCAN_RECORD_MAX */
	size_t pos, len;
	struct buf prev;
	bool ended;
};

static int damaged(const char *what, struct err *e)
{
	return err_set(e, ERR_INTEGRITY, "scan file is damaged: %s", what);
}

/* Digest over the whole file; sets end. */
static int check_file(struct scan_reader *r, struct err *e)
{
	OWN(digest_freep) struct digest *sum = digest_new(DIGEST_SHA256);
	uint8_t tail[DIGEST_LEN], want[DIGEST_LEN];
	off_t size = lseek(r->fd, 0, SEEK_END);
	ssize_t got;

	if (!sum || size < 0)
		return err_sys(e, "scan file");
	if (size < (off_t)(SCAN_MAGIC_LEN + 1 + DIGEST_LEN))
		return damaged("too short", e);
	r->end = (uint64_t)size - DIGEST_LEN;
	for (uint64_t at = 0; at < r->end;) {
		size_t n = r->end - at < SCAN_BUFFER ? (size_t)(r->end - at) : SCAN_BUFFER;

		if ((got = io_pread_full("scan", r->fd, r->data, n, at, "scan file", e)) < 0)
			return -1;
		if ((size_t)got != n)
			return damaged("it shrank", e);
		digest_update(sum, r->data, n);
		if (at == 0 && memcmp(r->data, SCAN_MAGIC, SCAN_MAGIC_LEN) != 0)
			return damaged("not a scan file of this version", e);
		at += n;
	}
	digest_final(sum, want);
	if ((got = io_pread_full("scan", r->fd, tail, DIGEST_LEN, r->end, "scan file", e)) < 0)
		return -1;
	return got == DIGEST_LEN && memcmp(tail, want, DIGEST_LEN) == 0 ? 0 : damaged("its digest differs", e);
}

int scan_reader_new(struct scan_reader **out, int fd, struct err *e)
{
	OWN(scan_reader_freep) struct scan_reader *r = calloc(1, sizeof(*r));

	if (!r || !(r->data = malloc(SCAN_BUFFER + SCAN_RECORD_MAX))) {
		errno = ENOMEM;
		return err_sys(e, "scan file");
	}
	r->fd = fd;
	if (check_file(r, e) < 0)
		return -1;
	r->at = SCAN_MAGIC_LEN;
	*out = take_ptr(&r);
	return 0;
}

/* At least want bytes at pos, or all there are. */
static int fill(struct scan_reader *r, size_t want, struct err *e)
{
	size_t room, n;
	ssize_t got;

	if (r->len - r->pos >= want || r->at == r->end)
		return 0;
	memmove(r->data, r->data + r->pos, r->len - r->pos);
	r->len -= r->pos;
	r->pos = 0;
	room = SCAN_BUFFER + SCAN_RECORD_MAX - r->len;
	n = want - r->len > SCAN_BUFFER ? want - r->len : SCAN_BUFFER;
	n = n < room ? n : room;
	n = r->end - r->at < n ? (size_t)(r->end - r->at) : n;
	got = io_pread_full("scan", r->fd, r->data + r->len, n, r->at, "scan file", e);
	if (got < 0)
		return -1;
	if ((size_t)got != n)
		return damaged("it shrank", e);
	r->len += n;
	r->at += n;
	return 0;
}

static int decode_record(struct scan_reader *r, size_t n, struct entry *en, struct err *e)
{
	struct view v = view_of(r->data + r->pos, n);

	if (entry_decode(&v, en, r->prev.len ? r->prev.data : NULL, e) < 0)
		return err_at(e, "scan file");
	if (!view_done(&v))
		return damaged("bytes after an entry", e);
	r->pos += n;
	buf_reset(&r->prev);
	buf_put(&r->prev, en->path, en->path_len);
	return buf_finish(&r->prev, e) < 0 ? -1 : 1;
}

int scan_reader_next(struct scan_reader *r, struct entry *en, struct err *e)
{
	struct view v;
	uint64_t n;

	if (r->ended)
		return 0;
	if (fill(r, 10, e) < 0)
		return -1;
	v = view_of(r->data + r->pos, r->len - r->pos);
	n = view_varint(&v);
	if (v.failed || n > SCAN_RECORD_MAX)
		return damaged("malformed record", e);
	r->pos = r->len - view_left(&v);
	if (n == 0) {
		r->ended = true;
		return r->pos == r->len && r->at == r->end ? 0 : damaged("bytes after the end", e);
	}
	if (fill(r, (size_t)n, e) < 0)
		return -1;
	if (r->len - r->pos < n)
		return damaged("malformed record", e);
	return decode_record(r, (size_t)n, en, e);
}

void scan_reader_free(struct scan_reader *r)
{
	if (!r)
		return;
	buf_dispose(&r->prev);
	free(r->data);
	free(r);
}
