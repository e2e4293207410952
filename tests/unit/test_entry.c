/* rooms: manifest */
#include "attrs.h"
#include "manifest.h"
#include "path.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* An entry with everything that its type can have. */
static void make_full(struct entry *en, const char *path, enum entry_type type)
{
	struct err e = ERR_INIT;

	assert_int_equal(entry_set_path(en, path, strlen(path), &e), 0);
	en->type = type;
	en->outcome = ENTRY_UNSETTLED;
	en->mode = 07755;
	en->uid = 4294967295u;
	en->gid = 70000;
	en->has = ENTRY_HAS_XATTR | ENTRY_HAS_ACL | ENTRY_HAS_BTIME | ENTRY_HAS_FLAGS | ENTRY_HAS_SCAN;
	memset(en->xattr, 0xab, DIGEST_LEN);
	memset(en->acl, 0x0c, DIGEST_LEN);
	en->mtime_s = -3;
	en->mtime_ns = 999999999;
	en->nlink = 3;
	en->btime_s = 1700000000;
	en->flags = 0x10 | 0x80;
	en->owner = strdup("www-data");
	en->group = strdup("st\xc3\xa4""dte");
	en->note = strdup("size changed\nwhile it was read");
	en->scan = (struct entry_scan){ 66306, UINT64_MAX, -1, 5, true };
	if (type == ENTRY_SYMLINK)
		en->target = strdup("../a b\xff");
	if (type == ENTRY_CHAR || type == ENTRY_BLOCK) {
		en->rdev_major = 259;
		en->rdev_minor = 70000;
	}
	if (type != ENTRY_FILE)
		return;
	en->has |= ENTRY_HAS_SHA256 | ENTRY_HAS_SM3;
	memset(en->sha256, 1, DIGEST_LEN);
	memset(en->sm3, 2, DIGEST_LEN);
	en->size = 2 << 20;
	en->link_to = strdup("a");
	for (uint64_t i = 0; i < 130; i++)
		assert_int_equal(entry_layout_add(en, i * 8192, 4096, &e), 0);
}

static void assert_same(const struct entry *a, const struct entry *b)
{
	OWN_BUF struct buf x = BUF_INIT;
	OWN_BUF struct buf y = BUF_INIT;

	entry_encode(&x, a, NULL);
	entry_encode(&y, b, NULL);
	assert_int_equal(x.len, y.len);
	assert_memory_equal(x.data, y.data, x.len);
	assert_int_equal(entry_compare(a, b, 0, NULL, NULL), 0);
}

static void every_type_survives_the_binary_form(void **state)
{
	(void)state;
	for (enum entry_type t = ENTRY_FILE; t <= ENTRY_SOCKET; t++) {
		OWN_ENTRY struct entry en = ENTRY_INIT;
		OWN_ENTRY struct entry back = ENTRY_INIT;
		OWN_BUF struct buf b = BUF_INIT;
		struct err e = ERR_INIT;
		struct view v;

		make_full(&en, "dir/sub/name\n\xff", t);
		entry_encode(&b, &en, "dir/sub/nabc");
		v = view_of(b.data, b.len);
		assert_int_equal(entry_decode(&v, &back, "dir/sub/nabc", &e), 0);
		assert_true(view_done(&v));
		assert_same(&en, &back);
		assert_string_equal(back.path, en.path);
		assert_string_equal(back.note, en.note);
		assert_true(back.scan.racy);
		assert_true(back.scan.ino == UINT64_MAX);
		assert_true(back.btime_s == 1700000000);
	}
}

static void a_copy_is_deep_and_equal(void **state)
{
	OWN_ENTRY struct entry en = ENTRY_INIT;
	OWN(entry_freep) struct entry *copy = NULL;

	(void)state;
	make_full(&en, "x", ENTRY_FILE);
	copy = entry_dup(&en);
	assert_non_null(copy);
	assert_same(&en, copy);
	assert_ptr_not_equal(en.layout, copy->layout);
	assert_ptr_not_equal(en.path, copy->path);
}

