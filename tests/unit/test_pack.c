/* rooms: pack */
/* What goes in must come out, by our reader and by stock tools. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "pack_tree.h"

static void differs(void *ctx, const char *what, const char *expected, const char *found)
{
	print_error("%s: %s: expected %s, found %s\n", (const char *)ctx, what, expected, found);
}

static void same_attrs(const struct item *it, const struct attr_set *got)
{
	for (int acl = 0; acl < 2; acl++) {
		OWN_BUF struct buf a = BUF_INIT, b = BUF_INIT;

		attr_set_encode(&it->attrs, acl, &a);
		attr_set_encode(got, acl, &b);
		assert_int_equal(a.len, b.len);
		if (a.len)
			assert_string_equal(a.data, b.data);
	}
}

static void same_entry(const struct item *it, const struct entry *got)
{
	struct entry want = it->en;

	if (want.link_to) {
		want.size = 0;
		want.target = NULL;
	}
	assert_string_equal(got->path, want.path);
	assert_int_equal(entry_compare(&want, got, ENTRY_CMP_NO_NLINK | (it->widened ? ENTRY_CMP_NO_LAYOUT : 0), differs, it->en.path), 0);
	assert_int_equal(got->mtime_ns, want.mtime_ns);
	if (want.link_to)
		assert_string_equal(got->link_to, want.link_to);
	else
		assert_null(got->link_to);
	assert_int_equal(got->has & ENTRY_HAS_LAYOUT, want.has & ENTRY_HAS_LAYOUT);
}

static void read_back(const struct buf *z, size_t piece)
{
	struct mem_source s = { z->data, z->len, 4099 };
	OWN(pack_reader_freep) struct pack_reader *r = NULL;
	OWN_ENTRY struct entry en = ENTRY_INIT;
	OWN_ATTRS struct attr_set attrs = ATTR_SET_INIT;
	OWN_FREE char *b = malloc(piece);
	struct err e = ERR_INIT;

	assert_int_equal(pack_reader_new(&r, mem_source, &s, &e), 0);
	for (size_t i = 0; i < count; i++) {
		struct item *it = &items[i];
		uint64_t at = 0;
		ssize_t n;

		if (pack_next(r, &en, &attrs, &e) != 1)
			fail_msg("%s: %s", it->en.path, e.text);
		same_entry(it, &en);
		same_attrs(it, &attrs);
		while (it->content && (n = pack_read(r, b, piece, &e)) != 0) {
			if (n < 0)
				fail_msg("%s: %s", it->en.path, e.text);
			assert_true((uint64_t)n <= it->en.size - at);
			assert_memory_equal(b, it->content + at, (size_t)n);
			at += (uint64_t)n;
		}
		if (it->content)
			assert_int_equal(at, it->en.size);
	}
	if (pack_next(r, &en, &attrs, &e) != 0)
		fail_msg("end: %s", e.text);
	assert_int_equal(pack_next(r, &en, &attrs, &e), 0);
}

/* ---- the disk after a stock tool ---- */

static void check_file(int fd, const struct item *it)
{
	struct err e = ERR_INIT;
	OWN_FREE char *b = malloc(it->en.size + 1);

	assert_int_equal(io_read_full("test", fd, b, it->en.size + 1, it->en.path, &e), (ssize_t)it->en.size);
	if (it->en.size)
		assert_memory_equal(b, it->content, it->en.size);
}

static void check_attrs(const char *path, const struct item *it)
{
	for (size_t i = 0; i < it->attrs.n; i++) {
		const struct attr *a = &it->attrs.v[i];
		OWN_FREE char *b = calloc(1, a->len + 1);
		ssize_t n = lgetxattr(path, a->name, b, a->len + 1);

		if (n != (ssize_t)a->len)
			fail_msg("%s: %s: %zd bytes, not %zu", path, a->name, n, a->len);
		if (n)
			assert_memory_equal(b, a->value, a->len);
	}
}

