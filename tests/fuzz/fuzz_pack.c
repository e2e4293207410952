/* rooms: pack
 * A hostile pack; the same bytes as the tar inside of sound frames, whose checksums would else hide it; and as a recipe. */
#include <stdlib.h>
#include <string.h>

#include "pack.h"
#include "path.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

struct memory { const uint8_t *p; size_t left; };

static ssize_t from_memory(void *ctx, void *to, size_t n, struct err *e)
{
	struct memory *m = ctx;

	(void)e;
	if (n > m->left)
		n = m->left;
	memcpy(to, m->p, n);
	m->p += n;
	m->left -= n;
	return (ssize_t)n;
}

static void read_pack(const uint8_t *p, size_t n)
{
	static uint8_t block[65536];
	struct memory m = { p, n };
	struct pack_reader *r = NULL;
	struct entry en = ENTRY_INIT;
	struct attr_set attrs = ATTR_SET_INIT;
	struct err e = ERR_INIT;
	uint64_t total = 0;
	ssize_t got;

	if (pack_reader_new(&r, from_memory, &m, &e) < 0)
		return;
	while (total < (64u << 20) && pack_next(r, &en, &attrs, &e) == 1) {
		if (!path_is_safe(en.path, strlen(en.path)) || (en.link_to && !path_is_safe(en.link_to, strlen(en.link_to))))
			abort();
		while (total < (64u << 20) && (got = pack_read(r, block, sizeof(block), &e)) > 0)
			total += (uint64_t)got;
	}
	entry_dispose(&en);
	attr_set_dispose(&attrs);
	pack_reader_free(r);
}

static int keep(void *ctx, const void *p, size_t n, struct err *e)
{
	struct buf *b = ctx;

	buf_put(b, p, n);
	return buf_finish(b, e);
}

static void read_framed(const uint8_t *p, size_t n)
{
	struct frame_writer *w = NULL;
	struct buf b = BUF_INIT;
	struct err e = ERR_INIT;

	if (frame_writer_new(&w, PACK_LEVEL_RAW, keep, &b, &e) < 0 || frame_writer_put(w, p, n, &e) < 0 ||
	    frame_writer_finish(w, NULL, NULL, &e) < 0)
		abort();
	frame_writer_free(w);
	read_pack((const uint8_t *)b.data, b.len);
	buf_dispose(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct recipe r = RECIPE_INIT;
	struct err e = ERR_INIT;

	read_pack(p, n);
	read_framed(p, n);
	if (recipe_decode(&r, p, n, &e) == 0) {
		uint64_t sum = 0;

		for (size_t i = 0; i < r.count; i++)
			sum += r.parts[i].length;
		if (sum != r.size)
			abort();
	}
	recipe_dispose(&r);
	return 0;
}
