/*
 * A large content that is patched where it stands, in a tree that is not live: what is about to be overwritten is first made durable
 * in the staging directory, and goes again when the new content is.  Whatever dies in between, the next session puts the old bytes
 * back before it does anything else; so the file is never half of each for longer than nobody looks.  Format: waybill-wire(7).
 */
#include "apply.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "digest.h"
#include "esc.h"
#include "finalise.h"
#include "io.h"
#include "sys.h"

#define MAGIC "WBUNDO1\n"
#define MAGIC_LEN 8
#define UNDO_BYTES (8u << 20)		/* of old content in one file, */
#define UNDO_RANGES (1u << 20)		/* and of numbers that say where it was */
#define UNDO_FILE_MAX (UNDO_BYTES + 2 * UNDO_RANGES)
#define PREFIX "undo-"
#define GUARD "patch-"
#define NAME_MAX_LEN 64

/* ---- writing ---- */

struct record { struct buf ranges, data; uint64_t count; bool written; };
static void record_dispose(struct record *r)
{
	buf_dispose(&r->ranges);
	buf_dispose(&r->data);
}

static void undo_name(uint64_t large_id, unsigned n, char out[NAME_MAX_LEN])
{
	(void)snprintf(out, NAME_MAX_LEN, PREFIX "%" PRIu64 "-%u", large_id, n);
}

static void guard_name(uint64_t large_id, char out[NAME_MAX_LEN]) { (void)snprintf(out, NAME_MAX_LEN, GUARD "%" PRIu64, large_id); }

static void drop_guard(struct apply *ap, uint64_t large_id)
{
	char name[NAME_MAX_LEN];

	guard_name(large_id, name);
	(void)unlinkat(ap->staging, name, 0);
}

bool undo_begin(struct apply *ap, const struct large *l, dev_t dev)
{
	OWN_FD int fd = -1;
	char name[NAME_MAX_LEN];
	struct stat st;

	guard_name(l->id, name);
	fd = openat(ap->staging, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 || (fstat(fd, &st) == 0 && st.st_dev == dev))
		return fd >= 0;
	drop_guard(ap, l->id);
	return false;
}

/* With it the name that undo_begin made becomes durable. */
static int store(struct apply *ap, const char *name, const struct buf *b, struct err *e)
{
	OWN_FD int fd = openat(ap->staging, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0)
		return err_sys(e, "create in " STAGING);
	if (io_write_all(SITE, fd, b->data, b->len, STAGING, e) < 0)
		return -1;
	if (sys_fdatasync(SITE, fd) < 0 || sys_fsync(SITE, ap->staging) < 0 || sys_fsync(SITE, ap->a->root) < 0)
		return err_sys(e, "fsync of " STAGING);
	return 0;
}

/* What was gathered becomes durable; the record is empty afterwards. */
static int record_write(struct apply *ap, struct large *l, struct record *r, struct err *e)
{
	OWN_BUF struct buf b = BUF_INIT;
	uint8_t sum[DIGEST_LEN];
	char name[NAME_MAX_LEN];

	buf_put(&b, MAGIC, MAGIC_LEN);
	buf_put_bytes(&b, l->path, strlen(l->path));
	buf_put_u64(&b, l->base.ino);
	buf_put_u64(&b, l->base.size);
	buf_put_u64(&b, (uint64_t)l->base.mtime_s);
	buf_put_u64(&b, l->base.mtime_ns);
	buf_put_varint(&b, r->count);
	buf_put(&b, r->ranges.data, r->ranges.len);
	buf_put(&b, r->data.data, r->data.len);
	if (buf_finish(&r->ranges, e) < 0 || buf_finish(&r->data, e) < 0 || buf_finish(&b, e) < 0 || digest_sha256(b.data, b.len, sum, e) < 0)
		return -1;
	buf_put(&b, sum, sizeof(sum));
	undo_name(l->id, __atomic_fetch_add(&l->undos, 1, __ATOMIC_ACQ_REL), name);
	if (buf_finish(&b, e) < 0 || store(ap, name, &b, e) < 0)
		return -1;
	sys_point("patch-undo");
	buf_reset(&r->ranges);
	buf_reset(&r->data);
	r->count = 0;
	r->written = true;
	return 0;
}