/* What a decoder takes it must be able to write again. */
static void try_decode(const uint8_t *p, size_t n)
{
	OWN_ENTRY struct entry en = ENTRY_INIT;
	OWN_BUF struct buf b = BUF_INIT;
	struct err e = ERR_INIT;
	/* An allocation of the exact size lets ASan see a read beyond it. */
	OWN_FREE uint8_t *exact = malloc(n ? n : 1);
	struct view v;

	assert_non_null(exact);
	memcpy(exact, p, n);
	v = view_of(exact, n);
	if (entry_decode(&v, &en, "dir/sub/nabc", &e) < 0) {
		assert_true(e.class == ERR_INTEGRITY);
		assert_null(en.path);
		return;
	}
	assert_int_equal(entry_check(&en, &e), 0);
	entry_encode(&b, &en, NULL);
	manifest_format(&b, &en);
	assert_false(b.failed);
}

static void damaged_bytes_are_an_error_or_a_valid_entry(void **state)
{
	(void)state;
	for (enum entry_type t = ENTRY_FILE; t <= ENTRY_BLOCK; t++) {
		OWN_ENTRY struct entry en = ENTRY_INIT;
		OWN_BUF struct buf b = BUF_INIT;

		make_full(&en, "dir/sub/name", t);
		entry_encode(&b, &en, "dir/sub/nabc");
		for (size_t i = 0; i < b.len * 8; i++) {
			b.data[i / 8] = (char)(b.data[i / 8] ^ 1 << i % 8);
			try_decode((const uint8_t *)b.data, b.len);
			b.data[i / 8] = (char)(b.data[i / 8] ^ 1 << i % 8);
		}
	}
}

static void a_cut_entry_is_never_taken(void **state)
{
	OWN_ENTRY struct entry en = ENTRY_INIT;
	OWN_BUF struct buf b = BUF_INIT;

	(void)state;
	make_full(&en, "dir/sub/name", ENTRY_FILE);
	entry_encode(&b, &en, NULL);
	for (size_t n = 0; n < b.len; n++) {
		OWN_ENTRY struct entry back = ENTRY_INIT;
		struct err e = ERR_INIT;
		struct view v = view_of(b.data, n);

		assert_int_equal(entry_decode(&v, &back, NULL, &e), -1);
		assert_true(e.class == ERR_INTEGRITY);
	}
}

static void lies_about_lengths_and_strings_are_refused(void **state)
{
	OWN_ENTRY struct entry en = ENTRY_INIT;
	OWN_ENTRY struct entry back = ENTRY_INIT;
	OWN_BUF struct buf b = BUF_INIT;
	struct err e = ERR_INIT;
	struct view v;
	char *at;

	(void)state;
	make_full(&en, "x", ENTRY_FIFO);
	entry_encode(&b, &en, NULL);
	b.data[0] = 4;			/* shares more than there was */
	v = view_of(b.data, b.len);
	assert_int_equal(entry_decode(&v, &back, "abc", &e), -1);
	b.data[0] = 3;
	v = view_of(b.data, b.len);
	assert_int_equal(entry_decode(&v, &back, "abc", &e), 0);
	assert_string_equal(back.path, "abcx");
	assert_non_null(at = memmem(b.data, b.len, "www-data", 8));
	at[3] = '\0';
	v = view_of(b.data, b.len);
	assert_int_equal(entry_decode(&v, &back, "abc", &e), -1);
	assert_true(e.class == ERR_INTEGRITY);
}

static void refused(struct entry *en, const char *what)
{
	struct err e = ERR_INIT;

	assert_int_equal(entry_check(en, &e), -1);
	assert_true(e.class == ERR_INTEGRITY);
	assert_non_null(strstr(e.text, what));
	entry_dispose(en);
}

static void fields_that_contradict_the_type_are_refused(void **state)
{
	OWN_ENTRY struct entry en = ENTRY_INIT;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(entry_set_path(&en, "../x", 4, &e), -1);
	assert_int_equal(entry_set_path(&en, "/x", 2, &e), -1);
	make_full(&en, "x", ENTRY_DIR);
	en.size = 1;
	refused(&en, "size");
	make_full(&en, "x", ENTRY_FILE);
	en.target = strdup("y");
	refused(&en, "target");
	make_full(&en, "x", ENTRY_SYMLINK);
	free(take_ptr(&en.target));
	refused(&en, "target");
	make_full(&en, "a", ENTRY_FILE);
	refused(&en, "first name");
	make_full(&en, "x", ENTRY_FILE);
	en.layout[1].offset = 4096;
	refused(&en, "data ranges");
	make_full(&en, "x", ENTRY_FILE);
	en.size = 100;
	refused(&en, "data ranges");
	make_full(&en, "x", ENTRY_FIFO);
	en.mtime_ns = 1000000000;
	refused(&en, "nanoseconds");
	make_full(&en, "x", ENTRY_FIFO);
	en.mode = 010000;
	refused(&en, "mode");
}

