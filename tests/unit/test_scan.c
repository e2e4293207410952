/* rooms: agent */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "digest.h"
#include "scan.h"

/* The agent's reader and search over a file of two pieces and a bit: nothing is lost where they meet. */
static char path[] = "/var/tmp/waybill-scan.XXXXXX";
static struct witness_key key;
static uint8_t text[48];
static int anchor;

static int setup(void **state)
{
	uint8_t bytes[WITNESS_KEY] = "a key";
	struct err e = ERR_INIT;
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	(void)close(fd);
	assert_int_equal(witness_key_init(&key, bytes, &e), 0);
	do {
		random_bytes(text, sizeof(text));
		anchor = witness_find_anchor(&key, text, sizeof(text));
	} while (anchor < 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	return unlink(path);
}

static uint64_t only_hit;

/* Times that the text is seen in a file of size bytes that holds it at place. */
static uint64_t seen(uint64_t size, uint64_t place, size_t *bad)
{
	struct witness_item item = { WITNESS_STRING, witness_text_hash(&key, text, sizeof(text)), witness_tag(witness_prefix(&key, text + anchor)),
		sizeof(text), (uint8_t)anchor };
	struct witness_table *t = NULL;
	struct ranges all = { .v = NULL };
	OWN_MEDIA struct media m = MEDIA_INIT;
	struct reader *r = NULL;
	struct search s;
	struct piece p;
	struct err e = ERR_INIT;
	int fd = open(path, O_WRONLY | O_TRUNC), got;
	uint64_t count, bytes;

	assert_true(fd >= 0 && ftruncate(fd, (off_t)size) == 0 && pwrite(fd, text, sizeof(text), (off_t)place) == (ssize_t)sizeof(text));
	assert_int_equal(fsync(fd), 0);
	(void)close(fd);
	assert_int_equal(witness_table_new(&t, &key, 1, &e), 0);
	assert_int_equal(witness_table_add(t, &item, &e), 0);
	assert_int_equal(witness_table_ready(t, &e), 0);
	assert_int_equal(media_add(&m, path, &e), 0);
	assert_int_equal(search_init(&s, t, NULL, 10, &e), 0);
	assert_int_equal(reader_start(&r, &m.v[0], &all, &e), 0);
	while ((got = reader_next(r, &p, &e)) == 1)
		search_piece(&s, &p);
	assert_int_equal(got, 0);
	search_end(&s);
	assert_int_equal(reader_bytes(r), size);
	(void)reader_bad(r, bad, &bytes);
	count = s.count[WITNESS_STRING];
	only_hit = s.n ? s.hits[0].at : 0;
	reader_stop(r);
	search_dispose(&s);
	witness_table_free(t);
	return count;
}

static void nothing_is_lost_where_pieces_meet(void **state)
{
	const uint64_t chunk = SCAN_CHUNK, size = 2 * chunk + 700;
	size_t bad;

	(void)state;
	for (uint64_t from = chunk - 600; from < chunk + 300; from += 37) {
		assert_int_equal(seen(size, from, &bad), 1);
		assert_int_equal(only_hit, from);
	}
	for (uint64_t from = chunk - 50; from <= chunk + 2; from++)
		assert_int_equal(seen(size, from, &bad), 1);
	for (uint64_t from = chunk - 320; from <= chunk - 240; from++)	/* where the places begin that wait for the next piece */
		assert_int_equal(seen(size, from, &bad), 1);
}

static void first_and_last_bytes_count(void **state)
{
	const uint64_t sizes[] = { 48, 300, 512, 600, 4096, SCAN_CHUNK, SCAN_CHUNK + 48, SCAN_CHUNK + 300, 2 * (uint64_t)SCAN_CHUNK - 1 };
	size_t bad;

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		assert_int_equal(seen(sizes[i], 0, &bad), 1);
		assert_int_equal(bad, 0);
		assert_int_equal(seen(sizes[i], sizes[i] - sizeof(text), &bad), 1);
		assert_int_equal(only_hit, sizes[i] - sizeof(text));
		assert_int_equal(bad, 0);
	}
}

static void random_places_follow_from_the_seed(void **state)
{
	const uint8_t seed[MSG_SCAN_KEY] = "seed";
	struct ranges a = { .v = NULL }, b = { .v = NULL };
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(ranges_random(&a, seed, 1000, 1 << 30, &e), 0);
	assert_int_equal(ranges_random(&b, seed, 1000, 1 << 30, &e), 0);
	assert_int_equal(a.n, 1000);
	assert_memory_equal(a.v, b.v, a.n * sizeof(*a.v));
	for (size_t i = 0; i < a.n; i++) {
		assert_true(a.v[i].at % 4096 == 0 && a.v[i].at + SCAN_READ <= 1 << 30 && a.v[i].length == SCAN_READ);
		assert_true(i == 0 || a.v[i].at >= a.v[i - 1].at);
	}
	/* Spread: each tenth holds some. */
	for (uint64_t tenth = 0; tenth < 10; tenth++) {
		size_t n = 0;

		for (size_t i = 0; i < a.n; i++)
			n += a.v[i].at / ((1 << 30) / 10 + 1) == tenth;
		assert_in_range(n, 60, 140);
	}
	free(a.v);
	free(b.v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(nothing_is_lost_where_pieces_meet, setup, teardown),
		cmocka_unit_test(random_places_follow_from_the_seed),
	};
	const struct CMUnitTest ends[] = {
		cmocka_unit_test_setup_teardown(first_and_last_bytes_count, setup, teardown),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	memcpy(path, "/var/tmp/waybill-scan.XXXXXX", sizeof(path));
	return failed + cmocka_run_group_tests(ends, NULL, NULL);
}
