/* Immutable and append-only inodes that stand in the way of a later pass. */
#include "apply.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOCKS (FS_IMMUTABLE_FL | FS_APPEND_FL)

/* Flags cannot be asked of anything but files and directories, and opening those blocks nowhere. */
static int open_plain(int dir, const char *name)
{
	return openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

static bool lift(int fd, int *had)
{
	int flags = 0, open;

	if (ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0 || !(flags & LOCKS))
		return false;
	open = flags & ~LOCKS;
	*had = flags;
	return ioctl(fd, FS_IOC_SETFLAGS, &open) == 0;
}

/* Under a plan that says "flags: no" nobody but their owner takes them off. */
static bool may_lift(const struct apply *ap) { return geteuid() == 0 && agent_flag(ap->a, MSG_F_FLAGS); }

static bool lift_name(int dir, const char *name, int *had)
{
	OWN_FD int fd = -1;
	struct stat st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)))
		return false;
	fd = open_plain(dir, name);
	return fd >= 0 && lift(fd, had);
}

bool tree_unlock(struct apply *ap, int dir, const char *name)
{
	int keep = errno, had;
	bool lifted = false;

	if (may_lift(ap)) {
		lifted = lift_name(dir, ".", &had);
		if (name && lift_name(dir, name, &had))
			lifted = true;
	}
	errno = keep;
	return lifted;
}

/*
 * An immutable inode takes no further name, and none of its names can be renamed: open until tree_relock.  The fd is owned by the
 * caller; -1 when there was nothing to lift.
 */
int tree_unlock_inode(struct apply *ap, int dir, const char *name, int *had)
{
	int keep = errno, fd = -1;

	if (may_lift(ap) && (fd = open_plain(dir, name)) >= 0 && !lift(fd, had)) {
		(void)close(fd);
		fd = -1;
	}
	errno = keep;
	return fd;
}

int tree_relock(int fd, int had, struct err *e)
{
	return ioctl(fd, FS_IOC_SETFLAGS, &had) < 0 ? err_sys(e, "inode flags") : 0;
}
