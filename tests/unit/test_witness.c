/* rooms: clear */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>

#include "digest.h"
#include "witness_set.h"
#include "witness_table.h"

static const uint8_t key_bytes[WITNESS_KEY] = "0123456789abcdef0123456789abcde";
static struct witness_set *set;
static struct witness_table *table;
static uint32_t file_number;

/* Bytes that look random and are the same each time. */
static void noise(uint8_t *p, size_t n, uint64_t seed)
{
	for (size_t i = 0; i < n; i++) {
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		p[i] = (uint8_t)(seed >> 33);
	}
}

static int begin(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	file_number = 0;
	assert_int_equal(witness_set_new(&set, key_bytes, 64 << 20, &e), 0);
	return 0;
}

static int end(void **state)
{
	(void)state;
	witness_set_free(set);
	witness_table_free(table);
	set = NULL;
	table = NULL;
	return 0;
}

static void next_file(bool old, uint32_t version)
{
	struct witness_file f = { .entry = ++file_number, .version = version, .old = old };
	struct err e = ERR_INIT;

	assert_int_equal(witness_set_file(set, &f, &e), 0);
}

/* Takes p[0..n) in pieces of step bytes. */
static void take(const uint8_t *p, size_t n, size_t step)
{
	struct witness_taker t;
	uint8_t sha[32];
	struct err e = ERR_INIT;

	assert_int_equal(digest_sha256(p, n, sha, &e), 0);
	witness_take_begin(&t, set, sha, n);
	for (size_t at = 0; at < n; at += step)
		assert_int_equal(witness_take_data(&t, at, p + at, n - at < step ? n - at : step, &e), 0);
	assert_int_equal(witness_take_end(&t, &e), 0);
}

static void close_set(void)
{
	struct err e = ERR_INIT;

	witness_set_finish(set);
	assert_int_equal(witness_table_new(&table, &set->key, (uint32_t)set->n, &e), 0);
	for (size_t i = 0; i < set->n; i++) {
		const struct witness *w = &set->v[i];
		struct witness_item item = { (enum witness_class)w->cls, w->hash, w->tag, w->len, w->off };

		assert_int_equal(witness_table_add(table, &item, &e), 0);
	}
	assert_int_equal(witness_table_ready(table, &e), 0);
}

static uint64_t hits[WITNESS_CLASSES], last_at;
static void on_hit(void *ctx, uint64_t at, uint32_t len, uint32_t index)
{
	(void)ctx;
	(void)len;
	hits[witness_table_class(table, index)]++;
	last_at = at;
}

/* Searches n bytes as a medium; memory around them as the contract of the table asks. */
static void search(const uint8_t *p, size_t n)
{
	uint8_t *m = calloc(1, n + 1024);
	struct witness_window w = { m, 0, n, n, 0 };

	assert_non_null(m);
	memcpy(m, p, n);
	memset(hits, 0, sizeof(hits));
	witness_table_sectors(table, m, n / 512 * 512, 0, on_hit, NULL);
	witness_table_text(table, &w, on_hit, NULL);
	free(m);
}

static void every_block_of_a_content_is_seen_at_any_multiple_of_512(void **state)
{
	uint8_t content[40 * 4096], medium[48 * 4096] = { 0 };

	(void)state;
	noise(content, sizeof(content), 1);
	next_file(false, 1);
	take(content, sizeof(content), 1000);
	close_set();
	assert_int_equal(witness_set_count(set, WITNESS_SECTOR, false), 40);
	for (size_t shift = 512; shift <= 4096; shift += 512) {
		memset(medium, 0, sizeof(medium));
		memcpy(medium + shift, content, sizeof(content));
		search(medium, sizeof(medium));
		assert_int_equal(hits[WITNESS_SECTOR], 40);
		assert_int_equal(hits[WITNESS_STRING], 2);
	}
	/* Not aligned at all (inside a tar, inline): only the strings can be seen. */
	memset(medium, 0, sizeof(medium));
	memcpy(medium + 77, content, sizeof(content));
	search(medium, sizeof(medium));
	assert_int_equal(hits[WITNESS_SECTOR], 0);
	assert_int_equal(hits[WITNESS_STRING], 2);
	noise(medium, sizeof(medium), 99);
	search(medium, sizeof(medium));
	assert_int_equal(hits[WITNESS_SECTOR] + hits[WITNESS_STRING] + hits[WITNESS_NAME], 0);
}

static void how_a_content_is_cut_does_not_matter(void **state)
{
	uint8_t content[5 * 4096 + 700];
	size_t n = 0;
	struct witness *first;

	(void)state;
	noise(content, sizeof(content), 2);
	next_file(false, 1);
	take(content, sizeof(content), sizeof(content));
	witness_set_finish(set);
	n = set->n;
	first = malloc(n * sizeof(*first));
	assert_non_null(first);
	memcpy(first, set->v, n * sizeof(*first));
	for (size_t step = 1; step < 9000; step = step * 3 + 1) {
		end(NULL);
		begin(NULL);
		next_file(false, 1);
		take(content, sizeof(content), step);
		witness_set_finish(set);
		assert_int_equal(set->n, n);
		for (size_t i = 0; i < n; i++)
			assert_int_equal(set->v[i].hash, first[i].hash);
	}
	free(first);
}

