/* rooms: agent */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "../lib/agent_child.h"
#include "pack.h"

static char top[64], root[80];
static int rootfd;
static struct child child;
static uint64_t next_ordinal;

static int setup(void **state)
{
	(void)state;
	strcpy(top, "/tmp/test-apply-XXXXXX");
	if (!mkdtemp(top) || setenv("HOME", top, 1) < 0)
		return -1;
	(void)snprintf(root, sizeof(root), "%s/root", top);
	next_ordinal = 1;
	return mkdir(root, 0755) == 0 && (rootfd = open(root, O_RDONLY | O_DIRECTORY)) >= 0 ? 0 : -1;
}

static int teardown(void **state)
{
	char cmd[256];

	(void)state;
	(void)close(rootfd);
	(void)snprintf(cmd, sizeof(cmd), "chmod -R u+rwx %s; rm -rf %s", top, top);
	return system(cmd);
}

static struct entry entry_of(enum entry_type type, const char *path, uint32_t mode)
{
	return (struct entry){ .path = (char *)(uintptr_t)path, .path_len = strlen(path), .type = type, .outcome = ENTRY_COPIED,
		.mode = mode, .uid = geteuid(), .gid = getegid(), .mtime_s = 1111111111, .mtime_ns = 222333444, .nlink = 1 };
}

static int to_buf(void *ctx, const void *p, size_t n, struct err *e)
{
	buf_put(ctx, p, n);
	return buf_finish(ctx, e);
}

/* ---- sending ---- */

static void send_object(enum msg_kind kind, uint64_t large, uint64_t offset, const struct buf *stored, uint64_t raw)
{
	struct msg_obj_begin begin = { next_ordinal, kind, large, offset };
	struct msg_obj_end end = { next_ordinal, raw, stored->len };
	struct buf b = BUF_INIT;

	msg_obj_begin_encode(&b, &begin);
	child_send(&child, MSG_OBJ_BEGIN, &b);
	for (size_t at = 0; at < stored->len; ) {
		size_t n = stored->len - at < 100000 ? stored->len - at : 100000;

		msg_obj_data_encode(&b, next_ordinal, stored->data + at, n);
		child_send(&child, MSG_OBJ_DATA, &b);
		at += n;
	}
	msg_obj_end_encode(&b, &end);
	child_send(&child, MSG_OBJ_END, &b);
	next_ordinal++;
}

struct item { struct entry en; const struct attr_set *attrs; const char *content; };

static void send_pack(const struct item *items, size_t n)
{
	OWN(pack_writer_freep) struct pack_writer *w = NULL;
	OWN_BUF struct buf stored = BUF_INIT;
	struct err e = ERR_INIT;
	uint64_t raw, bytes;

	assert_int_equal(pack_writer_new(&w, 1, to_buf, &stored, &e), 0);
	for (size_t i = 0; i < n; i++) {
		struct entry en = items[i].en;

		en.size = items[i].content && en.type == ENTRY_FILE ? strlen(items[i].content) : 0;
		if (pack_add(w, &en, items[i].attrs, &e) < 0 || (en.size && pack_data(w, items[i].content, en.size, &e) < 0))
			fail_msg("%s", e.text);
	}
	assert_int_equal(pack_writer_finish(w, &raw, &bytes, &e), 0);
	send_object(MSG_KIND_PACK, 0, 0, &stored, raw);
}

static void send_file(const char *path, uint32_t mode, const char *content)
{
	struct item it = { entry_of(ENTRY_FILE, path, mode), NULL, content };

	send_pack(&it, 1);
}

static void send_final(const struct entry *en)
{
	struct buf b = BUF_INIT;

	msg_final_encode(&b, en);
	child_send(&child, MSG_FINAL, &b);
}

static void send_remove(const char *path, enum entry_type type)
{
	struct buf b = BUF_INIT;

	msg_remove_encode(&b, path, type);
	child_send(&child, MSG_REMOVE, &b);
}

static void begin(uint64_t epoch) { child_start(&child, "apply", root, epoch, "", 0); }

/* ---- the end of a session ---- */

static char problems[4096];	/* "path: text\n" of each */
static struct msg_done done;

