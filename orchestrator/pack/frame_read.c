#include "pack.h"

#include <string.h>

#include <zstd.h>
#include <zstd_errors.h>

#define FRAME_START 5		/* magic and descriptor: what is looked at before the library sees a frame */

struct frame_reader {
	pack_source src;
	void *ctx;		/* borrowed */
	ZSTD_DCtx *zstd;
	const uint8_t *in;	/* own, or the caller's memory */
	uint8_t *own;		/* owned; NULL when all stored bytes are in memory */
	size_t in_size, pos, len;	/* bytes pos..len are waiting */
	bool in_frame, ended, source_ended;
	bool failed;
	struct err why;		/* the first failure: a reader does not recover */
	uint64_t frames;
};

/* NULL: out of memory. */
static struct frame_reader *make_reader(void)
{
	struct frame_reader *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->why = (struct err)ERR_INIT;
	r->zstd = ZSTD_createDCtx();
	if (r->zstd && !ZSTD_isError(ZSTD_DCtx_setParameter(r->zstd, ZSTD_d_windowLogMax, PACK_WINDOW_LOG_ACCEPT)))
		return r;
	frame_reader_free(r);
	return NULL;
}

int frame_reader_new(struct frame_reader **out, pack_source src, void *ctx, struct err *e)
{
	struct frame_reader *r = make_reader();

	if (r) {
		r->in_size = ZSTD_DStreamInSize();
		r->in = r->own = malloc(r->in_size);
	}
	if (!r || !r->own) {
		frame_reader_free(r);
		return err_set(e, ERR_TEMPORARY, "decompressor: out of memory");
	}
	r->src = src;
	r->ctx = ctx;
	*out = r;
	return 0;
}

int frame_reader_new_memory(struct frame_reader **out, const void *p, size_t n, struct err *e)
{
	struct frame_reader *r = make_reader();

	if (!r)
		return err_set(e, ERR_TEMPORARY, "decompressor: out of memory");
	r->in = p ? p : (const uint8_t *)"";
	r->len = n;
	r->source_ended = true;
	*out = r;
	return 0;
}

void frame_reader_free(struct frame_reader *r)
{
	if (!r)
		return;
	ZSTD_freeDCtx(r->zstd);
	free(r->own);
	free(r);
}

/* At least want bytes waiting, unless the source ends before. */
static int fill(struct frame_reader *r, size_t want, struct err *e)
{
	if (r->len - r->pos >= want || !r->own)
		return 0;
	memmove(r->own, r->own + r->pos, r->len - r->pos);
	r->len -= r->pos;
	r->pos = 0;
	while (r->len < want && !r->source_ended) {
		ssize_t n = r->src(r->ctx, r->own + r->len, r->in_size - r->len, e);

		if (n < 0)
			return -1;
		if (n == 0)
			r->source_ended = true;
		r->len += (size_t)n;
	}
	return 0;
}

/* Looks at the first bytes of a frame: 1 = go on, 0 = clean end, -1. */
static int begin_frame(struct frame_reader *r, struct err *e)
{
	static const uint8_t magic[4] = { 0x28, 0xB5, 0x2F, 0xFD };
	const uint8_t *p;

	if (fill(r, FRAME_START, e) < 0)
		return -1;
	p = r->in + r->pos;
	if (r->len == r->pos && r->frames)
		return 0;
	if (r->len == r->pos)
		return err_set(e, ERR_INTEGRITY, "compressed data is empty");
	if (r->len - r->pos < FRAME_START)
		return err_set(e, ERR_INTEGRITY, "compressed data is cut off in frame %llu", (unsigned long long)r->frames);
	if (memcmp(p, magic, 4) != 0)
		return err_set(e, ERR_INTEGRITY, "%s", r->frames ? "bytes after the last frame are no zstd frame" :
		    "not compressed with zstd");
	/* Descriptor: bits 0-1 dictionary, 2 checksum, 3 reserved (RFC 8878, 3.1.1.1.1). */
	if ((p[4] & 0x0F) != 0x04)
		return err_set(e, ERR_INTEGRITY, "frame %llu has no checksum or needs a dictionary",
		    (unsigned long long)r->frames);
	r->in_frame = true;
	return 1;
}

static int decode_failure(const struct frame_reader *r, size_t code, struct err *e)
{
	if (ZSTD_getErrorCode(code) == ZSTD_error_memory_allocation)
		return err_set(e, ERR_TEMPORARY, "decompressor: out of memory");
	return err_set(e, ERR_INTEGRITY, "frame %llu is damaged: %s", (unsigned long long)r->frames, ZSTD_getErrorName(code));
}

/* One call of the library: *made raw bytes come out, possibly none. */
static int decode_some(struct frame_reader *r, void *p, size_t n, size_t *made, struct err *e)
{
	ZSTD_inBuffer in;
	ZSTD_outBuffer out = { p, n, 0 };
	size_t left;

	if (fill(r, 1, e) < 0)
		return -1;
	in = (ZSTD_inBuffer){ r->in, r->len, r->pos };
	left = ZSTD_decompressStream(r->zstd, &out, &in);
	if (ZSTD_isError(left))
		return decode_failure(r, left, e);
	/* No input is left and none was needed for what came out: the library waits for bytes that do not exist. */
	if (left && out.pos == 0 && in.pos == r->pos && r->source_ended && in.pos == in.size)
		return err_set(e, ERR_INTEGRITY, "compressed data is cut off in frame %llu", (unsigned long long)r->frames);
	r->pos = in.pos;
	*made = out.pos;
	if (left == 0) {
		r->in_frame = false;
		r->frames++;
	}
	return 0;
}

static ssize_t get(struct frame_reader *r, void *p, size_t n, struct err *e)
{
	size_t made = 0;

	while (made == 0 && !r->ended) {
		if (!r->in_frame) {
			int more = begin_frame(r, e);

			if (more < 0)
				return -1;
			r->ended = more == 0;
			continue;
		}
		if (decode_some(r, p, n, &made, e) < 0)
			return -1;
	}
	return (ssize_t)made;
}

ssize_t frame_reader_get(struct frame_reader *r, void *p, size_t n, struct err *e)
{
	ssize_t got;

	if (r->failed) {
		*e = r->why;
		return -1;
	}
	if (n == 0)
		return 0;
	got = get(r, p, n, e);
	if (got < 0) {
		r->failed = true;
		r->why = *e;
	}
	return got;
}