static void a_layout_merges_and_stays_bounded(void **state)
{
	OWN_ENTRY struct entry en = ENTRY_INIT;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(entry_layout_add(&en, 0, 10, &e), 0);
	assert_int_equal(entry_layout_add(&en, 10, 10, &e), 0);
	assert_int_equal(en.layout_count, 1);
	assert_int_equal(entry_layout_add(&en, 5, 10, &e), -1);
	for (uint64_t i = 1; i < ENTRY_LAYOUT_MAX + 100; i++)
		assert_int_equal(entry_layout_add(&en, i * 100, 10, &e), 0);
	assert_int_equal(en.layout_count, ENTRY_LAYOUT_MAX);
	assert_true(en.layout[ENTRY_LAYOUT_MAX - 1].offset == (ENTRY_LAYOUT_MAX - 1) * 100u);
	assert_true(en.layout[ENTRY_LAYOUT_MAX - 1].length == 100 * 100 + 10);
}

struct seen { char what[8][16]; size_t n; };

static void note_diff(void *ctx, const char *what, const char *expected, const char *found)
{
	struct seen *s = ctx;

	assert_string_not_equal(expected, found);
	assert_true(s->n < 8);
	(void)snprintf(s->what[s->n++], sizeof(s->what[0]), "%s", what);
}

/* Change one thing and expect exactly that difference. */
#define EXPECT_DIFF(type_, expected, change) do { \
	OWN_ENTRY struct entry a_ = ENTRY_INIT; \
	OWN(entry_freep) struct entry *b = NULL; \
	struct seen s_ = { .n = 0 }; \
	make_full(&a_, "x", type_); \
	b = entry_dup(&a_); \
	assert_non_null(b); \
	change; \
	assert_int_equal(entry_compare(&a_, b, 0, note_diff, &s_), 1); \
	assert_string_equal(s_.what[0], expected); \
} while (0)

static void each_property_is_compared(void **state)
{
	(void)state;
	EXPECT_DIFF(ENTRY_FILE, "type", b->type = ENTRY_DIR);
	EXPECT_DIFF(ENTRY_FILE, "mode", b->mode = 0);
	EXPECT_DIFF(ENTRY_FILE, "uid", b->uid--);
	EXPECT_DIFF(ENTRY_FILE, "gid", b->gid++);
	EXPECT_DIFF(ENTRY_DIR, "mtime", b->mtime_ns--);
	EXPECT_DIFF(ENTRY_FILE, "mtime", b->mtime_s--);
	EXPECT_DIFF(ENTRY_FILE, "size", b->size++);
	EXPECT_DIFF(ENTRY_FILE, "sha256", b->sha256[31] ^= 1);
	EXPECT_DIFF(ENTRY_FILE, "sm3", b->sm3[0] ^= 1);
	EXPECT_DIFF(ENTRY_FILE, "layout", b->layout[3].length--);
	EXPECT_DIFF(ENTRY_FILE, "layout", (b->has &= ~(uint32_t)ENTRY_HAS_LAYOUT, b->layout_count = 0));
	EXPECT_DIFF(ENTRY_SYMLINK, "target", b->target[0] = '_');
	EXPECT_DIFF(ENTRY_BLOCK, "device", b->rdev_minor++);
	EXPECT_DIFF(ENTRY_FIFO, "nlink", b->nlink++);
	EXPECT_DIFF(ENTRY_FILE, "link", free(take_ptr(&b->link_to)));
	EXPECT_DIFF(ENTRY_DIR, "xattr", b->has &= ~(uint32_t)ENTRY_HAS_XATTR);
	EXPECT_DIFF(ENTRY_DIR, "acl", b->acl[0] ^= 1);
	EXPECT_DIFF(ENTRY_DIR, "flags", b->flags = 0);
	EXPECT_DIFF(ENTRY_FILE, "outcome", b->outcome = ENTRY_SKIPPED);
}

