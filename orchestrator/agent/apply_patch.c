/*
 * A large content that comes as changes of what stands at its path: that is copied into the staging directory, shared where the
 * file system can, and the changes are written into the copy.  In a tree that is not live, where nothing can be shared, they are
 * written into the file itself (apply_undo.c).  Verification reads the whole of it.
 */
#include "apply.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "finalise.h"
#include "io.h"
#include "sys.h"

#define STEP (32u << 20)	/* bytes copied before their writing out is begun */

/* What stands there, when it is the base by type, size and time. */
static int open_base(struct apply *ap, const struct msg_patch_begin *m, struct err *why)
{
	OWN_FD int fd = path_open_beneath(ap->a->root, m->path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY, 0);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(why, "open");
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size != m->base_size || st.st_mtim.tv_sec != m->mtime_s ||
	    st.st_mtim.tv_nsec != (long)m->mtime_ns)
		return err_set(why, ERR_PERMANENT, "it is not what was written last");
	return take_fd(&fd);
}

/* By bytes, where the kernel cannot copy within or between these files. */
static int copy_plain(struct apply *ap, int in, int out, off_t at, off_t end, struct err *why)
{
	while (at < end) {
		size_t n = end - at < (off_t)COPY_BYTES ? (size_t)(end - at) : COPY_BYTES;
		ssize_t got = io_pread_full(SITE, in, ap->copy, n, (uint64_t)at, "base", why);

		if (got <= 0)
			return got < 0 ? -1 : err_set(why, ERR_TEMPORARY, "it shrank while it was copied");
		if (io_pwrite_all(SITE, out, ap->copy, (size_t)got, (uint64_t)at, "copy", why) < 0)
			return -1;
		at += got;
	}
	return 0;
}

static int copy_run(struct apply *ap, int in, int out, off_t at, off_t end, struct err *why)
{
	while (at < end) {
		off_t from = at, to = at, left = end - at;
		ssize_t n = copy_file_range(in, &from, out, &to, left < (off_t)STEP ? (size_t)left : STEP, 0);

		if (n <= 0)
			return fs_trouble(errno) && n < 0 ? err_sys(why, "copy") : copy_plain(ap, in, out, at, end, why);
		/* Advice: so that the sync in the end finds little left to do. */
		(void)sync_file_range(out, at, n, SYNC_FILE_RANGE_WRITE);
		at += n;
	}
	return 0;
}

static int copy_base(struct apply *ap, int in, int out, off_t size, struct err *why)
{
	for (off_t at = 0, data, end; at < size; at = end) {
		if ((data = lseek(in, at, SEEK_DATA)) < 0 && errno == ENXIO)
			break;
		if (data < 0 || (end = lseek(in, data, SEEK_HOLE)) < 0)
			return err_sys(why, "layout of the base");
		if (copy_run(ap, in, out, data, end < size ? end : size, why) < 0)
			return -1;
	}
	return ftruncate(out, size) < 0 ? err_sys(why, "truncate") : 0;
}

/* The file itself, if nobody has another name for it. */
static bool open_in_place(struct apply *ap, const struct msg_patch_begin *m, struct large *l, int base)
{
	OWN_FD int fd = -1;
	struct stat st, again;

	if (!agent_flag(ap->a, MSG_F_STAGED) || fstat(base, &st) < 0 || st.st_nlink != 1 || path_is_beneath(m->path, STAGING))
		return false;
	fd = path_open_beneath(ap->a->root, m->path, O_RDWR | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY, 0);
	if (fd < 0 || fstat(fd, &again) < 0 || again.st_ino != st.st_ino || again.st_dev != st.st_dev)
		return false;
	/* On a file system of its own the sync would not reach it. */
	if (!undo_begin(ap, l, st.st_dev))
		return false;
	l->in_place = true;
	l->base = (struct base){ st.st_ino, m->base_size, m->mtime_s, m->mtime_ns };
	l->fd = take_fd(&fd);
	return true;
}

