#include "own_mount.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/btrfs.h>
#include <linux/loop.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "buf.h"
#include "esc.h"
#include "medium.h"
#include "own.h"

#define ATTACH_TRIES 16

/* Goes with its last user: the mount. */
static int attach(int loop, int file)
{
	struct loop_config c = { .fd = (uint32_t)file, .info = { .lo_flags = LO_FLAGS_READ_ONLY | LO_FLAGS_AUTOCLEAR } };

	return ioctl(loop, LOOP_CONFIGURE, &c);
}

/* An image needs a loop device; another process may take a free one first. */
static int open_loop(const char *image, char node[32], struct err *e)
{
	OWN_FD int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC), file = open(image, O_RDONLY | O_CLOEXEC);

	for (int tries = 0; control >= 0 && file >= 0 && tries < ATTACH_TRIES; tries++) {
		int number = ioctl(control, LOOP_CTL_GET_FREE);
		OWN_FD int loop = -1;

		(void)snprintf(node, 32, "/dev/loop%d", number);
		if (number < 0 || (loop = open(node, O_RDONLY | O_CLOEXEC)) < 0)
			break;
		if (attach(loop, file) == 0)
			return take_fd(&loop);
		if (errno != EBUSY)
			break;
	}
	return err_sys(e, "attach %s to look at what it holds", esc_s(image));
}

static int try_types(const char *node, const char *at, struct err *e)
{
	static const char *const types[] = { "ext4", "xfs", "btrfs", "f2fs", "vfat", "exfat", "ntfs3", "ext3", "ext2" };
	int why = EINVAL;

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (mount(node, at, types[i], MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) == 0)
			return 0;
		/* Of another type, or of a type that this kernel does not know: the next one. */
		if (errno != EINVAL && errno != ENODEV)
			why = errno;
		if (errno == EPERM || errno == EACCES)
			break;
	}
	errno = why;
	(void)err_sys(e, "%s cannot be mounted to look at what it holds", esc_s(node));
	e->class = ERR_REFUSED;
	return -1;
}

/* A btrfs may lie on devices that nobody named. */
static bool on_several(const char *at)
{
	OWN_FD int fd = open(at, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct btrfs_ioctl_fs_info_args fs = { 0 };

	return fd >= 0 && ioctl(fd, BTRFS_IOC_FS_INFO, &fs) == 0 && fs.num_devices != 1;
}

/* What is mounted must be the file system from its root on, and nothing but that. */
static int check_whole(const struct stat *device, const char *at, struct err *e)
{
	OWN_BUF struct buf points = BUF_INIT, raw = BUF_INIT;

	medium_mounts(device, &points);
	if (points.failed)
		return err_set(e, ERR_TEMPORARY, "out of memory");
	if (on_several(at))
		return err_set(e, ERR_REFUSED, "%s: its file system lies on several devices: wiping one leaves the others", esc_s(at));
	/* One line, and nothing but the place: what is told besides (a part of it, another partition) does not compare. */
	if (points.len && esc_undo(&raw, points.data, points.len - 1) && raw.data && strcmp(raw.data, at) == 0)
		return 0;
	return err_set(e, ERR_REFUSED, "%s: not the whole of its file system can be looked at", esc_s(at));
}

int own_mount(const char *device, const char *at, struct err *e)
{
	OWN_FD int loop = -1;
	char node[32] = "";
	struct stat st;

	if (stat(device, &st) < 0)
		return err_sys(e, "%s", esc_s(device));
	if (medium_use(&st) != MEDIUM_FREE)
		return err_set(e, ERR_REFUSED, "%s is in use", esc_s(device));
	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
		(void)err_sys(e, "mount namespace to look at %s", esc_s(device));
		e->class = ERR_REFUSED;
		return -1;
	}
	if (!S_ISBLK(st.st_mode) && (loop = open_loop(device, node, e)) < 0)
		return -1;
	return try_types(*node ? node : device, at, e) < 0 ? -1 : check_whole(&st, at, e);
}