static void what_the_mask_names_is_left_out(void **state)
{
	OWN_ENTRY struct entry a = ENTRY_INIT;
	OWN(entry_freep) struct entry *b = NULL;

	(void)state;
	make_full(&a, "x", ENTRY_FILE);
	b = entry_dup(&a);
	assert_non_null(b);
	b->mtime_s++;
	b->nlink++;
	b->flags = 0;
	b->layout_count--;
	assert_int_equal(entry_compare(&a, b, 0, NULL, NULL), 4);
	assert_int_equal(entry_compare(&a, b, ENTRY_CMP_NO_TIMES, NULL, NULL), 3);
	assert_int_equal(entry_compare(&a, b, ENTRY_CMP_NO_TIMES | ENTRY_CMP_NO_NLINK, NULL, NULL), 2);
	assert_int_equal(entry_compare(&a, b, ENTRY_CMP_NO_TIMES | ENTRY_CMP_NO_NLINK | ENTRY_CMP_NO_FLAGS, NULL, NULL), 1);
	assert_int_equal(entry_compare(&a, b, 15, NULL, NULL), 0);
	b->has &= ~(uint32_t)ENTRY_HAS_SHA256;
	assert_int_equal(entry_compare(&a, b, 15, NULL, NULL), 0);
}

static void a_racy_or_changed_entry_is_opened_again(void **state)
{
	OWN_ENTRY struct entry a = ENTRY_INIT;
	OWN(entry_freep) struct entry *b = NULL;

	(void)state;
	make_full(&a, "x", ENTRY_FILE);
	b = entry_dup(&a);
	assert_non_null(b);
	assert_false(entry_scan_equal(&a, b));
	a.scan.racy = false;
	assert_true(entry_scan_equal(&a, b));
	b->scan.ctime_ns++;
	assert_false(entry_scan_equal(&a, b));
	b->scan.ctime_ns--;
	b->scan.ino--;
	assert_false(entry_scan_equal(&a, b));
	b->scan.ino++;
	b->size++;
	assert_false(entry_scan_equal(&a, b));
	b->size--;
	b->has &= ~(uint32_t)ENTRY_HAS_SCAN;
	assert_false(entry_scan_equal(&a, b));
}

static const char *const names[] = { ".", "a", "a/b", "a/b/c", "a b", "a!b", "a.b", "a0", "ab", "a\x01", "a\xff", "b",
	"a/\xff", "a/ ", "a/b ", "a/b!", "a/b0", "\x01", "\xff", "A", "a/b/c/d", "a-b/c", "a-b" };
#define NAMES (sizeof(names) / sizeof(names[0]))

static int sign(int v) { return (v > 0) - (v < 0); }

static int key_cmp(const char *a, const char *b)
{
	OWN_BUF struct buf x = BUF_INIT;
	OWN_BUF struct buf y = BUF_INIT;
	size_t n;
	int c;

	path_sort_key(&x, a, strlen(a));
	path_sort_key(&y, b, strlen(b));
	n = x.len < y.len ? x.len : y.len;
	c = n ? memcmp(x.data, y.data, n) : 0;
	return c ? c : (x.len > y.len) - (x.len < y.len);
}

static void the_order_is_that_of_sort_keys_and_of_a_sorted_walk(void **state)
{
	(void)state;
	for (size_t i = 0; i < NAMES; i++)
		for (size_t k = 0; k < NAMES; k++) {
			int c = sign(path_cmp(names[i], strlen(names[i]), names[k], strlen(names[k])));

			assert_int_equal(c, sign(key_cmp(names[i], names[k])));
			assert_int_equal(c, -sign(path_cmp(names[k], strlen(names[k]), names[i], strlen(names[i]))));
			assert_int_equal(c == 0, i == k);
			/* A directory goes before all beneath it, and no sibling stands between them. */
			if (i != k && path_is_beneath(names[k], names[i]))
				assert_true(c < 0);
			for (size_t m = 0; c < 0 && m < NAMES; m++)
				if (path_is_beneath(names[k], names[i]) &&
				    path_cmp(names[i], strlen(names[i]), names[m], strlen(names[m])) < 0 &&
				    path_cmp(names[m], strlen(names[m]), names[k], strlen(names[k])) < 0)
					assert_true(path_is_beneath(names[m], names[i]));
		}
}

