#include "scan.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/btrfs.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>

#include "device.h"
#include "digest.h"
#include "esc.h"
#include "sys.h"

void medium_close(struct medium *m)
{
	if (m->fd >= 0)
		(void)close(m->fd);
	if (m->mount >= 0)
		(void)close(m->mount);
	free(m->path);
	free(m->mount_path);
	msg_medium_dispose(&m->facts);
}

void media_close(struct media *m)
{
	for (size_t i = 0; i < m->n; i++)
		medium_close(&m->v[i]);
	free(m->v);
	*m = (struct media)MEDIA_INIT;
}

/* ---- where is it mounted? ---- */

/* Undoes \ooo in place. */
static void unescape(char *s)
{
	char *to = s;

	for (; *s; to++)
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] && s[3]) {
			*to = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
			s += 4;
		} else {
			*to = *s++;
		}
	*to = '\0';
}

static bool btrfs_holds(int fd, uint64_t dev)
{
	struct btrfs_ioctl_fs_info_args fs = { 0 };
	struct stat st;

	if (ioctl(fd, BTRFS_IOC_FS_INFO, &fs) < 0)
		return false;
	for (uint64_t id = 0; id <= fs.max_id; id++) {
		struct btrfs_ioctl_dev_info_args d = { .devid = id };

		if (ioctl(fd, BTRFS_IOC_DEV_INFO, &d) == 0 && stat((const char *)d.path, &st) == 0 && st.st_rdev == dev)
			return true;
	}
	return false;
}

/* One line of mountinfo: is it a mount of dev?  Then it is opened. */
static bool try_mount(struct medium *m, char *line)
{
	char *field[10], *save = NULL, *dash = strstr(line, " - "), number[40], *p = line;
	struct statfs fs;
	size_t n = 0;
	OWN_FD int fd = -1;

	for (char *w; n < 5 && (w = strtok_r(p, " ", &save)); p = NULL)
		field[n++] = w;
	if (n < 5 || !dash)
		return false;
	(void)snprintf(number, sizeof(number), "%u:%u", major(m->dev), minor(m->dev));
	/* btrfs has device numbers of its own. */
	if (strcmp(field[2], number) != 0 && strncmp(dash + 3, "btrfs ", 6) != 0)
		return false;
	unescape(field[4]);
	fd = open(field[4], O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 || fstatfs(fd, &fs) < 0 || (strcmp(field[2], number) != 0 && !btrfs_holds(fd, m->dev)))
		return false;
	if (!(m->mount_path = strdup(field[4])))
		return false;
	agent_fstype((uint64_t)(unsigned long)fs.f_type, m->facts.fstype);
	m->mount = take_fd(&fd);
	m->facts.flags |= MSG_MEDIUM_MOUNTED;
	return true;
}

static void find_mount(struct medium *m)
{
	OWN_FILE FILE *f = fopen("/proc/self/mountinfo", "re");
	OWN_FREE char *line = NULL;
	size_t cap = 0;

	while (f && getline(&line, &cap, f) > 0)
		if (try_mount(m, line))
			return;
}

/* ---- opening ---- */

