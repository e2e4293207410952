/* rooms: agent */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>

#include "../lib/agent_child.h"
#include "extents.h"
#include "verdict.h"

static char top[64], root[80], scope[256];
static int rootfd;
static struct child child;
static uint64_t next_index;

static int setup(void **state)
{
	(void)state;
	strcpy(top, "/tmp/test-erase-XXXXXX");
	if (!mkdtemp(top) || setenv("HOME", top, 1) < 0)
		return -1;
	(void)snprintf(root, sizeof(root), "%s/root", top);
	(void)snprintf(scope, sizeof(scope), "I agree.\npath: old:%s\n", root);
	next_index = 0;
	return mkdir(root, 0755) == 0 && (rootfd = open(root, O_RDONLY | O_DIRECTORY)) >= 0 ? 0 : -1;
}

static int teardown(void **state)
{
	char cmd[256];

	(void)state;
	(void)close(rootfd);
	(void)snprintf(cmd, sizeof(cmd), "chattr -R -i %s 2>/dev/null; rm -rf %s", top, top);
	return system(cmd);
}

/*
 * A file system of its own on a loop device, beneath it root; in a mount namespace of this process, so that nothing is left
 * whatever happens.  False (and a line that says why) where rights or tools are missing.
 */
static bool on_loop_with(const char *mkfs, unsigned megabytes, const char *options)
{
	char cmd[512], mnt[80];

	(void)snprintf(mnt, sizeof(mnt), "%.60s/mnt", top);
	(void)snprintf(cmd, sizeof(cmd), "exec >/dev/null 2>&1; truncate -s %uM %s/img && mkdir %s && %s %s/img && mount -o loop%s %s/img %s",
	    megabytes, top, mnt, mkfs, top, options, top, mnt);
	if (geteuid() != 0 || unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 || system(cmd) != 0) {
		print_message("skipped: no rights or tools for %s on a loop device\n", mkfs);
		return false;
	}
	(void)close(rootfd);
	(void)snprintf(root, sizeof(root), "%.60s/mnt/root", top);
	(void)snprintf(scope, sizeof(scope), "path: old:%s\n", root);
	return mkdir(root, 0755) == 0 && (rootfd = open(root, O_RDONLY | O_DIRECTORY)) >= 0;
}

static bool on_loop(const char *mkfs, unsigned megabytes) { return on_loop_with(mkfs, megabytes, ""); }

static int teardown_loop(void **state)
{
	char mnt[80];

	(void)close(rootfd);
	rootfd = -1;
	(void)snprintf(mnt, sizeof(mnt), "%.60s/mnt", top);
	(void)umount2(mnt, 0);	/* fails where none was mounted */
	return teardown(state);
}

static void put_file(const char *path, const char *text, size_t times)
{
	OWN_FD int fd = openat(rootfd, path, O_WRONLY | O_CREAT | O_EXCL, 0400);

	assert_true(fd >= 0);
	for (size_t i = 0; i < times; i++)
		assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	assert_int_equal(fsync(fd), 0);
}

/* The entry as an inventory holds it. */
static struct entry inventoried(const char *path)
{
	struct entry en = { .path = (char *)(uintptr_t)path, .path_len = strlen(path), .outcome = ENTRY_UNCHANGED, .has = ENTRY_HAS_SCAN };
	struct stat st;

	assert_int_equal(fstatat(rootfd, path, &st, AT_SYMLINK_NOFOLLOW), 0);
	en.type = S_ISDIR(st.st_mode) ? ENTRY_DIR : S_ISLNK(st.st_mode) ? ENTRY_SYMLINK : S_ISFIFO(st.st_mode) ? ENTRY_FIFO : ENTRY_FILE;
	en.mode = st.st_mode & 07777;
	en.size = en.type == ENTRY_FILE ? (uint64_t)st.st_size : 0;
	en.mtime_s = st.st_mtim.tv_sec;
	en.mtime_ns = (uint32_t)st.st_mtim.tv_nsec;
	en.nlink = (uint32_t)st.st_nlink;
	en.scan = (struct entry_scan){ .dev = (uint64_t)major(st.st_dev) << 32 | minor(st.st_dev), .ino = st.st_ino };
	if (en.type == ENTRY_SYMLINK)
		en.target = (char *)(uintptr_t)"x";
	return en;
}