static void small_contents_are_seen_wherever_they_are_cut_at_60_bytes(void **state)
{
	uint8_t content[150], medium[8192] = { 0 };
	uint64_t whole;

	(void)state;
	noise(content, sizeof(content), 3);
	next_file(false, 1);
	take(content, sizeof(content), sizeof(content));
	close_set();
	assert_int_equal(witness_set_count(set, WITNESS_SECTOR, false), 0);
	whole = witness_set_count(set, WITNESS_STRING, false);
	assert_true(whole >= 2);
	/* As ext4 keeps it inside an inode: 60 bytes here, the rest there. */
	memcpy(medium + 333, content, 60);
	memcpy(medium + 1000, content + 60, sizeof(content) - 60);
	search(medium, sizeof(medium));
	assert_int_equal(hits[WITNESS_STRING], whole);
}

static void what_proves_nothing_is_left_out(void **state)
{
	uint8_t zeros[8192] = { 0 }, seven[8192], shared[4096];
	struct err e = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(seven); i++)
		seven[i] = (uint8_t)(i % 7);
	next_file(false, 1);
	take(zeros, sizeof(zeros), 4096);
	next_file(false, 1);
	take(seven, sizeof(seven), 4096);
	assert_int_equal(set->n, 0);
	assert_int_equal(set->weak[WITNESS_SECTOR], 4);
	noise(shared, sizeof(shared), 4);
	for (unsigned i = 0; i < WITNESS_COMMON + 1; i++) {
		next_file(false, 1);
		assert_int_equal(witness_set_sector(set, WITNESS_SECTOR, shared, &e), 0);
	}
	/* One that lies in no more than that many contents stays, once; that older versions held it too does not matter. */
	for (unsigned i = 0; i < WITNESS_COMMON; i++) {
		next_file(false, 2);
		assert_int_equal(witness_set_sector(set, WITNESS_SECTOR, shared + 512, &e), 0);
	}
	for (unsigned i = 0; i < 30; i++) {
		next_file(true, 1);
		assert_int_equal(witness_set_sector(set, WITNESS_SECTOR, shared + 512, &e), 0);
	}
	witness_set_finish(set);
	assert_int_equal(set->n, 1);
	assert_false(witness_old(set, &set->v[0]));
	assert_int_equal(set->common[WITNESS_SECTOR], 1);
}

static void what_stays_at_the_place_is_left_out(void **state)
{
	uint8_t a[4096], b[4096];
	struct witness_set *stays, *mine = set;
	struct err e = ERR_INIT;

	(void)state;
	noise(a, sizeof(a), 5);
	noise(b, sizeof(b), 6);
	next_file(false, 1);
	assert_int_equal(witness_set_sector(set, WITNESS_SECTOR, a, &e), 0);
	next_file(false, 1);
	assert_int_equal(witness_set_sector(set, WITNESS_SECTOR, b, &e), 0);
	assert_int_equal(witness_set_new(&stays, key_bytes, 1 << 20, &e), 0);
	set = stays;
	next_file(false, 1);
	assert_int_equal(witness_set_sector(set, WITNESS_SECTOR, b, &e), 0);
	set = mine;
	witness_set_exclude(set, stays);
	witness_set_free(stays);
	close_set();
	assert_int_equal(set->n, 1);
	search(a, sizeof(a));
	assert_int_equal(hits[WITNESS_SECTOR], 1);
	search(b, sizeof(b));
	assert_int_equal(hits[WITNESS_SECTOR], 0);
}

static void names_are_seen_in_their_encodings(void **state)
{
	static const char name[] = "docs/维修资金缴存明细2021.xlsx";
	static const char gbk[] = "..\xce\xac\xd0\xde\xd7\xca\xbd\xf0\xbd\xc9\xb4\xe6\xc3\xf7\xcf\xb8" "2021.xlsx..";
	struct err e = ERR_INIT;
	uint64_t forms;

	(void)state;
	next_file(false, 1);
	assert_int_equal(witness_set_name(set, name, strlen(name), &e), 0);
	assert_int_equal(witness_set_name(set, "docs/short", 10, &e), 0);
	close_set();
	forms = set->n;
	assert_int_equal(forms + set->weak[WITNESS_NAME], 4);
	search((const uint8_t *)name, sizeof(name));
	assert_true(hits[WITNESS_NAME] == 1 || set->weak[WITNESS_NAME] > 0);
	search((const uint8_t *)gbk, sizeof(gbk));
	assert_true(hits[WITNESS_NAME] == 1 || set->weak[WITNESS_NAME] > 0);
}

