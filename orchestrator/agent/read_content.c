#include "reader.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io.h"

#define BLOCK (1u << 20)
#define TRIES 3
#define HASH_FIRST_MAX (1ull << 30)
#define TRIES_ONCE_ABOVE (1ull << 30)	/* a live file of that size that changes is read once a pass, not three times */

void content_dispose(struct content *c)
{
	attr_set_dispose(&c->attrs);
	emit_large_dispose(&c->large);
	delta_content_dispose(&c->delta);
}

static void hash(struct hand *h, const void *p, size_t n)
{
	if (agent_flag(h->r->a, MSG_F_NO_HASH))
		return;
	digest_update(h->sha256, p, n);
	if (h->sm3)
		digest_update(h->sm3, p, n);
}

static void hash_end(struct hand *h, struct entry *en)
{
	if (agent_flag(h->r->a, MSG_F_NO_HASH))
		return;
	digest_final(h->sha256, en->sha256);
	en->has |= ENTRY_HAS_SHA256;
	if (h->sm3) {
		digest_final(h->sm3, en->sm3);
		en->has |= ENTRY_HAS_SM3;
	}
}

static void hash_begin(struct hand *h)
{
	digest_reset(h->sha256);
	if (h->sm3)
		digest_reset(h->sm3);
}

/* Up to n bytes at an offset; -1 with *why.  What was read counts, for the report. */
static ssize_t read_at(struct hand *h, int fd, uint64_t at, size_t n, struct err *why)
{
	ssize_t got = io_pread_full(SITE, fd, h->data, n, at, "content", why);

	if (got > 0)
		h->bytes += (uint64_t)got;
	return got;
}

static bool is_zero(const uint8_t *p, size_t n)
{
	return n == 0 || (p[0] == 0 && memcmp(p, p + 1, n - 1) == 0);
}

/*
 * ---- where the file system says that holes are: hints, believed only where zeros are read ----
 *
 * SEEK_HOLE calls preallocated space a hole or not by whether its zeros are in the page cache just now.  It was allocated on purpose
 * and stays so: FIEMAP tells.  Block counts tell nothing, they include blocks of attributes and of preallocation beyond the end.
 */
struct map { int fd; bool sparse, no_fiemap, synced; uint64_t start, end; bool hole, unwritten; uint64_t size; };

static bool has_holes(int fd, const struct statx *st)
{
	off_t hole = st->stx_size ? lseek(fd, 0, SEEK_HOLE) : -1;

	return hole >= 0 && (uint64_t)hole < st->stx_size;
}

#define EXTENTS 32

/* Cut m where preallocated space begins or ends: what SEEK_HOLE calls a hole is data there, and what it calls data may be that as well. */
static void split_unwritten(struct map *m)
{
	uint64_t room[(sizeof(struct fiemap) + EXTENTS * sizeof(struct fiemap_extent)) / sizeof(uint64_t)] = { 0 };
	struct fiemap *q = (struct fiemap *)room;	/* with room for its extents behind it */
	uint64_t to = m->start;

	if (m->no_fiemap)
		return;
	q->fm_start = m->start;
	q->fm_length = m->end - m->start;
	q->fm_flags = m->synced ? 0 : FIEMAP_FLAG_SYNC;
	q->fm_extent_count = EXTENTS;
	/* Once a file: what is delayed is not yet what it will be. */
	if (ioctl(m->fd, FS_IOC_FIEMAP, q) < 0) {
		m->no_fiemap = true;
		return;
	}
	m->synced = true;
	for (uint32_t i = 0; i < q->fm_mapped_extents && i < EXTENTS; i++) {
		uint64_t from = q->fm_extents[i].fe_logical;

		to = from + q->fm_extents[i].fe_length;
		if (!(q->fm_extents[i].fe_flags & FIEMAP_EXTENT_UNWRITTEN) || (q->fm_extents[i].fe_flags & FIEMAP_EXTENT_DELALLOC) || to <= m->start)
			continue;
		m->unwritten = from <= m->start;
		m->hole = m->hole && !m->unwritten;
		if (!m->unwritten && from < m->end)
			m->end = from;
		else if (m->unwritten && to < m->end)
			m->end = to;
		return;
	}
	/* There are more extents than were told: what comes after these is asked about when it is reached. */
	if (q->fm_mapped_extents == EXTENTS && to > m->start && to < m->end)
		m->end = to;
}

/* Set m to the range that holds at. */
static void map_move(struct map *m, uint64_t at)
{
	off_t data, hole;

	if (!m->sparse) {
		*m = (struct map){ .fd = m->fd, .end = m->size, .size = m->size };
		return;
	}
	data = lseek(m->fd, (off_t)at, SEEK_DATA);
	m->start = at;
	m->unwritten = false;
	m->hole = data < 0 ? errno == ENXIO : (uint64_t)data > at;
	if (m->hole) {
		m->end = data < 0 || (uint64_t)data > m->size ? m->size : (uint64_t)data;
	} else {
		hole = lseek(m->fd, (off_t)at, SEEK_HOLE);
		m->end = hole < 0 || (uint64_t)hole <= at || (uint64_t)hole > m->size ? m->size : (uint64_t)hole;
	}
	split_unwritten(m);
}

