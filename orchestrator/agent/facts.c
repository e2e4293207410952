/* The facts role: what preflight, plans and certificates want to know about a host; reads only. */
#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>

#include "clock.h"
#include "device.h"
#include "esc.h"
#include "io.h"
#include "medium.h"
#include "names.h"
#include "owner_map.h"
#include "path.h"
#include "storage.h"

#define FILE_MAX (4u << 20)
#define ROOTS_MAX 256
#define CHAIN_MAX 512	/* a fact holds 64 KiB */

static int tell(struct agent *a, const char *key, const char *value, struct err *e)
{
	OWN_BUF struct buf b = BUF_INIT;

	msg_fact_encode(&b, key, value);
	a->done.scanned++;
	a->done.copied++;
	return agent_send(a, WIRE_DATA, MSG_FACT, &b, e);
}

static int tell_number(struct agent *a, const char *key, uint64_t v, struct err *e)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "%" PRIu64, v);
	return tell(a, key, text, e);
}

/* A key of one root: "root.N.KEY". */
struct root_facts { struct agent *a; unsigned number; };

static int tell_root(const struct root_facts *r, const char *key, const char *value, struct err *e)
{
	char full[64];

	(void)snprintf(full, sizeof(full), "root.%u.%s", r->number, key);
	return tell(r->a, full, value, e);
}

static int tell_root_number(const struct root_facts *r, const char *key, uint64_t v, struct err *e)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "%" PRIu64, v);
	return tell_root(r, key, text, e);
}

/* ---- the host ---- */

/* PRETTY_NAME of os-release, without its quotes; empty when there is none. */
static void os_name(char out[128])
{
	OWN_BUF struct buf b = BUF_INIT;
	struct err ignored = ERR_INIT;
	const char *p;
	size_t n;

	out[0] = '\0';
	if (io_read_file(AT_FDCWD, "/etc/os-release", FILE_MAX, &b, &ignored) < 0 &&
	    io_read_file(AT_FDCWD, "/usr/lib/os-release", FILE_MAX, &b, &ignored) < 0)
		return;
	p = b.data ? strstr(b.data, "PRETTY_NAME=") : NULL;
	if (!p)
		return;
	p += strlen("PRETTY_NAME=");
	p += *p == '"' || *p == '\'';
	n = strcspn(p, "\"'\n");
	(void)snprintf(out, 128, "%.*s", (int)(n < 120 ? n : 120), p);
}

/* Tells one running kernel from another, also where two hosts are clones of one disk. */
static int tell_boot(struct agent *a, struct err *e)
{
	OWN_BUF struct buf b = BUF_INIT;
	struct err ignored = ERR_INIT;

	if (io_read_file(AT_FDCWD, "/proc/sys/kernel/random/boot_id", 256, &b, &ignored) < 0 || !b.data)
		return 0;
	b.data[strcspn(b.data, "\n")] = '\0';
	return tell(a, "boot", b.data, e);
}

/*
 * In a user namespace "uids" and "gids": pairs of first id and count, as seen inside, of the ids that exist there.  Root is not
 * what it is elsewhere: other owners cannot be given, and are seen as nobody.
 */
static int tell_ids(struct agent *a, const char *key, const char *file, struct err *e)
{
	OWN_BUF struct buf b = BUF_INIT, list = BUF_INIT;
	struct err ignored = ERR_INIT;
	unsigned long first, outside, count;
	int used;

	if (io_read_file(AT_FDCWD, file, FILE_MAX, &b, &ignored) < 0 || !b.data)
		return 0;
	for (const char *s = b.data; sscanf(s, "%lu %lu %lu%n", &first, &outside, &count, &used) == 3; s += used) {
		if (first == 0 && outside == 0 && count == UINT32_MAX)
			return 0;
		buf_printf(&list, "%s%lu %lu", list.len ? " " : "", first, count);
	}
	return buf_finish(&list, e) < 0 ? -1 : tell(a, key, list.data ? list.data : "", e);
}

