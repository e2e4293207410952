/* rooms: pack */
/* What is refused: damaged and hostile packs, callers that do wrong, sinks that are full. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "pack_tree.h"

static void small_pack(struct buf *z)
{
	static const uint8_t acl[] = { 2,0,0,0, 1,0,6,0,255,255,255,255, 2,0,6,0,233,3,0,0,
		4,0,4,0,255,255,255,255, 16,0,6,0,255,255,255,255, 32,0,0,0,255,255,255,255 };
	struct err e = ERR_INIT;
	struct item *it;
	OWN_FREE char *zeros = calloc(1, 20000);

	add(".", ENTRY_DIR, 0755);
	it = add_file("a", "content", 7);
	it->en.mode = 0660;
	attr(it, "user.x", "y", 1);
	attr(it, "system.posix_acl_access", acl, sizeof(acl));
	add_link("b", ENTRY_FILE, "a");
	layout(add_file("s\xff", zeros, 20000), (struct entry_range[]){ { 4096, 10 } }, 1);
	it = add("z", ENTRY_SYMLINK, 0777);
	it->en.target = strdup("t");
	assert_int_equal(write_pack(z, PACK_LEVEL_RAW, &e), 0);
}

/* Raw tar bytes of a pack, and back into frames with a right checksum: what a hostile peer can make. */
static void unframe(const struct buf *z, struct buf *tar)
{
	struct mem_source s = { z->data, z->len, 0 };
	OWN(frame_reader_freep) struct frame_reader *r = NULL;
	struct err e = ERR_INIT;
	char b[4096];
	ssize_t n;

	assert_int_equal(frame_reader_new(&r, mem_source, &s, &e), 0);
	while ((n = frame_reader_get(r, b, sizeof(b), &e)) > 0)
		buf_put(tar, b, (size_t)n);
	assert_int_equal(n, 0);
}

static void reframe(struct buf *z, const void *p, size_t n)
{
	OWN(frame_writer_freep) struct frame_writer *w = NULL;
	struct err e = ERR_INIT;

	buf_reset(z);
	assert_int_equal(frame_writer_new(&w, PACK_LEVEL_RAW, mem_sink, z, &e), 0);
	assert_int_equal(frame_writer_put(w, p, n, &e), 0);
	assert_int_equal(frame_writer_finish(w, NULL, NULL, &e), 0);
}

static void an_archive_cut_anywhere_is_noticed(void **state)
{
	(void)state;
	OWN_BUF struct buf z = BUF_INIT, tar = BUF_INIT, cut = BUF_INIT;
	struct err e = ERR_INIT;

	small_pack(&z);
	assert_int_equal(drain(z.data, z.len, &e), 0);
	for (size_t n = 0; n < z.len; n += 37) {
		assert_int_equal(drain(z.data, n, &e), -1);
		assert_int_equal(e.class, ERR_INTEGRITY);
	}
	unframe(&z, &tar);
	for (size_t n = 0; n < tar.len; n += n % 512 ? 101 : 1) {	/* also between two entries, and in the end mark */
		if (n % 512 > 400)
			n += 512 - n % 512;
		if (n >= tar.len)
			break;
		reframe(&cut, tar.data, n);
		if (drain(cut.data, cut.len, &e) == 0)
			fail_msg("cut at %zu of %zu was not noticed", n, tar.len);
		assert_int_equal(e.class, ERR_INTEGRITY);
	}
	buf_put(&tar, "\0", 1);
	reframe(&cut, tar.data, tar.len);
	assert_int_equal(drain(cut.data, cut.len, &e), -1);
	assert_int_equal(e.class, ERR_INTEGRITY);
}