/* What the base has there: nothing beyond its end. */
static int record_add(struct apply *ap, struct large *l, struct record *r, uint64_t at, uint64_t n, struct err *e)
{
	uint64_t end = at < l->base.size && n > l->base.size - at ? l->base.size : at + n;

	while (at < l->base.size && at < end) {
		size_t room = UNDO_BYTES - r->data.len, k = end - at < room ? (size_t)(end - at) : room;
		char *to = buf_reserve(&r->data, k);
		ssize_t got = to ? io_pread_full(SITE, l->fd, to, k, at, l->path, e) : buf_finish(&r->data, e);

		if (got < 0)
			return -1;
		if ((size_t)got != k)
			return err_set(e, ERR_TEMPORARY, "it shrank while it was patched");
		buf_put_varint(&r->ranges, at);
		buf_put_varint(&r->ranges, k);
		r->data.len += k;
		r->count++;
		at += k;
		if ((r->data.len == UNDO_BYTES || r->ranges.len >= UNDO_RANGES) && record_write(ap, l, r, e) < 0)
			return -1;
	}
	return 0;
}

/* One there must be, if an empty one: it tells the size and the time that the file had. */
static int record_end(struct apply *ap, struct large *l, struct record *r, struct err *e)
{
	return r->count || !r->written ? record_write(ap, l, r, e) : 0;
}

int undo_keep(struct apply *ap, struct large *l, const struct msg_range *v, size_t n, struct err *e)
{
	OWN(record_dispose) struct record r = { .ranges = BUF_INIT };

	for (size_t i = 0; i < n; i++)
		if (record_add(ap, l, &r, v[i].offset, v[i].length, e) < 0)
			return -1;
	return record_end(ap, l, &r, e);
}

int undo_keep_data(struct apply *ap, struct large *l, uint64_t from, uint64_t to, struct err *e)
{
	OWN(record_dispose) struct record r = { .ranges = BUF_INIT };

	if (to > l->base.size)
		to = l->base.size;
	for (off_t at = (off_t)from, data, end; at < (off_t)to; at = end) {
		if ((data = lseek(l->fd, at, SEEK_DATA)) < 0 && errno == ENXIO)
			break;
		if (data < 0 || (end = lseek(l->fd, data, SEEK_HOLE)) < 0)
			return err_sys(e, "layout");
		if (end > (off_t)to)
			end = (off_t)to;
		if (data < end && record_add(ap, l, &r, (uint64_t)data, (uint64_t)(end - data), e) < 0)
			return -1;
	}
	return record_end(ap, l, &r, e);
}

/* ---- putting back ---- */

struct undo { char *path; uint64_t ino, size, mtime_s, mtime_ns; struct view ranges, data; uint64_t count; };
static void undo_dispose(struct undo *u) { free(u->path); }

/* 0: it was never finished, so nothing was overwritten yet.  -1: not to be told. */
static int undo_parse(const struct buf *b, struct undo *u, struct err *e)
{
	uint8_t sum[DIGEST_LEN];
	struct view v;
	const uint8_t *magic, *path;
	size_t n;

	if (b->len < DIGEST_LEN)
		return 0;
	if (digest_sha256(b->data, b->len - DIGEST_LEN, sum, e) < 0)
		return -1;
	if (memcmp(sum, b->data + b->len - DIGEST_LEN, DIGEST_LEN) != 0)
		return 0;
	v = view_of(b->data, b->len - DIGEST_LEN);
	magic = view_raw(&v, MAGIC_LEN);
	path = view_bytes(&v, PATH_MAX, &n);
	if (v.failed || !magic || !path || memcmp(magic, MAGIC, MAGIC_LEN) != 0 || !path_is_safe((const char *)path, n))
		return 0;
	if (!(u->path = strndup((const char *)path, n)))
		return err_set(e, ERR_TEMPORARY, "out of memory");
	u->ino = view_u64(&v);
	u->size = view_u64(&v);
	u->mtime_s = view_u64(&v);
	u->mtime_ns = view_u64(&v);
	u->count = view_varint(&v);
	u->ranges = u->data = v;
	for (uint64_t i = 0; i < 2 * u->count && !u->data.failed; i++)
		(void)view_varint(&u->data);
	return !u->data.failed;
}