static void begin(uint64_t flags) { child_start(&child, "erase", root, 1, scope, flags); }

static void ask(const struct entry *en)
{
	struct buf b = BUF_INIT;

	msg_numbered_encode(&b, next_index++, en);
	child_send(&child, MSG_INVENTORY, &b);
}

/* The next message about an object; its text is kept in reason. */
static char reason[2048];
static struct msg_erased next_answer(void)
{
	OWN_FRAME struct wire_frame f = WIRE_FRAME_INIT;
	struct msg_erased r = { .text = NULL };
	struct err e = ERR_INIT;

	if (wire_recv(child.wire, WIRE_ACK, &f, &e) != 1)
		fail_msg("no result: %s", e.text);
	assert_int_equal(f.type, MSG_ERASED);
	assert_int_equal(msg_erased_decode(f.data, f.len, &r, &e), 0);
	(void)snprintf(reason, sizeof(reason), "%s", r.text);
	free(take_ptr(&r.text));
	return r;
}

static void let_unlink(uint64_t index)
{
	struct buf b = BUF_INIT;

	msg_number_encode(&b, index);
	child_send(&child, MSG_ERASE_UNLINK, &b);
}

/* The end of an object; whatever wants to be unlinked may be. */
static struct msg_erased answer(uint64_t index)
{
	static struct msg_erased ended[64];	/* that came before their turn: what is not unlinked ends earlier */

	memset(ended, 0, index == 0 ? sizeof(ended) : 0);
	while (!ended[index].state) {
		struct msg_erased r = next_answer();

		assert_true(r.index < 64);
		if (r.state == MSG_ERASE_INTENDED)
			let_unlink(r.index);
		else
			ended[r.index] = r;
	}
	return ended[index];
}

static struct msg_erased ask_one(const struct entry *en)
{
	ask(en);
	return answer(next_index - 1);
}

static int finish(struct err *e)
{
	OWN_FRAME struct wire_frame f = WIRE_FRAME_INIT;

	if (wire_end(child.wire, WIRE_DATA, e) < 0)
		err_clear(e);
	while (wire_recv(child.wire, WIRE_CONTROL, &f, e) > 0)
		wire_frame_dispose(&f);
	/* Its last word is the end of this stream. */
	while (e->class == ERR_NONE && wire_recv(child.wire, WIRE_ACK, &f, e) > 0)
		wire_frame_dispose(&f);
	return child_reap(&child);
}

static void finish_clean(void)
{
	struct err e = ERR_INIT;

	assert_int_equal(finish(&e), 0);
}

