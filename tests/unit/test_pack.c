/* rooms: pack */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "esc.h"
#include "pack.h"
#include "path.h"
#include "../lib/mem_stream.h"

/* ---- a tree in memory: what goes in must come out, by our reader and by stock tools ---- */

struct item {
	struct entry en;
	struct attr_set attrs;
	char *content;			/* owned; en.size bytes */
	bool no_disk;			/* not for the disk comparison */
	bool widened;			/* its layout comes back in blocks of 512 */
};

static struct item items[64];
static size_t count;

static struct item *add(const char *path, enum entry_type type, uint32_t mode)
{
	struct item *it = &items[count++];
	struct err e = ERR_INIT;

	*it = (struct item){ .en = ENTRY_INIT, .attrs = ATTR_SET_INIT };
	assert_int_equal(entry_set_path(&it->en, path, strlen(path), &e), 0);
	it->en.type = type;
	it->en.outcome = ENTRY_COPIED;
	it->en.mode = mode;
	it->en.uid = 1000 + (uint32_t)count;
	it->en.gid = 70000 + (uint32_t)count;
	it->en.mtime_s = 1700000000 + (int64_t)count;
	it->en.mtime_ns = 123456000 + (uint32_t)count;
	return it;
}

static struct item *add_file(const char *path, const void *p, size_t n)
{
	struct item *it = add(path, ENTRY_FILE, 0640);

	it->en.size = n;
	it->content = calloc(1, n + 1);
	if (n)
		memcpy(it->content, p, n);
	return it;
}

static struct item *add_link(const char *path, enum entry_type type, const char *to)
{
	struct item *it = add(path, type, 0640);

	it->en.link_to = strdup(to);
	return it;
}

static void attr(struct item *it, const char *name, const void *p, size_t n)
{
	struct err e = ERR_INIT;

	assert_int_equal(attr_set_add(&it->attrs, name, p, n, &e), 0);
}

static int clean(void **state)
{
	(void)state;
	while (count) {
		struct item *it = &items[--count];

		entry_dispose(&it->en);
		attr_set_dispose(&it->attrs);
		free(it->content);
	}
	return 0;
}

static int write_pack(struct buf *out, int level, struct err *e)
{
	OWN(pack_writer_freep) struct pack_writer *w = NULL;
	uint64_t raw, stored;

	if (pack_writer_new(&w, level, mem_sink, out, e) < 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		struct item *it = &items[i];

		if (pack_add(w, &it->en, &it->attrs, e) < 0)
			return -1;
		for (uint64_t at = 0; it->content && at < it->en.size;) {
			size_t step = it->en.size - at < 70001 ? (size_t)(it->en.size - at) : 70001;

			if (pack_data(w, it->content + at, step, e) < 0)
				return -1;
			at += step;
		}
	}
	if (pack_writer_finish(w, &raw, &stored, e) < 0)
		return -1;
	assert_int_equal(stored, out->len);
	assert_int_equal(raw, pack_writer_raw(w));
	assert_int_equal(raw % 512, 0);
	return 0;
}

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

static void layout(struct item *it, const struct entry_range *v, size_t n)
{
	it->en.has |= ENTRY_HAS_LAYOUT;
	it->en.layout = n ? malloc(n * sizeof(*v)) : NULL;
	it->en.layout_count = n;
	if (n)
		memcpy(it->en.layout, v, n * sizeof(*v));
	for (size_t i = 0; i < n; i++)
		mem_noise(it->content + v[i].offset, v[i].length, i);
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

/* Reads everything; 0 or -1. */
static int drain(const void *p, size_t n, struct err *e)
{
	struct mem_source s = { p, n, 0 };
	OWN(pack_reader_freep) struct pack_reader *r = NULL;
	OWN_ENTRY struct entry en = ENTRY_INIT;
	OWN_ATTRS struct attr_set attrs = ATTR_SET_INIT;
	char b[4096];
	int got;
	ssize_t k;

	assert_int_equal(pack_reader_new(&r, mem_source, &s, e), 0);
	while ((got = pack_next(r, &en, &attrs, e)) > 0) {
		uint64_t sum = 0;

		assert_true(path_is_safe(en.path, en.path_len));
		while ((k = pack_read(r, b, sizeof(b), e)) > 0 && sum < 1 << 22)
			sum += (uint64_t)k;
		if (k < 0)
			return -1;
	}
	if (got < 0) {
		struct err again = ERR_INIT;

		assert_int_equal(pack_next(r, &en, &attrs, &again), -1);
		assert_int_equal(again.class, e->class);
	}
	return got;
}

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

static void an_empty_pack_is_a_pack(void **state)
{
	(void)state;
	OWN_BUF struct buf z = BUF_INIT;
	struct err e = ERR_INIT;

	assert_int_equal(write_pack(&z, 1, &e), 0);
	assert_int_equal(drain(z.data, z.len, &e), 0);
	stock(&z, GNU_TAR);
}

#define T(f) cmocka_unit_test_teardown(f, clean)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(every_type_comes_back_and_stock_tar_agrees), T(names_are_bytes), T(gnu_tar_agrees_about_times_before_1970),
		T(many_attributes_and_acls_survive_exactly), T(odd_acls_survive_exactly), T(holes_survive_and_stock_tar_agrees),
		T(a_hole_beyond_8_gib_survives), T(content_that_is_not_read_is_skipped), T(an_archive_cut_anywhere_is_noticed),
		T(flipped_bits_give_an_error_or_a_clean_end), T(hostile_archives_are_refused), T(gnu_and_old_tar_are_not_packs),
		T(a_flood_of_headers_is_bounded), T(what_a_caller_does_wrong_is_a_bug_not_a_bad_pack),
		T(too_many_attributes_are_refused_and_the_entry_can_go_without), T(the_sinks_reason_reaches_the_caller),
		T(an_empty_pack_is_a_pack),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