/* Effective capabilities, in hex, and the groups that may be given away. */
static int tell_rights(struct agent *a, struct err *e)
{
	OWN_BUF struct buf b = BUF_INIT, list = BUF_INIT;
	struct err ignored = ERR_INIT;
	gid_t groups[1024];
	int n = getgroups(sizeof(groups) / sizeof(groups[0]), groups);
	char *caps;

	buf_printf(&list, "%u", getegid());
	for (int i = 0; i < n; i++)
		if (groups[i] != getegid())
			buf_printf(&list, " %u", groups[i]);
	if (buf_finish(&list, e) < 0 || tell(a, "groups", list.data, e) < 0 || tell_ids(a, "uids", "/proc/self/uid_map", e) < 0 ||
	    tell_ids(a, "gids", "/proc/self/gid_map", e) < 0)
		return -1;
	if (io_read_file(AT_FDCWD, "/proc/self/status", FILE_MAX, &b, &ignored) < 0 || !b.data || !(caps = strstr(b.data, "\nCapEff:\t")))
		return 0;
	caps += strlen("\nCapEff:\t");
	caps[strcspn(caps, "\n")] = '\0';
	return tell(a, "caps", caps, e);
}

static int tell_host(struct agent *a, struct err *e)
{
	struct names names = NAMES_INIT;
	struct utsname u;
	const char *user;
	char os[128];
	int r;

	if (uname(&u) < 0)
		return err_sys(e, "uname");
	os_name(os);
	user = names_get(&names, false, (uint32_t)geteuid());
	r = tell(a, "hostname", u.nodename, e) < 0 || tell(a, "kernel", u.release, e) < 0 || tell(a, "arch", u.machine, e) < 0 ||
	    tell(a, "os", os, e) < 0 || tell_number(a, "euid", geteuid(), e) < 0 || tell(a, "user", user ? user : "", e) < 0 ||
	    tell_number(a, "now", (uint64_t)clock_now_ns(), e) < 0 || tell_boot(a, e) < 0 ||
	    tell_rights(a, e) < 0 ? -1 : 0;
	names_dispose(&names);
	return r;
}

/* ---- mounts ---- */

struct mount { char *point, *options, *fstype, *source; };	/* owned */

static void mount_dispose(struct mount *m)
{
	free(m->point);
	free(m->options);
	free(m->fstype);
	free(m->source);
}

static char *unescaped(const char *word)
{
	OWN_BUF struct buf b = BUF_INIT;

	buf_puts(&b, "");
	if (!esc_undo(&b, word, strlen(word)) || b.failed)
		return strdup(word);
	return b.data ? buf_take(&b) : strdup("");
}

/* One line of mountinfo; true when it is the mount with that id (0: any mount of device dev). */
static bool mount_line(char *line, uint64_t id, dev_t dev, struct mount *m)
{
	char *word[64], *save = NULL;
	size_t n = 0, dash = 6;
	unsigned maj, min;

	for (char *w = strtok_r(line, " ", &save); w && n < 64; w = strtok_r(NULL, " ", &save))
		word[n++] = w;
	while (dash < n && strcmp(word[dash], "-") != 0)
		dash++;
	if (dash + 2 >= n || sscanf(word[2], "%u:%u", &maj, &min) != 2)
		return false;
	if (id ? strtoull(word[0], NULL, 10) != id : makedev(maj, min) != dev)
		return false;
	mount_dispose(m);
	*m = (struct mount){ unescaped(word[4]), strdup(word[5]), strdup(word[dash + 1]), unescaped(word[dash + 2]) };
	return m->point && m->options && m->fstype && m->source;
}

