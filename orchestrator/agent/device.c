#include "device.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "io.h"

bool device_node(dev_t dev, char out[DEVICE_NODE])
{
	OWN_BUF struct buf b = BUF_INIT;
	struct err ignored = ERR_INIT;
	char path[64];
	const char *p;

	(void)snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/uevent", major(dev), minor(dev));
	if (io_read_file(AT_FDCWD, path, 4096, &b, &ignored) < 0 || !b.data || !(p = strstr(b.data, "DEVNAME=")))
		return false;
	p += strlen("DEVNAME=");
	(void)snprintf(out, DEVICE_NODE, "/dev/%.*s", (int)(strcspn(p, "\n") < 250 ? strcspn(p, "\n") : 250), p);
	return true;
}

/* ---- serial numbers ---- */

bool device_attribute(int dir, const char *name, struct buf *out)
{
	struct err ignored = ERR_INIT;

	buf_reset(out);
	if (io_read_file(dir, name, 4096, out, &ignored) < 0 || !out->data)
		return false;
	out->len = strcspn(out->data, "\n");
	while (out->len && out->data[out->len - 1] == ' ')
		out->len--;
	out->data[out->len] = '\0';
	return out->len > 0;
}

static void serials_of(int sysdir, unsigned depth, struct buf *list);

/* What a stacked device (dm, md, loop on it) stands on. */
static bool serials_of_slaves(int sysdir, unsigned depth, struct buf *list)
{
	OWN_FD int fd = openat(sysdir, "slaves", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	OWN_DIR DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *de;
	bool any = false;

	if (!d)
		return false;
	fd = -1;
	while ((de = readdir(d))) {
		OWN_FD int slave = de->d_name[0] == '.' ? -1 : openat(dirfd(d), de->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		if (slave >= 0) {
			serials_of(slave, depth + 1, list);
			any = true;
		}
	}
	return any;
}

static void serials_of(int sysdir, unsigned depth, struct buf *list)
{
	static const char *const places[] = { "serial", "device/serial", "device/wwid", "wwid", "../serial", "../device/serial",
		"../device/wwid", "../wwid" };
	OWN_BUF struct buf b = BUF_INIT;

	if (depth > 8 || serials_of_slaves(sysdir, depth, list))
		return;
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		if (device_attribute(sysdir, places[i], &b)) {
			buf_printf(list, "%s%s", list->len ? " " : "", b.data);
			return;
		}
}

void device_serials(dev_t dev, struct buf *list)
{
	OWN_FD int fd = -1;
	char path[64];

	(void)snprintf(path, sizeof(path), "/sys/dev/block/%u:%u", major(dev), minor(dev));
	if ((fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) >= 0)
		serials_of(fd, 0, list);
}

void device_model(dev_t dev, struct buf *out)
{
	static const char *const places[] = { "device/vendor", "../device/vendor", "device/model", "../device/model" };
	OWN_BUF struct buf b = BUF_INIT;
	OWN_FD int fd = -1;
	char path[64];

	(void)snprintf(path, sizeof(path), "/sys/dev/block/%u:%u", major(dev), minor(dev));
	if ((fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
		return;
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		if (device_attribute(fd, places[i], &b))
			buf_printf(out, "%s%s", out->len ? " " : "", b.data);
}

/* ---- is this a guest? ---- */

static bool holds(int dir, const char *name, const char *const *words, struct buf *b)
{
	struct err ignored = ERR_INIT;

	buf_reset(b);
	if (io_read_file(dir, name, 1 << 20, b, &ignored) < 0 || !b->data)
		return false;
	for (; *words; words++)
		if (strstr(b->data, *words))
			return true;
	return false;
}

bool device_guest(char out[DEVICE_WHY])
{
	static const char *const cpu[] = { " hypervisor ", " hypervisor\n", NULL };
	static const char *const vendors[] = { "QEMU", "KVM", "VMware", "Xen", "innotek", "VirtualBox", "Alibaba Cloud", "Tencent Cloud",
		"Huawei Cloud", "OpenStack", "Amazon EC2", "Google Compute", "Bochs", "Parallels", "Virtual Machine", "HVM domU", NULL };
	static const char *const files[] = { "/sys/class/dmi/id/sys_vendor", "/sys/class/dmi/id/product_name", "/proc/device-tree/hypervisor/compatible",
		"/sys/hypervisor/type" };
	OWN_BUF struct buf b = BUF_INIT;

	if (holds(AT_FDCWD, "/proc/cpuinfo", cpu, &b)) {
		(void)snprintf(out, DEVICE_WHY, "the processor tells of a hypervisor");
		return true;
	}
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		if (i >= 2 ? access(files[i], F_OK) == 0 : holds(AT_FDCWD, files[i], vendors, &b)) {
			(void)snprintf(out, DEVICE_WHY, "%s tells of a virtual machine", files[i]);
			return true;
		}
	return false;
}

static void put_file(const struct stat *st, struct buf *b)
{
	buf_printf(b, " f:%ju:%u:%u", (uintmax_t)st->st_ino, major(st->st_dev), minor(st->st_dev));
}

char *device_where(const struct stat *st)
{
	OWN_BUF struct buf b = BUF_INIT, file = BUF_INIT;
	OWN_FD int dir = -1;
	struct stat backing;
	char path[64];

	(void)device_attribute(AT_FDCWD, "/proc/sys/kernel/random/boot_id", &b);
	if (!S_ISBLK(st->st_mode)) {
		put_file(st, &b);
		return b.failed ? NULL : buf_take(&b);
	}
	buf_printf(&b, " b:%u:%u", major(st->st_rdev), minor(st->st_rdev));
	(void)snprintf(path, sizeof(path), "/sys/dev/block/%u:%u", major(st->st_rdev), minor(st->st_rdev));
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir >= 0 && (device_attribute(dir, "loop/backing_file", &file) || device_attribute(dir, "../loop/backing_file", &file)) && stat(file.data, &backing) == 0)
		put_file(&backing, &b);
	return b.failed ? NULL : buf_take(&b);
}

bool device_flag(dev_t dev, const char *attribute)
{
	OWN_BUF struct buf b = BUF_INIT;
	struct err ignored = ERR_INIT;
	char path[160];

	/* A partition has its queue one level up. */
	for (int up = 0; up < 2; up++) {
		(void)snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/%squeue/%s", major(dev), minor(dev), up ? "../" : "", attribute);
		buf_reset(&b);
		if (io_read_file(AT_FDCWD, path, 64, &b, &ignored) == 0 && b.data)
			return b.data[0] == '1';
	}
	return false;
}
