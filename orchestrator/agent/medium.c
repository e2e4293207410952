#include "medium.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "device.h"
#include "esc.h"
#include "io.h"

#define MOUNTS_MAX (4u << 20)
#define RELATED_MAX 256

static int sys_dir(dev_t dev)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/sys/dev/block/%u:%u", major(dev), minor(dev));
	return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

uint64_t medium_size(const struct stat *st)
{
	OWN_BUF struct buf b = BUF_INIT;
	OWN_FD int fd = -1;

	if (!S_ISBLK(st->st_mode))
		return (uint64_t)st->st_size;
	fd = sys_dir(st->st_rdev);
	return fd >= 0 && device_attribute(fd, "size", &b) ? strtoull(b.data, NULL, 10) * 512 : 0;
}

/* ---- use ---- */

struct related { dev_t v[RELATED_MAX]; size_t n; };	/* devices through which the same bytes are reached */

static void relate(struct related *r, dev_t dev, unsigned depth);

/* A directory of sysfs that stands for a device. */
static void relate_dir(struct related *r, int dir, const char *name, unsigned depth)
{
	OWN_FD int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	OWN_BUF struct buf b = BUF_INIT;
	unsigned maj, min;

	if (fd >= 0 && device_attribute(fd, "dev", &b) && sscanf(b.data, "%u:%u", &maj, &min) == 2)
		relate(r, makedev(maj, min), depth + 1);
}

static void relate_all(struct related *r, int dir, unsigned depth)
{
	OWN_DIR DIR *d = dir < 0 ? NULL : fdopendir(dir);
	struct dirent *de;

	if (!d && dir >= 0)
		(void)close(dir);
	while (d && (de = readdir(d)))
		if (de->d_name[0] != '.')
			relate_dir(r, dirfd(d), de->d_name, depth);
}

/* The device, its partitions, and what is stacked on them. */
static void relate(struct related *r, dev_t dev, unsigned depth)
{
	OWN_FD int fd = sys_dir(dev);

	for (size_t i = 0; i < r->n; i++)
		if (r->v[i] == dev)
			return;
	if (r->n == RELATED_MAX || depth > 8)
		return;
	r->v[r->n++] = dev;
	if (fd < 0)
		return;
	relate_all(r, openat(fd, "holders", O_RDONLY | O_DIRECTORY | O_CLOEXEC), depth);
	relate_all(r, openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), depth);	/* partitions are directories with a dev of their own */
}

/* Loop devices whose file it is. */
static void relate_loops(struct related *r, const struct stat *st)
{
	OWN_DIR DIR *d = opendir("/sys/block");
	struct dirent *de;

	while (d && (de = readdir(d))) {
		OWN_BUF struct buf b = BUF_INIT;
		char name[300];
		struct stat file;

		(void)snprintf(name, sizeof(name), "%s/loop/backing_file", de->d_name);
		if (strncmp(de->d_name, "loop", 4) == 0 && device_attribute(dirfd(d), name, &b) && stat(b.data, &file) == 0 &&
		    file.st_dev == st->st_dev && file.st_ino == st->st_ino)
			relate_dir(r, dirfd(d), de->d_name, 0);
	}
}

static bool is_related(const struct related *r, dev_t dev)
{
	for (size_t i = 0; i < r->n; i++)
		if (r->v[i] == dev)
			return true;
	return false;
}

/* One line of mountinfo: how it is mounted, when it is; *point is the mount point, *part what of the file system is seen there. */
static enum medium_use use_of_line(const struct related *r, char *line, const char **point, const char **part)
{
	char *word[64], *save = NULL, *source;
	OWN_BUF struct buf raw = BUF_INIT;
	size_t n = 0, dash = 6;
	unsigned maj, min;
	struct stat st;
	bool ours;

	for (char *w = strtok_r(line, " ", &save); w && n < 64; w = strtok_r(NULL, " ", &save))
		word[n++] = w;
	while (dash < n && strcmp(word[dash], "-") != 0)
		dash++;
	if (dash + 3 >= n || sscanf(word[2], "%u:%u", &maj, &min) != 2)
		return MEDIUM_FREE;
	source = word[dash + 2];
	ours = is_related(r, makedev(maj, min));
	/* File systems of several devices have a number of their own. */
	if (!ours && source[0] == '/' && esc_undo(&raw, source, strlen(source)) && raw.data)
		ours = stat(raw.data, &st) == 0 && S_ISBLK(st.st_mode) && is_related(r, st.st_rdev);
	if (!ours)
		return MEDIUM_FREE;
	*point = word[4];
	*part = word[3];
	return strncmp(word[dash + 3], "rw", 2) == 0 ? MEDIUM_MOUNTED_RW : MEDIUM_MOUNTED_RO;
}