static void check_item(const char *dir, const struct item *it, bool bsd)
{
	static const mode_t types[] = { 0, S_IFREG, S_IFDIR, S_IFLNK, S_IFIFO, S_IFCHR, S_IFBLK };
	char path[2 * PATH_MAX];
	struct stat st, first;

	(void)snprintf(path, sizeof(path), "%.4000s/%.4000s", dir, it->en.path);
	if (lstat(path, &st) < 0)
		fail_msg("%s: %s", path, strerror(errno));
	assert_int_equal(st.st_mode & S_IFMT, types[it->en.type]);
	if (it->en.link_to) {
		(void)snprintf(path, sizeof(path), "%.4000s/%.4000s", dir, it->en.link_to);
		assert_int_equal(lstat(path, &first), 0);
		assert_int_equal(st.st_ino, first.st_ino);
		return;
	}
	if (it->en.type != ENTRY_SYMLINK)
		assert_int_equal(st.st_mode & 07777, it->en.mode);
	assert_int_equal(st.st_uid, it->en.uid);
	assert_int_equal(st.st_gid, it->en.gid);
	if (!bsd || strcmp(it->en.path, ".") != 0) {	/* bsdtar leaves the root's time, with any archive */
		assert_int_equal(st.st_mtim.tv_sec, it->en.mtime_s);
		assert_int_equal(st.st_mtim.tv_nsec, it->en.mtime_ns);
	}
	if (it->en.type == ENTRY_CHAR || it->en.type == ENTRY_BLOCK)
		assert_int_equal(st.st_rdev, makedev(it->en.rdev_major, it->en.rdev_minor));
	if (it->en.type == ENTRY_SYMLINK) {
		char target[PATH_MAX] = "";

		assert_true(readlink(path, target, sizeof(target) - 1) > 0);
		assert_string_equal(target, it->en.target);
	}
	if (it->en.type == ENTRY_FILE) {
		OWN_FD int fd = open(path, O_RDONLY);

		check_file(fd, it);
	}
	check_attrs(path, it);
}

static void stock(const struct buf *z, const char *command)
{
	char *dir = temp_dir();
	struct err e = ERR_INIT;
	OWN_FD int fd = open(dir, O_RDONLY | O_DIRECTORY);
	OWN_FD int f = openat(fd, "p.tar.zst", O_WRONLY | O_CREAT, 0600);
	char out[PATH_MAX];

	assert_int_equal(io_write_all("test", f, z->data, z->len, "p.tar.zst", &e), 0);
	assert_int_equal(mkdirat(fd, "out", 0700), 0);
	(void)snprintf(out, sizeof(out), "%s/out", dir);
	if (shell(out, command, NULL, NULL) != 0)
		fail_msg("%s", command);
	for (size_t i = 0; i < count; i++)
		if (!items[i].no_disk && geteuid() == 0)
			check_item(out, &items[i], command[0] == 'b');
	temp_dir_remove(dir);
}

#define GNU_TAR "tar --zstd --xattrs --xattrs-include='*' --acls --numeric-owner -xpf ../p.tar.zst"
#define BSD_TAR "bsdtar -xpf ../p.tar.zst --numeric-owner"

static void everywhere(int level)
{
	OWN_BUF struct buf z = BUF_INIT;
	struct err e = ERR_INIT;

	if (write_pack(&z, level, &e) < 0)
		fail_msg("%s", e.text);
	read_back(&z, 8191);
	read_back(&z, 1 << 20);
	stock(&z, GNU_TAR);
	if (getuid() == 0)
		stock(&z, BSD_TAR);
}

/* ---- the promises ---- */

static void every_type_comes_back_and_stock_tar_agrees(void **state)
{
	(void)state;
	OWN_FREE char *noise = malloc(300000);
	struct item *it;

	mem_noise(noise, 300000, 5);
	add(".", ENTRY_DIR, 0751);
	add_file("empty", "", 0);
	add_file("file", "hello\n", 6)->en.mode = 06755;
	add_link("hard", ENTRY_FILE, "file");
	add_file("noise", noise, 300000);
	add("dir", ENTRY_DIR, 01777);
	add_file("dir/inner", noise, 512);
	add_link("dir/link", ENTRY_FILE, "file");
	it = add("sym", ENTRY_SYMLINK, 0777);
	it->en.target = strdup("../nowhere at all");
	add_link("symhard", ENTRY_SYMLINK, "sym");
	add("fifo", ENTRY_FIFO, 0600);
	if (getuid() == 0) {
		it = add("char", ENTRY_CHAR, 0620);
		it->en.rdev_major = 4;
		it->en.rdev_minor = 70000;
		it = add("block", ENTRY_BLOCK, 0660);
		it->en.rdev_major = 259;
		it->en.rdev_minor = 1;
	}
	it = add_file("old", "x", 1);
	it->en.mtime_s = -5;
	it->en.mtime_ns = 250000000;
	it->no_disk = true;		/* bsdtar takes -4.75 for -4 s + 0.75 s; GNU tar is asked below */
	it = add_file("future", "x", 1);
	it->en.mtime_s = INT64_C(9000000000);
	it->en.uid = 4000000000u;
	it->en.gid = 4294967294u;
	add("last", ENTRY_DIR, 0);
	everywhere(1);
	everywhere(PACK_LEVEL_RAW);
}

