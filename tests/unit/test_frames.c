/* rooms: pack */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <limits.h>

#include <xxhash.h>

#include "pack.h"
#include "../lib/mem_stream.h"

static void compress(struct buf *out, const void *p, size_t n, int level)
{
	OWN(frame_writer_freep) struct frame_writer *w = NULL;
	struct err e = ERR_INIT;
	uint64_t raw = 0, stored = 0;

	assert_int_equal(frame_writer_new(&w, level, mem_sink, out, &e), 0);
	/* in uneven steps, so that pieces cross frame borders */
	for (size_t at = 0; at < n;) {
		size_t step = n - at < 700001 ? n - at : 700001;

		assert_int_equal(frame_writer_put(w, (const char *)p + at, step, &e), 0);
		at += step;
	}
	assert_int_equal(frame_writer_finish(w, &raw, &stored, &e), 0);
	assert_int_equal(raw, n);
	assert_int_equal(stored, out->len);
}

/* 0, or -1 with the class in e; out holds what came before. */
static int expand(struct buf *out, const void *p, size_t n, size_t step, struct err *e)
{
	OWN(frame_reader_freep) struct frame_reader *r = NULL;
	struct mem_source s = { p, n, step };
	static char piece[100003];
	ssize_t got;

	assert_int_equal(frame_reader_new(&r, mem_source, &s, e), 0);
	while ((got = frame_reader_get(r, piece, sizeof(piece), e)) > 0)
		buf_put(out, piece, (size_t)got);
	if (got < 0) {	/* and it stays failed */
		struct err again = ERR_INIT;

		assert_int_equal(frame_reader_get(r, piece, 1, &again), -1);
		assert_string_equal(again.text, e->text);
	}
	return (int)got;
}

static void round_trip(size_t n, int level, bool noise)
{
	OWN_FREE char *in = calloc(1, n + 1);
	OWN_BUF struct buf z = BUF_INIT, out = BUF_INIT;
	struct err e = ERR_INIT;
	OWN_FREE char *dir = NULL;
	OWN_FD int fd = -1;

	for (size_t i = 0; i < n; i++)
		in[i] = (char)("waybill "[i % 8] ^ (char)(i >> 16));
	if (noise)
		mem_noise(in, n, n);
	compress(&z, in, n, level);
	assert_int_equal(expand(&out, z.data, z.len, n > 1000000 ? 0 : 1, &e), 0);
	assert_int_equal(out.len, n);
	if (n)
		assert_memory_equal(out.data, in, n);
	dir = temp_dir();
	fd = open(dir, O_RDONLY | O_DIRECTORY);
	OWN_FD int f = openat(fd, "x.zst", O_WRONLY | O_CREAT, 0600);
	assert_int_equal(io_write_all("test", f, z.data, z.len, "x.zst", &e), 0);
	OWN_FD int g = openat(fd, "x", O_WRONLY | O_CREAT, 0600);
	assert_int_equal(io_write_all("test", g, in, n, "x", &e), 0);
	assert_int_equal(shell(dir, "zstd -qt x.zst && zstd -dcq x.zst | cmp - x", NULL, NULL), 0);
	/* and stock zstd sees a checksum in each frame */
	assert_int_equal(shell(dir, "zstd -lv x.zst 2>&1 | grep -q 'Check: XXH64'", NULL, NULL), 0);
	temp_dir_remove(take_ptr(&dir));
}

static void stock_zstd_reads_every_level_and_size(void **state)
{
	(void)state;
	static const size_t sizes[] = { 0, 1, 255, 131071, 131072, 131073, FRAME_RAW - 1, FRAME_RAW, FRAME_RAW + 1, 2 * FRAME_RAW + 77 };
	static const int levels[] = { PACK_LEVEL_RAW, -5, 1, 3 };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		for (size_t k = 0; k < sizeof(levels) / sizeof(levels[0]); k++)
			round_trip(sizes[i], levels[k], i % 2);
	round_trip(300000, 19, false);
}

static void the_window_stays_below_the_limit_at_the_highest_level(void **state)
{
	(void)state;
	OWN_FREE char *in = calloc(1, FRAME_RAW);
	OWN_BUF struct buf z = BUF_INIT;

	compress(&z, in, FRAME_RAW, 19);
	/* single segment: the window is the content size; else 10 + exponent */
	assert_true((z.data[4] & 0x20) || ((uint8_t)z.data[5] >> 3) + 10 <= PACK_WINDOW_LOG);
	assert_true((z.data[4] & 0xC0) != 0 || (z.data[4] & 0x20));
}

static void a_cut_anywhere_is_noticed(void **state)
{
	(void)state;
	char in[3000];
	struct err e = ERR_INIT;

	mem_noise(in, 1500, 1);
	memset(in + 1500, 'a', 1500);
	for (int level = 0; level < 2; level++) {
		OWN_BUF struct buf z = BUF_INIT;

		compress(&z, in, sizeof(in), level ? 3 : PACK_LEVEL_RAW);
		for (size_t n = 0; n < z.len; n++) {
			OWN_BUF struct buf out = BUF_INIT;

			assert_int_equal(expand(&out, z.data, n, 0, &e), -1);
			assert_int_equal(e.class, ERR_INTEGRITY);
		}
	}
}

