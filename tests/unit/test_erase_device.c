/* rooms: agent */
/* What erasing leaves on the device beneath a file system, looked at without the agent's code. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <sched.h>
#include <sys/mount.h>
#include <sys/statvfs.h>

#include "erase_child.h"
#include "extents.h"
#include "verdict.h"

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

/* Erases a file where its old blocks need not be looked at; the entry is the caller's. */
static struct msg_erased erased_well(const char *name, const char *text, size_t times, struct entry *en)
{
	struct msg_erased r;

	put_file(name, text, times);
	*en = inventoried(name);
	begin(0);
	r = ask_one(en);
	assert_int_equal(r.state, MSG_ERASE_DONE);
	return r;
}

static void data_inside_the_inode_is_told_apart(void **state)
{
	struct msg_erased r;
	struct entry en;

	(void)state;
	if (!on_loop("mkfs.ext4 -q -F -I 256 -O inline_data", 64))
		skip();
	r = erased_well("tiny", "402", 1, &en);
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
	r = erased_well("secret", "the owner of flat 402 ", 5000, &en);
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
	r = erased_well("secret", "the owner of flat 402 ", 5000, &en);
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

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define L(f) cmocka_unit_test_setup_teardown(f, setup, teardown_loop)
int main(void)
{
	const struct CMUnitTest tests[] = {
		L(on_ext4_nothing_is_left_on_the_device), L(what_lies_beneath_unwritten_blocks_is_overwritten),
		L(data_inside_the_inode_is_told_apart), L(blocks_in_a_journal_are_written_through),
		L(shared_blocks_are_never_called_cleared), L(copy_on_write_is_never_called_cleared),
		L(a_mount_point_as_root_is_emptied_and_stays), T(without_raw_rights_it_is_read_through_the_file),
		T(preallocated_and_sparse_blocks_are_all_overwritten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