static enum medium_use use_of_mounts(const struct related *r, struct buf *points)
{
	OWN_BUF struct buf b = BUF_INIT;
	struct err ignored = ERR_INIT;
	enum medium_use use = MEDIUM_FREE;
	char *save = NULL;

	if (io_read_file(AT_FDCWD, "/proc/self/mountinfo", MOUNTS_MAX, &b, &ignored) < 0 || !b.data)
		return MEDIUM_HELD;	/* nobody knows */
	for (char *line = strtok_r(b.data, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		const char *point = "", *part = "";
		enum medium_use one = use_of_line(r, line, &point, &part);

		if (one != MEDIUM_FREE && points && strcmp(part, "/") == 0)
			buf_printf(points, "%s\n", point);
		else if (one != MEDIUM_FREE && points)
			buf_printf(points, "%s (only %s of it)\n", point, part);
		if (one > use)
			use = one;
	}
	return use;
}

/* The kernel lets nobody have for himself what a mount of another namespace, swap, RAID or LVM has. */
static bool held(dev_t dev)
{
	char path[64];
	OWN_FD int fd = -1;

	(void)snprintf(path, sizeof(path), "/dev/block/%u:%u", major(dev), minor(dev));
	fd = open(path, O_RDONLY | O_EXCL | O_CLOEXEC | O_NONBLOCK);
	return fd < 0 && errno == EBUSY;
}

enum medium_use medium_use(const struct stat *st)
{
	struct related r = { .n = 0 };
	enum medium_use use;

	if (S_ISBLK(st->st_mode))
		relate(&r, st->st_rdev, 0);
	else
		relate_loops(&r, st);
	if (r.n == 0)
		return MEDIUM_FREE;
	use = use_of_mounts(&r, NULL);
	/* Whoever attached an image may write through its device at any time. */
	if (use == MEDIUM_FREE && !S_ISBLK(st->st_mode))
		return MEDIUM_HELD;
	for (size_t i = 0; use == MEDIUM_FREE && i < r.n; i++)
		if (held(r.v[i]))
			use = MEDIUM_HELD;
	return use;
}

/* A partition or volume of it that nothing is mounted from: nobody knows what it holds. */
static void put_unmounted(const struct related *r, struct buf *out)
{
	for (size_t i = 0; i < r->n; i++) {
		struct related one = { .n = 0 };
		char node[DEVICE_NODE];

		relate(&one, r->v[i], 0);
		if (one.n == 1 && use_of_mounts(&one, NULL) == MEDIUM_FREE)
			buf_printf(out, "%s (not mounted)\n", device_node(r->v[i], node) ? node : "a part of it");
	}
}

void medium_mounts(const struct stat *st, struct buf *out)
{
	struct related r = { .n = 0 };

	if (S_ISBLK(st->st_mode))
		relate(&r, st->st_rdev, 0);
	else
		relate_loops(&r, st);
	(void)use_of_mounts(&r, out);
	if (out->len)
		put_unmounted(&r, out);
}

void medium_parts(const struct stat *st, const char *path, struct buf *out)
{
	struct related r = { .n = 0 };

	if (S_ISBLK(st->st_mode))
		relate(&r, st->st_rdev, 0);
	for (size_t i = 0; r.n > 1 && i < r.n; i++) {
		struct related one = { .n = 0 };
		char node[DEVICE_NODE];

		relate(&one, r.v[i], 0);
		if (one.n != 1)
			continue;
		if (!device_node(r.v[i], node))
			(void)snprintf(node, sizeof(node), "a part without a name");
		esc_put(out, node, strlen(node));
		buf_putc(out, '\n');
	}
	if (r.n <= 1) {
		esc_put(out, path, strlen(path));
		buf_putc(out, '\n');
	}
}

static int by_place(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

size_t medium_partitions(const struct stat *st, uint64_t *at, size_t max)
{
	int top = S_ISBLK(st->st_mode) ? sys_dir(st->st_rdev) : -1;
	OWN_DIR DIR *d = top < 0 ? NULL : fdopendir(top);
	struct dirent *de;
	size_t n = 0;

	if (!d && top >= 0)
		(void)close(top);
	while (d && n < max && (de = readdir(d))) {
		OWN_FD int fd = de->d_name[0] == '.' ? -1 : openat(dirfd(d), de->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		OWN_BUF struct buf b = BUF_INIT;

		if (fd >= 0 && device_attribute(fd, "partition", &b) && device_attribute(fd, "start", &b))
			at[n++] = strtoull(b.data, NULL, 10) * 512;
	}
	qsort(at, n, sizeof(*at), by_place);
	return n;
}

const char *medium_use_name(enum medium_use u)
{
	static const char *const names[] = { "no", "read-only", "held", "read-write" };

	return names[u];
}
