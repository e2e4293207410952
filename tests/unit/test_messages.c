/* rooms: wire */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "messages.h"

static char *text(const char *s) { return strdup(s); }

static struct entry sample_entry(void)
{
	struct entry en = ENTRY_INIT;
	struct err e = ERR_INIT;

	assert_int_equal(entry_set_path(&en, "etc/caf\xe9", 8, &e), 0);
	en.type = ENTRY_FILE;
	en.outcome = ENTRY_COPIED;
	en.mode = 04755;
	en.uid = 1000;
	en.gid = 4294967294u;
	en.mtime_s = -5;
	en.mtime_ns = 999999999;
	en.nlink = 2;
	en.size = 100;
	en.has = ENTRY_HAS_SHA256 | ENTRY_HAS_SCAN | ENTRY_HAS_BTIME;
	memset(en.sha256, 0xab, sizeof(en.sha256));
	en.owner = text("root");
	en.scan = (struct entry_scan){ 7, 8, 9, 10, true };
	assert_int_equal(entry_layout_add(&en, 10, 20, &e), 0);
	return en;
}

/* Decode as one kind of message; a decoder must clean up after itself either way. */
typedef int (*decode_fn)(const void *p, size_t n, struct err *e);

static int as_start(const void *p, size_t n, struct err *e)
{
	struct msg_start m;
	int r = msg_start_decode(p, n, &m, e);

	if (r == 0)
		msg_start_dispose(&m);
	return r;
}

static int as_ready(const void *p, size_t n, struct err *e)
{
	struct msg_ready m;
	int r = msg_ready_decode(p, n, &m, e);

	if (r == 0)
		msg_ready_dispose(&m);
	return r;
}

static int as_done(const void *p, size_t n, struct err *e)
{
	struct msg_done m;

	return msg_done_decode(p, n, &m, e);
}

static int as_entry(const void *p, size_t n, struct err *e)
{
	struct msg_entry m;
	int r = msg_entry_decode(p, n, &m, "etc/cab", e);

	if (r == 0)
		msg_entry_dispose(&m);
	return r;
}

static int as_numbered(const void *p, size_t n, struct err *e)
{
	struct entry en = ENTRY_INIT;
	uint64_t v;
	int r = msg_numbered_decode(p, n, &v, &en, e);

	if (r == 0)
		entry_dispose(&en);
	return r;
}

static int as_final(const void *p, size_t n, struct err *e)
{
	struct entry en = ENTRY_INIT;
	int r = msg_final_decode(p, n, &en, e);

	if (r == 0)
		entry_dispose(&en);
	return r;
}

static int as_known(const void *p, size_t n, struct err *e)
{
	struct view v = view_of(p, n);
	OWN_FREE char *prev = NULL;
	struct entry en = ENTRY_INIT;
	int r;

	while ((r = msg_known_next(&v, &en, prev, e)) > 0) {
		free(prev);
		prev = text(en.path);
		entry_dispose(&en);
	}
	return r;
}

static int as_obj_begin(const void *p, size_t n, struct err *e)
{
	struct msg_obj_begin m;

	return msg_obj_begin_decode(p, n, &m, e);
}

static int as_obj_end(const void *p, size_t n, struct err *e)
{
	struct msg_obj_end m;

	return msg_obj_end_decode(p, n, &m, e);
}

static int as_large_begin(const void *p, size_t n, struct err *e)
{
	struct msg_large_begin m;
	int r = msg_large_begin_decode(p, n, &m, e);

	if (r == 0)
		msg_large_begin_dispose(&m);
	return r;
}

static int as_remove(const void *p, size_t n, struct err *e)
{
	struct msg_remove m;
	int r = msg_remove_decode(p, n, &m, e);

	if (r == 0)
		msg_remove_dispose(&m);
	return r;
}

static int as_problem(const void *p, size_t n, struct err *e)
{
	struct msg_problem m;
	int r = msg_problem_decode(p, n, &m, e);

	if (r == 0)
		msg_problem_dispose(&m);
	return r;
}

static int as_erased(const void *p, size_t n, struct err *e)
{
	struct msg_erased m;
	int r = msg_erased_decode(p, n, &m, e);

	if (r == 0)
		msg_erased_dispose(&m);
	return r;
}

static int as_fact(const void *p, size_t n, struct err *e)
{
	struct msg_fact m;
	int r = msg_fact_decode(p, n, &m, e);

	if (r == 0)
		msg_fact_dispose(&m);
	return r;
}