static void flipped_bits_give_an_error_or_a_clean_end(void **state)
{
	(void)state;
	OWN_BUF struct buf z = BUF_INIT, tar = BUF_INIT, bent = BUF_INIT;
	struct err e = ERR_INIT;

	small_pack(&z);
	for (size_t bit = 0; bit < z.len * 8; bit += 11) {	/* beneath the frame checksum: always an error */
		z.data[bit / 8] = (char)(z.data[bit / 8] ^ (1 << bit % 8));
		assert_int_equal(drain(z.data, z.len, &e), -1);
		assert_int_equal(e.class, ERR_INTEGRITY);
		z.data[bit / 8] = (char)(z.data[bit / 8] ^ (1 << bit % 8));
	}
	unframe(&z, &tar);
	for (size_t bit = 0; bit < tar.len * 8; bit += 3) {	/* above it: a peer may say anything */
		tar.data[bit / 8] = (char)(tar.data[bit / 8] ^ (1 << bit % 8));
		reframe(&bent, tar.data, tar.len);
		if (drain(bent.data, bent.len, &e) < 0)
			assert_int_equal(e.class, ERR_INTEGRITY);
		tar.data[bit / 8] = (char)(tar.data[bit / 8] ^ (1 << bit % 8));
	}
}

/* One ustar header (and its blocks of content), checksum right. */
static void header(struct buf *b, const char *name, char type, const char *link, const char *body)
{
	unsigned char h[512] = { 0 };
	unsigned sum = 0;
	size_t n = body ? strlen(body) : 0;

	(void)snprintf((char *)h, 100, "%s", name);
	memcpy(h + 100, "0000644\0" "0000000\0" "0000000\0", 24);
	(void)snprintf((char *)h + 124, 12, "%011o", (unsigned)(n & 0777));
	memcpy(h + 136, "00000000000", 12);
	memset(h + 148, ' ', 8);
	h[156] = (unsigned char)type;
	(void)snprintf((char *)h + 157, 100, "%s", link ? link : "");
	memcpy(h + 257, "ustar\0" "00", 8);
	for (size_t i = 0; i < 512; i++)
		sum += h[i];
	(void)snprintf((char *)h + 148, 8, "%06o", sum);
	buf_put(b, h, 512);
	if (n) {
		char block[512] = { 0 };

		memcpy(block, body, n);
		buf_put(b, block, 512);
	}
}

/* The one pax header for what follows; the record length is made right. */
static void pax(struct buf *b, const char *key, const char *value)
{
	char rec[500];
	size_t n = strlen(key) + strlen(value) + 3;

	n += n + 2 < 100 ? 2 : 3;
	(void)snprintf(rec, sizeof(rec), "%zu %s=%s\n", n, key, value);
	assert_int_equal(strlen(rec), n);
	header(b, "PaxHeader/x", 'x', NULL, rec);
}

static int verdict(struct buf *tar, struct err *e)
{
	OWN_BUF struct buf z = BUF_INIT;
	char end[1024] = { 0 };

	buf_put(tar, end, 1024);
	reframe(&z, tar->data, tar->len);
	buf_reset(tar);
	return drain(z.data, z.len, e);
}

static void refused(struct buf *tar, const char *why)
{
	struct err e = ERR_INIT;

	if (verdict(tar, &e) == 0)
		fail_msg("accepted: %s (%s)", why, e.text);
	assert_int_equal(e.class, ERR_INTEGRITY);
	if (!strstr(e.text, why))
		fail_msg("for another reason: %s (not: %s)", e.text, why);
}

