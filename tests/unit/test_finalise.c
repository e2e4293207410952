/* rooms: agent */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <linux/fs.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "attrs_read.h"
#include "finalise.h"

static char dir[64];
static int top;
static bool root_rights;

static int setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/test-finalise-XXXXXX");
	root_rights = geteuid() == 0;
	return mkdtemp(dir) && (top = open(dir, O_RDONLY | O_DIRECTORY)) >= 0 ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	(void)unlinkat(top, "f", 0);
	(void)unlinkat(top, "f", AT_REMOVEDIR);
	(void)close(top);
	return rmdir(dir);
}

static int make(const char *name)
{
	int fd = openat(top, name, O_RDWR | O_CREAT | O_EXCL, 0600);

	assert_true(fd >= 0);
	return fd;
}

static struct entry wanted(uint32_t mode)
{
	return (struct entry){ .type = ENTRY_FILE, .mode = mode, .uid = geteuid(), .gid = getegid(), .mtime_s = 1234567890,
		.mtime_ns = 987654321 };
}

static struct stat look(void)
{
	struct stat st;

	assert_int_equal(fstatat(top, "f", &st, AT_SYMLINK_NOFOLLOW), 0);
	return st;
}

static void run(int fd, unsigned what, const struct entry *en, const struct attr_set *attrs, int expect)
{
	OWN_BUF struct buf why = BUF_INIT;
	struct err e = ERR_INIT;
	int r = finalise(fd, what, en, attrs, &why, &e);

	if (r != expect)
		fail_msg("finalise gives %d: %s%s", r, why.data ? why.data : "", e.text);
}

static void mode_and_times_arrive_to_the_nanosecond(void **state)
{
	OWN_FD int fd = make("f");
	struct entry en = wanted(04751);

	(void)state;
	run(fd, 0, &en, NULL, 0);
	assert_int_equal(look().st_mode & 07777, 04751);
	assert_int_equal(look().st_mtim.tv_sec, 1234567890);
	assert_int_equal(look().st_mtim.tv_nsec, 987654321);
}

static void what_is_right_already_is_not_touched(void **state)
{
	OWN_FD int fd = make("f");
	struct entry en = wanted(0640);
	struct attr_set none = ATTR_SET_INIT;
	struct stat before, after;

	(void)state;
	run(fd, 0, &en, &none, 0);
	before = look();
	(void)usleep(20000);
	run(fd, 0, &en, &none, 0);
	after = look();
	assert_memory_equal(&after.st_ctim, &before.st_ctim, sizeof(before.st_ctim));
}

static void extra_attributes_go_and_wanted_ones_come(void **state)
{
	OWN_FD int fd = make("f");
	OWN_ATTRS struct attr_set want = ATTR_SET_INIT, have = ATTR_SET_INIT;
	struct entry en = wanted(0400);
	struct err e = ERR_INIT;

	(void)state;
	if (fsetxattr(fd, "user.extra", "x", 1, 0) < 0)
		skip();
	assert_int_equal(fsetxattr(fd, "user.differs", "old", 3, 0), 0);
	assert_int_equal(attr_set_add(&want, "user.differs", "new!", 4, &e), 0);
	assert_int_equal(attr_set_add(&want, "user.empty", "", 0, &e), 0);
	run(fd, 0, &en, &want, 0);
	assert_int_equal(attrs_read(fd, &have, &e), 0);
	assert_int_equal(have.n, 2);
	assert_string_equal(have.v[0].name, "user.differs");
	assert_memory_equal(have.v[0].value, "new!", 4);
	assert_int_equal(have.v[1].len, 0);
}

/* The ACL "user::rw-, user:12345:r--, group::r--, mask::r--, other::---" as the kernel holds it. */
static const uint8_t acl[] = { 2, 0, 0, 0, 1, 0, 6, 0, 255, 255, 255, 255, 2, 0, 4, 0, 0x39, 0x30, 0, 0, 4, 0, 4, 0, 255, 255,
	255, 255, 16, 0, 4, 0, 255, 255, 255, 255, 32, 0, 0, 0, 255, 255, 255, 255 };

static void an_inherited_default_acl_does_not_leak_in(void **state)
{
	struct attr_set none = ATTR_SET_INIT;
	OWN_ATTRS struct attr_set have = ATTR_SET_INIT;
	struct entry en = wanted(0644);
	struct err e = ERR_INIT;

	(void)state;
	if (fsetxattr(top, "system.posix_acl_default", acl, sizeof(acl), 0) < 0)
		skip();
	OWN_FD int fd = make("f");

	assert_true(fgetxattr(fd, "system.posix_acl_access", NULL, 0) > 0);
	run(fd, 0, &en, &none, 0);
	assert_int_equal(attrs_read(fd, &have, &e), 0);
	assert_int_equal(have.n, 0);
	assert_int_equal(look().st_mode & 07777, 0644);
}

