#include "store_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "esc.h"
#include "io.h"
#include "log.h"
#include "sys.h"

struct store_put {
	struct store *store;		/* borrowed */
	struct digest *digest;
	struct waiting *w;		/* owned; its fd and temp file too */
	uint8_t *part;			/* owned: PART bytes, aligned; NULL until the first byte */
	size_t part_len;		/* not yet written */
	bool direct;			/* O_DIRECT is set */
	bool failed;
};

/* A whole part goes past the page cache, which costs a fifth of the time (measured); what is left over at the end does not. */
#define PART (1u << 20)
#define ALIGN 4096u

static int broken(struct store *s, struct err *e)
{
	bool b;

	(void)pthread_mutex_lock(&s->lock);
	b = s->broken;
	if (b)
		*e = s->why;
	(void)pthread_mutex_unlock(&s->lock);
	return b ? -1 : 0;
}

/* A file under tmp/ that is locked by us and still there. */
static int make_temp(struct store *s, struct waiting *w, struct err *e)
{
	for (int tries = 0; tries < 100; tries++) {
		uint8_t rnd[12];
		char hex[25];
		struct stat st;

		random_bytes(rnd, sizeof(rnd));
		hex_of(rnd, sizeof(rnd), hex);
		(void)snprintf(w->tmp, sizeof(w->tmp), "put-%s", hex);
		w->fd = openat(s->tmp_fd, w->tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0400);
		if (w->fd < 0)
			return store_sys(s, "create a file", e);
		/* Between the two calls another process, opening the store, may have taken it for dead. */
		if (flock(w->fd, LOCK_EX) == 0 && fstat(w->fd, &st) == 0 && st.st_nlink == 1)
			return 0;
		(void)unlinkat(s->tmp_fd, w->tmp, 0);
		(void)close(take_fd(&w->fd));
	}
	return err_set(e, ERR_TEMPORARY, "store %s: no temporary file could be locked", esc_s(s->dir));
}

static void drop(struct store *s, struct waiting *w)
{
	if (w->fd >= 0) {
		(void)unlinkat(s->tmp_fd, w->tmp, 0);
		(void)close(w->fd);
	}
	free(w);
}

int store_put_begin(struct store *s, enum store_kind k, struct store_put **out, struct err *e)
{
	struct store_put *p;

	if (broken(s, e) < 0)
		return -1;
	p = calloc(1, sizeof(*p));
	if (p) {
		p->store = s;
		p->digest = digest_new(DIGEST_SHA256);
		p->w = calloc(1, sizeof(*p->w));
	}
	if (!p || !p->digest || !p->w) {
		if (p) {
			digest_free(p->digest);
			free(p->w);
		}
		free(p);
		return err_set(e, ERR_TEMPORARY, "store: out of memory");
	}
	p->w->fd = -1;
	p->w->kind = k;
	if (make_temp(s, p->w, e) < 0) {
		store_put_abandon(p);
		return -1;
	}
	*out = p;
	return 0;
}

/* Not every file system takes O_DIRECT; buffered, everything does. */
static void set_direct(struct store_put *p, bool on)
{
	int flags = fcntl(p->w->fd, F_GETFL);

	p->direct = flags >= 0 && fcntl(p->w->fd, F_SETFL, on ? flags | O_DIRECT : flags & ~O_DIRECT) == 0 && on;
}

/* The part, whatever a short write leaves of it unaligned. */
static int write_part(struct store_put *p, struct err *e)
{
	size_t at = 0;

	while (at < p->part_len) {
		ssize_t r;

		if (p->direct && (at % ALIGN || (p->part_len - at) % ALIGN))
			set_direct(p, false);
		r = sys_write(STORE_SITE, p->w->fd, p->part + at, p->part_len - at);
		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0 && errno == EINVAL && p->direct) {
			set_direct(p, false);
			continue;
		}
		if (r < 0) {
			p->failed = true;
			return store_sys(p->store, "write an object", e);
		}
		at += (size_t)r;
	}
	p->part_len = 0;
	return 0;
}

