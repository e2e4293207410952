#include "extents.h"

#include <errno.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#define BATCH 256
#define EXTENTS_MAX (8u << 20)

void extents_dispose(struct extents *x)
{
	free(x->v);
	*x = (struct extents)EXTENTS_INIT;
}

static int add(struct extents *x, const struct extent *t, struct err *e)
{
	struct extent *last = x->n ? &x->v[x->n - 1] : NULL;

	x->flags |= t->flags;
	/* Continues the one before: how the kernel cuts them (written, unwritten) is of no interest. */
	if (last && last->logical + last->length == t->logical && last->physical + last->length == t->physical &&
	    ((last->flags ^ t->flags) & FIEMAP_EXTENT_DATA_INLINE) == 0) {
		last->length += t->length;
		last->flags |= t->flags;
		return 0;
	}
	if ((x->n & (x->n - 1)) == 0) {
		struct extent *grown = x->n < EXTENTS_MAX ? realloc(x->v, (x->n ? 2 * x->n : 1) * sizeof(*grown)) : NULL;

		if (!grown)
			return err_set(e, ERR_TEMPORARY, "no memory for a map of more than %zu extents", x->n);
		x->v = grown;
	}
	x->v[x->n++] = *t;
	return 0;
}

/* 1 to go on, 0 at the last extent, -1. */
static int add_batch(struct extents *x, const struct fiemap *f, uint64_t *next, struct err *e)
{
	for (uint32_t i = 0; i < f->fm_mapped_extents; i++) {
		const struct fiemap_extent *k = &f->fm_extents[i];
		struct extent t = { k->fe_logical, k->fe_physical, k->fe_length, k->fe_flags };

		if (t.length == 0 || t.logical + t.length < t.logical)
			return err_set(e, ERR_UNVERIFIED, "the file system gives an impossible map");
		if (add(x, &t, e) < 0)
			return -1;
		*next = t.logical + t.length;
		if (t.flags & FIEMAP_EXTENT_LAST)
			return 0;
	}
	return f->fm_mapped_extents > 0;
}

/* 1, 0 = no map, -1. */
static int read_map(int fd, struct extents *x, struct err *e)
{
	size_t size = sizeof(struct fiemap) + BATCH * sizeof(struct fiemap_extent);
	OWN_FREE struct fiemap *f = malloc(size);
	uint64_t next = 0;
	int more;

	if (!f)
		return err_set(e, ERR_TEMPORARY, "out of memory");
	do {
		memset(f, 0, size);
		f->fm_start = next;
		f->fm_length = FIEMAP_MAX_OFFSET - next;
		f->fm_flags = FIEMAP_FLAG_SYNC;
		f->fm_extent_count = BATCH;
		if (ioctl(fd, FS_IOC_FIEMAP, f) < 0)
			return errno == EOPNOTSUPP || errno == ENOTTY || errno == EBADR || errno == ENOSYS ? 0 : err_sys(e, "block map");
		more = add_batch(x, f, &next, e);
	} while (more > 0);
	return more < 0 ? -1 : (x->flags & FIEMAP_EXTENT_UNKNOWN) == 0;
}

static int read_ranges(int fd, struct extents *x, struct err *e)
{
	struct stat st;
	off_t at = 0;

	if (fstat(fd, &st) < 0)
		return err_sys(e, "stat");
	while (at < st.st_size) {
		off_t from = lseek(fd, at, SEEK_DATA), to;
		struct extent t;

		if (from < 0 && errno == ENXIO)
			break;
		if (from < 0)
			return err_sys(e, "find data");
		if ((to = lseek(fd, from, SEEK_HOLE)) <= from)
			to = st.st_size;
		from &= ~(off_t)4095;
		t = (struct extent){ .logical = (uint64_t)from, .length = (((uint64_t)to + 4095) & ~(uint64_t)4095) - (uint64_t)from };
		if (add(x, &t, e) < 0)
			return -1;
		at = to;
	}
	return 0;
}

int extents_read(int fd, struct extents *x, struct err *e)
{
	int r = read_map(fd, x, e);

	if (r != 0)
		return r;
	extents_dispose(x);
	return read_ranges(fd, x, e);
}

bool extents_same(const struct extents *a, const struct extents *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (a->v[i].logical != b->v[i].logical || a->v[i].physical != b->v[i].physical || a->v[i].length != b->v[i].length)
			return false;
	return true;
}

uint64_t extents_bytes(const struct extents *x)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < x->n; i++)
		sum += x->v[i].length;
	return sum;
}