static void collect_problems(void)
{
	struct err e = ERR_INIT;

	problems[0] = '\0';
	for (;;) {
		OWN_FRAME struct wire_frame f = WIRE_FRAME_INIT;
		OWN(msg_problem_dispose) struct msg_problem p = { .path = NULL };
		int r = wire_recv(child.wire, WIRE_ACK, &f, &e);
		size_t at = strlen(problems);

		if (r <= 0)
			break;
		if (f.type != MSG_PROBLEM)
			continue;
		assert_int_equal(msg_problem_decode(f.data, f.len, &p, &e), 0);
		(void)snprintf(problems + at, sizeof(problems) - at, "%s: %s\n", p.path, p.text);
	}
}

static int finish(void)
{
	struct err e = ERR_INIT;
	int dones = 0, rc;

	assert_int_equal(wire_end(child.wire, WIRE_DATA, &e), 0);
	collect_problems();
	for (;;) {
		OWN_FRAME struct wire_frame f = WIRE_FRAME_INIT;

		if (wire_recv(child.wire, WIRE_CONTROL, &f, &e) <= 0)
			break;
		if (f.type == MSG_DONE) {
			dones++;
			assert_int_equal(msg_done_decode(f.data, f.len, &done, &e), 0);
		}
	}
	rc = child_reap(&child);
	if (rc != 0)
		print_message("role ended with %d: %s\n", rc, e.text);
	assert_int_equal(dones, rc == 0);
	return rc;
}

static void finish_clean(void)
{
	assert_int_equal(finish(), 0);
	assert_string_equal(problems, "");
	assert_int_equal(faccessat(rootfd, ".waybill.part", F_OK, 0), -1);
}

static struct stat look(const char *path)
{
	struct stat st;

