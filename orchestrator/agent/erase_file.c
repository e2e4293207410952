#include "erase.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>

#include "device.h"
#include "digest.h"
#include "esc.h"
#include "extents.h"
#include "io.h"
#include "sys.h"

#ifndef EXT4_IOC_CHECKPOINT
#define EXT4_IOC_CHECKPOINT _IOW('f', 43, __u32)
#endif

/* One file on its way: both fds are the same inode. */
struct job {
	struct eraser *r;
	int fd;			/* buffered */
	int direct;		/* O_DIRECT, or -1 where the file system has none */
	const struct stat *st;
	struct extents before, after;
	bool mapped;
	struct buf *note;
};

static void job_dispose(struct job *j)
{
	own_closep(&j->fd);
	own_closep(&j->direct);
	extents_dispose(&j->before);
	extents_dispose(&j->after);
}

int eraser_init(struct eraser *r, bool raw_wanted, struct err *e)
{
	uint8_t seed[PATTERN_BYTES];
	void *p = NULL, *q = NULL;

	*r = (struct eraser){ .raw_wanted = raw_wanted, .raw = -1 };
	if (posix_memalign(&p, 4096, ERASE_CHUNK + PATTERN_BYTES) != 0 || posix_memalign(&q, 4096, ERASE_CHUNK) != 0) {
		free(p);
		return err_set(e, ERR_TEMPORARY, "out of memory");
	}
	r->pattern = p;
	r->back = q;
	/* Random, so that nothing else can hold it; no zeros, so that what was never written cannot pass for it. */
	random_bytes(seed, sizeof(seed));
	for (size_t i = 0; i < sizeof(seed); i++)
		seed[i] = seed[i] ? seed[i] : 0xa5;
	for (size_t at = 0; at < ERASE_CHUNK + PATTERN_BYTES; at += PATTERN_BYTES)
		memcpy(r->pattern + at, seed, PATTERN_BYTES);
	return 0;
}

void eraser_dispose(struct eraser *r)
{
	free(r->pattern);
	free(r->back);
	own_closep(&r->raw);
}

static void remark(struct buf *note, const char *text)
{
	buf_printf(note, "%s%s", note->len ? "; " : "", text);
}

/* ---- opening ---- */