static void hostile_archives_are_refused(void **state)
{
	(void)state;
	static const char *const paths[] = { "/etc/passwd", "../up", "a/../../b", "a//b", "./a", "a/./b", "..", "a/..", "/", "" };
	OWN_BUF struct buf t = BUF_INIT;
	struct err e = ERR_INIT;

	header(&t, "fine", '0', NULL, "body");
	header(&t, "d/", '5', NULL, NULL);
	header(&t, "./", '5', NULL, NULL);
	header(&t, "l", '1', "fine", NULL);
	assert_int_equal(verdict(&t, &e), 0);
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		header(&t, paths[i], '0', NULL, NULL);
		refused(&t, *paths[i] ? "unsafe path" : "");
		if (*paths[i]) {
			pax(&t, "path", paths[i]);
			header(&t, "x", '0', NULL, NULL);
			refused(&t, "unsafe path");
		}
	}
	header(&t, "a", '0', NULL, NULL);
	header(&t, "a", '0', NULL, NULL);
	refused(&t, "came before");
	header(&t, "a", '0', NULL, NULL);
	header(&t, "a/", '5', NULL, NULL);
	refused(&t, "came before");
	header(&t, "a", '1', "../../etc/passwd", NULL);
	refused(&t, "hard link");
	header(&t, "a", '1', "later", NULL);
	header(&t, "later", '0', NULL, NULL);
	refused(&t, "hard link");
	header(&t, "d/", '5', NULL, NULL);
	header(&t, "a", '1', "d", NULL);
	refused(&t, "hard link");
	header(&t, ".", '0', NULL, "file as root");
	refused(&t, "unsafe path");
	pax(&t, "uid", "4294967296");
	header(&t, "a", '0', NULL, NULL);
	refused(&t, "owner");
	pax(&t, "SCHILY.acl.access", "user:root:rwx,user::rwx,group::r-x,other::r-x,mask::rwx");
	header(&t, "a", '0', NULL, NULL);
	refused(&t, "ACL");
	pax(&t, "SCHILY.xattr.user.%4", "x");
	header(&t, "a", '0', NULL, NULL);
	refused(&t, "malformed name");
}

static void gnu_and_old_tar_are_not_packs(void **state)
{
	(void)state;
	OWN_BUF struct buf t = BUF_INIT;

	header(&t, "a", '0', NULL, NULL);
	memcpy(t.data + 257, "ustar  ", 8);
	memcpy(t.data + 148, "        ", 8);
	unsigned sum = 0;
	for (size_t i = 0; i < 512; i++)
		sum += (unsigned char)t.data[i];
	(void)snprintf(t.data + 148, 8, "%06o", sum);
	refused(&t, "not a pax archive");
	buf_put(&t, "PK\3\4 something that is no tar at all", 36);
	refused(&t, "");
}

static void a_flood_of_headers_is_bounded(void **state)
{
	(void)state;
	OWN_BUF struct buf t = BUF_INIT;

	for (int i = 0; i < 20000; i++)	/* libarchive takes them by recursion */
		header(&t, "g", 'g', NULL, "");
	header(&t, "a", '0', NULL, NULL);
	refused(&t, "");
	/* a sparse map of 10 MiB, which libarchive would keep as a list */
	header(&t, "PaxHeader/x", 'x', NULL, "22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n31 GNU.sparse.realsize=8000000\n");
	size_t at = t.len, n = 0;
	header(&t, "a", '0', NULL, NULL);
	buf_puts(&t, "1300000\n");
	for (int i = 0; i < 1300000; i++)
		buf_printf(&t, "%d\n1\n", i * 6 % 1000000 + 1000000);
	n = t.len - at - 512;
	(void)snprintf(t.data + at + 124, 12, "%011o", (unsigned)n & 077777777);
	char zeros[512] = { 0 };
	buf_put(&t, zeros, 512 - n % 512);
	unsigned sum = 8 * ' ';
	for (size_t i = 0; i < 512; i++)
		sum += i < 148 || i >= 156 ? (unsigned char)t.data[at + i] : 0;
	(void)snprintf(t.data + at + 148, 8, "%06o", sum);
	refused(&t, "of headers");
}