static int stage_base(struct apply *ap, const struct msg_patch_begin *m, struct large *l, struct err *why)
{
	OWN_FD int base = open_base(ap, m, why);

	if (base < 0 || (l->fd = tree_tmp_file(ap, l->tmp, why)) < 0)
		return -1;
	if (ioctl(l->fd, FICLONE, base) == 0)
		return 0;
	large_unstage(ap, l);
	if (open_in_place(ap, m, l, base))
		return 0;
	return (l->fd = tree_tmp_file(ap, l->tmp, why)) < 0 ? -1 : copy_base(ap, base, l->fd, (off_t)m->base_size, why);
}

int patch_begin(struct apply *ap, const struct wire_frame *f, struct err *e)
{
	OWN(msg_patch_begin_dispose) struct msg_patch_begin m = { .path = NULL };
	OWN_BUF struct buf b = BUF_INIT;
	struct err why = ERR_INIT;
	struct large *l;

	if (msg_patch_begin_decode(f->data, f->len, &m, e) < 0 || !(l = large_add(ap, m.large_id, m.path, e)))
		return -1;
	if (ap->block)
		return block_begin(ap, l, m.size, e);
	if (stage_base(ap, &m, l, &why) == 0)
		return 0;
	large_unstage(ap, l);
	if (fs_trouble(why.sys)) {
		*e = why;
		e->class = ERR_TEMPORARY;
		return -1;
	}
	msg_nobase_encode(&b, m.large_id, m.path);
	return agent_send(ap->a, WIRE_ACK, MSG_NOBASE, &b, e);
}

int patch_ranges(struct apply *ap, const struct wire_frame *f, struct err *e)
{
	OWN(msg_ranges_dispose) struct msg_ranges m = { .v = NULL };
	struct object *o;

	if (msg_ranges_decode(f->data, f->len, &m, e) < 0)
		return -1;
	if (!(o = object_find(ap, m.ordinal)) || o->is.kind != MSG_KIND_SLICE || o->ranges.count)
		return err_set(e, ERR_INTEGRITY, "ranges of object %" PRIu64 ", which is no open slice, or has some", m.ordinal);
	o->ranges = m;
	m = (struct msg_ranges){ .v = NULL };	/* transferred */
	return 0;
}

int patch_zero(struct apply *ap, int fd, uint64_t at, uint64_t n, const char *path, struct err *e)
{
	if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)at, (off_t)n) == 0)
		return 0;
	if (errno != EOPNOTSUPP && errno != ENODEV && errno != EINVAL)
		return err_sys(e, "cannot make a hole in %s", path);
	memset(ap->copy, 0, COPY_BYTES);
	for (size_t k; n; at += k, n -= k) {
		k = n < COPY_BYTES ? (size_t)n : COPY_BYTES;
		if (io_pwrite_all(SITE, fd, ap->copy, k, at, path, e) < 0)
			return -1;
	}
	return 0;
}

int patch_hole(struct apply *ap, const struct wire_frame *f, struct err *e)
{
	uint64_t id, at, n;
	struct err why = ERR_INIT;
	struct large *l;

	if (msg_hole_decode(f->data, f->len, &id, &at, &n, e) < 0)
		return -1;
	if (!(l = large_find(ap, id)))
		return err_set(e, ERR_INTEGRITY, "a hole of large content %" PRIu64 ", which is not open", id);
	if (pool_drain_large(ap, l, e) < 0)
		return -1;
	if (l->fd < 0 || l->failed)	/* a worker has told why */
		return 0;
	if ((!l->in_place || undo_keep_data(ap, l, at, at + n, &why) == 0) && patch_zero(ap, l->fd, at, n, l->path, &why) == 0)
		return 0;
	return large_fail(ap, l, &why, e);
}

int patch_end(struct apply *ap, struct large *l, const struct entry *en, const struct attr_set *attrs, struct err *e)
{
	OWN_BUF struct buf missed = BUF_INIT;
	int r = finalise(l->fd, tree_finalise_what(ap), en, attrs, &missed, e);

	if (r >= 0 && ap->fsync_each && sys_fsync(SITE, l->fd) < 0)
		r = err_sys(e, "fsync");
	if (r < 0 || undo_done(ap, l, e) < 0)
		return -1;
	(void)close(take_fd(&l->fd));
	return r ? err_set(e, ERR_PERMANENT, "in place, but not as it was: %s", missed.data) : 0;
}