/* ---- one reading ---- */

/* A hole that was filled, or preallocated, from end to end is none: then there is no layout to keep. */
static void drop_full_layout(struct entry *en)
{
	if (!(en->has & ENTRY_HAS_LAYOUT) || en->layout_count != 1 || en->layout[0].offset || en->layout[0].length != en->size)
		return;
	en->has &= ~(uint32_t)ENTRY_HAS_LAYOUT;
	en->layout_count = 0;
	free(take_ptr(&en->layout));
}

#define TOO_MUCH 2	/* has changed: sent whole it takes less */

/* One run of bytes in h->data: into layout and slices.  d NULL: only hashed.  0, TOO_MUCH, -1. */
static int take_run(struct hand *h, const struct map *m, uint64_t at, size_t n, struct entry *en, struct delta_content *d, struct err *e)
{
	bool empty = (m->hole || m->unwritten) && is_zero(h->data, n);
	int rc;

	hash(h, h->data, n);
	if (m->sparse && entry_layout_add(en, at, empty && m->hole ? 0 : n, e) < 0)
		return -1;
	if (!d)
		return 0;
	/* Preallocated space travels as a hole that the layout calls data: so it is known for what it is (waybill-wire.7). */
	rc = delta_take(d, &h->r->emit, h->data, n, empty, e);
	return rc == 1 ? TOO_MUCH : rc;
}

/* Everything up to size, all of it through plain reads.  0, 1 = why, TOO_MUCH, -1. */
static int read_large(struct hand *h, int fd, bool sparse, uint64_t size, struct entry *en, struct delta_content *d, struct err *why, struct err *e)
{
	/*
	 * Preallocated from end to end and in the page cache it has no holes to SEEK_HOLE: so large ones are looked at in any case, but
	 * only those with holes are made to write back first.
	 */
	struct map m = { .fd = fd, .sparse = sparse || size > PACK_FILE_MAX, .synced = !sparse, .size = size };
	uint64_t at = 0;
	int rc;

	hash_begin(h);
	en->layout_count = 0;
	en->has &= ~(uint32_t)ENTRY_HAS_LAYOUT;
	while (at < size) {
		ssize_t got;
		uint64_t n;

		if (at >= m.end)
			map_move(&m, at);
		n = m.end - at < BLOCK ? m.end - at : BLOCK;
		got = read_at(h, fd, at, (size_t)n, why);
		if (got < 0)
			return 1;
		if (got == 0)
			break;
		if ((rc = take_run(h, &m, at, (size_t)got, en, d, e)))
			return rc;
		at += (uint64_t)got;
	}
	en->size = at;
	drop_full_layout(en);
	hash_end(h, en);
	rc = d ? delta_end(d, &h->r->emit, e) : 0;
	return rc == 1 ? TOO_MUCH : rc;
}

static int read_small(struct hand *h, int fd, uint64_t size, struct entry *en, struct err *why)
{
	ssize_t got = size ? read_at(h, fd, 0, (size_t)size, why) : 0;

	if (got < 0)
		return 1;
	hash_begin(h);
	hash(h, h->data, (size_t)got);
	en->size = (uint64_t)got;
	hash_end(h, en);
	return 0;
}

static bool equals_known(const struct entry *en, const struct entry *known)
{
	return known && known->type == ENTRY_FILE && known->has & ENTRY_HAS_SHA256 && en->has & ENTRY_HAS_SHA256 &&
	    known->size == en->size && memcmp(known->sha256, en->sha256, DIGEST_LEN) == 0;
}

/*
 * A large file whose size stands may only have been touched: hash first, send only when it is another.  Beyond the size that the page
 * cache likely holds for a second reading that is done only when the mtime stands as well.
 */
static bool worth_hashing_first(const struct entry *en, const struct entry *known)
{
	return known && known->has & ENTRY_HAS_SHA256 && known->size == en->size &&
	    (en->size <= HASH_FIRST_MAX || (known->mtime_s == en->mtime_s && known->mtime_ns == en->mtime_ns));
}

/* Into slices, at first only what changed. */
static int send_large(struct hand *h, int fd, bool sparse, uint64_t size, struct entry *en, const struct entry *known, struct content *c, struct err *why, struct err *e)
{
	int rc = 0;

	if (hand_open_large(h, e) < 0)
		return -1;
	for (bool again = false;; again = true) {
		if (delta_begin(h->r->delta, &c->delta, &h->r->emit, &c->large, en->path, size, again ? NULL : known, e) < 0)
			return -1;
		/* Without its blocks a file that likely is as it was is hashed before it is sent. */
		if (!again && !c->delta.base && worth_hashing_first(en, known)) {
			rc = read_large(h, fd, sparse, size, en, NULL, why, e);
			if (rc || equals_known(en, known))
				return rc;
		}
		rc = read_large(h, fd, sparse, size, en, &c->delta, why, e);
		if (rc != TOO_MUCH)
			return rc;
		if (emit_large_abort(&h->r->emit, &c->large, e) < 0)
			return -1;
	}
}