static bool have_part(struct store_put *p)
{
	struct store *s = p->store;

	if (p->part)
		return true;
	(void)pthread_mutex_lock(&s->lock);
	p->part = s->spare;
	s->spare = NULL;
	(void)pthread_mutex_unlock(&s->lock);
	return p->part || (p->part = aligned_alloc(ALIGN, PART));
}

/* The next object uses it again: fresh memory would have to be cleared by the kernel first. */
static void give_part_back(struct store_put *p)
{
	struct store *s = p->store;
	uint8_t *old;

	if (!p->part)
		return;
	(void)pthread_mutex_lock(&s->lock);
	old = s->spare;
	s->spare = take_ptr(&p->part);
	(void)pthread_mutex_unlock(&s->lock);
	free(old);
}

int store_put_write(struct store_put *p, const void *data, size_t n, struct err *e)
{
	const uint8_t *from = data;

	if (p->failed)
		return err_set(e, ERR_BUG, "store: an object was written to after a failure");
	if (!have_part(p))
		return err_set(e, ERR_TEMPORARY, "store: out of memory");
	digest_update(p->digest, data, n);
	p->w->size += n;
	while (n) {
		size_t k = n < PART - p->part_len ? n : PART - p->part_len;

		memcpy(p->part + p->part_len, from, k);
		p->part_len += k;
		from += k;
		n -= k;
		if (p->part_len < PART)
			break;
		if (p->w->size - n == PART)	/* the first one */
			set_direct(p, true);
		if (write_part(p, e) < 0)
			return -1;
	}
	return 0;
}

int store_put_sink(void *ctx, const void *data, size_t n, struct err *e) { return store_put_write(ctx, data, n, e); }

void store_put_abandon(struct store_put *p)
{
	if (!p)
		return;
	if (p->w)
		drop(p->store, p->w);
	give_part_back(p);
	digest_free(p->digest);
	free(p);
}

static void enqueue(struct store *s, struct waiting *w, size_t *waiting)
{
	(void)pthread_mutex_lock(&s->lock);
	w->next = s->first;
	s->first = w;
	*waiting = ++s->waiting;
	(void)pthread_mutex_unlock(&s->lock);
}

