#include "wipe.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "io.h"
#include "medium.h"

#define SYS_PATH 400

/* First line of an attribute of the device; false when there is none. */
static bool attribute(const char *dir, const char *name, struct buf *out)
{
	struct err ignored = ERR_INIT;
	char path[SYS_PATH + 64];

	buf_reset(out);
	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	if (io_read_file(AT_FDCWD, path, 4096, out, &ignored) < 0 || !out->data)
		return false;
	out->data[out->len = strcspn(out->data, "\n")] = '\0';
	return out->len > 0;
}

/* The only holder of the device, as a directory of sysfs; false when there are none, or several. */
static bool only_holder(const struct stat *st, char dir[SYS_PATH])
{
	char path[80];
	OWN_DIR DIR *d = NULL;
	struct dirent *de;
	size_t n = 0;

	(void)snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/holders", major(st->st_rdev), minor(st->st_rdev));
	d = S_ISBLK(st->st_mode) ? opendir(path) : NULL;
	while (d && (de = readdir(d)))
		if (de->d_name[0] != '.' && n++ == 0)
			(void)snprintf(dir, SYS_PATH, "%s/%.255s", path, de->d_name);
	return n == 1;
}

bool wipe_crypt_open(const struct stat *st)
{
	OWN_BUF struct buf b = BUF_INIT;
	char dir[SYS_PATH], node[300];
	struct stat volume;

	if (!only_holder(st, dir) || !attribute(dir, "dm/uuid", &b) || strncmp(b.data, "CRYPT-", 6) != 0 || !attribute(dir, "dev", &b))
		return false;
	(void)snprintf(node, sizeof(node), "/dev/block/%.200s", b.data);
	return stat(node, &volume) == 0 && S_ISBLK(volume.st_mode) && medium_use(&volume) == MEDIUM_FREE;
}

int wipe_crypt_close(const struct stat *st, struct err *e)
{
	OWN_FD int control = open("/dev/mapper/control", O_RDWR | O_CLOEXEC);
	struct dm_ioctl d = { .version = { 4, 0, 0 }, .data_size = sizeof(d), .data_start = sizeof(d) };
	OWN_BUF struct buf b = BUF_INIT;
	char dir[SYS_PATH];

	if (control >= 0 && only_holder(st, dir) && attribute(dir, "dm/name", &b) && b.len < sizeof(d.name)) {
		memcpy(d.name, b.data, b.len + 1);
		if (ioctl(control, DM_DEV_REMOVE, &d) == 0)
			return 0;
	}
	(void)err_sys(e, "the encrypted volume on it cannot be closed");
	e->class = ERR_REFUSED;
	return err_hint(e, "close it (cryptsetup close), then run the same command again");
}