static int read_once(struct hand *h, int fd, const struct statx *st, struct entry *en, const struct entry *known, bool send, struct content *c, struct err *why, struct err *e)
{
	bool sparse = has_holes(fd, st);

	c->is_large = sparse || st->stx_size > PACK_FILE_MAX;
	if (agent_flag(h->r->a, MSG_F_NO_HASH))
		return 0;
	if (!c->is_large)
		return read_small(h, fd, st->stx_size, en, why);
	if (!send)
		return read_large(h, fd, sparse, st->stx_size, en, NULL, why, e);
	return send_large(h, fd, sparse, st->stx_size, en, known, c, why, e);
}

/* ---- until it stands still ---- */

static int stat_fd(int fd, struct statx *st, struct err *why)
{
	if (statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_BTIME, st) < 0)
		return -err_sys(why, "stat");
	if (!S_ISREG(st->stx_mode))
		return -err_set(why, ERR_TEMPORARY, "replaced while it was read");
	return 0;
}

static bool same_stat(const struct statx *a, const struct statx *b)
{
	return a->stx_size == b->stx_size && a->stx_mtime.tv_sec == b->stx_mtime.tv_sec &&
	    a->stx_mtime.tv_nsec == b->stx_mtime.tv_nsec && a->stx_ctime.tv_sec == b->stx_ctime.tv_sec &&
	    a->stx_ctime.tv_nsec == b->stx_ctime.tv_nsec;
}

static bool same_inode(const struct statx *a, const struct statx *b)
{
	return a->stx_ino == b->stx_ino && a->stx_dev_major == b->stx_dev_major && a->stx_dev_minor == b->stx_dev_minor;
}

/* fd becomes what stands there by name, for the next try; what is no regular file stays away. */
static void take_named(int fd, const struct content *c)
{
	int again = openat(c->dirfd, c->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat there;

	if (again >= 0 && fstat(again, &there) == 0 && S_ISREG(there.st_mode))
		(void)dup3(again, fd, O_CLOEXEC);
	if (again >= 0)
		(void)close(again);
}

/*
 * One look by name tells both: that the inode did not change since before, and that the name still leads to it.  If it leads to
 * another, that one's content is the one that counts; what is gone stays unsettled.
 */
static int look_again(int fd, const struct statx *before, struct content *c, struct err *why)
{
	struct statx after;

	if (!c->name) {
		if (stat_fd(fd, &after, why))
			return 1;
		c->settled = same_stat(before, &after);
		return 0;
	}
	c->settled = false;
	if (statx(c->dirfd, c->name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_BASIC_STATS, &after) < 0)
		return 0;
	if (same_inode(before, &after))
		c->settled = same_stat(before, &after);
	else if (S_ISREG(after.stx_mode))
		take_named(fd, c);
	return 0;
}

/* Forget what an earlier try described. */
static void clean_entry(struct entry *en)
{
	en->has = 0;
	en->flags = 0;
	free(en->layout);
	en->layout = NULL;
	en->layout_count = 0;
}

static void drop_pages(const struct hand *h, int fd)
{
	/* Advice: where it is not taken, the verification says so by other means (it cannot tell). */
	if (agent_flag(h->r->a, MSG_F_MEDIUM))
		(void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
}

static int try_once(struct hand *h, int fd, struct entry *en, const struct entry *known, bool send, struct content *c, struct err *why, struct err *e)
{
	struct statx before;
	int rc;

	clean_entry(en);
	attr_set_dispose(&c->attrs);
	if (stat_fd(fd, &before, why))
		return 1;
	describe_stat(en, &before);
	drop_pages(h, fd);
	rc = describe_more(h->r, fd, en, &c->attrs, why, e);
	if (rc == 0)
		rc = read_once(h, fd, &before, en, known, send, c, why, e);
	drop_pages(h, fd);
	return rc ? rc : look_again(fd, &before, c, why);
}

int content_take(struct hand *h, int fd, struct entry *en, const struct entry *known, bool send, struct content *c, struct err *why, struct err *e)
{
	bool frozen = agent_flag(h->r->a, MSG_F_FROZEN);
	int rc = 0;

	for (int tries = 1;; tries++) {
		bool last = tries == TRIES || (!frozen && en->size > TRIES_ONCE_ABOVE);

		rc = try_once(h, fd, en, known, send, c, why, e);
		if (rc < 0)
			return -1;
		if (rc || c->settled || last)
			break;
		if (emit_large_abort(&h->r->emit, &c->large, e) < 0)
			return -1;
	}
	if (rc == 0 && !c->settled && frozen) {
		err_set(why, ERR_TEMPORARY, "%s", NOTE_CHANGED);
		rc = 1;
	}
	/* Slices of a failed content are void, and so are those that turned out to be known. */
	if ((rc || equals_known(en, known)) && emit_large_abort(&h->r->emit, &c->large, e) < 0)
		return -1;
	return rc;
}