	if (fstatat(rootfd, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
		fail_msg("%s: %s", path, strerror(errno));
	return st;
}

static bool there(const char *path)
{
	struct stat st;

	return fstatat(rootfd, path, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static void holds(const char *path, const char *content)
{
	OWN_FD int fd = openat(rootfd, path, O_RDONLY | O_NOFOLLOW);
	char got[4096] = "";

	assert_true(fd >= 0);
	assert_true(read(fd, got, sizeof(got) - 1) >= 0);
	assert_string_equal(got, content);
}

static void put_file(const char *path, const char *content)
{
	OWN_FD int fd = openat(rootfd, path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, content, strlen(content)), (ssize_t)strlen(content));
}

/* ---- promises ---- */

static void a_pack_arrives_whole(void **state)
{
	OWN_ATTRS struct attr_set attrs = ATTR_SET_INIT;
	struct entry link = entry_of(ENTRY_SYMLINK, "d/link", 0777), fifo = entry_of(ENTRY_FIFO, "d/fifo", 0620),
		hard = entry_of(ENTRY_FILE, "d/zz", 0640), dir = entry_of(ENTRY_DIR, "d", 0751), top_dir = entry_of(ENTRY_DIR, ".", 0711);
	struct err e = ERR_INIT;

	(void)state;
	link.target = (char[]){ "../elsewhere" };
	hard.link_to = (char[]){ "d/file" };
	hard.nlink = 2;
	assert_int_equal(attr_set_add(&attrs, "user.note", "v", 1, &e), 0);
	struct item items[] = { { dir, NULL, NULL }, { entry_of(ENTRY_FILE, "d/empty", 0400), NULL, "" }, { fifo, NULL, NULL },
		{ entry_of(ENTRY_FILE, "d/file", 0640), &attrs, "content" }, { link, NULL, NULL }, { hard, NULL, NULL } };

	begin(1);
	send_pack(items, 6);
	send_final(&top_dir);
	send_final(&dir);
	finish_clean();
	holds("d/file", "content");
	assert_int_equal(look("d/file").st_mode & 07777, 0640);
	assert_int_equal(look("d/file").st_mtim.tv_nsec, 222333444);
	assert_int_equal(look("d/file").st_ino, look("d/zz").st_ino);
	assert_int_equal(look("d/empty").st_size, 0);
	assert_int_equal(look("d/empty").st_mode & 07777, 0400);
	assert_true(S_ISFIFO(look("d/fifo").st_mode));
	assert_int_equal(look("d/link").st_mtim.tv_sec, 1111111111);
	assert_int_equal(look("d").st_mode & 07777, 0751);
	assert_int_equal(look("d").st_mtim.tv_nsec, 222333444);
	assert_int_equal(look(".").st_mode & 07777, 0711);
	assert_int_equal(look(".").st_mtim.tv_nsec, 222333444);
	OWN_FD int fd = openat(rootfd, "d/file", O_RDONLY);

	assert_int_equal(fgetxattr(fd, "user.note", NULL, 0), 1);
}

static void slices_make_a_large_file_with_its_holes(void **state)
{
	static char part[1 << 20];
	OWN_BUF struct buf stored = BUF_INIT;
	struct entry en = entry_of(ENTRY_FILE, "new/big", 0604);
	struct entry_range layout[2] = { { 0, 1 << 20 }, { 8 << 20, 1 << 20 } };
	struct buf b = BUF_INIT;
	struct err e = ERR_INIT;

	(void)state;
	memset(part, 'x', sizeof(part));
	en.size = (16 << 20) + 5;
	en.has = ENTRY_HAS_LAYOUT;
	en.layout = layout;
	en.layout_count = 2;
	begin(1);
	msg_large_begin_encode(&b, 1, en.size, "new/big");
	child_send(&child, MSG_LARGE_BEGIN, &b);
	for (int i = 0; i < 3; i++) {
		OWN(frame_writer_freep) struct frame_writer *w = NULL;
		static const char zeros[1 << 20];

		buf_reset(&stored);
		assert_int_equal(frame_writer_new(&w, 1, to_buf, &stored, &e), 0);
		assert_int_equal(frame_writer_put(w, i == 1 ? zeros : part, sizeof(part), &e), 0);
		assert_int_equal(frame_writer_finish(w, NULL, NULL, &e), 0);
		send_object(MSG_KIND_SLICE, 1, (uint64_t)i * (4 << 20), &stored, sizeof(part));
	}
	msg_numbered_encode(&b, 1, &en);
	child_send(&child, MSG_LARGE_END, &b);
	finish_clean();
	OWN_FD int fd = openat(rootfd, "new/big", O_RDONLY);
	char c = 0;

	assert_int_equal(look("new/big").st_size, (16 << 20) + 5);
	assert_int_equal(look("new/big").st_mode & 07777, 0604);
	assert_int_equal(pread(fd, &c, 1, (9 << 20) - 1), 1);
	assert_int_equal(c, 'x');
	assert_int_equal(lseek(fd, 1 << 20, SEEK_DATA), 8 << 20);
	assert_int_equal(lseek(fd, 9 << 20, SEEK_DATA), -1);
}

static void an_aborted_large_file_leaves_the_old_one(void **state)
{
	OWN_BUF struct buf stored = BUF_INIT;
	OWN(frame_writer_freep) struct frame_writer *w = NULL;
	struct buf b = BUF_INIT;
	struct err e = ERR_INIT;

	(void)state;
	put_file("big", "old");
	begin(1);
	msg_large_begin_encode(&b, 1, 10, "big");
	child_send(&child, MSG_LARGE_BEGIN, &b);
	msg_number_encode(&b, 1);
	child_send(&child, MSG_LARGE_ABORT, &b);
	assert_int_equal(frame_writer_new(&w, 1, to_buf, &stored, &e), 0);
	assert_int_equal(frame_writer_put(w, "late", 4, &e), 0);
	assert_int_equal(frame_writer_finish(w, NULL, NULL, &e), 0);
	send_object(MSG_KIND_SLICE, 1, 0, &stored, 4);	/* still under way when it was aborted */
	finish_clean();
	holds("big", "old");
}

static void interleaved_objects_do_not_mix(void **state)
{
	OWN_BUF struct buf a = BUF_INIT, z = BUF_INIT;
	struct buf b = BUF_INIT, *packs[2] = { &a, &z };
	struct err e = ERR_INIT;

	(void)state;
	for (int i = 0; i < 2; i++) {
		OWN(pack_writer_freep) struct pack_writer *w = NULL;
		struct entry en = entry_of(ENTRY_FILE, i ? "z" : "a", 0644);

		en.size = 1;
		assert_int_equal(pack_writer_new(&w, 1, to_buf, packs[i], &e), 0);
		assert_int_equal(pack_add(w, &en, NULL, &e), 0);
		assert_int_equal(pack_data(w, i ? "Z" : "A", 1, &e), 0);
		assert_int_equal(pack_writer_finish(w, NULL, NULL, &e), 0);
	}
	begin(1);
	for (uint64_t i = 0; i < 2; i++) {
		msg_obj_begin_encode(&b, &(struct msg_obj_begin){ i + 1, MSG_KIND_PACK, 0, 0 });
		child_send(&child, MSG_OBJ_BEGIN, &b);
	}
	for (size_t at = 0; at < a.len || at < z.len; at += 7)
		for (uint64_t i = 0; i < 2; i++)
			if (at < packs[i]->len) {
				msg_obj_data_encode(&b, i + 1, packs[i]->data + at, packs[i]->len - at < 7 ? packs[i]->len - at : 7);
				child_send(&child, MSG_OBJ_DATA, &b);
			}
	for (uint64_t i = 2; i-- > 0; ) {
		msg_obj_end_encode(&b, &(struct msg_obj_end){ i + 1, 0, packs[i]->len });
		child_send(&child, MSG_OBJ_END, &b);
	}
	finish_clean();
	holds("a", "A");
	holds("z", "Z");
}

static void another_type_gives_way_without_losing_foreign_entries(void **state)
{
	(void)state;
	assert_int_equal(mkdirat(rootfd, "was-dir", 0755), 0);
	put_file("was-dir/known", "k");
	assert_int_equal(mkdirat(rootfd, "mixed", 0755), 0);
	put_file("mixed/known", "k");
	put_file("mixed/foreign", "precious");
	put_file("was-file", "f");
	assert_int_equal(symlinkat("/etc", rootfd, "was-link"), 0);
	begin(1);
	send_file("was-dir", 0644, "now a file");
	send_file("mixed", 0644, "now a file");
	send_file("was-file/inside", 0644, "in");
	send_file("was-link/inside", 0644, "in");
	send_remove("was-dir/known", ENTRY_FILE);
	send_remove("was-dir", ENTRY_DIR);
	send_remove("mixed/known", ENTRY_FILE);
	assert_int_equal(finish(), 0);
	assert_non_null(strstr(problems, "mixed: "));
	assert_null(strstr(problems, "was-dir"));
	assert_int_equal(done.failed, 1);
	holds("was-dir", "now a file");
	holds("mixed", "now a file");
	holds("was-file/inside", "in");
	holds("was-link/inside", "in");
	assert_int_equal(access("/etc/inside", F_OK), -1);
	const char *kept = strstr(problems, ".waybill-old.");
	char path[128];

	assert_non_null(kept);
	(void)snprintf(path, sizeof(path), "%.29s/foreign", kept);
	holds(path, "precious");
}

static void removal_keeps_what_is_foreign_or_of_another_type(void **state)
{
	(void)state;
	assert_int_equal(mkdirat(rootfd, "d", 0755), 0);
	put_file("d/known", "");
	put_file("d/foreign", "f");
	put_file("file", "");
	begin(1);
	send_remove("gone", ENTRY_FILE);
	send_remove("file", ENTRY_DIR);
	send_remove("d/known", ENTRY_FILE);
	send_remove("d", ENTRY_DIR);
	assert_int_equal(finish(), 0);
	assert_non_null(strstr(problems, "d: foreign entries inside"));
	assert_true(there("file"));
	assert_true(there("d/foreign"));
	assert_false(there("d/known"));
}

static void links_are_made_once_and_made_again_when_the_first_name_changed(void **state)
{
	struct entry second = entry_of(ENTRY_FILE, "b", 0644), first = entry_of(ENTRY_FILE, "a", 0644),
		dir = entry_of(ENTRY_DIR, ".", 0755);
	ino_t before;

	(void)state;
	second.link_to = (char[]){ "a" };
	second.nlink = first.nlink = 2;
	first.size = second.size = 1;
	put_file("a", "1");
	begin(1);
	send_final(&dir);
	send_final(&second);
	finish_clean();
	assert_int_equal(look("a").st_ino, look("b").st_ino);
	before = look("a").st_ino;
	begin(1);
	send_file("a", 0644, "2");
	send_final(&dir);
	send_final(&first);
	send_final(&second);
	finish_clean();
	assert_int_not_equal(look("a").st_ino, before);
	assert_int_equal(look("a").st_ino, look("b").st_ino);
	holds("b", "2");
}

static void changed_attributes_are_set_without_content(void **state)
{
	OWN_ATTRS struct attr_set attrs = ATTR_SET_INIT;
	struct entry en = entry_of(ENTRY_FILE, "f", 0604), lost = entry_of(ENTRY_FILE, "lost", 0600);
	struct buf b = BUF_INIT;
	struct err e = ERR_INIT;
	ino_t before;

	(void)state;
	put_file("f", "123");
	before = look("f").st_ino;
	en.size = 3;
	assert_int_equal(attr_set_add(&attrs, "user.a", "b", 1, &e), 0);
	attr_set_encode(&attrs, false, &b);
	en.has = ENTRY_HAS_XATTR;
	assert_int_equal(digest_sha256(b.data, b.len, en.xattr, &e), 0);
	begin(1);
	child_send(&child, MSG_ATTR, &b);
	send_final(&en);
	send_final(&lost);
	assert_int_equal(finish(), 0);
	assert_non_null(strstr(problems, "lost: its content is not there"));
	assert_int_equal(look("f").st_ino, before);
	assert_int_equal(look("f").st_mode & 07777, 0604);
	OWN_FD int fd = openat(rootfd, "f", O_RDONLY);

	assert_int_equal(fgetxattr(fd, "user.a", NULL, 0), 1);
}

static void flush_is_acknowledged_with_its_token(void **state)
{
	OWN_FRAME struct wire_frame f = WIRE_FRAME_INIT;
	struct buf b = BUF_INIT;
	struct err e = ERR_INIT;
	uint64_t token = 0;

	(void)state;
	begin(1);
	send_file("f", 0644, "x");
	msg_number_encode(&b, 4711);
	child_send(&child, MSG_FLUSH, &b);
	assert_int_equal(wire_recv(child.wire, WIRE_ACK, &f, &e), 1);
	assert_int_equal(f.type, MSG_ACK);
	assert_int_equal(msg_number_decode(f.data, f.len, &token, &e), 0);
	assert_int_equal(token, 4711);
	holds("f", "x");
	finish_clean();
}

#define PACKS 12

/* Packs are written side by side: what came before a FLUSH is all there when its answer comes. */
static void an_answer_waits_for_every_worker(void **state)
{
	OWN_FREE char *content = malloc((4 << 20) + 1);
	struct buf b = BUF_INIT;
	struct err e = ERR_INIT;
	char name[16];

	(void)state;
	assert_non_null(content);
	memset(content, 'x', 4 << 20);
	content[4 << 20] = '\0';
	begin(1);
	for (uint64_t i = 0; i < PACKS; i++) {
		(void)snprintf(name, sizeof(name), "d/f%02u", (unsigned)i);
		send_file(name, 0644, content);
		msg_number_encode(&b, i);
		child_send(&child, MSG_FLUSH, &b);
		b = (struct buf)BUF_INIT;
	}
	for (uint64_t i = 0, token; i < PACKS; i++) {
		OWN_FRAME struct wire_frame f = WIRE_FRAME_INIT;

		assert_int_equal(wire_recv(child.wire, WIRE_ACK, &f, &e), 1);
		assert_int_equal(msg_number_decode(f.data, f.len, &token, &e), 0);
		assert_int_equal(token, i);
		for (uint64_t k = 0; k <= i; k++) {
			(void)snprintf(name, sizeof(name), "d/f%02u", (unsigned)k);
			assert_true(there(name));
			assert_int_equal(look(name).st_size, 4 << 20);
		}
	}
	finish_clean();
}

static void what_follows_a_pack_waits_for_it(void **state)
{
	OWN_FREE char *content = malloc((4 << 20) + 1);

	(void)state;
	assert_non_null(content);
	memset(content, 'x', 4 << 20);
	content[4 << 20] = '\0';
	begin(1);
	for (int i = 0; i < 3; i++)
		send_file(i == 0 ? "a" : i == 1 ? "b" : "c", 0644, content);
	send_remove("c", ENTRY_FILE);
	finish_clean();
	assert_true(there("a") && there("b"));
	assert_false(there("c"));
}

static void nothing_is_acknowledged_when_the_sync_fails(void **state)
{
	OWN_FRAME struct wire_frame f = WIRE_FRAME_INIT;
	struct buf b = BUF_INIT;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(setenv("WAYBILL_FAULT", "fsync@apply:1:EIO", 1), 0);
	begin(1);
	(void)unsetenv("WAYBILL_FAULT");
	send_file("f", 0644, "x");
	msg_number_encode(&b, 1);
	child_send(&child, MSG_FLUSH, &b);
	assert_int_equal(wire_recv(child.wire, WIRE_ACK, &f, &e), -1);
	assert_int_equal(e.class, ERR_TEMPORARY);
	assert_int_equal(child_reap(&child), 8);
}

static void a_lower_epoch_is_refused(void **state)
{
	(void)state;
	begin(7);
	finish_clean();
	begin(6);
	assert_int_equal(finish(), 6);
	begin(7);
	finish_clean();
	begin(8);
	finish_clean();
	/* A directory made anew starts afresh. */
	(void)close(rootfd);
	assert_int_equal(rmdir(root), 0);
	(void)usleep(20000);
	assert_int_equal(mkdir(root, 0755), 0);
	rootfd = open(root, O_RDONLY | O_DIRECTORY);
	begin(1);
	finish_clean();
}

static void left_overs_of_a_killed_run_are_dropped(void **state)
{
	(void)state;
	assert_int_equal(mkdirat(rootfd, ".waybill.part", 0700), 0);
	put_file(".waybill.part/0", "half");
	begin(1);
	send_file("f", 0644, "x");
	finish_clean();
	holds("f", "x");
}

static void its_own_names_are_not_written_from_outside(void **state)
{
	(void)state;
	begin(1);
	send_file(".waybill.part/evil", 0644, "x");
	send_file("good", 0644, "x");
	assert_int_equal(finish(), 0);
	assert_non_null(strstr(problems, ".waybill.part/evil: "));
	assert_int_equal(done.failed, 1);
	assert_int_equal(done.copied, 1);
	holds("good", "x");
}

static void a_full_disk_ends_the_role_with_the_path_named(void **state)
{
	struct err e = ERR_INIT;
	OWN_FRAME struct wire_frame f = WIRE_FRAME_INIT;

	(void)state;
	assert_int_equal(setenv("WAYBILL_FAULT", "write@apply:1:ENOSPC", 1), 0);
	begin(1);
	(void)unsetenv("WAYBILL_FAULT");
	put_file("deep", "old");
	send_file("deep", 0644, "new");
	while (wire_recv(child.wire, WIRE_ACK, &f, &e) > 0)
		wire_frame_dispose(&f);
	assert_int_equal(e.class, ERR_TEMPORARY);
	assert_non_null(strstr(e.text, "root/deep"));
	assert_non_null(strstr(e.text, "No space left"));
	assert_int_equal(child_reap(&child), 8);
	holds("deep", "old");
}

static void a_damaged_object_ends_the_role(void **state)
{
	OWN_BUF struct buf junk = BUF_INIT;

	(void)state;
	buf_puts(&junk, "this is no zstd frame");
	begin(1);
	send_object(MSG_KIND_PACK, 0, 0, &junk, 21);
	assert_int_equal(finish(), 4);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(a_pack_arrives_whole), T(slices_make_a_large_file_with_its_holes), T(an_aborted_large_file_leaves_the_old_one),
		T(interleaved_objects_do_not_mix), T(another_type_gives_way_without_losing_foreign_entries),
		T(removal_keeps_what_is_foreign_or_of_another_type),
		T(links_are_made_once_and_made_again_when_the_first_name_changed), T(changed_attributes_are_set_without_content),
		T(flush_is_acknowledged_with_its_token), T(an_answer_waits_for_every_worker), T(what_follows_a_pack_waits_for_it),
		T(nothing_is_acknowledged_when_the_sync_fails), T(a_lower_epoch_is_refused), T(left_overs_of_a_killed_run_are_dropped),
		T(its_own_names_are_not_written_from_outside), T(a_full_disk_ends_the_role_with_the_path_named),
		T(a_damaged_object_ends_the_role),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