/* The mount that holds an inode; the last that fits wins, for it lies on top. */
static bool find_mount(uint64_t id, dev_t dev, struct mount *m)
{
	OWN_BUF struct buf b = BUF_INIT;
	struct err ignored = ERR_INIT;
	char *save = NULL;
	bool found = false;

	if (io_read_file(AT_FDCWD, "/proc/self/mountinfo", FILE_MAX, &b, &ignored) < 0 || !b.data)
		return false;
	for (char *line = strtok_r(b.data, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		found |= mount_line(line, id, dev, m);
	return found;
}

/* In a chroot the mount that holds a place need not be listed: then only the type is known. */
static int tell_type_only(const struct root_facts *r, int fd, struct err *e)
{
	struct statfs fs;
	char type[AGENT_FSTYPE];

	if (fstatfs(fd, &fs) < 0)
		return 0;
	agent_fstype((uint64_t)(unsigned long)fs.f_type, type);
	return tell_root(r, "fstype", type, e);
}

static int tell_mount(const struct root_facts *r, int fd, const struct statx *sx, struct err *e)
{
	OWN(mount_dispose) struct mount m = { NULL, NULL, NULL, NULL };
	uint64_t id = sx->stx_mask & STATX_MNT_ID ? sx->stx_mnt_id : 0;

	if (!find_mount(id, makedev(sx->stx_dev_major, sx->stx_dev_minor), &m))
		return tell_type_only(r, fd, e);
	return tell_root(r, "fstype", m.fstype, e) < 0 || tell_root(r, "mount", m.point, e) < 0 ||
	    tell_root(r, "options", m.options, e) < 0 || tell_root(r, "device", m.source, e) < 0 ? -1 : 0;
}

/* ---- devices ---- */

static int tell_serial(const struct root_facts *r, dev_t dev, struct err *e)
{
	OWN_BUF struct buf list = BUF_INIT;

	device_serials(dev, &list);
	if (buf_finish(&list, e) < 0)
		return -1;
	return list.len ? tell_root(r, "serial", list.data, e) : 0;
}

/* Of a device or an image: what a block dataset wants to know. */
static int tell_block(const struct root_facts *r, int fd, struct err *e)
{
	struct stat st;

	if (fstat(fd, &st) < 0 || (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode)))
		return 0;
	return tell_root_number(r, "size", medium_size(&st), e) < 0 ? -1 : tell_root(r, "mounted", medium_use_name(medium_use(&st)), e);
}

/* What lies beneath, as words; "guest" besides when the whole machine is one. */
static int tell_storage(const struct root_facts *r, int fd, const struct statx *sx, dev_t dev, struct err *e)
{
	OWN(mount_dispose) struct mount m = { NULL, NULL, NULL, NULL };
	OWN_BUF struct buf words = BUF_INIT;
	OWN_FD int dir = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char why[DEVICE_WHY];
	struct stat st;

	/* btrfs shows a device number of its own; what it was mounted from is one of its devices. */
	if (major(dev) == 0 && find_mount(sx->stx_mask & STATX_MNT_ID ? sx->stx_mnt_id : 0, dev, &m) && m.source && *m.source == '/' &&
	    stat(m.source, &st) == 0 && S_ISBLK(st.st_mode))
		dev = st.st_rdev;
	storage_traits(dev, &words);
	if (device_guest(why))
		buf_printf(&words, "%sguest", words.len ? " " : "");
	if (dir >= 0 && storage_snapshots(dir) == 1)
		buf_printf(&words, "%ssnapshots", words.len ? " " : "");
	if (buf_finish(&words, e) < 0)
		return -1;
	return words.len ? tell_root(r, "storage", words.data, e) : 0;
}

/* ---- one root ---- */

static const char *type_word(uint32_t mode)
{
	return S_ISDIR(mode) ? "dir" : S_ISREG(mode) ? "file" : S_ISBLK(mode) ? "block" : S_ISCHR(mode) ? "char" :
	    S_ISFIFO(mode) ? "fifo" : S_ISSOCK(mode) ? "socket" : S_ISLNK(mode) ? "link" : "other";
}

static int tell_space(const struct root_facts *r, int fd, struct err *e)
{
	struct statvfs v;

	if (fstatvfs(fd, &v) < 0)
		return 0;
	return tell_root_number(r, "free_bytes", (uint64_t)v.f_bavail * v.f_frsize, e) < 0 ||
	    tell_root_number(r, "free_inodes", v.f_favail, e) < 0 ||
	    tell_root(r, "read_only", v.f_flag & ST_RDONLY ? "yes" : "no", e) < 0 ? -1 : 0;
}

static int tell_place(const struct root_facts *r, int fd, struct err *e)
{
	struct statx sx;
	dev_t dev;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_MNT_ID, &sx) < 0)
		return err_sys(e, "statx");
	dev = S_ISBLK(sx.stx_mode) ? makedev(sx.stx_rdev_major, sx.stx_rdev_minor) : makedev(sx.stx_dev_major, sx.stx_dev_minor);
	return tell_root(r, "type", type_word(sx.stx_mode), e) < 0 || tell_mount(r, fd, &sx, e) < 0 || tell_space(r, fd, e) < 0 ||
	    tell_serial(r, dev, e) < 0 || tell_storage(r, fd, &sx, dev, e) < 0 ? -1 : tell_block(r, fd, e);
}

static int tell_identity(const struct root_facts *r, int fd, struct err *e)
{
	OWN_FREE char *identity = agent_identity(fd);

	return identity ? tell_root(r, "identity", identity, e) : 0;
}

/*
 * Device and inode of the place and of every directory above it, whatever symlinks and bind mounts its path went through: by
 * them preflight sees that one place lies in another.
 */