static void what_a_caller_does_wrong_is_a_bug_not_a_bad_pack(void **state)
{
	(void)state;
	OWN_BUF struct buf z = BUF_INIT;
	OWN(pack_writer_freep) struct pack_writer *w = NULL;
	struct err e = ERR_INIT;
	struct item *f, *it;

	assert_int_equal(pack_writer_new(&w, 1, mem_sink, &z, &e), 0);
	it = add("sock", ENTRY_SOCKET, 0600);
	assert_int_equal(pack_add(w, &it->en, NULL, &e), -1);
	assert_int_equal(e.class, ERR_BUG);
	it = add_link("l", ENTRY_FILE, "f");
	assert_int_equal(pack_add(w, &it->en, NULL, &e), -1);
	f = add_file("f", "123", 3);
	assert_int_equal(pack_add(w, &f->en, NULL, &e), 0);
	assert_true(pack_writer_raw(w) >= 512 + 3);
	assert_int_equal(pack_add(w, &it->en, NULL, &e), -1);	/* f lacks its content */
	assert_int_equal(pack_writer_finish(w, NULL, NULL, &e), -1);
	assert_int_equal(pack_data(w, "1234", 4, &e), -1);
	assert_int_equal(pack_data(w, "123", 3, &e), 0);
	assert_int_equal(pack_data(w, "4", 1, &e), -1);
	assert_int_equal(pack_add(w, &f->en, NULL, &e), -1);	/* twice */
	assert_int_equal(pack_add(w, &it->en, NULL, &e), 0);
	assert_int_equal(pack_writer_finish(w, NULL, NULL, &e), 0);
	assert_int_equal(drain(z.data, z.len, &e), 0);
}

static void too_many_attributes_are_refused_and_the_entry_can_go_without(void **state)
{
	(void)state;
	OWN_BUF struct buf z = BUF_INIT;
	OWN(pack_writer_freep) struct pack_writer *w = NULL;
	OWN_FREE char *big = calloc(1, 65536);
	struct err e = ERR_INIT;
	struct item *it = add_file("f", "", 0);

	for (int i = 0; i < 13; i++) {
		char name[32];

		(void)snprintf(name, sizeof(name), "user.big%d", i);
		attr(it, name, big, 65536);
	}
	assert_int_equal(pack_writer_new(&w, 1, mem_sink, &z, &e), 0);
	assert_int_equal(pack_add(w, &it->en, &it->attrs, &e), -1);
	assert_int_equal(e.class, ERR_PERMANENT);
	assert_int_equal(pack_add(w, &it->en, NULL, &e), 0);
	assert_int_equal(pack_writer_finish(w, NULL, NULL, &e), 0);
	assert_int_equal(drain(z.data, z.len, &e), 0);
}

static int full_sink(void *ctx, const void *p, size_t n, struct err *e)
{
	(void)ctx; (void)p; (void)n;
	return err_set(e, ERR_TEMPORARY, "store is full");
}

static void the_sinks_reason_reaches_the_caller(void **state)
{
	(void)state;
	OWN(pack_writer_freep) struct pack_writer *w = NULL;
	OWN_FREE char *noise = malloc(6 << 20);
	struct err e = ERR_INIT;
	struct item *it;

	mem_noise(noise, 6 << 20, 2);
	it = add_file("f", noise, 6 << 20);
	assert_int_equal(pack_writer_new(&w, 1, full_sink, NULL, &e), 0);
	assert_int_equal(pack_add(w, &it->en, NULL, &e), 0);
	assert_int_equal(pack_data(w, noise, 6 << 20, &e), -1);
	assert_string_equal(e.text, "store is full");
	assert_int_equal(e.class, ERR_TEMPORARY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(an_archive_cut_anywhere_is_noticed), T(flipped_bits_give_an_error_or_a_clean_end), T(hostile_archives_are_refused),
		T(gnu_and_old_tar_are_not_packs), T(a_flood_of_headers_is_bounded), T(what_a_caller_does_wrong_is_a_bug_not_a_bad_pack),
		T(too_many_attributes_are_refused_and_the_entry_can_go_without), T(the_sinks_reason_reaches_the_caller),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