int store_put_commit(struct store_put *p, struct object_id *id, uint64_t *stored, struct err *e)
{
	struct store *s = p->store;
	size_t waiting = 0;

	if (p->failed || broken(s, e) < 0) {
		if (p->failed)
			err_set(e, ERR_BUG, "store: an object was committed after a failure");
		store_put_abandon(p);
		return -1;
	}
	if (write_part(p, e) < 0) {
		store_put_abandon(p);
		return -1;
	}
	digest_final(p->digest, p->w->id.sha256);
	*id = p->w->id;
	if (stored)
		*stored = p->w->size;
	/* The same object twice before a sync is one: the later file goes. */
	if (!store_find_waiting(s, p->w->kind, id, NULL, NULL)) {
		/* Only a start of the writing, so that the sync finds most of it done. */
		(void)sync_file_range(p->w->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
		enqueue(s, take_ptr(&p->w), &waiting);
	}
	store_put_abandon(p);
	return waiting >= STORE_WAITING_MAX ? store_sync(s, e) : 0;
}

/* ---- the sync: bytes, then names, then directories ---- */

struct sync {
	struct store *store;
	bool shards[256];	/* objects/ab that got a name */
};

/* 1 = the good object is there already, 0 = put ours in place, -1 */
static int already_there(struct store *s, const char *name, const struct waiting *w, struct err *e)
{
	OWN_FD int fd = openat(s->objects_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	char label[OBJECT_NAME];
	struct stat st;
	bool same = false;

	if (fd < 0)
		return errno == ENOENT ? 0 : store_sys(s, name, e);
	if (fstat(fd, &st) < 0)
		return store_sys(s, name, e);
	/* An unreadable one is as good as damaged: we hold the right bytes. */
	if ((uint64_t)st.st_size == w->size && store_compare(fd, &w->id, &same, e) == 0 && same)
		return 1;
	err_clear(e);
	log_warn("store %s: %s was damaged and is replaced by the same object, written again", s->dir,
	    object_label(label, w->kind, &w->id));
	return 0;
}

static int name_one(struct sync *y, struct waiting *w, struct err *e)
{
	struct store *s = y->store;
	char name[OBJECT_NAME], shard[3];
	int there;

	object_name(name, w->kind, &w->id);
	(void)snprintf(shard, sizeof(shard), "%.2s", name);
	y->shards[w->id.sha256[0]] = true;
	if (mkdirat(s->objects_fd, shard, 0700) < 0 && errno != EEXIST)
		return store_sys(s, "make a directory", e);
	there = already_there(s, name, w, e);
	if (there < 0)
		return -1;
	if (there)
		return unlinkat(s->tmp_fd, w->tmp, 0) < 0 ? store_sys(s, w->tmp, e) : 0;
	if (sys_renameat(STORE_SITE, s->tmp_fd, w->tmp, s->objects_fd, name) < 0)
		return store_sys(s, "put an object in place", e);
	return 0;
}

static int sync_dirs(struct sync *y, struct err *e)
{
	struct store *s = y->store;

	for (unsigned i = 0; i < 256; i++) {
		OWN_FD int fd = -1;
		char shard[3];

		if (!y->shards[i])
			continue;
		(void)snprintf(shard, sizeof(shard), "%02x", i);
		fd = openat(s->objects_fd, shard, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0 || sys_fsync(STORE_SITE, fd) < 0)
			return store_sys(s, "sync a directory", e);
	}
	/* In any case: the shard may be one that another process made and has not synced yet. */
	if (sys_fsync(STORE_SITE, s->objects_fd) < 0)
		return store_sys(s, "sync a directory", e);
	return 0;
}

static int sync_all(struct store *s, struct waiting *first, struct err *e)
{
	struct sync y = { .store = s };

	for (struct waiting *w = first; w; w = w->next)
		if (sys_fsync(STORE_SITE, w->fd) < 0)
			return store_sys(s, "sync an object", e);
	for (struct waiting *w = first; w; w = w->next)
		if (name_one(&y, w, e) < 0)
			return -1;
	return sync_dirs(&y, e);
}

/* Takes the synced objects off the list; those that came meanwhile stand before them. */
static struct waiting *detach(struct store *s, struct waiting *first)
{
	struct waiting **at = &s->first;

	while (*at != first)
		at = &(*at)->next;
	*at = NULL;
	for (struct waiting *w = first; w; w = w->next)
		s->waiting--;
	return first;
}

int store_sync(struct store *s, struct err *e)
{
	struct waiting *first, *gone = NULL;
	int r = -1;

	(void)pthread_mutex_lock(&s->sync_lock);
	(void)pthread_mutex_lock(&s->lock);
	first = s->first;
	(void)pthread_mutex_unlock(&s->lock);
	if (broken(s, e) == 0) {
		r = first ? sync_all(s, first, e) : 0;
		(void)pthread_mutex_lock(&s->lock);
		/*
		 * A failed fsync may have dropped dirty pages, so a second try would prove nothing (and another thread
		 * may believe its objects safe): this handle is finished.
		 */
		if (r < 0) {
			s->broken = true;
			s->why = *e;
		}
		gone = first ? detach(s, first) : NULL;
		(void)pthread_mutex_unlock(&s->lock);
	}
	while (gone) {
		struct waiting *next = gone->next;

		if (r < 0)
			(void)unlinkat(s->tmp_fd, gone->tmp, 0);
		(void)close(gone->fd);
		free(gone);
		gone = next;
	}
	(void)pthread_mutex_unlock(&s->sync_lock);
	return r;
}

int store_put_bytes(struct store *s, enum store_kind k, const void *p, size_t n, struct object_id *id, struct err *e)
{
	struct store_put *put;

	if (store_put_begin(s, k, &put, e) < 0)
		return -1;
	if (store_put_write(put, p, n, e) < 0) {
		store_put_abandon(put);
		return -1;
	}
	if (store_put_commit(put, id, NULL, e) < 0)
		return -1;
	return store_sync(s, e);
}
