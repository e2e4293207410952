/*
 * To whom the place of a hit belongs: what GETFSMAP tells (free space, metadata), else the file in whose block map it lies,
 * looked for among the files of the mounted file system for a while.
 */
#include "scan.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <linux/fsmap.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "clock.h"
#include "extents.h"

#define RECORDS 4u
#define WALK_NS 60000000000LL

struct owners {
	struct search *s;
	const struct medium *m;
	size_t left;		/* hits without owner */
	size_t *order;		/* owned: hits without owner, by place */
	size_t n;
};

static void give(struct scan_hit *h, const char *text)
{
	if (!h->owner)
		h->owner = strdup(text);	/* without memory it stays untold */
}

/* The kernel's own packing of a device number. */
static uint32_t fsmap_device(uint64_t dev)
{
	return (minor(dev) & 0xff) | (major(dev) << 8) | ((minor(dev) & ~0xffu) << 12);
}

/* "free", "metadata" or NULL: some file, or not told. */
static const char *ask_fsmap(const struct medium *m, uint64_t at)
{
	union { struct fsmap_head head; uint8_t room[sizeof(struct fsmap_head) + RECORDS * sizeof(struct fsmap)]; } q;
	uint32_t dev = fsmap_device(m->dev);

	memset(&q, 0, sizeof(q));
	q.head.fmh_count = RECORDS;
	q.head.fmh_keys[0] = (struct fsmap){ .fmr_device = dev, .fmr_physical = at };
	q.head.fmh_keys[1] = (struct fsmap){ .fmr_device = dev, .fmr_physical = at, .fmr_flags = UINT32_MAX, .fmr_owner = UINT64_MAX,
		.fmr_offset = UINT64_MAX };
	if (ioctl(m->mount, FS_IOC_GETFSMAP, &q.head) < 0)
		return NULL;
	for (uint32_t i = 0; i < q.head.fmh_entries && i < RECORDS; i++) {
		const struct fsmap *r = &q.head.fmh_recs[i];

		if (at < r->fmr_physical || at >= r->fmr_physical + r->fmr_length || !(r->fmr_flags & FMR_OF_SPECIAL_OWNER))
			continue;
		if (r->fmr_owner == FMR_OWN_FREE)
			return "free";
		return r->fmr_owner == FMR_OWN_UNKNOWN ? NULL : "metadata";
	}
	return NULL;
}

/* ---- files ---- */

static const struct owners *sorting;	/* qsort has no context; the role has one thread here */

static int by_place(const void *a, const void *b)
{
	uint64_t x = sorting->s->hits[*(const size_t *)a].at, y = sorting->s->hits[*(const size_t *)b].at;

	return x < y ? -1 : x > y;
}

/* First of order whose place is at least at. */
static size_t first_at(const struct owners *o, uint64_t at)
{
	size_t low = 0, high = o->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (o->s->hits[o->order[mid]].at < at)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static void claim(struct owners *o, const struct extents *x, const char *path)
{
	for (size_t i = 0; i < x->n; i++)
		for (size_t k = first_at(o, x->v[i].physical); k < o->n; k++) {
			struct scan_hit *h = &o->s->hits[o->order[k]];
			OWN_BUF struct buf b = BUF_INIT;

			if (h->at >= x->v[i].physical + x->v[i].length)
				break;
			if (h->owner)
				continue;
			buf_printf(&b, "file %s", path);
			if (!b.failed)
				give(h, b.data);
			o->left--;
		}
}

static void look_at(struct owners *o, const char *path)
{
	OWN_EXTENTS struct extents x = EXTENTS_INIT;
	OWN_FD int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC | O_NOATIME);
	struct err ignored = ERR_INIT;
	struct stat st;

	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_dev == o->m->dev && extents_read(fd, &x, &ignored) == 1)
		claim(o, &x, path);
}

static void walk(struct owners *o)
{
	char *roots[2] = { o->m->mount_path, NULL };
	FTS *f = fts_open(roots, FTS_PHYSICAL | FTS_XDEV | FTS_NOCHDIR, NULL);
	int64_t until = clock_mono_ns() + WALK_NS;
	FTSENT *p;

	while (f && o->left > 0 && (p = fts_read(f)) && clock_mono_ns() < until)
		if (p->fts_info == FTS_F)
			look_at(o, p->fts_path);
	if (f)
		(void)fts_close(f);
}

int search_owners(struct search *s, const struct medium *m, struct err *e)
{
	struct owners o = { .s = s, .m = m };

	if (s->n == 0 || m->mount < 0)
		return 0;
	if (strcmp(m->facts.fstype, "btrfs") == 0)
		return search_owners_btrfs(s, m, e);
	if (!(o.order = calloc(s->n, sizeof(*o.order))))
		return err_sys(e, "owners of hits");
	for (size_t i = 0; i < s->n; i++) {
		const char *word = ask_fsmap(m, s->hits[i].at);

		if (word)
			give(&s->hits[i], word);
		else
			o.order[o.n++] = i;
	}
	o.left = o.n;
	sorting = &o;
	if (o.n) {
		qsort(o.order, o.n, sizeof(*o.order), by_place);
		walk(&o);
	}
	free(o.order);
	return 0;
}