static void names_are_bytes(void **state)
{
	(void)state;
	char longname[256], deep[9000] = "d";
	struct item *it;

	memset(longname, 'n', 255);
	longname[255] = '\0';
	add_file("new\nline", "1", 1);
	add_file("esc\033[31mred", "2", 1);
	add_file("\xc4\xe3\xba\xc3.txt", "gbk", 3);
	add_file("e\xcc\x81-nfd", "nfd", 3);		/* e and combining acute accent */
	add_file("\xc3\xa9-nfc", "nfc", 3);
	add_file("\xed\xa0\x80\xed\xb0\x80-surrogates", "s", 1);
	add_file(longname, "long", 4);
	add_file("back\\slash %41 a=b", "3", 1);
	add_file("-rf", "4", 1);
	add_file(" ", "5", 1);
	it = add("sym", ENTRY_SYMLINK, 0777);
	it->en.target = strdup("\xc4\xe3\xba\xc3\n");
	add_link("hard-\xff", ENTRY_FILE, "\xc4\xe3\xba\xc3.txt");
	everywhere(1);
	for (size_t n = 1; n + 240 < sizeof(deep); n += 231) {
		deep[n] = '/';
		memcpy(deep + n + 1, longname, 230);
	}
	add_file(deep, "deep", 4)->no_disk = true;
	OWN_BUF struct buf z = BUF_INIT;
	struct err e = ERR_INIT;
	assert_int_equal(write_pack(&z, 1, &e), 0);
	read_back(&z, 100);
}

static void gnu_tar_agrees_about_times_before_1970(void **state)
{
	(void)state;
	struct item *it = add_file("old", "x", 1);
	OWN_BUF struct buf z = BUF_INIT;
	struct err e = ERR_INIT;

	it->en.mtime_s = -5;
	it->en.mtime_ns = 250000000;
	it = add_file("older", "x", 1);
	it->en.mtime_s = -2000000000;
	it->en.mtime_ns = 1;
	it = add_file("whole", "x", 1);
	it->en.mtime_s = -1;
	it->en.mtime_ns = 0;
	assert_int_equal(write_pack(&z, 1, &e), 0);
	read_back(&z, 100);
	stock(&z, GNU_TAR);
}

static void many_attributes_and_acls_survive_exactly(void **state)
{
	(void)state;
	/* version; user::rw-, user:5:r--, user:1001:rw-, group::r--, group:2000000000:r-x, mask::rw-, other::--- */
	static const uint8_t access[] = { 2,0,0,0, 1,0,6,0,255,255,255,255, 2,0,4,0,5,0,0,0, 2,0,6,0,233,3,0,0,
		4,0,4,0,255,255,255,255, 8,0,5,0,0,148,53,119, 16,0,6,0,255,255,255,255, 32,0,0,0,255,255,255,255 };
	static const uint8_t minimal[] = { 2,0,0,0, 1,0,7,0,255,255,255,255, 4,0,5,0,255,255,255,255, 32,0,5,0,255,255,255,255 };
	static const uint8_t only_mask[] = { 2,0,0,0, 1,0,7,0,255,255,255,255, 4,0,7,0,255,255,255,255, 16,0,5,0,255,255,255,255,
		32,0,5,0,255,255,255,255 };
	static const uint8_t caps[] = { 1,0,0,2, 0,4,0,0, 0,0,0,0, 0,0,0,0, 0,0,0,0 };
	OWN_FREE char *big = malloc(65536);
	struct item *it;

	mem_noise(big, 65536, 9);
	it = add_file("file", "x", 1);
	it->en.mode = 0660;
	attr(it, "system.posix_acl_access", access, sizeof(access));
	attr(it, "user.binary", "a\0b\n=\xff", 6);
	attr(it, "user.empty", "", 0);
	if (getuid() == 0) {
		attr(it, "trusted.x", "t", 1);
		attr(it, "security.capability", caps, sizeof(caps));
	}
	it = add("dir", ENTRY_DIR, 0755);
	attr(it, "system.posix_acl_default", minimal, sizeof(minimal));
	it = add("dir2", ENTRY_DIR, 0660);
	attr(it, "system.posix_acl_default", access, sizeof(access));
	attr(it, "system.posix_acl_access", access, sizeof(access));
	it = add_file("maskonly", "x", 1);
	it->en.mode = 0755;
	attr(it, "system.posix_acl_access", only_mask, sizeof(only_mask));
	everywhere(1);
	/* what a disk here may not take: large values, odd names; our own reader must */
	it = add_file("big", "x", 1);
	attr(it, "user.a%b=c \xe4\xbd\xa0", "odd", 3);
	for (int i = 0; i < 9; i++) {
		char name[32];

		(void)snprintf(name, sizeof(name), "user.big%d", i);
		attr(it, name, big, 65536);
	}
	OWN_BUF struct buf z = BUF_INIT;
	struct err e = ERR_INIT;
	assert_int_equal(write_pack(&z, 1, &e), 0);
	read_back(&z, 100);
}

