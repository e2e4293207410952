/* Stretches of a medium. */
#include "scan.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <linux/fiemap.h>
#include <sys/stat.h>

#include "digest.h"
#include "extents.h"

static int by_place(const void *a, const void *b)
{
	const struct range *x = a, *y = b;

	return x->at < y->at ? -1 : x->at > y->at;
}

int ranges_add(struct ranges *r, uint64_t at, uint64_t length, struct err *e)
{
	if (r->n == r->cap) {
		size_t cap = r->cap ? 2 * r->cap : 1024;
		struct range *grown = realloc(r->v, cap * sizeof(*grown));

		if (!grown)
			return err_sys(e, "stretches of a medium");
		r->v = grown;
		r->cap = cap;
	}
	r->v[r->n++] = (struct range){ at, length };
	return 0;
}

void ranges_tidy(struct ranges *r, const struct medium *m)
{
	size_t n = 0;

	if (r->n)
		qsort(r->v, r->n, sizeof(*r->v), by_place);
	for (size_t i = 0; i < r->n; i++) {
		uint64_t from = r->v[i].at / m->sector * m->sector, to = r->v[i].at + r->v[i].length;

		to = (to + m->sector - 1) / m->sector * m->sector;
		if (n && from < r->v[n - 1].at + r->v[n - 1].length)
			from = r->v[n - 1].at + r->v[n - 1].length;
		if (to > m->size)
			to = m->size;
		if (from < to)
			r->v[n++] = (struct range){ from, to - from };
	}
	r->n = n;
}

bool ranges_hold(const struct ranges *r, uint64_t at)
{
	size_t low = 0, high = r->n;

	while (low < high) {	/* the first that begins beyond at */
		size_t mid = low + (high - low) / 2;

		if (r->v[mid].at <= at)
			low = mid + 1;
		else
			high = mid;
	}
	return low > 0 && at - r->v[low - 1].at < r->v[low - 1].length;
}

int ranges_random(struct ranges *r, const uint8_t seed[MSG_SCAN_KEY], uint64_t count, uint64_t size, struct err *e)
{
	uint64_t places = size >= SCAN_READ ? (size - SCAN_READ) / 4096 + 1 : 0, number[4];
	uint8_t in[MSG_SCAN_KEY + 8];

	if (places == 0)
		return err_set(e, ERR_UNVERIFIED, "the medium is too small to be sampled");
	memcpy(in, seed, MSG_SCAN_KEY);
	for (uint64_t i = 0; i < count; i++) {
		uint64_t block = i / 4;

		memcpy(in + MSG_SCAN_KEY, &block, sizeof(block));
		if (i % 4 == 0 && digest_sha256(in, sizeof(in), (uint8_t *)number, e) < 0)
			return -1;
		if (ranges_add(r, number[i % 4] % places * 4096, SCAN_READ, e) < 0)
			return -1;
	}
	if (r->n)
		qsort(r->v, r->n, sizeof(*r->v), by_place);
	return 0;
}

static int add_file(struct ranges *r, const char *path, const struct medium *m, struct err *e)
{
	OWN_EXTENTS struct extents x = EXTENTS_INIT;
	OWN_FD int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC);
	struct err ignored = ERR_INIT;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_dev != m->dev || extents_read(fd, &x, &ignored) != 1)
		return 0;
	for (size_t i = 0; i < x.n; i++)
		if (!(x.flags & FIEMAP_EXTENT_DATA_INLINE) && ranges_add(r, x.v[i].physical, x.v[i].length, e) < 0)
			return -1;
	return 0;
}

int ranges_beneath(struct ranges *r, const char *dir, const struct medium *m, struct err *e)
{
	OWN_FREE char *top = strdup(dir);
	char *roots[2] = { top, NULL };
	FTS *f = top ? fts_open(roots, FTS_PHYSICAL | FTS_XDEV | FTS_NOCHDIR, NULL) : NULL;
	FTSENT *p;
	int res = 0;

	if (!f)
		return errno == ENOENT ? 0 : err_sys(e, "%s", dir);
	while (res == 0 && (p = fts_read(f)))
		if (p->fts_info == FTS_F)
			res = add_file(r, p->fts_path, m, e);
	(void)fts_close(f);
	ranges_tidy(r, m);
	return res;
}
