#include "pack.h"

#include <limits.h>
#include <string.h>

#include <xxhash.h>
#include <zstd.h>

#define ZSTD_FRAME_MAGIC 0xFD2FB528u
#define LEVEL_MIN (-5)
#define LEVEL_MAX 19
#define SAMPLE_MAX (64u << 10)

struct frame_writer {
	pack_sink sink;
	void *ctx;		/* borrowed */
	ZSTD_CCtx *zstd;	/* made with the first frame that is compressed */
	uint8_t *in;		/* FRAME_RAW bytes: the frame being filled */
	size_t used;
	uint8_t *out;		/* ZSTD_compressBound(FRAME_RAW), which holds a raw frame too */
	size_t out_size;
	int level, frame_level;	/* for the next frame, of the one being filled */
	uint64_t raw, stored, frames;
	bool failed;		/* the output has a hole from here on: nothing more may follow */
};

int frame_writer_new(struct frame_writer **out, int level, pack_sink sink, void *ctx, struct err *e)
{
	struct frame_writer *w = calloc(1, sizeof(*w));

	if (w) {
		w->out_size = ZSTD_compressBound(FRAME_RAW);
		w->in = malloc(FRAME_RAW);
		w->out = malloc(w->out_size);
	}
	if (!w || !w->in || !w->out) {
		frame_writer_free(w);
		return err_set(e, ERR_TEMPORARY, "compressor: out of memory");
	}
	w->sink = sink;
	w->ctx = ctx;
	frame_writer_level(w, level);
	*out = w;
	return 0;
}

void frame_writer_level(struct frame_writer *w, int level)
{
	if (level != PACK_LEVEL_RAW)
		level = level < LEVEL_MIN ? LEVEL_MIN : level > LEVEL_MAX ? LEVEL_MAX : level;
	w->level = level;
}

static uint8_t *put_le32(uint8_t *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		*p++ = (uint8_t)(v >> (8 * i));
	return p;
}

/*
 * A frame of raw blocks (RFC 8878, 3.1.1): magic; descriptor with 4-byte content size, single segment and checksum;
 * the size; blocks of at most Block_Maximum_Size, each behind 3 bytes "last | type << 1 | size << 3", type 0 = raw;
 * the low half of XXH64.  The library would spend time on finding out that it cannot compress.
 */
static size_t raw_frame(uint8_t *out, const uint8_t *in, size_t n)
{
	const size_t block_max = 128u << 10;
	uint8_t *p = put_le32(out, ZSTD_FRAME_MAGIC);
	size_t at = 0;

	*p++ = 2 << 6 | 1 << 5 | 1 << 2;
	p = put_le32(p, (uint32_t)n);
	do {
		size_t len = n - at < block_max ? n - at : block_max;
		uint32_t head = (uint32_t)(at + len == n) | (uint32_t)len << 3;

		*p++ = (uint8_t)head;
		*p++ = (uint8_t)(head >> 8);
		*p++ = (uint8_t)(head >> 16);
		memcpy(p, in + at, len);
		p += len;
		at += len;
	} while (at < n);
	p = put_le32(p, (uint32_t)XXH64(in, n, 0));
	return (size_t)(p - out);
}

static int compressed_frame(struct frame_writer *w, size_t *n, struct err *e)
{
	size_t r = 0;

	if (!w->zstd) {
		w->zstd = ZSTD_createCCtx();
		if (!w->zstd)
			return err_set(e, ERR_TEMPORARY, "compressor: out of memory");
		r = ZSTD_CCtx_setParameter(w->zstd, ZSTD_c_checksumFlag, 1);
		if (!ZSTD_isError(r))
			r = ZSTD_CCtx_setParameter(w->zstd, ZSTD_c_contentSizeFlag, 1);
	}
	/* The window never grows beyond the content, 4 MiB = 2^22: below PACK_WINDOW_LOG at every level. */
	_Static_assert(FRAME_RAW <= 1u << PACK_WINDOW_LOG, "a frame's window must stay within what readers accept");
	if (!ZSTD_isError(r))
		r = ZSTD_CCtx_setParameter(w->zstd, ZSTD_c_compressionLevel, w->frame_level);
	if (!ZSTD_isError(r))
		r = ZSTD_compress2(w->zstd, w->out, w->out_size, w->in, w->used);
	if (ZSTD_isError(r))
		return err_set(e, ERR_TEMPORARY, "compressor: %s", ZSTD_getErrorName(r));
	*n = r;
	return 0;
}

static int flush_frame(struct frame_writer *w, struct err *e)
{
	size_t n = 0;

	w->failed = true;
	if (w->frame_level == PACK_LEVEL_RAW)
		n = raw_frame(w->out, w->in, w->used);
	else if (compressed_frame(w, &n, e) < 0)
		return -1;
	if (w->sink(w->ctx, w->out, n, e) < 0)
		return -1;
	w->failed = false;
	w->raw += w->used;
	w->stored += n;
	w->frames++;
	w->used = 0;
	return 0;
}

int frame_writer_put(struct frame_writer *w, const void *p, size_t n, struct err *e)
{
	const uint8_t *s = p;

	if (w->failed)
		return err_set(e, ERR_BUG, "compressor: used after a failure");
	while (n) {
		size_t take = FRAME_RAW - w->used < n ? FRAME_RAW - w->used : n;

		if (w->used == 0)
			w->frame_level = w->level;
		memcpy(w->in + w->used, s, take);
		w->used += take;
		s += take;
		n -= take;
		if (w->used == FRAME_RAW && flush_frame(w, e) < 0)
			return -1;
	}
	return 0;
}

int frame_writer_finish(struct frame_writer *w, uint64_t *raw, uint64_t *stored, struct err *e)
{
	if (w->failed)
		return err_set(e, ERR_BUG, "compressor: used after a failure");
	/* An empty content is one empty frame: stock zstd takes no bytes at all for a cut file. */
	if (w->used == 0)
		w->frame_level = w->level;
	if ((w->used || !w->frames) && flush_frame(w, e) < 0)
		return -1;
	if (raw)
		*raw = w->raw;
	if (stored)
		*stored = w->stored;
	return 0;
}

void frame_writer_free(struct frame_writer *w)
{
	if (!w)
		return;
	ZSTD_freeCCtx(w->zstd);
	free(w->in);
	free(w->out);
	free(w);
}

bool frame_compressible(const void *p, size_t n)
{
	size_t take = n < SAMPLE_MAX ? n : SAMPLE_MAX;
	size_t bound = ZSTD_compressBound(take);
	OWN_FREE uint8_t *out = malloc(bound);
	size_t r;

	if (!out || !take)
		return false;
	r = ZSTD_compress(out, bound, p, take, 1);
	return !ZSTD_isError(r) && r <= take - take * 3 / 100;
}