/* ACLs that SCHILY.acl cannot say: they must travel raw, never be bent. */
static void odd_acls_survive_exactly(void **state)
{
	(void)state;
	static const uint8_t minimal[] = { 2,0,0,0, 1,0,7,0,255,255,255,255, 4,0,5,0,255,255,255,255, 32,0,5,0,255,255,255,255 };
	static const uint8_t big_id[] = { 2,0,0,0, 1,0,6,0,255,255,255,255, 2,0,6,0,0,0,0,240, 4,0,4,0,255,255,255,255,
		16,0,6,0,255,255,255,255, 32,0,0,0,255,255,255,255 };
	static const uint8_t other_mode[] = { 2,0,0,0, 1,0,6,0,255,255,255,255, 2,0,6,0,1,0,0,0, 4,0,4,0,255,255,255,255,
		16,0,6,0,255,255,255,255, 32,0,4,0,255,255,255,255 };
	static const uint8_t unsorted[] = { 2,0,0,0, 4,0,4,0,255,255,255,255, 1,0,6,0,255,255,255,255, 16,0,6,0,255,255,255,255,
		32,0,0,0,255,255,255,255 };
	static const uint8_t twins[] = { 2,0,0,0, 1,0,6,0,255,255,255,255, 2,0,6,0,1,0,0,0, 2,0,4,0,1,0,0,0,
		4,0,4,0,255,255,255,255, 16,0,6,0,255,255,255,255, 32,0,0,0,255,255,255,255 };
	static const struct { const void *p; size_t n; } odd[] = { { minimal, sizeof(minimal) }, { big_id, sizeof(big_id) },
		{ other_mode, sizeof(other_mode) }, { unsorted, sizeof(unsorted) }, { twins, sizeof(twins) }, { "\2\0\0\0", 4 },
		{ "\1\0\0\0", 4 }, { "", 0 }, { big_id, sizeof(big_id) - 3 } };
	OWN_BUF struct buf z = BUF_INIT;
	struct err e = ERR_INIT;

	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		char name[8];
		struct item *it;

		(void)snprintf(name, sizeof(name), "f%zu", i);
		it = add(name, ENTRY_DIR, i == 0 ? 0755 : 0660);
		attr(it, "system.posix_acl_access", odd[i].p, odd[i].n);
		attr(it, "system.posix_acl_default", odd[i].p, odd[i].n);
	}
	assert_int_equal(write_pack(&z, 1, &e), 0);
	read_back(&z, 100);
}

static void holes_survive_and_stock_tar_agrees(void **state)
{
	(void)state;
	static const size_t mib = 1 << 20;
	struct item *it;

	OWN_FREE char *zeros = calloc(1, 3 * mib);
	layout(add_file("hole-first", zeros, 2 * mib), (struct entry_range[]){ { mib, mib } }, 1);
	layout(add_file("hole-last", zeros, 2 * mib), (struct entry_range[]){ { 0, 4096 } }, 1);
	layout(add_file("hole-only", zeros, mib), NULL, 0);
	add_file("dense", "after a hole", 12);
	layout(it = add_file("uneven", zeros, mib + 7), (struct entry_range[]){ { 3, 100 }, { 5000, 1 }, { 5200, 400 }, { mib, 7 } }, 4);
	it->widened = true;
	layout(add_file("middle", zeros, 3 * mib), (struct entry_range[]){ { 0, 512 }, { 2 * mib, 70144 }, { 3 * mib - 512, 512 } }, 3);
	layout(add_file("to-end", zeros, mib + 7), (struct entry_range[]){ { mib, 7 } }, 1);
	add_file("dense2", "x", 1);
	everywhere(1);
}