/* Takes immutable and append-only off: the authorization covers the file, and they would only bar the overwriting. */
static void lift_flags(const char *proc)
{
	OWN_FD int fd = open(proc, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	int flags;

	if (fd < 0 || ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0 || !(flags & (FS_IMMUTABLE_FL | FS_APPEND_FL)))
		return;
	flags &= ~(FS_IMMUTABLE_FL | FS_APPEND_FL);
	(void)ioctl(fd, FS_IOC_SETFLAGS, &flags);	/* if it fails, the open below says so */
}

static int open_for_writing(struct job *j, int path_fd, struct err *e)
{
	char proc[32];

	(void)snprintf(proc, sizeof(proc), "/proc/self/fd/%d", path_fd);
	lift_flags(proc);
	j->fd = open(proc, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (j->fd < 0 && errno == EACCES && j->st->st_uid == geteuid() && chmod(proc, 0600) == 0)
		j->fd = open(proc, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (j->fd < 0)
		return err_sys(e, "open for overwriting");
	j->direct = open(proc, O_RDWR | O_DIRECT | O_NONBLOCK | O_CLOEXEC);
	return 0;
}

/* ---- overwriting ---- */

static int write_range(struct job *j, uint64_t at, uint64_t length, bool inlined, struct err *e)
{
	uint64_t end = at + length;

	/* Data inside the inode stays there only while it does not grow. */
	if (inlined && end > (uint64_t)j->st->st_size)
		end = (uint64_t)j->st->st_size;
	while (at < end) {
		size_t n = end - at < ERASE_CHUNK ? (size_t)(end - at) : ERASE_CHUNK;
		const uint8_t *p = j->r->pattern + at % PATTERN_BYTES;
		ssize_t done = j->direct >= 0 && !inlined ? sys_pwrite(ERASE_SITE, j->direct, p, n, (off_t)at) : -1;

		if (done < 0 && j->direct >= 0 && !inlined && errno != EINVAL && errno != EOPNOTSUPP && errno != EINTR)
			return err_sys(e, "overwrite at %" PRIu64, at);
		if (done <= 0 && (done = sys_pwrite(ERASE_SITE, j->fd, p, n, (off_t)at)) <= 0) {
			if (done < 0 && errno == EINTR)
				continue;
			return err_sys(e, "overwrite at %" PRIu64, at);
		}
		at += (uint64_t)done;
	}
	return 0;
}

static int overwrite(struct job *j, uint32_t *how, uint64_t *bytes, struct err *e)
{
	for (size_t i = 0; i < j->before.n; i++) {
		const struct extent *x = &j->before.v[i];

		if (write_range(j, x->logical, x->length, (x->flags & FIEMAP_EXTENT_DATA_INLINE) != 0, e) < 0)
			return -1;
		*bytes += x->length;
	}
	if (sys_fdatasync(ERASE_SITE, j->fd) < 0)
		return err_sys(e, "sync after overwriting");
	*how |= MSG_EH_OVERWRITTEN;
	return 0;
}

/* ---- did it stay where it was? ---- */

static bool rewrites_elsewhere(int fd)
{
	struct statfs s;

	return fstatfs(fd, &s) == 0 && (s.f_type == BTRFS_SUPER_MAGIC || s.f_type == F2FS_SUPER_MAGIC);
}

static int compare_maps(struct job *j, uint32_t *how, struct err *e)
{
	int r = extents_read(j->fd, &j->after, e);
	uint32_t flags = j->before.flags | j->after.flags;

	if (r < 0)
		return -1;
	if (flags & FIEMAP_EXTENT_SHARED)
		*how |= MSG_EH_SHARED;
	if (flags & (FIEMAP_EXTENT_ENCODED | FIEMAP_EXTENT_DATA_ENCRYPTED))
		*how |= MSG_EH_ENCODED;
	if (flags & FIEMAP_EXTENT_DATA_INLINE)
		*how |= MSG_EH_INLINE;
	if (!j->mapped || !r) {
		*how |= MSG_EH_NO_MAP;
		remark(j->note, "the file system tells no block map");
	} else if (!extents_same(&j->before, &j->after) ||
	    ((flags & FIEMAP_EXTENT_DATA_INLINE) && rewrites_elsewhere(j->fd))) {
		*how |= MSG_EH_MOVED;
		remark(j->note, "the file system wrote to other blocks; the old ones may still hold the content");
	} else {
		*how |= MSG_EH_SAME_EXTENTS;
	}
	return 0;
}

/* ---- reading back ---- */

static int no_raw(struct eraser *r, const char *why)
{
	(void)snprintf(r->raw_why, sizeof(r->raw_why), "%s", why);
	return -1;
}

static int open_raw(struct eraser *r, dev_t dev)
{
	OWN_FD int fd = -1;
	struct stat st;
	char node[300], text[160];

	if (!r->raw_wanted)
		return no_raw(r, "no raw reading was wanted");
	if (major(dev) == 0 || !device_node(dev, node))
		return no_raw(r, "the file system is on no single block device that could be read raw");
	fd = open(node, O_RDONLY | O_DIRECT | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISBLK(st.st_mode) || st.st_rdev != dev) {
		(void)snprintf(text, sizeof(text), "no raw reading of %.100s: %s", esc_s(node),
		    fd < 0 ? strerrordesc_np(errno) : "another device");
		return no_raw(r, text);
	}
	return take_fd(&fd);
}

/* The raw device beneath dev, opened once; -1 when there is none. */
static int raw_of(struct eraser *r, dev_t dev)
{
	if (r->raw_dev == (uint64_t)dev)
		return r->raw;
	own_closep(&r->raw);
	r->raw_dev = (uint64_t)dev;
	return r->raw = open_raw(r, dev);
}

/* n bytes at place of fd must be the pattern as written from logical offset on.  1 equal, 0 different (*where), -1. */
static int compare_range(struct eraser *r, int fd, uint64_t place, uint64_t logical, uint64_t n, uint64_t *where, struct err *e)
{
	while (n) {
		size_t want = n < ERASE_CHUNK ? (size_t)n : ERASE_CHUNK;
		ssize_t got = io_pread_full(ERASE_SITE, fd, r->back, want, place, "back what was written", e);
		const uint8_t *p = r->pattern + logical % PATTERN_BYTES;

		if (got < 0)
			return -1;
		if ((size_t)got < want)
			return err_set(e, ERR_UNVERIFIED, "read back ended %zu bytes short at %" PRIu64, want - (size_t)got, place);
		for (size_t i = 0; i < want; i += 512) {
			size_t len = want - i < 512 ? want - i : 512;

			if (memcmp(r->back + i, p + i, len) != 0) {
				*where = place + i;
				return 0;
			}
		}
		place += want;
		logical += want;
		n -= want;
	}
	return 1;
}

static int compare_raw(struct job *j, int raw, uint64_t *where, struct err *e)
{
	for (size_t i = 0; i < j->before.n; i++) {
		const struct extent *x = &j->before.v[i];
		int r = compare_range(j->r, raw, x->physical, x->logical, x->length, where, e);

		if (r != 1)
			return r;
	}
	return 1;
}

static int read_raw(struct job *j, int raw, uint32_t *how, struct err *e)
{
	uint64_t where = 0;
	int r = compare_raw(j, raw, &where, e);
	uint32_t checkpoint = 0;

	/* With data=journal the blocks are written in place only when the journal is emptied. */
	if (r == 0 && ioctl(j->fd, EXT4_IOC_CHECKPOINT, &checkpoint) == 0)
		r = compare_raw(j, raw, &where, e);
	if (r < 0)
		return -1;
	if (r == 0)
		return err_set(e, ERR_INTEGRITY, "the device does not hold what was written, at byte %" PRIu64, where);
	*how |= MSG_EH_READ_RAW;
	return 0;
}

static int read_file(struct job *j, uint32_t *how, struct err *e)
{
	(void)posix_fadvise(j->fd, 0, 0, POSIX_FADV_DONTNEED);	/* advice; O_DIRECT does not depend on it */
	for (size_t i = 0; i < j->before.n; i++) {
		const struct extent *x = &j->before.v[i];
		bool inlined = (x->flags & FIEMAP_EXTENT_DATA_INLINE) != 0;
		uint64_t n = inlined ? (uint64_t)j->st->st_size : x->length, where = 0;
		int r = compare_range(j->r, j->direct >= 0 && !inlined ? j->direct : j->fd, x->logical, x->logical, n, &where, e);

		if (r < 0)
			return -1;
		if (r == 0)
			return err_set(e, ERR_INTEGRITY, "the file does not hold what was written, at byte %" PRIu64, where);
	}
	*how |= MSG_EH_READ_FILE;
	return 0;
}

static int read_back(struct job *j, uint32_t *how, struct err *e)
{
	uint32_t unsure = MSG_EH_MOVED | MSG_EH_SHARED | MSG_EH_ENCODED | MSG_EH_INLINE | MSG_EH_NO_MAP;
	int raw = *how & unsure ? -1 : raw_of(j->r, j->st->st_dev);

	if (raw >= 0)
		return read_raw(j, raw, how, e);
	if (!(*how & unsure))
		remark(j->note, j->r->raw_why);
	return read_file(j, how, e);
}

/* Other names of the inode are still to be compared with the inventory: size and time as they were. */
static int put_back(const struct job *j, struct err *e)
{
	const struct timespec ts[2] = { { 0, UTIME_OMIT }, j->st->st_mtim };

	if (j->st->st_nlink > 1 && (ftruncate(j->fd, j->st->st_size) < 0 || futimens(j->fd, ts) < 0))
		return err_sys(e, "restore size and time for the other names");
	return 0;
}

int erase_content(struct eraser *r, int path_fd, const struct stat *st, uint32_t *how, uint64_t *bytes, struct buf *note,
    struct err *e)
{
	OWN(job_dispose) struct job j = { .r = r, .fd = -1, .direct = -1, .st = st, .before = EXTENTS_INIT, .after = EXTENTS_INIT,
		.note = note };
	int mapped;

	if (open_for_writing(&j, path_fd, e) < 0 || (mapped = extents_read(j.fd, &j.before, e)) < 0)
		return -1;
	j.mapped = mapped == 1;
	if (j.before.n == 0) {
		*how |= MSG_EH_OVERWRITTEN | (j.mapped ? MSG_EH_SAME_EXTENTS : MSG_EH_NO_MAP) | MSG_EH_READ_FILE;
		remark(note, "no blocks allocated");
		return 0;
	}
	if (overwrite(&j, how, bytes, e) < 0 || compare_maps(&j, how, e) < 0 || read_back(&j, how, e) < 0)
		return -1;
	return put_back(&j, e);
}