static void an_acl_and_its_mode_arrive_together(void **state)
{
	OWN_FD int fd = make("f");
	OWN_ATTRS struct attr_set want = ATTR_SET_INIT;
	struct entry en = wanted(0640);
	struct err e = ERR_INIT;
	uint8_t got[128];

	(void)state;
	assert_int_equal(attr_set_add(&want, "system.posix_acl_access", acl, sizeof(acl), &e), 0);
	run(fd, 0, &en, &want, 0);
	assert_int_equal(fgetxattr(fd, "system.posix_acl_access", got, sizeof(got)), sizeof(acl));
	assert_memory_equal(got, acl, sizeof(acl));
	assert_int_equal(look().st_mode & 07777, 0640);
}

static void a_symlink_gets_its_own_time_not_its_targets(void **state)
{
	struct entry en = wanted(0777);

	(void)state;
	en.type = ENTRY_SYMLINK;
	assert_int_equal(symlinkat("/etc/passwd", top, "f"), 0);
	OWN_FD int fd = openat(top, "f", O_PATH | O_NOFOLLOW);

	run(fd, 0, &en, &(struct attr_set)ATTR_SET_INIT, 0);
	assert_true(S_ISLNK(look().st_mode));
	assert_int_equal(look().st_mtim.tv_nsec, 987654321);
}

static void a_fifo_is_finalised_without_being_opened(void **state)
{
	struct entry en = wanted(0624);

	(void)state;
	en.type = ENTRY_FIFO;
	assert_int_equal(mkfifoat(top, "f", 0600), 0);
	OWN_FD int fd = openat(top, "f", O_PATH | O_NOFOLLOW);

	run(fd, 0, &en, NULL, 0);
	assert_int_equal(look().st_mode & 07777, 0624);
	assert_int_equal(look().st_mtim.tv_sec, 1234567890);
}

static void owner_capability_and_setuid_survive_each_other(void **state)
{
	/* cap_net_bind_service=ep, version 2 */
	static const uint8_t cap[] = { 1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 };
	OWN_ATTRS struct attr_set want = ATTR_SET_INIT;
	struct entry en = wanted(06755);
	struct err e = ERR_INIT;

	(void)state;
	if (!root_rights) {
		print_message("skipped: owners and capabilities need root\n");
		skip();
	}
	OWN_FD int fd = make("f");

	en.uid = 12345;
	en.gid = 23456;
	assert_int_equal(attr_set_add(&want, "security.capability", cap, sizeof(cap), &e), 0);
	run(fd, 0, &en, &want, 0);
	assert_int_equal(look().st_uid, 12345);
	assert_int_equal(look().st_gid, 23456);
	assert_int_equal(look().st_mode & 07777, 06755);
	assert_int_equal(fgetxattr(fd, "security.capability", NULL, 0), sizeof(cap));
}

static void inode_flags_come_last_and_only_when_asked(void **state)
{
	OWN_FD int fd = make("f");
	struct entry en = wanted(0600);
	int flags = 0;

	(void)state;
	if (!root_rights) {
		print_message("skipped: immutable needs root\n");
		skip();
	}
	if (ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0)
		skip();
	en.has = ENTRY_HAS_FLAGS;
	en.flags = FS_IMMUTABLE_FL | FS_NODUMP_FL;
	run(fd, 0, &en, NULL, 0);
	assert_int_equal(ioctl(fd, FS_IOC_GETFLAGS, &flags), 0);
	assert_int_equal(flags & (FS_IMMUTABLE_FL | FS_NODUMP_FL), 0);
	en.mode = 0604;
	run(fd, FINALISE_FLAGS, &en, NULL, 0);
	assert_int_equal(ioctl(fd, FS_IOC_GETFLAGS, &flags), 0);
	assert_int_equal(flags & (FS_IMMUTABLE_FL | FS_NODUMP_FL), FS_IMMUTABLE_FL | FS_NODUMP_FL);
	/* An immutable inode can be corrected again. */
	en.mode = 0640;
	en.flags = 0;
	run(fd, FINALISE_FLAGS, &en, NULL, 0);
	assert_int_equal(look().st_mode & 07777, 0640);
}

static void what_cannot_be_set_is_named_and_the_rest_is_done(void **state)
{
	OWN_FD int fd = make("f");
	OWN_ATTRS struct attr_set want = ATTR_SET_INIT;
	OWN_BUF struct buf why = BUF_INIT;
	struct entry en = wanted(0644);
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(attr_set_add(&want, "nonsense.name", "x", 1, &e), 0);
	assert_int_equal(finalise(fd, 0, &en, &want, &why, &e), 1);
	assert_non_null(strstr(why.data, "nonsense.name"));
	assert_int_equal(look().st_mode & 07777, 0644);
	assert_int_equal(look().st_mtim.tv_sec, 1234567890);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(mode_and_times_arrive_to_the_nanosecond), T(what_is_right_already_is_not_touched),
		T(extra_attributes_go_and_wanted_ones_come), T(an_inherited_default_acl_does_not_leak_in),
		T(an_acl_and_its_mode_arrive_together), T(a_symlink_gets_its_own_time_not_its_targets),
		T(a_fifo_is_finalised_without_being_opened), T(owner_capability_and_setuid_survive_each_other),
		T(inode_flags_come_last_and_only_when_asked), T(what_cannot_be_set_is_named_and_the_rest_is_done),
	};

	(void)umask(022);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
