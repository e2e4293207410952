/* rooms: wire */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>

#include "messages_scan.h"

#define TEXT(s) ((char *)(uintptr_t)(s))

/* Every shorter message, and one byte more, is refused. */
#define REFUSES_OTHER_LENGTHS(b, call) do { \
	struct err e_ = ERR_INIT; \
	const void *p_ = (b).data; \
	size_t n_; \
	for (n_ = 0; n_ < (b).len; n_++) \
		assert_int_equal(call, -1); \
	buf_putc(&(b), 0); \
	p_ = (b).data; \
	n_ = (b).len; \
	assert_int_equal(call, -1); \
} while (0)

static void what_is_sent_is_what_is_read(void **state)
{
	OWN_BUF struct buf b = BUF_INIT;
	struct err e = ERR_INIT;
	struct msg_scan_begin in = { .witnesses = 7, .flags = 3, .hits_max = 9, .reads = 300, .key = "k", .seed = "s" }, out;
	struct msg_medium medium = { .path = TEXT("/dev/x"), .serial = TEXT("S"), .fstype = TEXT("ext4"), .note = TEXT(""), .uuid = TEXT("ab"), .where = TEXT("b b:7:0"), .size = 1 << 20,
		.sector = 512, .flags = 5 }, m;

	(void)state;
	msg_scan_begin_encode(&b, &in);
	assert_int_equal(msg_scan_begin_decode(b.data, b.len, &out, &e), 0);
	assert_memory_equal(in.key, out.key, sizeof(in.key));
	assert_memory_equal(in.seed, out.seed, sizeof(in.seed));
	assert_true(out.witnesses == 7 && out.flags == 3 && out.hits_max == 9 && out.reads == 300);
	REFUSES_OTHER_LENGTHS(b, msg_scan_begin_decode(p_, n_, &out, &e_));
	buf_reset(&b);
	msg_medium_encode(&b, &medium);
	assert_int_equal(msg_medium_decode(b.data, b.len, &m, &e), 0);
	assert_string_equal(m.path, "/dev/x");
	assert_string_equal(m.uuid, "ab");
	assert_true(m.size == 1 << 20 && m.sector == 512 && m.flags == 5);
	msg_medium_dispose(&m);
	REFUSES_OTHER_LENGTHS(b, msg_medium_decode(p_, n_, &m, &e_));
}

static void witnesses_follow_one_another(void **state)
{
	OWN_BUF struct buf b = BUF_INIT;
	struct msg_witness sector = { .cls = 0, .hash = 42 }, text = { .cls = 1, .hash = 43, .len = 48, .off = 7, .tag = 99 }, w;
	struct err e = ERR_INIT;
	struct view v;

	(void)state;
	msg_witness_put(&b, &sector);
	msg_witness_put(&b, &text);
	v = view_of(b.data, b.len);
	assert_int_equal(msg_witness_next(&v, &w, &e), 1);
	assert_true(w.cls == 0 && w.hash == 42 && w.len == 0);
	assert_int_equal(msg_witness_next(&v, &w, &e), 1);
	assert_true(w.cls == 1 && w.hash == 43 && w.len == 48 && w.off == 7 && w.tag == 99);
	assert_int_equal(msg_witness_next(&v, &w, &e), 0);
	v = view_of(b.data, b.len - 1);
	assert_int_equal(msg_witness_next(&v, &w, &e), 1);
	assert_int_equal(msg_witness_next(&v, &w, &e), -1);
}

static void extents_are_not_believed_before_they_are_there(void **state)
{
	OWN_BUF struct buf b = BUF_INIT;
	struct msg_extent x[2] = { { 4096, 8192 }, { 1 << 30, 4096 } };
	struct msg_mapped in = { .index = 3, .storage = MSG_STORAGE_SHARED, .v = x, .n = 2 }, out;
	struct err e = ERR_INIT;

	(void)state;
	msg_mapped_encode(&b, &in);
	assert_int_equal(msg_mapped_decode(b.data, b.len, &out, &e), 0);
	assert_true(out.index == 3 && out.storage == MSG_STORAGE_SHARED && out.n == 2 && out.v[1].physical == 1 << 30);
	msg_mapped_dispose(&out);
	REFUSES_OTHER_LENGTHS(b, msg_mapped_decode(p_, n_, &out, &e_));
	buf_reset(&b);
	buf_put_varint(&b, 0);
	buf_put_u8(&b, 0);
	buf_put_varint(&b, MSG_EXTENTS_MAX);	/* announced, and none there */
	assert_int_equal(msg_mapped_decode(b.data, b.len, &out, &e), -1);
}

static void bits_begin_at_a_byte(void **state)
{
	OWN_BUF struct buf b = BUF_INIT;
	const uint8_t bits[3] = { 1, 2, 3 };
	struct msg_found in = { 16, bits, 3 }, out;
	struct err e = ERR_INIT;

	(void)state;
	msg_found_encode(&b, &in);
	assert_int_equal(msg_found_decode(b.data, b.len, &out, &e), 0);
	assert_true(out.first == 16 && out.bytes == 3 && memcmp(out.bits, bits, 3) == 0);
	buf_reset(&b);
	in.first = 17;
	msg_found_encode(&b, &in);
	assert_int_equal(msg_found_decode(b.data, b.len, &out, &e), -1);
}

static void the_last_word_of_a_medium_is_marked(void **state)
{
	OWN_BUF struct buf b = BUF_INIT;
	struct msg_scanned in = { .bytes = 1, .hits = { 2, 3, 4, 5 }, .bad = 6, .own = 7, .ns = 8, .done = true }, out;
	struct err e = ERR_INIT;

	(void)state;
	msg_scanned_encode(&b, &in);
	assert_int_equal(msg_scanned_decode(b.data, b.len, &out, &e), 0);
	assert_memory_equal(&in.hits, &out.hits, sizeof(in.hits));
	assert_true(out.bytes == 1 && out.bad == 6 && out.own == 7 && out.ns == 8 && out.done);
	b.data[b.len - 1] = 2;
	assert_int_equal(msg_scanned_decode(b.data, b.len, &out, &e), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_sent_is_what_is_read),
		cmocka_unit_test(witnesses_follow_one_another),
		cmocka_unit_test(extents_are_not_believed_before_they_are_there),
		cmocka_unit_test(bits_begin_at_a_byte),
		cmocka_unit_test(the_last_word_of_a_medium_is_marked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
