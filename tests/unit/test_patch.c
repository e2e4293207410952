/* rooms: pack wire */
/* Block hashes, and the messages about changed blocks: what goes out comes back, what is malformed is refused. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "block_hash.h"
#include "messages.h"

static void blocks_grow_with_the_content(void **state)
{
	(void)state;
	assert_int_equal(block_size_for(0), BLOCK_MIN);
	assert_int_equal(block_size_for((16ull << 30) - 1), BLOCK_MIN);
	assert_int_equal(block_size_for(16ull << 30), 2 * BLOCK_MIN);
	for (uint64_t n = 1; n < 1ull << 50; n *= 7)
		assert_true(n / block_size_for(n) < BLOCK_COUNT_MAX);
}

static void a_hash_depends_on_every_byte_and_on_the_key(void **state)
{
	uint8_t key[BLOCK_KEY_LEN] = { 1 }, a[BLOCK_HASH_LEN], b[BLOCK_HASH_LEN], data[16384] = { 0 };
	struct block_key *k = block_key_new(key), *other;

	(void)state;
	key[31] = 1;
	other = block_key_new(key);
	assert_non_null(k);
	assert_non_null(other);
	block_hash(k, data, sizeof(data), a);
	block_hash(other, data, sizeof(data), b);
	assert_memory_not_equal(a, b, sizeof(a));
	block_hash(k, data, sizeof(data), b);
	assert_memory_equal(a, b, sizeof(a));
	data[16383] = 1;
	block_hash(k, data, sizeof(data), b);
	assert_memory_not_equal(a, b, sizeof(a));
	block_hash(k, data, sizeof(data) - 1, b);
	assert_memory_not_equal(a, b, sizeof(a));
	block_key_free(k);
	block_key_free(other);
}

static void ranges_come_back_and_are_bounded(void **state)
{
	struct msg_range v[] = { { 0, 5 }, { 5, 7 }, { 1ull << 40, 16384 } };
	struct msg_ranges m = { 9, v, 3 }, got;
	struct buf b = BUF_INIT;
	struct err e = ERR_INIT;

	(void)state;
	msg_ranges_encode(&b, &m);
	assert_int_equal(msg_ranges_decode(b.data, b.len, &got, &e), 0);
	assert_int_equal(got.ordinal, 9);
	assert_int_equal(got.count, 3);
	assert_memory_equal(got.v, v, sizeof(v));
	msg_ranges_dispose(&got);
	for (size_t cut = 0; cut < b.len; cut++)
		assert_int_equal(msg_ranges_decode(b.data, cut, &got, &e), -1);
	buf_putc(&b, 0);
	assert_int_equal(msg_ranges_decode(b.data, b.len, &got, &e), -1);
	buf_reset(&b);	/* two ranges that together pass 2^63 */
	buf_put_varint(&b, 1);
	buf_put_varint(&b, 2);
	buf_put_varint(&b, 1ull << 62);
	buf_put_varint(&b, 1ull << 62);
	buf_put_varint(&b, 0);
	buf_put_varint(&b, 1);
	assert_int_equal(msg_ranges_decode(b.data, b.len, &got, &e), -1);
	assert_int_equal(e.class, ERR_INTEGRITY);
	buf_dispose(&b);
}

static void blocks_are_as_many_as_the_content_has(void **state)
{
	uint8_t hashes[3 * MSG_BLOCK_HASH] = { 7 };
	struct msg_blocks m = { 16384, 2 * 16384 + 1, 10, hashes, 3 }, got;
	struct buf b = BUF_INIT;
	struct err e = ERR_INIT;

	(void)state;
	msg_blocks_encode(&b, &m);
	assert_int_equal(msg_blocks_decode(b.data, b.len, &got, &e), 0);
	assert_int_equal(got.count, 3);
	assert_int_equal(got.room, 10);
	assert_memory_equal(got.hashes, hashes, sizeof(hashes));
	assert_int_equal(msg_blocks_decode(b.data, b.len - MSG_BLOCK_HASH, &got, &e), -1);
	assert_int_equal(msg_blocks_decode(b.data, b.len - 1, &got, &e), -1);
	buf_reset(&b);
	m.block = 0;
	msg_blocks_encode(&b, &m);
	assert_int_equal(b.len, 1);
	assert_int_equal(msg_blocks_decode(b.data, b.len, &got, &e), 0);
	assert_int_equal(got.count, 0);
	buf_dispose(&b);
}

static void a_patch_says_what_it_changes(void **state)
{
	struct msg_segment v[] = { { MSG_SEGMENT_BASE, 0, 10 }, { 4, 3, 20 }, { 0, 0, 5 } };
	struct msg_entry m = { .entry = { .type = ENTRY_FILE, .outcome = ENTRY_COPIED, .size = 35, .nlink = 1 }, .content = MSG_CONTENT_PATCH,
		.large_id = 2, .base = { 0xab }, .segments = v, .segment_count = 3 }, got;
	struct msg_patch_begin p = { 2, 35, (char[]){ "a/b" }, 99, -5, 999999999 }, back;
	struct buf b = BUF_INIT;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(entry_set_path(&m.entry, "a", 1, &e), 0);
	msg_entry_encode(&b, &m, NULL);
	assert_int_equal(msg_entry_decode(b.data, b.len, &got, NULL, &e), 0);
	assert_int_equal(got.content, MSG_CONTENT_PATCH);
	assert_memory_equal(got.base, m.base, DIGEST_LEN);
	assert_memory_equal(got.segments, v, sizeof(v));
	msg_entry_dispose(&got);
	entry_dispose(&m.entry);
	buf_reset(&b);
	msg_patch_begin_encode(&b, &p);
	assert_int_equal(msg_patch_begin_decode(b.data, b.len, &back, &e), 0);
	assert_string_equal(back.path, "a/b");
	assert_int_equal(back.mtime_s, -5);
	msg_patch_begin_dispose(&back);
	for (size_t cut = 0; cut < b.len; cut++)
		assert_int_equal(msg_patch_begin_decode(b.data, cut, &back, &e), -1);
	buf_dispose(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(blocks_grow_with_the_content), cmocka_unit_test(a_hash_depends_on_every_byte_and_on_the_key),
		cmocka_unit_test(ranges_come_back_and_are_bounded), cmocka_unit_test(blocks_are_as_many_as_the_content_has),
		cmocka_unit_test(a_patch_says_what_it_changes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