/* Good decodes; cut anywhere or with a byte more it does not; any flipped bit does no harm. */
static void batter(const struct buf *b, decode_fn decode, const char *what)
{
	struct err e = ERR_INIT;
	OWN_FREE uint8_t *p = malloc(b->len + 1);

	assert_non_null(p);
	assert_false(b->failed);
	if (decode(b->data, b->len, &e) != 0)
		fail_msg("%s: %s", what, e.text);
	for (size_t n = 0; n < b->len; n++) {
		/* A copy of exactly that size, so that the sanitizer sees a read beyond it. */
		OWN_FREE uint8_t *cut = malloc(n ? n : 1);

		assert_non_null(cut);
		memcpy(cut, b->data, n);
		if (decode(cut, n, &e) == 0 && decode != as_known)
			fail_msg("%s cut to %zu of %zu bytes was taken", what, n, b->len);
	}
	memcpy(p, b->data, b->len);
	p[b->len] = 0;
	if (decode(p, b->len + 1, &e) == 0)
		fail_msg("%s with a byte more was taken", what);
	for (size_t bit = 0; bit < b->len * 8; bit++) {
		p[bit / 8] ^= (uint8_t)(1 << (bit % 8));
		err_clear(&e);
		if (decode(p, b->len, &e) != 0 && e.class != ERR_INTEGRITY)
			fail_msg("%s, bit %zu: class %d (%s)", what, bit, (int)e.class, e.text);
		p[bit / 8] ^= (uint8_t)(1 << (bit % 8));
	}
}

static void start_round_trip(void **state)
{
	char a[] = "*.o", c[] = "/x/**";
	char *inc[] = { a, NULL }, *exc[] = { a, c, NULL };
	char id[] = "00ff:2", scope[] = "scope\ntext";
	struct msg_owner owners[] = { { false, 33, 1033 }, { true, 0, 4294967294 } };
	struct msg_start m = { .epoch = 7, .flags = MSG_F_SM3 | MSG_F_FROZEN, .level = INT32_MIN, .identity = id, .include = inc,
		.exclude = exc, .scope = scope, .size_min = 1, .size_limit = 1ull << 40, .age_min_s = 3600, .age_limit_s = -1,
		.owners = owners, .owner_count = 2 }, d;
	OWN_BUF struct buf b = BUF_INIT;
	struct err e = ERR_INIT;

	(void)state;
	msg_start_encode(&b, &m);
	assert_int_equal(msg_start_decode(b.data, b.len, &d, &e), 0);
	assert_int_equal(d.epoch, 7);
	assert_int_equal(d.flags, MSG_F_SM3 | MSG_F_FROZEN);
	assert_int_equal(d.level, INT32_MIN);
	assert_string_equal(d.identity, id);
	assert_string_equal(d.include[0], a);
	assert_null(d.include[1]);
	assert_string_equal(d.exclude[1], c);
	assert_null(d.exclude[2]);
	assert_non_null(d.list_only);
	assert_null(d.list_only[0]);
	assert_string_equal(d.scope, scope);
	assert_int_equal(d.size_min, 1);
	assert_int_equal(d.size_limit, 1ull << 40);
	assert_int_equal(d.age_min_s, 3600);
	assert_int_equal(d.age_limit_s, -1);
	assert_int_equal(d.owner_count, 2);
	assert_false(d.owners[0].group);
	assert_int_equal(d.owners[0].to, 1033);
	assert_true(d.owners[1].group);
	assert_int_equal(d.owners[1].to, 4294967294);
	msg_start_dispose(&d);
	batter(&b, as_start, "START");
	owners[0].to = UINT32_MAX;	/* would mean "leave it" to chown */
	buf_reset(&b);
	msg_start_encode(&b, &m);
	assert_int_equal(msg_start_decode(b.data, b.len, &d, &e), -1);
	assert_int_equal(e.class, ERR_INTEGRITY);
}

static void ready_round_trip(void **state)
{
	char id[] = "00000000000000ff:2", fs[] = "ext4";
	struct msg_ready m = { id, fs, 1000, -1, 1ull << 40, 77, 4096 }, d;
	OWN_BUF struct buf b = BUF_INIT;
	struct err e = ERR_INIT;

	(void)state;
	msg_ready_encode(&b, &m);
	assert_int_equal(msg_ready_decode(b.data, b.len, &d, &e), 0);
	assert_string_equal(d.identity, id);
	assert_string_equal(d.fstype, fs);
	assert_int_equal(d.euid, 1000);
	assert_int_equal(d.now_s, -1);
	assert_int_equal(d.free_bytes, 1ull << 40);
	assert_int_equal(d.free_inodes, 77);
	assert_int_equal(d.block, 4096);
	msg_ready_dispose(&d);
	batter(&b, as_ready, "READY");
}

