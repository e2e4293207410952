/* A thread reads ahead, so that the medium does not wait for the search. */
#include "scan.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>

#include "sys.h"

#define SLOTS 3
#define BEFORE 4096u
#define AFTER 4096u
#define BAD_MAX 100000u			/* ranges told one by one; bytes are counted on */

struct slot { uint8_t *memory; size_t n; uint64_t at; };

struct reader {
	struct medium *m;
	const struct ranges *ranges;
	size_t range;			/* the one being read */
	uint64_t at, left;		/* in it */
	struct slot slots[SLOTS];
	unsigned filled, taken;		/* counters; filled - taken slots hold bytes, the taken - 1st is in use */
	bool using, ended, stop;
	struct err why;			/* set when it ended too early */
	struct range *bad;
	size_t bad_n, bad_cap;
	uint64_t bad_bytes;
	atomic_uint_fast64_t bytes;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	pthread_t thread;
	bool started;
};

static void add_bad(struct reader *r, uint64_t at, uint64_t length)
{
	struct range *last = r->bad_n ? &r->bad[r->bad_n - 1] : NULL;

	r->bad_bytes += length;
	if (last && last->at + last->length == at) {
		last->length += length;
		return;
	}
	if (r->bad_n == r->bad_cap) {
		size_t cap = r->bad_cap ? 2 * r->bad_cap : 64;
		struct range *grown = cap <= BAD_MAX ? realloc(r->bad, cap * sizeof(*grown)) : NULL;

		if (!grown)
			return;
		r->bad = grown;
		r->bad_cap = cap;
	}
	r->bad[r->bad_n++] = (struct range){ at, length };
}

/* n bytes at at.  Where they cannot be read, halves, down to one sector.  -1: the medium is gone. */
static int read_at(struct reader *r, uint8_t *p, size_t n, uint64_t at)
{
	size_t done = 0, half;
	ssize_t got = 0;

	while (done < n && (got = sys_pread(SCAN_SITE, r->m->fd, p + done, n - done, (off_t)(at + done))) != 0) {
		if (got > 0)
			done += (size_t)got;
		else if (errno != EINTR)
			break;
	}
	if (done == n)
		return 0;
	if (got < 0 && errno != EIO && errno != EREMOTEIO && errno != ENODATA && errno != EILSEQ)
		return err_sys(&r->why, "%s at byte %llu", r->m->facts.path, (unsigned long long)(at + done));
	p += done;
	at += done;
	n -= done;
	/* It is shorter than it said, or this is the sector. */
	if (got == 0 || n <= r->m->sector) {
		memset(p, 0, n);
		add_bad(r, at, n);
		return 0;
	}
	half = n / 2 / r->m->sector * r->m->sector;
	half = half ? half : r->m->sector;
	return read_at(r, p, half, at) < 0 ? -1 : read_at(r, p + half, n - half, at + half);
}

/* The next stretch to read; false at the end. */
static bool next_stretch(struct reader *r, uint64_t *at, size_t *n)
{
	while (r->left == 0) {
		if (r->ranges->v ? r->range == r->ranges->n : r->range == 1)
			return false;
		r->at = r->ranges->v ? r->ranges->v[r->range].at : 0;
		r->left = r->ranges->v ? r->ranges->v[r->range].length : r->m->size;
		r->range++;
	}
	*at = r->at;
	*n = r->left < SCAN_CHUNK ? (size_t)r->left : SCAN_CHUNK;
	r->at += *n;
	r->left -= *n;
	return true;
}

static struct slot *free_slot(struct reader *r)
{
	struct slot *s = NULL;

	(void)pthread_mutex_lock(&r->lock);
	while (!r->stop && r->filled - r->taken + (r->using ? 1u : 0u) >= SLOTS)
		(void)pthread_cond_wait(&r->changed, &r->lock);
	if (!r->stop)
		s = &r->slots[r->filled % SLOTS];
	(void)pthread_mutex_unlock(&r->lock);
	return s;
}