static int open_either(struct medium *m, struct err *e)
{
	m->fd = open(m->path, O_RDONLY | O_DIRECT | O_CLOEXEC | O_NONBLOCK);
	if (m->fd >= 0)
		m->facts.flags |= MSG_MEDIUM_DIRECT;
	else if (errno == EINVAL)
		m->fd = open(m->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (m->fd >= 0)
		return 0;
	(void)err_sys(e, "no raw reading of %s", esc_s(m->path));
	e->class = ERR_UNVERIFIED;
	return -1;
}

static int measure_device(struct medium *m, const struct stat *st, struct err *e)
{
	OWN_BUF struct buf serial = BUF_INIT;
	int sector = 512;

	m->dev = st->st_rdev;
	if (ioctl(m->fd, BLKGETSIZE64, &m->size) < 0 || ioctl(m->fd, BLKSSZGET, &sector) < 0)
		return err_sys(e, "size of %s", esc_s(m->path));
	m->sector = sector >= 512 && sector <= 65536 ? (uint32_t)sector : 512;
	m->facts.flags |= MSG_MEDIUM_BLOCK;
	if (device_flag(st->st_rdev, "rotational"))
		m->facts.flags |= MSG_MEDIUM_ROTATIONAL;
	device_serials(st->st_rdev, &serial);
	if (buf_finish(&serial, e) < 0)
		return -1;
	free(m->facts.serial);
	if (!(m->facts.serial = strdup(serial.data ? serial.data : "")))
		return err_sys(e, "%s", esc_s(m->path));
	find_mount(m);
	return 0;
}

#define HEAD (128u << 10)

/* The UUID of an ext, XFS or btrfs file system: of media without serial numbers, the one thing that tells two apart. */
static void read_uuid(struct medium *m, char out[33])
{
	static const struct { size_t magic_at; const char *magic; size_t len, uuid_at; } known[] = {
		{ 1024 + 56, "\x53\xef", 2, 1024 + 104 }, { 0, "XFSB", 4, 32 }, { 65536 + 64, "_BHRfS_M", 8, 65536 + 32 } };
	void *p = NULL;

	out[0] = '\0';
	if (posix_memalign(&p, 4096, HEAD) != 0)
		return;
	if (sys_pread(SCAN_SITE, m->fd, p, HEAD, 0) == (ssize_t)HEAD)
		for (size_t i = 0; i < sizeof(known) / sizeof(known[0]) && !*out; i++)
			if (memcmp((char *)p + known[i].magic_at, known[i].magic, known[i].len) == 0)
				hex_of((uint8_t *)p + known[i].uuid_at, 16, out);
	free(p);
}

static int measure(struct medium *m, struct err *e)
{
	char why[DEVICE_WHY] = "";
	struct stat st;

	m->facts.serial = strdup("");
	m->facts.fstype = calloc(1, AGENT_FSTYPE);
	if (device_guest(why))
		m->facts.flags |= MSG_MEDIUM_GUEST;
	m->facts.note = strdup(why);
	m->facts.uuid = calloc(1, 33);
	if (!m->facts.serial || !m->facts.fstype || !m->facts.note || !m->facts.uuid)
		return err_sys(e, "%s", esc_s(m->path));
	read_uuid(m, m->facts.uuid);
	if (fstat(m->fd, &st) < 0 || !(m->facts.where = device_where(&st)))
		return err_sys(e, "%s", esc_s(m->path));
	if (S_ISBLK(st.st_mode)) {
		if (measure_device(m, &st, e) < 0)
			return -1;
	} else if (S_ISREG(st.st_mode)) {
		m->size = (uint64_t)st.st_size;
		m->sector = m->facts.flags & MSG_MEDIUM_DIRECT ? 4096 : 512;
	} else {
		return err_set(e, ERR_USAGE, "%s is neither a block device nor a file", esc_s(m->path));
	}
	m->facts.size = m->size;
	m->facts.sector = m->sector;
	return 0;
}

int media_add(struct media *m, const char *path, struct err *e)
{
	struct medium *grown = realloc(m->v, (m->n + 1) * sizeof(*grown)), *x;

	if (!grown)
		return err_sys(e, "%s", esc_s(path));
	m->v = grown;
	x = &m->v[m->n];
	*x = (struct medium){ .fd = -1, .mount = -1, .path = strdup(path) };
	x->facts.path = strdup(path);
	if (!x->path || !x->facts.path || open_either(x, e) < 0 || measure(x, e) < 0) {
		if (e->class == ERR_NONE)
			(void)err_set(e, ERR_TEMPORARY, "out of memory");
		medium_close(x);
		return -1;
	}
	m->n++;
	return 0;
}

static void none(struct media *m, const char *why) { (void)snprintf(m->why_none, sizeof(m->why_none), "%s", why); }

/* A device that cannot be opened is a reason, not a failure: then there is no raw medium. */
static void add_or_none(struct media *m, const char *path)
{
	struct err e = ERR_INIT;

	if (media_add(m, path, &e) == 0)
		return;
	media_close(m);
	(void)snprintf(m->why_none, sizeof(m->why_none), "%.290s", e.text);
}

static void add_btrfs(struct media *m, int dir)
{
	struct btrfs_ioctl_fs_info_args fs = { 0 };

	if (ioctl(dir, BTRFS_IOC_FS_INFO, &fs) < 0) {
		none(m, "btrfs does not tell its devices");
		return;
	}
	for (uint64_t id = 0; id <= fs.max_id && !*m->why_none; id++) {
		struct btrfs_ioctl_dev_info_args d = { .devid = id };

		if (ioctl(dir, BTRFS_IOC_DEV_INFO, &d) == 0)
			add_or_none(m, (const char *)d.path);
	}
	if (!*m->why_none && m->n != fs.num_devices) {
		media_close(m);
		none(m, "not every device of the btrfs could be opened");
	}
}

int media_beneath(struct media *m, int dir, struct err *e)
{
	char node[DEVICE_NODE], type[AGENT_FSTYPE];
	struct statfs fs;
	struct stat st;

	if (fstat(dir, &st) < 0 || fstatfs(dir, &fs) < 0)
		return err_sys(e, "which device");
	if (fs.f_type == BTRFS_SUPER_MAGIC) {
		add_btrfs(m, dir);
	} else if (major(st.st_dev) != 0 && device_node(st.st_dev, node)) {
		add_or_none(m, node);
		if (m->n && m->v[0].dev != st.st_dev) {
			media_close(m);
			none(m, "its device node is that of another device");
		}
	} else {
		agent_fstype((uint64_t)(unsigned long)fs.f_type, type);
		(void)snprintf(m->why_none, sizeof(m->why_none), "%s stands on no block device of this host", type);
	}
	return 0;
}

int medium_flush(struct medium *m, struct err *e)
{
	if (m->mount >= 0 && sys_syncfs(SCAN_SITE, m->mount) < 0) {
		(void)err_sys(e, "sync of %s", esc_s(m->mount_path));
		e->class = ERR_UNVERIFIED;
		return -1;
	}
	if (!m->dev && sys_fsync(SCAN_SITE, m->fd) < 0 && errno != EROFS && errno != EINVAL)
		return err_sys(e, "sync of %s", esc_s(m->path));
	/* Without the right to flush, O_DIRECT alone must do: it writes dirty pages of its range out first. */
	if (m->dev)
		(void)ioctl(m->fd, BLKFLSBUF, 0);
	(void)posix_fadvise(m->fd, 0, 0, POSIX_FADV_DONTNEED);
	return 0;
}