static void memory_bounds_the_set_and_says_what_it_costs(void **state)
{
	uint8_t *content = malloc(4096);
	struct err e = ERR_INIT;

	(void)state;
	assert_non_null(content);
	end(NULL);
	assert_int_equal(witness_set_new(&set, key_bytes, 1 << 20, &e), 0);	/* 16384 witnesses */
	for (uint64_t i = 0; i < 100000; i++) {
		if (i % 100 == 0)
			next_file(false, 1);
		noise(content, 512, i + 1000);
		assert_int_equal(witness_set_sector(set, WITNESS_SECTOR, content, &e), 0);
	}
	witness_set_finish(set);
	assert_int_equal(set->shift, 3);
	assert_in_range(set->n, 100000 / 8 - 600, 100000 / 8 + 600);
	free(content);
}

static bool near(double a, double b) { return fabs(a - b) <= 1e-9 + 1e-6 * fabs(b); }

static void probabilities_are_those_of_the_formulas(void **state)
{
	uint64_t tib = UINT64_C(1) << 40, n;

	(void)state;
	assert_true(witness_miss_kept(0, 4096) == 0.0);
	assert_true(near(witness_miss_kept(1, 4096), 0.5));
	assert_true(near(witness_miss_kept(3, 1 << 20), pow(7.0 / 8, 256)));
	/* clearing.md: 1 TiB, 1 %, 16 MiB: some 302 000 reads, 1 MiB some 4.8 million. */
	n = witness_reads_for(tib, 16 << 20, 0.01);
	assert_in_range(n, 301000, 303000);
	assert_in_range(witness_reads_for(tib, 1 << 20, 0.01), 4800000, 4900000);
	assert_true(witness_miss_reads(tib, 16 << 20, n) <= 0.01);
	assert_true(witness_miss_reads(tib, 16 << 20, n - 1000) > 0.01);
	/* A residue smaller than a read proves nothing, and no reads find nothing. */
	assert_true(witness_miss_reads(tib, 4096, n) == 1.0);
	assert_true(witness_miss_reads(tib, 16 << 20, 0) == 1.0);
}

static void anchors_are_the_same_one_by_one_and_sixteen_at_once(void **state)
{
	uint8_t text[4096], one[64];
	unsigned seen = 0;
	struct err e = ERR_INIT;

	(void)state;
	noise(text, sizeof(text), 7);
	next_file(false, 1);
	for (size_t at = 0; at + 64 <= sizeof(text); at += 64)
		assert_int_equal(witness_set_text(set, WITNESS_STRING, text + at, 48, 0, &e), 0);
	close_set();
	/* Each of them, at every place within a step and across steps. */
	for (size_t at = 0; at + 64 <= sizeof(text); at += 64) {
		uint8_t medium[1200] = { 0 };

		memcpy(one, text + at, sizeof(one));
		memcpy(medium + at % 600, one, sizeof(one));
		search(medium, sizeof(medium));
		seen += (unsigned)hits[WITNESS_STRING];
		assert_true(hits[WITNESS_STRING] == 0 || last_at == at % 600);
	}
	assert_int_equal(seen, set->n);
	assert_true(set->n >= 62);
}

static void a_table_takes_no_more_than_was_announced(void **state)
{
	struct witness_item w = { WITNESS_STRING, 1, 1, 24, 17 };
	struct witness_key k;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(witness_key_init(&k, key_bytes, &e), 0);
	assert_int_equal(witness_table_new(&table, &k, 1, &e), 0);
	assert_int_equal(witness_table_add(table, &w, &e), -1);	/* the anchor would reach beyond the end */
	assert_int_equal(e.class, ERR_INTEGRITY);
	w.off = 16;
	assert_int_equal(witness_table_add(table, &w, &e), 0);
	assert_int_equal(witness_table_add(table, &w, &e), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(every_block_of_a_content_is_seen_at_any_multiple_of_512, begin, end),
		cmocka_unit_test_setup_teardown(how_a_content_is_cut_does_not_matter, begin, end),
		cmocka_unit_test_setup_teardown(small_contents_are_seen_wherever_they_are_cut_at_60_bytes, begin, end),
		cmocka_unit_test_setup_teardown(what_proves_nothing_is_left_out, begin, end),
		cmocka_unit_test_setup_teardown(what_stays_at_the_place_is_left_out, begin, end),
		cmocka_unit_test_setup_teardown(names_are_seen_in_their_encodings, begin, end),
		cmocka_unit_test_setup_teardown(memory_bounds_the_set_and_says_what_it_costs, begin, end),
		cmocka_unit_test_setup_teardown(probabilities_are_those_of_the_formulas, begin, end),
		cmocka_unit_test_setup_teardown(anchors_are_the_same_one_by_one_and_sixteen_at_once, begin, end),
		cmocka_unit_test_setup_teardown(a_table_takes_no_more_than_was_announced, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