static int tell_chain(const struct root_facts *r, int fd, struct err *e)
{
	OWN_BUF struct buf list = BUF_INIT;
	OWN_FD int at = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	struct stat st, last = { .st_ino = 0 };

	for (int depth = 0; at >= 0 && depth < CHAIN_MAX && fstat(at, &st) == 0; depth++) {
		int up;

		if (depth && st.st_ino == last.st_ino && st.st_dev == last.st_dev)
			break;
		buf_printf(&list, "%s%ju:%ju", depth ? " " : "", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
		last = st;
		up = S_ISDIR(st.st_mode) ? openat(at, "..", O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
		(void)close(at);
		at = up;
	}
	if (buf_finish(&list, e) < 0)
		return -1;
	return list.len ? tell_root(r, "chain", list.data, e) : 0;
}

/* A place that is still to be made: the facts are those of the nearest directory above it. */
static int tell_nearest(const struct root_facts *r, const char *path, struct err *e)
{
	OWN_FREE char *up = strdup(path);
	OWN_FD int fd = -1;

	while (up && fd < 0) {
		char *slash = strrchr(up, '/');

		if (!slash)
			return 0;
		slash[slash == up] = '\0';
		fd = open(up, O_PATH | O_CLOEXEC);
		if (fd < 0 && strcmp(up, "/") == 0)
			return 0;
	}
	if (!up)
		return err_set(e, ERR_TEMPORARY, "out of memory");
	return tell_root(r, "nearest", up, e) < 0 || tell_place(r, fd, e) < 0 ? -1 : tell_chain(r, fd, e);
}

/* Where the path leads when symlinks stand in it: what is copied or written is that. */
static int tell_resolved(const struct root_facts *r, int fd, const char *path, struct err *e)
{
	OWN_BUF struct buf real = BUF_INIT;
	char link[64];
	ssize_t n;

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	if (!buf_reserve(&real, PATH_MAX + 1))
		return buf_finish(&real, e);
	n = readlink(link, real.data, PATH_MAX);
	if (n <= 0 || n >= PATH_MAX)
		return 0;
	real.data[n] = '\0';
	return strcmp(real.data, path) == 0 ? 0 : tell_root(r, "resolved", real.data, e);
}

static int tell_one_root(struct agent *a, unsigned number, const char *path, struct err *e)
{
	struct root_facts r = { a, number };
	OWN_FD int fd = open(path, O_PATH | O_CLOEXEC);
	int why = errno;

	if (tell_root(&r, "path", path, e) < 0)
		return -1;
	if (fd < 0 && why != ENOENT && why != ENOTDIR)
		return tell_root(&r, "exists", "unknown", e) < 0 ? -1 : tell_root(&r, "error", strerrordesc_np(why), e);
	if (tell_root(&r, "exists", fd >= 0 ? "yes" : "no", e) < 0)
		return -1;
	if (fd < 0)
		return tell_nearest(&r, path, e);
	if (tell_resolved(&r, fd, path, e) < 0 || tell_place(&r, fd, e) < 0 || tell_identity(&r, fd, e) < 0)
		return -1;
	return tell_chain(&r, fd, e);
}

/* "user.NAME" or "group.NAME" = its id; nothing when the host knows none. */
static int tell_name(struct agent *a, bool group, const char *name, struct err *e)
{
	char key[300], value[16];
	uint32_t id;
	int r = owner_lookup(group, name, &id, e);

	if (r <= 0)
		return r;
	(void)snprintf(key, sizeof(key), "%s.%s", group ? "group" : "user", name);
	(void)snprintf(value, sizeof(value), "%" PRIu32, id);
	return tell(a, key, value, e);
}

static bool is_name(const char *s) { return *s && strlen(s) < 256; }

int role_facts(struct agent *a, struct err *e)
{
	unsigned number = 0;

	if (tell_host(a, e) < 0 || tell_one_root(a, number++, a->root_path, e) < 0)
		return -1;
	for (int i = 0; i < a->argc; i += 2) {
		bool group = strcmp(a->argv[i], "--group") == 0;

		if ((group || strcmp(a->argv[i], "--user") == 0) && i + 1 < a->argc && is_name(a->argv[i + 1])) {
			if (tell_name(a, group, a->argv[i + 1], e) < 0)
				return -1;
			continue;
		}
		if (strcmp(a->argv[i], "--mount") == 0 || strcmp(a->argv[i], "--at") == 0)
			continue;	/* session.c */
		if (strcmp(a->argv[i], "--root") != 0 || i + 1 >= a->argc || !path_is_clean_absolute(a->argv[i + 1]) ||
		    number >= ROOTS_MAX)
			return err_set(e, ERR_USAGE, "facts: only further --root ABSPATH, --user NAME and --group NAME are understood");
		if (tell_one_root(a, number++, a->argv[i + 1], e) < 0)
			return -1;
	}
	return 0;
}