static void a_balance_that_does_not_close_is_refused(void **state)
{
	struct msg_done m = { 15, 1, 2, 3, 4, 5, 1000 }, d;
	OWN_BUF struct buf b = BUF_INIT;
	struct err e = ERR_INIT;

	(void)state;
	msg_done_encode(&b, &m);
	assert_int_equal(msg_done_decode(b.data, b.len, &d, &e), 0);
	assert_memory_equal(&m, &d, sizeof(m));
	batter(&b, as_done, "DONE");
	m.failed = 4;
	buf_reset(&b);
	msg_done_encode(&b, &m);
	assert_int_equal(msg_done_decode(b.data, b.len, &d, &e), -1);
	assert_int_equal(e.class, ERR_INTEGRITY);
}

static void entry_round_trip(void **state)
{
	struct msg_segment seg[] = { { 3, 0, 60 }, { 0, 0, 30 }, { 4, 5, 10 } };
	struct msg_entry m = { .entry = sample_entry(), .content = MSG_CONTENT_LARGE, .large_id = 9,
		.segments = seg, .segment_count = 3 }, d;
	OWN_BUF struct buf b = BUF_INIT;
	struct err e = ERR_INIT;

	(void)state;
	msg_entry_encode(&b, &m, "etc/cab");
	assert_int_equal(msg_entry_decode(b.data, b.len, &d, "etc/cab", &e), 0);
	assert_string_equal(d.entry.path, "etc/caf\xe9");
	assert_int_equal(entry_compare(&m.entry, &d.entry, 0, NULL, NULL), 0);
	assert_true(d.entry.scan.racy);
	assert_int_equal(d.large_id, 9);
	assert_int_equal(d.segment_count, 3);
	assert_memory_equal(d.segments, seg, sizeof(seg));
	msg_entry_dispose(&d);
	batter(&b, as_entry, "ENTRY");
	/* Segments that do not add up to the size are no content. */
	seg[2].length = 11;
	buf_reset(&b);
	msg_entry_encode(&b, &m, NULL);
	assert_int_equal(msg_entry_decode(b.data, b.len, &d, NULL, &e), -1);
	assert_int_equal(e.class, ERR_INTEGRITY);
	m.content = MSG_CONTENT_PACK;
	m.ordinal = 5;
	buf_reset(&b);
	msg_entry_encode(&b, &m, NULL);
	assert_int_equal(msg_entry_decode(b.data, b.len, &d, NULL, &e), 0);
	assert_int_equal(d.ordinal, 5);
	msg_entry_dispose(&d);
	buf_reset(&b);
	msg_numbered_encode(&b, 77, &m.entry);
	batter(&b, as_numbered, "INVENTORY");
	buf_reset(&b);
	msg_final_encode(&b, &m.entry);
	batter(&b, as_final, "FINAL");
	entry_dispose(&m.entry);
}

static void a_huge_segment_count_takes_no_memory(void **state)
{
	struct msg_entry m = { .entry = sample_entry(), .content = MSG_CONTENT_NONE }, d;
	OWN_BUF struct buf b = BUF_INIT;
	struct err e = ERR_INIT;

	(void)state;
	msg_entry_encode(&b, &m, NULL);
	b.len--;	/* the content byte */
	buf_put_u8(&b, MSG_CONTENT_LARGE);
	buf_put_varint(&b, 1);
	buf_put_varint(&b, MSG_SEGMENTS_MAX);
	assert_int_equal(msg_entry_decode(b.data, b.len, &d, NULL, &e), -1);
	assert_int_equal(e.class, ERR_INTEGRITY);
	entry_dispose(&m.entry);
}

static void known_round_trip(void **state)
{
	struct entry one = sample_entry(), two = sample_entry();
	OWN_BUF struct buf b = BUF_INIT;
	struct err e = ERR_INIT;
	struct entry got = ENTRY_INIT;
	struct view v;

	(void)state;
	assert_int_equal(entry_set_path(&two, "etc/cafe/x", 10, &e), 0);
	msg_known_add(&b, &one, NULL);
	msg_known_add(&b, &two, one.path);
	v = view_of(b.data, b.len);
	assert_int_equal(msg_known_next(&v, &got, NULL, &e), 1);
	assert_string_equal(got.path, one.path);
	entry_dispose(&got);
	assert_int_equal(msg_known_next(&v, &got, one.path, &e), 1);
	assert_string_equal(got.path, "etc/cafe/x");
	assert_int_equal(got.scan.ino, 8);
	entry_dispose(&got);
	assert_int_equal(msg_known_next(&v, &got, two.path, &e), 0);
	batter(&b, as_known, "KNOWN");
	entry_dispose(&one);
	entry_dispose(&two);
}