static void a_flipped_bit_never_gives_other_bytes(void **state)
{
	(void)state;
	char in[2000];
	struct err e = ERR_INIT;

	mem_noise(in, 500, 7);
	memset(in + 500, 'b', 1500);
	for (int level = 0; level < 2; level++) {
		OWN_BUF struct buf z = BUF_INIT;

		compress(&z, in, sizeof(in), level ? 3 : PACK_LEVEL_RAW);
		for (size_t bit = 0; bit < z.len * 8; bit++) {
			OWN_BUF struct buf out = BUF_INIT;

			z.data[bit / 8] = (char)(z.data[bit / 8] ^ (1 << bit % 8));
			if (expand(&out, z.data, z.len, 0, &e) < 0) {
				assert_int_equal(e.class, ERR_INTEGRITY);
			} else {	/* a bit without meaning, such as one of an unused descriptor field */
				assert_int_equal(out.len, sizeof(in));
				assert_memory_equal(out.data, in, sizeof(in));
			}
			z.data[bit / 8] = (char)(z.data[bit / 8] ^ (1 << bit % 8));
		}
	}
}

static void refuse(const void *p, size_t n)
{
	OWN_BUF struct buf out = BUF_INIT;
	struct err e = ERR_INIT;

	assert_int_equal(expand(&out, p, n, 0, &e), -1);
	assert_int_equal(e.class, ERR_INTEGRITY);
}

static void garbage_and_frames_of_others_are_refused(void **state)
{
	(void)state;
	OWN_BUF struct buf z = BUF_INIT;
	size_t n;

	compress(&z, "hello", 5, 1);
	n = z.len;
	buf_put(&z, "x", 1);
	refuse(z.data, z.len);
	z.len = n;
	buf_put(&z, "\x50\x2a\x4d\x18\x04\0\0\0abcd", 12);	/* skippable frame */
	refuse(z.data, z.len);
	refuse("", 0);
	refuse("not zstd at all, not at all", 27);
	/* single segment, no checksum, one byte of content */
	refuse("\x28\xb5\x2f\xfd\x20\x01\x09\x00\x00x", 10);
}

/* One raw block of one byte behind a window descriptor; right in every other respect. */
static void a_window_beyond_the_limit_is_refused(void **state)
{
	(void)state;
	OWN_BUF struct buf out = BUF_INIT;
	struct err e = ERR_INIT;

	for (unsigned log = PACK_WINDOW_LOG; log <= 30; log++) {
		OWN_BUF struct buf z = BUF_INIT;

		buf_put(&z, "\x28\xb5\x2f\xfd\x04", 5);
		buf_put_u8(&z, (uint8_t)((log - 10) << 3));
		buf_put(&z, "\x09\0\0x", 4);
		buf_put_u32(&z, (uint32_t)XXH64("x", 1, 0));
		assert_int_equal(expand(&out, z.data, z.len, 1, &e), log <= PACK_WINDOW_LOG_ACCEPT ? 0 : -1);
		assert_int_equal(e.class, log <= PACK_WINDOW_LOG_ACCEPT ? ERR_NONE : ERR_INTEGRITY);
	}
}

static int failing_sink(void *ctx, const void *p, size_t n, struct err *e)
{
	(void)ctx; (void)p; (void)n;
	return err_set(e, ERR_TEMPORARY, "no room");
}

static void a_failing_sink_ends_the_writer(void **state)
{
	(void)state;
	OWN(frame_writer_freep) struct frame_writer *w = NULL;
	OWN_FREE char *in = calloc(1, FRAME_RAW);
	struct err e = ERR_INIT;

	assert_int_equal(frame_writer_new(&w, 1, failing_sink, NULL, &e), 0);
	assert_int_equal(frame_writer_put(w, in, FRAME_RAW, &e), -1);
	assert_string_equal(e.text, "no room");
	assert_int_equal(frame_writer_finish(w, NULL, NULL, &e), -1);
	assert_int_equal(e.class, ERR_BUG);
}

static void a_level_change_takes_the_next_frame(void **state)
{
	(void)state;
	OWN(frame_writer_freep) struct frame_writer *w = NULL;
	OWN_FREE char *in = calloc(1, 2 * FRAME_RAW);
	OWN_BUF struct buf z = BUF_INIT, out = BUF_INIT;
	struct err e = ERR_INIT;

	assert_int_equal(frame_writer_new(&w, 1, mem_sink, &z, &e), 0);
	assert_int_equal(frame_writer_put(w, in, 10, &e), 0);
	frame_writer_level(w, PACK_LEVEL_RAW);
	assert_int_equal(frame_writer_put(w, in, FRAME_RAW - 10, &e), 0);
	assert_true(z.len < 10000);
	assert_int_equal(frame_writer_put(w, in, FRAME_RAW, &e), 0);
	assert_true(z.len > FRAME_RAW);
	assert_int_equal(frame_writer_finish(w, NULL, NULL, &e), 0);
	assert_int_equal(expand(&out, z.data, z.len, 0, &e), 0);
	assert_int_equal(out.len, 2 * FRAME_RAW);
}

static void noise_is_not_worth_compressing_and_text_is(void **state)
{
	(void)state;
	OWN_FREE char *in = calloc(1, 200000);

	mem_noise(in, 200000, 3);
	assert_false(frame_compressible(in, 200000));
	assert_false(frame_compressible(in, 0));
	memset(in, 'x', 20000);
	assert_true(frame_compressible(in, 200000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stock_zstd_reads_every_level_and_size),
		cmocka_unit_test(the_window_stays_below_the_limit_at_the_highest_level),
		cmocka_unit_test(a_cut_anywhere_is_noticed),
		cmocka_unit_test(a_flipped_bit_never_gives_other_bytes),
		cmocka_unit_test(garbage_and_frames_of_others_are_refused),
		cmocka_unit_test(a_window_beyond_the_limit_is_refused),
		cmocka_unit_test(a_failing_sink_ends_the_writer),
		cmocka_unit_test(a_level_change_takes_the_next_frame),
		cmocka_unit_test(noise_is_not_worth_compressing_and_text_is),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