static bool there(const char *path) { return faccessat(rootfd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0; }

/* ---- looking at the device without the agent's code ---- */

static int raw_device(void)
{
	struct stat st;
	char link[64], target[256], node[320];
	ssize_t n;

	assert_int_equal(fstat(rootfd, &st), 0);
	(void)snprintf(link, sizeof(link), "/sys/dev/block/%u:%u", major(st.st_dev), minor(st.st_dev));
	if (geteuid() != 0 || (n = readlink(link, target, sizeof(target) - 1)) <= 0)
		return -1;
	target[n] = '\0';
	(void)snprintf(node, sizeof(node), "/dev%s", strrchr(target, '/'));
	return open(node, O_RDONLY | O_DIRECT);
}

static bool block_holds(int raw, uint64_t physical, const char *text)
{
	_Alignas(4096) static char block[4096];

	assert_int_equal(pread(raw, block, sizeof(block), (off_t)physical), sizeof(block));
	return memmem(block, sizeof(block), text, strlen(text)) != NULL;
}

/* ---- promises ---- */

static void an_ordinary_file_is_overwritten_and_gone(void **state)
{
	struct entry en;
	struct msg_erased r;

	(void)state;
	put_file("secret", "the owner of flat 402 ", 5000);
	en = inventoried("secret");
	begin(0);
	r = ask_one(&en);
	assert_int_equal(r.state, MSG_ERASE_DONE);
	assert_true(r.how & MSG_EH_OVERWRITTEN);
	assert_true(r.how & MSG_EH_UNLINKED);
	assert_true(r.how & (MSG_EH_READ_RAW | MSG_EH_READ_FILE));
	assert_true(r.bytes >= en.size);
	assert_int_equal(r.bytes % 512, 0);
	assert_false(there("secret"));
	finish_clean();
}

static void nothing_is_unlinked_before_that_is_on_record(void **state)
{
	struct msg_erased r;
	struct entry en;

	(void)state;
	put_file("secret", "the owner of flat 402 ", 5000);
	put_file("other", "the owner of flat 403 ", 5000);
	en = inventoried("secret");
	begin(0);
	ask(&en);
	r = next_answer();
	assert_int_equal(r.state, MSG_ERASE_INTENDED);
	assert_true(r.how & MSG_EH_OVERWRITTEN);
	assert_false(r.how & MSG_EH_UNLINKED);
	en = inventoried("other");
	ask(&en);
	assert_int_equal(next_answer().state, MSG_ERASE_INTENDED);
	assert_true(there("secret"));
	assert_true(there("other"));
	let_unlink(0);
	r = next_answer();
	assert_int_equal(r.index, 0);
	assert_int_equal(r.state, MSG_ERASE_DONE);
	assert_true(r.how & MSG_EH_UNLINKED);
	assert_false(there("secret"));
	assert_true(there("other"));
	finish_clean();		/* the other one was never told to go */
	assert_true(there("other"));
}

static void what_was_written_after_the_overwriting_is_not_unlinked(void **state)
{
	struct msg_erased r;
	struct entry en;
	OWN_FD int fd = -1;

	(void)state;
	put_file("secret", "the owner of flat 402 ", 5000);
	en = inventoried("secret");
	begin(0);
	ask(&en);
	assert_int_equal(next_answer().state, MSG_ERASE_INTENDED);
	assert_true((fd = openat(rootfd, "secret", O_WRONLY | O_APPEND)) >= 0);
	assert_int_equal(write(fd, "new", 3), 3);
	let_unlink(0);
	r = next_answer();
	assert_int_equal(r.state, MSG_ERASE_CHANGED);
	assert_true(there("secret"));
	finish_clean();
}

/* Erases a file of known text and looks at its old places on the device; how many of them still hold the text. */
static size_t left_on_device(struct msg_erased *r, struct entry *en)
{
	OWN_EXTENTS struct extents x = EXTENTS_INIT;
	OWN_FD int raw = raw_device(), fd = -1;
	struct err e = ERR_INIT;
	size_t before = 0, after = 0;

	if (!there("secret"))
		put_file("secret", "the owner of flat 402 ", 5000);
	*en = inventoried("secret");
	assert_true(raw >= 0);
	assert_true((fd = openat(rootfd, "secret", O_RDONLY)) >= 0);
	assert_int_equal(extents_read(fd, &x, &e), 1);
	assert_int_equal(syncfs(rootfd), 0);
	for (size_t i = 0; i < x.n; i++)
		for (uint64_t at = 0; at < x.v[i].length; at += 4096)
			before += block_holds(raw, x.v[i].physical + at, "flat 402");
	assert_true(before >= 5000 * 22 / 4096);	/* the detector sees it, so its later zero means something */
	begin(0);
	*r = ask_one(en);
	assert_int_equal(r->state, MSG_ERASE_DONE);
	for (size_t i = 0; i < x.n; i++)
		for (uint64_t at = 0; at < x.v[i].length; at += 4096)
			after += block_holds(raw, x.v[i].physical + at, "flat 402");
	finish_clean();
	return after;
}

static void on_ext4_nothing_is_left_on_the_device(void **state)
{
	struct msg_erased r;
	struct entry en;

	(void)state;
	for (int i = 0; i < 2; i++) {
		if (!on_loop(i ? "mkfs.ext4 -q -F -b 1024" : "mkfs.ext4 -q -F -b 4096", 64))
			skip();
		assert_int_equal(left_on_device(&r, &en), 0);
		assert_true(r.how & MSG_EH_READ_RAW);
		assert_true(r.how & MSG_EH_SAME_EXTENTS);
		assert_true(clear_result_complete(ENTRY_FILE, en.size, &r, NULL));
		next_index = 0;
		char mnt[80];

		(void)close(rootfd);
		rootfd = -1;
		(void)snprintf(mnt, sizeof(mnt), "%.60s/mnt", top);
		assert_int_equal(umount2(mnt, 0), 0);
		assert_int_equal(rmdir(mnt), 0);
	}
}

static void data_inside_the_inode_is_told_apart(void **state)
{
	struct msg_erased r;
	struct entry en;

	(void)state;
	if (!on_loop("mkfs.ext4 -q -F -I 256 -O inline_data", 64))
		skip();
	put_file("tiny", "402", 1);
	en = inventoried("tiny");
	begin(0);
	r = ask_one(&en);
	assert_int_equal(r.state, MSG_ERASE_DONE);
	assert_true(r.how & MSG_EH_INLINE);
	assert_false(r.how & MSG_EH_READ_RAW);
	finish_clean();
}

static void blocks_in_a_journal_are_written_through(void **state)
{
	struct msg_erased r;
	struct entry en;

	(void)state;
	if (!on_loop_with("mkfs.ext4 -q -F", 64, ",data=journal"))
		skip();
	put_file("secret", "the owner of flat 402 ", 5000);
	en = inventoried("secret");
	begin(0);
	r = ask_one(&en);
	assert_int_equal(r.state, MSG_ERASE_DONE);
	assert_true(r.how & MSG_EH_READ_RAW);
	finish_clean();
}

static void shared_blocks_are_never_called_cleared(void **state)
{
	struct msg_erased r;
	struct entry en;
	char cmd[256];

	(void)state;
	if (!on_loop("mkfs.xfs -q -f", 320))
		skip();
	put_file("secret", "the owner of flat 402 ", 5000);
	(void)snprintf(cmd, sizeof(cmd), "cp --reflink=always %s/secret %s/../clone", root, root);
	assert_int_equal(system(cmd), 0);
	assert_true(left_on_device(&r, &en) > 0);
	assert_true(r.how & MSG_EH_SHARED);
	assert_true(r.how & MSG_EH_MOVED);
	assert_false(clear_result_complete(ENTRY_FILE, en.size, &r, NULL));
}

static void copy_on_write_is_never_called_cleared(void **state)
{
	struct msg_erased r;
	struct entry en;

	(void)state;
	if (!on_loop("mkfs.btrfs -q -f", 128))
		skip();
	put_file("secret", "the owner of flat 402 ", 5000);
	en = inventoried("secret");
	begin(0);
	r = ask_one(&en);
	assert_int_equal(r.state, MSG_ERASE_DONE);
	assert_true(r.how & MSG_EH_MOVED);
	assert_false(r.how & MSG_EH_READ_RAW);
	assert_false(clear_result_complete(ENTRY_FILE, en.size, &r, NULL));
	finish_clean();
}

static void a_mount_point_as_root_is_emptied_and_stays(void **state)
{
	struct msg_erased r;
	struct entry en;

	(void)state;
	if (!on_loop("mkfs.ext4 -q -F", 64))
		skip();
	assert_int_equal(rmdir(root), 0);
	(void)close(rootfd);
	root[strlen(root) - strlen("/root")] = '\0';
	(void)snprintf(scope, sizeof(scope), "path: old:%s\n", root);
	rootfd = open(root, O_RDONLY | O_DIRECTORY);
	assert_int_equal(unlinkat(rootfd, "lost+found", AT_REMOVEDIR), 0);
	en = inventoried(".");
	begin(0);
	r = ask_one(&en);
	assert_int_equal(r.state, MSG_ERASE_DONE);
	assert_int_equal(r.how & MSG_EH_UNLINKED, 0);
	assert_non_null(strstr(reason, "mount point"));
	finish_clean();
}

static void without_raw_rights_it_is_read_through_the_file(void **state)
{
	struct entry en;
	struct msg_erased r;

	(void)state;
	put_file("f", "abc", 10);
	en = inventoried("f");
	begin(MSG_F_NO_RAW);
	r = ask_one(&en);
	assert_int_equal(r.state, MSG_ERASE_DONE);
	assert_int_equal(r.how & (MSG_EH_READ_RAW | MSG_EH_READ_FILE), MSG_EH_READ_FILE);
	finish_clean();
}

static void preallocated_and_sparse_blocks_are_all_overwritten(void **state)
{
	OWN_FD int fd = openat(rootfd, "f", O_RDWR | O_CREAT, 0600);
	struct entry en;
	struct msg_erased r;

	(void)state;
	assert_int_equal(pwrite(fd, "end", 3, 1 << 20), 3);
	if (fallocate(fd, FALLOC_FL_KEEP_SIZE, 4 << 20, 65536) < 0)
		skip();
	assert_int_equal(fsync(fd), 0);
	en = inventoried("f");
	begin(0);
	r = ask_one(&en);
	assert_int_equal(r.state, MSG_ERASE_DONE);
	assert_true(r.bytes >= 65536 + 4096);
	assert_true(r.bytes < 1 << 20);
	finish_clean();
}

/* Old data of somebody lies beneath blocks that were allocated and never written. */
static void what_lies_beneath_unwritten_blocks_is_overwritten(void **state)
{
	OWN_EXTENTS struct extents old = EXTENTS_INIT;
	OWN_FD int fd = -1, raw = -1;
	struct statvfs fs;
	struct err e = ERR_INIT;
	struct entry en;
	size_t before = 0, after = 0;

	(void)state;
	if (!on_loop("mkfs.ext4 -q -F -m 0", 64))
		skip();
	put_file("secret", "the owner of flat 402 ", 50000);
	assert_true((fd = openat(rootfd, "secret", O_RDONLY)) >= 0);
	assert_int_equal(extents_read(fd, &old, &e), 1);
	own_closep(&fd);
	assert_int_equal(unlinkat(rootfd, "secret", 0), 0);
	assert_int_equal(syncfs(rootfd), 0);
	/* All the free space but a little: the old blocks are among it. */
	assert_int_equal(fstatvfs(rootfd, &fs), 0);
	assert_true((fd = openat(rootfd, "f", O_RDWR | O_CREAT, 0600)) >= 0);
	assert_int_equal(fallocate(fd, 0, 0, (off_t)((fs.f_bavail - 64) * fs.f_bsize)), 0);
	assert_int_equal(syncfs(rootfd), 0);
	assert_true((raw = raw_device()) >= 0);
	for (size_t i = 0; i < old.n; i++)
		for (uint64_t at = 0; at < old.v[i].length; at += 4096)
			before += block_holds(raw, old.v[i].physical + at, "flat 402");
	assert_true(before > 0);	/* else this shows nothing */
	en = inventoried("f");
	begin(0);
	assert_int_equal(ask_one(&en).state, MSG_ERASE_DONE);
	finish_clean();
	for (size_t i = 0; i < old.n; i++)
		for (uint64_t at = 0; at < old.v[i].length; at += 4096)
			after += block_holds(raw, old.v[i].physical + at, "flat 402");
	assert_true(after <= 64);	/* what the file did not get */
	assert_true(after < before);
}

static void what_changed_since_the_inventory_is_not_touched(void **state)
{
	static const char *const names[] = { "mtime", "size", "inode", "type" };
	struct entry en[4];

	(void)state;
	for (int i = 0; i < 4; i++) {
		put_file(names[i], "data", 1);
		en[i] = inventoried(names[i]);
	}
	en[0].mtime_ns ^= 1;
	en[1].size++;
	assert_int_equal(unlinkat(rootfd, "inode", 0), 0);
	put_file("between", "x", 1);
	put_file("inode", "data", 1);
	assert_int_equal(unlinkat(rootfd, "type", 0), 0);
	assert_int_equal(symlinkat("/etc/passwd", rootfd, "type"), 0);
	en[2].scan.ino ^= 1;
	begin(0);
	for (int i = 0; i < 4; i++) {
		struct msg_erased r = ask_one(&en[i]);

		assert_int_equal(r.state, MSG_ERASE_CHANGED);
		assert_int_equal(r.how, 0);
		assert_true(strlen(reason) > 0);
		assert_true(there(names[i]));
	}
	finish_clean();
}

static void a_resumed_object_is_overwritten_again_though_changed(void **state)
{
	struct entry en;
	struct msg_erased r;

	(void)state;
	put_file("f", "data", 1);
	en = inventoried("f");
	en.mtime_s--;
	en.size += 100;
	en.outcome = ENTRY_UNSETTLED;
	begin(0);
	r = ask_one(&en);
	assert_int_equal(r.state, MSG_ERASE_DONE);
	assert_true(r.how & MSG_EH_OVERWRITTEN);
	assert_false(there("f"));
	finish_clean();
}

static void a_name_outside_the_scope_protects_the_file(void **state)
{
	struct entry en;
	struct msg_erased r;
	char outside[100];

	(void)state;
	put_file("f", "shared", 1);
	(void)snprintf(outside, sizeof(outside), "%s/outside", top);
	assert_int_equal(linkat(rootfd, "f", AT_FDCWD, outside, 0), 0);
	en = inventoried("f");
	en.nlink = 1;
	begin(0);
	r = ask_one(&en);
	assert_int_equal(r.state, MSG_ERASE_REFUSED);
	assert_true(there("f"));
	finish_clean();
	FILE *f = fopen(outside, "r");
	char text[16] = "";

	assert_non_null(fgets(text, sizeof(text), f));
	assert_string_equal(text, "shared");
	(void)fclose(f);
}

static void names_of_one_inode_go_in_either_order(void **state)
{
	(void)state;
	for (int reverse = 0; reverse < 2; reverse++) {
		struct entry first, second;
		struct msg_erased r;
		char target[] = "a";

		put_file("a", "content", 3000);
		assert_int_equal(linkat(rootfd, "a", rootfd, "b", 0), 0);
		first = inventoried("a");
		second = inventoried("b");
		second.link_to = target;
		begin(0);
		for (int i = 0; i < 2; i++) {
			const struct entry *en = (i ^ reverse) ? &second : &first;

			r = ask_one(en);
			assert_int_equal(r.state, MSG_ERASE_DONE);
			if (en == &first)
				assert_true(r.how & MSG_EH_OVERWRITTEN);
		}
		finish_clean();
		assert_false(there("a"));
		assert_false(there("b"));
	}
}

static void everything_and_the_root_go_in_reverse_walk_order(void **state)
{
	struct entry en[5];
	static const char *const order[] = { "d/link", "d/fifo", "d", "absent", "." };

	(void)state;
	assert_int_equal(mkdirat(rootfd, "d", 0755), 0);
	assert_int_equal(symlinkat("x", rootfd, "d/link"), 0);
	assert_int_equal(mkfifoat(rootfd, "d/fifo", 0600), 0);
	put_file("absent", "x", 1);
	for (int i = 0; i < 5; i++)
		en[i] = inventoried(order[i]);
	assert_int_equal(unlinkat(rootfd, "absent", 0), 0);
	begin(0);
	for (int i = 0; i < 5; i++)
		ask(&en[i]);
	for (uint64_t i = 0; i < 5; i++)
		assert_int_equal(answer(i).state, i == 3 ? MSG_ERASE_ABSENT : MSG_ERASE_DONE);
	finish_clean();
	assert_int_equal(access(root, F_OK), -1);
}

static void a_directory_with_unknown_entries_stays(void **state)
{
	struct entry en;
	struct msg_erased r;

	(void)state;
	assert_int_equal(mkdirat(rootfd, "d", 0755), 0);
	en = inventoried("d");
	put_file("d/new", "x", 1);
	begin(0);
	r = ask_one(&en);
	assert_int_equal(r.state, MSG_ERASE_CHANGED);
	assert_true(there("d/new"));
	finish_clean();
}

static void an_immutable_file_is_erased_too(void **state)
{
	struct entry en;
	int flags = FS_IMMUTABLE_FL;

	(void)state;
	put_file("f", "x", 1);
	en = inventoried("f");
	OWN_FD int fd = openat(rootfd, "f", O_RDONLY);

	if (geteuid() != 0 || ioctl(fd, FS_IOC_SETFLAGS, &flags) < 0) {
		print_message("skipped: immutable needs root\n");
		skip();
	}
	begin(0);
	assert_int_equal(ask_one(&en).state, MSG_ERASE_DONE);
	finish_clean();
	assert_false(there("f"));
}

static void without_an_authorization_that_names_the_root_nothing_begins(void **state)
{
	struct entry en;

	(void)state;
	put_file("f", "x", 1);
	en = inventoried("f");
	for (int i = 0; i < 3; i++) {
		struct err e = ERR_INIT;

		if (i == 0)
			strcpy(scope, "path: old:/srv/other\n");
		if (i == 1)
			strcpy(scope, "");
		if (i == 2)
			(void)snprintf(scope, sizeof(scope), "path: old:%s\nroot: 0:1 old:%s\n", root, root);
		begin(0);
		struct buf b = BUF_INIT;

		msg_numbered_encode(&b, 0, &en);
		if (wire_send(child.wire, WIRE_DATA, MSG_INVENTORY, b.data, b.len, &e) < 0)
			err_clear(&e);
		buf_dispose(&b);
		assert_int_equal(finish(&e), 6);
		assert_int_equal(e.class, ERR_REFUSED);
		assert_true(there("f"));
	}
}

static void a_root_reached_through_a_symlink_is_refused(void **state)
{
	struct err e = ERR_INIT;
	char link[80];

	(void)state;
	(void)snprintf(link, sizeof(link), "%.60s/link", top);
	assert_int_equal(symlink(root, link), 0);
	(void)snprintf(scope, sizeof(scope), "path: old:%s\n", link);
	child_start(&child, "erase", link, 1, scope, 0);
	assert_int_equal(finish(&e), 6);
}

static void a_failed_overwriting_keeps_the_name(void **state)
{
	struct entry en;
	struct msg_erased r;
	static const char *const faults[] = { "write@erase:1:EIO", "fsync@erase:1:EIO", "read@erase:1:EIO" };

	(void)state;
	put_file("f", "x", 9000);
	for (size_t i = 0; i < 3; i++) {
		en = inventoried("f");
		next_index = 0;
		assert_int_equal(setenv("WAYBILL_FAULT", faults[i], 1), 0);
		begin(0);
		(void)unsetenv("WAYBILL_FAULT");
		r = ask_one(&en);
		assert_int_equal(r.state, MSG_ERASE_FAILED);
		assert_non_null(strstr(reason, "Input/output error"));
		assert_true(there("f"));
		finish_clean();
	}
}

static void a_killed_agent_leaves_the_name_until_all_is_proven(void **state)
{
	struct entry en;

	(void)state;
	put_file("f", "x", 9000);
	en = inventoried("f");
	assert_int_equal(setenv("WAYBILL_FAULT", "point@unlink:1:kill", 1), 0);
	begin(0);
	(void)unsetenv("WAYBILL_FAULT");
	ask(&en);
	OWN_FRAME struct wire_frame f = WIRE_FRAME_INIT;
	struct err e = ERR_INIT;

	assert_int_equal(next_answer().state, MSG_ERASE_INTENDED);
	let_unlink(0);
	assert_true(wire_recv(child.wire, WIRE_ACK, &f, &e) <= 0);
	assert_int_equal(child_reap(&child), 128 + SIGKILL);
	assert_true(there("f"));
	/* Resumed as "writing". */
	en.outcome = ENTRY_UNSETTLED;
	next_index = 0;
	begin(0);
	assert_int_equal(ask_one(&en).state, MSG_ERASE_DONE);
	finish_clean();
	assert_false(there("f"));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define L(f) cmocka_unit_test_setup_teardown(f, setup, teardown_loop)
	const struct CMUnitTest tests[] = {
		T(nothing_is_unlinked_before_that_is_on_record), T(what_was_written_after_the_overwriting_is_not_unlinked),
		T(an_ordinary_file_is_overwritten_and_gone), L(on_ext4_nothing_is_left_on_the_device),
		L(what_lies_beneath_unwritten_blocks_is_overwritten),
		L(data_inside_the_inode_is_told_apart), L(blocks_in_a_journal_are_written_through),
		L(shared_blocks_are_never_called_cleared), L(copy_on_write_is_never_called_cleared),
		L(a_mount_point_as_root_is_emptied_and_stays), T(without_raw_rights_it_is_read_through_the_file),
		T(preallocated_and_sparse_blocks_are_all_overwritten), T(what_changed_since_the_inventory_is_not_touched),
		T(a_resumed_object_is_overwritten_again_though_changed), T(a_name_outside_the_scope_protects_the_file),
		T(names_of_one_inode_go_in_either_order), T(everything_and_the_root_go_in_reverse_walk_order),
		T(a_directory_with_unknown_entries_stays), T(an_immutable_file_is_erased_too),
		T(without_an_authorization_that_names_the_root_nothing_begins), T(a_root_reached_through_a_symlink_is_refused),
		T(a_failed_overwriting_keeps_the_name), T(a_killed_agent_leaves_the_name_until_all_is_proven),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