static void attributes_have_one_text(void **state)
{
	OWN_ATTRS struct attr_set s = ATTR_SET_INIT;
	OWN_ATTRS struct attr_set back = ATTR_SET_INIT;
	OWN_BUF struct buf b = BUF_INIT;
	OWN_BUF struct buf again = BUF_INIT;
	OWN_BUF struct buf acl = BUF_INIT;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(attr_set_add(&s, "user.z", "\0\xff", 2, &e), 0);
	assert_int_equal(attr_set_add(&s, "user.a b=\n", "", 0, &e), 0);
	assert_int_equal(attr_set_add(&s, "system.posix_acl_access", "abc", 3, &e), 0);
	assert_int_equal(attr_set_add(&s, "security.capability", "abcd", 4, &e), 0);
	assert_int_equal(attr_set_add(&s, "user.z", "x", 1, &e), -1);
	assert_true(e.class == ERR_INTEGRITY);
	attr_set_encode(&s, false, &b);
	assert_string_equal(b.data, "security.capability=YWJjZA==\nuser.a\\040b\\075\\012=\nuser.z=AP8=\n");
	attr_set_encode(&s, true, &acl);
	assert_string_equal(acl.data, "system.posix_acl_access=YWJj\n");
	assert_int_equal(attr_set_decode(&back, b.data, b.len, &e), 0);
	attr_set_encode(&back, false, &again);
	assert_string_equal(again.data, b.data);
	assert_int_equal(back.v[2].len, 2);
	assert_memory_equal(back.v[2].value, "\0\xff", 2);
}

static void an_attribute_blob_in_any_other_form_is_refused(void **state)
{
	static const char *const wrong[] = { "a", "a=", "a=\nb", "b=\na=\n", "a=\na=\n", "=\n", "a=YQ\n", "a=YR==\n", "a=Y Q=\n",
		"\\141=\n", "a b=\n", "a=YQ==x\n", "\n", "a=YQ==\n\n", "system.posix_acl_access=\nuser.a=\n", "a\\000b=\n" };

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		OWN_ATTRS struct attr_set s = ATTR_SET_INIT;
		struct err e = ERR_INIT;

		if (attr_set_decode(&s, wrong[i], strlen(wrong[i]), &e) != -1)
			fail_msg("taken: %s", wrong[i]);
		assert_true(e.class == ERR_INTEGRITY);
	}
}

static void layouts_compare_by_whole_blocks_of_the_place(void **state)
{
	OWN_ENTRY struct entry a = ENTRY_INIT, b = ENTRY_INIT;
	struct err e = ERR_INIT;

	(void)state;
	a.type = b.type = ENTRY_FILE;
	a.size = b.size = 100000;
	/* 1 KiB of data in the middle of nothing: a block of 4 KiB at the other place. */
	assert_int_equal(entry_layout_add(&a, 41984, 1024, &e), 0);
	assert_int_equal(entry_layout_add(&b, 40960, 4096, &e), 0);
	assert_true(entry_layout_alike(&a, &b, 4096));
	assert_false(entry_layout_alike(&a, &b, 1024));
	assert_false(entry_layout_alike(&a, &b, 0));
	/* A whole block more is a difference. */
	assert_int_equal(entry_layout_add(&b, 49152, 4096, &e), 0);
	assert_false(entry_layout_alike(&a, &b, 4096));
	assert_true(entry_layout_alike(&a, &b, 65536));
	/* No layout is the same as none that can be had, and not the same as a hole. */
	OWN_ENTRY struct entry full = ENTRY_INIT, tiny = ENTRY_INIT;

	full.type = tiny.type = ENTRY_FILE;
	full.size = tiny.size = 100000;
	assert_int_equal(entry_layout_add(&tiny, 0, 50000, &e), 0);
	assert_int_equal(entry_layout_add(&tiny, 51000, 49000, &e), 0);
	assert_true(entry_layout_alike(&full, &tiny, 4096));
	assert_false(entry_layout_alike(&full, &tiny, 512));
	assert_false(entry_layout_alike(&full, &a, 4096));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_type_survives_the_binary_form),
		cmocka_unit_test(a_copy_is_deep_and_equal),
		cmocka_unit_test(damaged_bytes_are_an_error_or_a_valid_entry),
		cmocka_unit_test(a_cut_entry_is_never_taken),
		cmocka_unit_test(lies_about_lengths_and_strings_are_refused),
		cmocka_unit_test(fields_that_contradict_the_type_are_refused),
		cmocka_unit_test(a_layout_merges_and_stays_bounded),
		cmocka_unit_test(layouts_compare_by_whole_blocks_of_the_place),
		cmocka_unit_test(each_property_is_compared),
		cmocka_unit_test(what_the_mask_names_is_left_out),
		cmocka_unit_test(a_racy_or_changed_entry_is_opened_again),
		cmocka_unit_test(the_order_is_that_of_sort_keys_and_of_a_sorted_walk),
		cmocka_unit_test(attributes_have_one_text),
		cmocka_unit_test(an_attribute_blob_in_any_other_form_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