/* Feeds a huge hole without holding it. */
static void a_hole_beyond_8_gib_survives(void **state)
{
	(void)state;
	OWN_BUF struct buf z = BUF_INIT;
	OWN(pack_writer_freep) struct pack_writer *w = NULL;
	OWN(pack_reader_freep) struct pack_reader *r = NULL;
	OWN_FREE char *b = calloc(1, 4 << 20);
	OWN_ENTRY struct entry en = ENTRY_INIT;
	struct err e = ERR_INIT;
	struct item *it = add("huge", ENTRY_FILE, 0600);
	uint64_t at = 0;
	ssize_t n;

	it->en.size = (UINT64_C(9) << 30) + 5;
	it->en.has |= ENTRY_HAS_LAYOUT;
	it->en.layout = calloc(1, sizeof(*it->en.layout));
	it->en.layout[0] = (struct entry_range){ it->en.size - 5, 5 };
	it->en.layout_count = 1;
	assert_int_equal(pack_writer_new(&w, 1, mem_sink, &z, &e), 0);
	assert_int_equal(pack_add(w, &it->en, NULL, &e), 0);
	for (; at < it->en.size - 5; at += 4 << 20)
		assert_int_equal(pack_data(w, b, 4 << 20, &e), 0);
	assert_int_equal(pack_data(w, "tail!", 5, &e), 0);
	assert_int_equal(pack_writer_finish(w, NULL, NULL, &e), 0);
	assert_true(z.len < 4096);

	struct mem_source s = { z.data, z.len, 0 };
	assert_int_equal(pack_reader_new(&r, mem_source, &s, &e), 0);
	assert_int_equal(pack_next(r, &en, NULL, &e), 1);
	assert_int_equal(en.size, it->en.size);
	at = 0;
	while ((n = pack_read(r, b, 4 << 20, &e)) > 0) {
		at += (uint64_t)n;
		if (at == en.size)
			assert_memory_equal(b + n - 5, "tail!", 5);
		else
			assert_int_equal(b[0] | b[n - 1], 0);
	}
	assert_int_equal(at, en.size);
	assert_int_equal(pack_next(r, &en, NULL, &e), 0);
}

static void content_that_is_not_read_is_skipped(void **state)
{
	(void)state;
	OWN_FREE char *noise = malloc(200000);
	OWN_BUF struct buf z = BUF_INIT;
	OWN(pack_reader_freep) struct pack_reader *r = NULL;
	OWN_ENTRY struct entry en = ENTRY_INIT;
	struct err e = ERR_INIT;
	char b[10];

	mem_noise(noise, 200000, 1);
	add_file("a", noise, 200000);
	add_file("b", noise, 200000);
	add_file("c", "end", 3);
	assert_int_equal(write_pack(&z, 1, &e), 0);
	struct mem_source s = { z.data, z.len, 0 };
	assert_int_equal(pack_reader_new(&r, mem_source, &s, &e), 0);
	assert_int_equal(pack_next(r, &en, NULL, &e), 1);
	assert_int_equal(pack_next(r, &en, NULL, &e), 1);
	assert_int_equal(pack_read(r, b, 10, &e), 10);
	assert_int_equal(pack_next(r, NULL, NULL, &e), 1);
	assert_int_equal(pack_read(r, b, 10, &e), 3);
	assert_memory_equal(b, "end", 3);
	assert_int_equal(pack_next(r, &en, NULL, &e), 0);
}

static void an_empty_pack_is_a_pack(void **state)
{
	(void)state;
	OWN_BUF struct buf z = BUF_INIT;
	struct err e = ERR_INIT;

	assert_int_equal(write_pack(&z, 1, &e), 0);
	assert_int_equal(drain(z.data, z.len, &e), 0);
	stock(&z, GNU_TAR);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(every_type_comes_back_and_stock_tar_agrees), T(names_are_bytes), T(gnu_tar_agrees_about_times_before_1970),
		T(many_attributes_and_acls_survive_exactly), T(odd_acls_survive_exactly), T(holes_survive_and_stock_tar_agrees),
		T(a_hole_beyond_8_gib_survives), T(content_that_is_not_read_is_skipped), T(an_empty_pack_is_a_pack),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