static void tell(struct reader *r, bool filled)
{
	(void)pthread_mutex_lock(&r->lock);
	if (filled)
		r->filled++;
	else
		r->ended = true;
	(void)pthread_cond_broadcast(&r->changed);
	(void)pthread_mutex_unlock(&r->lock);
}

/* O_DIRECT wants whole sectors, also at the end of an image file. */
static size_t rounded(const struct reader *r, size_t n)
{
	return (n + r->m->sector - 1) / r->m->sector * r->m->sector;
}

static int fill(struct reader *r, struct slot *s, uint64_t at, size_t n)
{
	size_t want = rounded(r, n);

	/* What the file does not have beyond its end is no fault. */
	if (want != n) {
		ssize_t got = sys_pread(SCAN_SITE, r->m->fd, s->memory + BEFORE, want, (off_t)at);

		if (got != (ssize_t)n && read_at(r, s->memory + BEFORE, want, at) < 0)
			return -1;
	} else if (read_at(r, s->memory + BEFORE, n, at) < 0) {
		return -1;
	}
	s->n = n;
	s->at = at;
	atomic_fetch_add(&r->bytes, n);
	return 0;
}

static void *read_loop(void *ctx)
{
	struct reader *r = ctx;
	uint64_t at;
	size_t n;

	while (next_stretch(r, &at, &n)) {
		struct slot *s = free_slot(r);

		if (!s || fill(r, s, at, n) < 0)
			break;
		tell(r, true);
	}
	tell(r, false);
	return NULL;
}

int reader_start(struct reader **out, struct medium *m, const struct ranges *ranges, struct err *e)
{
	OWN_READER struct reader *r = calloc(1, sizeof(*r));

	if (!r)
		return err_sys(e, "reader");
	r->m = m;
	r->ranges = ranges;
	r->lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
	r->changed = (pthread_cond_t)PTHREAD_COND_INITIALIZER;
	for (int i = 0; i < SLOTS; i++) {
		void *p = NULL;

		if ((errno = posix_memalign(&p, 4096, BEFORE + SCAN_CHUNK + AFTER)) != 0)
			return err_sys(e, "reader");
		memset(p, 0, BEFORE);
		r->slots[i].memory = p;
	}
	if ((errno = pthread_create(&r->thread, NULL, read_loop, r)) != 0)
		return err_sys(e, "reader");
	r->started = true;
	*out = take_ptr(&r);
	return 0;
}

int reader_next(struct reader *r, struct piece *out, struct err *e)
{
	struct slot *s;

	(void)pthread_mutex_lock(&r->lock);
	r->using = false;
	(void)pthread_cond_broadcast(&r->changed);
	while (r->filled == r->taken && !r->ended)
		(void)pthread_cond_wait(&r->changed, &r->lock);
	s = r->filled != r->taken ? &r->slots[r->taken % SLOTS] : NULL;
	if (s) {
		r->taken++;
		r->using = true;
	}
	(void)pthread_mutex_unlock(&r->lock);
	if (s) {
		memset(s->memory + BEFORE + s->n, 0, 128);
		*out = (struct piece){ s->memory + BEFORE, s->n, s->at };
		return 1;
	}
	if (r->why.class == ERR_NONE)
		return 0;
	*e = r->why;
	e->class = ERR_UNVERIFIED;
	return -1;
}

const struct range *reader_bad(const struct reader *r, size_t *n, uint64_t *bytes)
{
	*n = r->bad_n;
	*bytes = r->bad_bytes;
	return r->bad;
}

uint64_t reader_bytes(const struct reader *r) { return atomic_load(&r->bytes); }

void reader_stop(struct reader *r)
{
	if (!r)
		return;
	if (r->started) {
		(void)pthread_mutex_lock(&r->lock);
		r->stop = true;
		(void)pthread_cond_broadcast(&r->changed);
		(void)pthread_mutex_unlock(&r->lock);
		(void)pthread_join(r->thread, NULL);
	}
	for (int i = 0; i < SLOTS; i++)
		free(r->slots[i].memory);
	free(r->bad);
	free(r);
}