static int put_back(int fd, const struct undo *u, struct err *e)
{
	const struct timespec t[2] = { { 0, UTIME_OMIT }, { (time_t)(int64_t)u->mtime_s, (long)u->mtime_ns } };
	struct view ranges = u->ranges, data = u->data;

	for (uint64_t i = 0; i < u->count; i++) {
		uint64_t at = view_varint(&ranges), n = view_varint(&ranges);
		const uint8_t *p = view_raw(&data, n);

		if (!p)
			return err_set(e, ERR_INTEGRITY, "a record of " STAGING " is malformed");
		if (io_pwrite_all(SITE, fd, p, n, at, u->path, e) < 0)
			return -1;
	}
	if (ftruncate(fd, (off_t)u->size) < 0 || futimens(fd, t) < 0)
		return err_sys(e, "truncate, or set the time of");
	sys_point("patch-back");
	return sys_fsync(SITE, fd) < 0 ? err_sys(e, "fsync") : 0;
}

static int open_again(struct apply *ap, const char *path)
{
	return path_open_beneath(ap->a->root, path, O_RDWR | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY, 0);
}

/* It may have got the mode or the flags of its new state already, which keep us out. */
static int open_to_undo(struct apply *ap, const char *path)
{
	int fd = open_again(ap, path), keep = errno;
	OWN_FD int dir = -1, file = -1;
	const char *base;

	if (fd >= 0 || (keep != EACCES && keep != EPERM))
		return fd;
	if ((dir = path_open_parent(ap->a->root, path, &base)) >= 0 && (file = openat(dir, base, O_PATH | O_NOFOLLOW | O_CLOEXEC)) >= 0 &&
	    (keep == EACCES ? tree_open_up(file) : tree_unlock(ap, dir, base)))
		return open_again(ap, path);
	errno = keep;
	return -1;
}

/* Another file by now is left alone. */
static int undo_apply(struct apply *ap, const struct undo *u, struct err *e)
{
	OWN_FD int fd = open_to_undo(ap, u->path);
	struct stat st;

	if (fd < 0)
		return errno == ENOENT || errno == ELOOP || errno == ENOTDIR || errno == EISDIR || errno == ENXIO ? 0 : err_sys(e, "open");
	if (fstat(fd, &st) < 0)
		return err_sys(e, "stat");
	return S_ISREG(st.st_mode) && st.st_ino == u->ino ? put_back(fd, u, e) : 0;
}

static int undo_file(struct apply *ap, int staging, const char *name, struct err *e)
{
	OWN(undo_dispose) struct undo u = { .path = NULL };
	OWN_BUF struct buf b = BUF_INIT;

	int r;

	if (io_read_file(staging, name, UNDO_FILE_MAX, &b, e) < 0 || (r = undo_parse(&b, &u, e)) < 0)
		return -1;
	if (r && undo_apply(ap, &u, e) < 0)
		return err_at(e, "%s: what a patch overwrote cannot be put back", esc_s(u.path));
	return 0;
}