static void small_messages_round_trip(void **state)
{
	OWN_BUF struct buf b = BUF_INIT;
	struct err e = ERR_INIT;
	struct msg_obj_begin slice = { 3, MSG_KIND_SLICE, 4, 1ull << 33 }, d;
	struct msg_obj_end end = { 3, 16777216, 5000 };
	const uint8_t *data;
	uint64_t ordinal;
	size_t n;

	(void)state;
	msg_obj_begin_encode(&b, &slice);
	assert_int_equal(msg_obj_begin_decode(b.data, b.len, &d, &e), 0);
	assert_int_equal(d.ordinal, 3);
	assert_int_equal(d.kind, MSG_KIND_SLICE);
	assert_int_equal(d.large_id, 4);
	assert_int_equal(d.offset, 1ull << 33);
	batter(&b, as_obj_begin, "OBJ_BEGIN");
	buf_reset(&b);
	msg_obj_end_encode(&b, &end);
	batter(&b, as_obj_end, "OBJ_END");
	buf_reset(&b);
	msg_obj_data_encode(&b, 300, "abc", 3);
	assert_int_equal(msg_obj_data_decode(b.data, b.len, &ordinal, &data, &n, &e), 0);
	assert_int_equal(ordinal, 300);
	assert_int_equal(n, 3);
	assert_memory_equal(data, "abc", 3);
	assert_int_equal(msg_obj_data_decode(b.data, 2, &ordinal, &data, &n, &e), -1);
	buf_reset(&b);
	msg_large_begin_encode(&b, 1, 5, "a/b");
	batter(&b, as_large_begin, "LARGE_BEGIN");
	buf_reset(&b);
	msg_remove_encode(&b, "a/b", ENTRY_DIR);
	batter(&b, as_remove, "REMOVE");
	buf_reset(&b);
	msg_fact_encode(&b, "os", "Debian");
	batter(&b, as_fact, "FACT");
	buf_reset(&b);
	msg_remove_encode(&b, ".", ENTRY_DIR);
	assert_int_equal(as_remove(b.data, b.len, &e), -1);
}

static void unsafe_paths_are_refused(void **state)
{
	static const char *const bad[] = { "", "/etc", "../x", "a/../b", "a//b", "a/", "./a" };
	OWN_BUF struct buf b = BUF_INIT;
	struct err e = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		buf_reset(&b);
		msg_remove_encode(&b, bad[i], ENTRY_FILE);
		if (as_remove(b.data, b.len, &e) == 0)
			fail_msg("\"%s\" was taken", bad[i]);
		buf_reset(&b);
		msg_problem_encode(&b, ERR_PERMANENT, bad[i], "x");
		assert_int_equal(as_problem(b.data, b.len, &e), -1);
	}
}

static void remote_text_is_clean(void **state)
{
	OWN_BUF struct buf b = BUF_INIT;
	struct err e = ERR_INIT;
	struct msg_problem p;
	char reason[] = "\033[2J";
	struct msg_erased er = { 1, MSG_ERASE_FAILED, MSG_EH_UNLINKED, 4096, reason }, d;

	(void)state;
	msg_problem_encode(&b, ERR_DOWN, "a", "open \\303 \033[0m");
	assert_int_equal(msg_problem_decode(b.data, b.len, &p, &e), 0);
	assert_string_equal(p.text, "open \\303 \\033[0m");
	assert_int_equal(p.class, ERR_PERMANENT);	/* whether production is down is not the agent's to say */
	msg_problem_dispose(&p);
	batter(&b, as_problem, "PROBLEM");
	buf_reset(&b);
	msg_erased_encode(&b, &er);
	assert_int_equal(msg_erased_decode(b.data, b.len, &d, &e), 0);
	assert_string_equal(d.text, "\\033[2J");
	assert_int_equal(d.how, MSG_EH_UNLINKED);
	msg_erased_dispose(&d);
	batter(&b, as_erased, "ERASED");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(start_round_trip),
		cmocka_unit_test(ready_round_trip),
		cmocka_unit_test(a_balance_that_does_not_close_is_refused),
		cmocka_unit_test(entry_round_trip),
		cmocka_unit_test(a_huge_segment_count_takes_no_memory),
		cmocka_unit_test(known_round_trip),
		cmocka_unit_test(small_messages_round_trip),
		cmocka_unit_test(unsafe_paths_are_refused),
		cmocka_unit_test(remote_text_is_clean),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