/* Of a patch that was not at its end: of one that was, some may be gone already, and the others say nothing. */
static bool is_wanted(int staging, const char *name)
{
	char guard[NAME_MAX_LEN];
	uint64_t large_id;
	unsigned n;

	if (sscanf(name, PREFIX "%" SCNu64 "-%u", &large_id, &n) != 2)
		return false;
	guard_name(large_id, guard);
	return faccessat(staging, guard, F_OK, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT;
}

int undo_all(struct apply *ap, int staging, struct err *e)
{
	OWN_DIR DIR *d = NULL;
	OWN_FD int copy = openat(staging, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent *de;
	int found = 0;

	if (copy < 0 || !(d = fdopendir(copy)))
		return err_sys(e, "read " STAGING);
	(void)take_fd(&copy);
	while ((errno = 0, de = readdir(d))) {
		if (strncmp(de->d_name, PREFIX, strlen(PREFIX)) != 0)
			continue;
		found = 1;
		if (is_wanted(staging, de->d_name) && undo_file(ap, staging, de->d_name, e) < 0) {
			e->class = ERR_TEMPORARY;
			return -1;
		}
	}
	return errno ? err_sys(e, "read " STAGING) : found;
}

/* ---- the ends of one content ---- */

static void drop_files(struct apply *ap, uint64_t large_id, unsigned n)
{
	char name[NAME_MAX_LEN];

	while (n--) {
		sys_point("patch-drop");
		undo_name(large_id, n, name);
		(void)unlinkat(ap->staging, name, 0);
	}
}

void undo_now(struct apply *ap, struct large *l)
{
	struct err e = ERR_INIT;
	char name[NAME_MAX_LEN];

	for (unsigned n = 0; n < l->undos && e.class == ERR_NONE; n++) {
		undo_name(l->id, n, name);
		/* One that could not be written down was followed by nothing. */
		if (faccessat(ap->staging, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0 && undo_file(ap, ap->staging, name, &e) < 0)
			ap->torn = e;
	}
	if (e.class == ERR_NONE) {
		drop_guard(ap, l->id);
		drop_files(ap, l->id, l->undos);
	}
	l->undos = 0;
}

int undo_done(struct apply *ap, const struct large *l, struct err *e)
{
	struct common *c = ap->common;
	struct undone *grown;

	pthread_mutex_lock(&c->lock);
	if ((grown = reallocarray(c->undone, c->undone_count + 1, sizeof(*grown)))) {
		c->undone = grown;
		c->undone[c->undone_count++] = (struct undone){ l->id, l->undos };
	}
	pthread_mutex_unlock(&c->lock);
	return grown ? 0 : err_set(e, ERR_TEMPORARY, "out of memory");
}

size_t undo_count(struct apply *ap)
{
	size_t n;

	pthread_mutex_lock(&ap->common->lock);
	n = ap->common->undone_count;
	pthread_mutex_unlock(&ap->common->lock);
	return n;
}

/* The first n; the caller owns them. */
static struct undone *take_undone(struct common *c, size_t n)
{
	struct undone *v;

	pthread_mutex_lock(&c->lock);
	if ((v = calloc(n, sizeof(*v)))) {
		memcpy(v, c->undone, n * sizeof(*v));
		c->undone_count -= n;
		memmove(c->undone, c->undone + n, c->undone_count * sizeof(*v));
	}
	pthread_mutex_unlock(&c->lock);
	return v;
}

int undo_forget(struct apply *ap, size_t n, struct err *e)
{
	OWN_FREE struct undone *v = NULL;

	if (n == 0)
		return 0;
	if (!(v = take_undone(ap->common, n)))
		return err_set(e, ERR_TEMPORARY, "out of memory");
	sys_point("patch-done");
	/* One name for all that was kept of a content, so that either all of it comes back or nothing; and not after it was acknowledged. */
	for (size_t i = 0; i < n; i++)
		drop_guard(ap, v[i].large_id);
	if (sys_fsync(SITE, ap->staging) < 0) {
		(void)err_sys(e, "fsync of " STAGING);
		e->class = ERR_TEMPORARY;
		return -1;
	}
	for (size_t i = 0; i < n; i++)
		drop_files(ap, v[i].large_id, v[i].files);
	return 0;
}
