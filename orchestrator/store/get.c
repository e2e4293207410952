#include "store_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "esc.h"
#include "io.h"
#include "sys.h"

#define CHECK_READ (1u << 20)
#define CHECK_ALIGN 4096u

struct store_get {
	struct store *store;	/* borrowed */
	struct digest *digest;
	enum store_kind kind;
	struct object_id id;
	int fd;
	bool checked;		/* the end was reached and the digest was right */
};

static int damaged(struct store *s, enum store_kind k, const struct object_id *id, const char *how, struct err *e)
{
	char label[OBJECT_NAME];

	return err_set(e, ERR_INTEGRITY, "store %s: object %s is %s", esc_s(s->dir), object_label(label, k, id), how);
}

static int open_object(struct store *s, enum store_kind k, const struct object_id *id, struct err *e)
{
	char name[OBJECT_NAME];
	int fd = -1;

	if (store_find_waiting(s, k, id, NULL, &fd) && fd >= 0)
		return fd;
	object_name(name, k, id);
	fd = openat(s->objects_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd >= 0)
		return fd;
	return errno == ENOENT ? damaged(s, k, id, "missing", e) : store_sys(s, name, e);
}

int store_get_open(struct store *s, enum store_kind k, const struct object_id *id, struct store_get **out, struct err *e)
{
	struct store_get *g = calloc(1, sizeof(*g));

	if (!g || !(g->digest = digest_new(DIGEST_SHA256))) {
		free(g);
		return err_set(e, ERR_TEMPORARY, "store: out of memory");
	}
	g->store = s;
	g->kind = k;
	g->id = *id;
	g->fd = open_object(s, k, id, e);
	if (g->fd < 0) {
		store_get_close(g);
		return -1;
	}
	*out = g;
	return 0;
}

void store_get_close(struct store_get *g)
{
	if (!g)
		return;
	if (g->fd >= 0)
		(void)close(g->fd);
	digest_free(g->digest);
	free(g);
}

ssize_t store_get_read(struct store_get *g, void *p, size_t n, struct err *e)
{
	uint8_t got[DIGEST_LEN];
	ssize_t r;

	if (g->checked || n == 0)
		return 0;
	r = io_read_full(STORE_SITE, g->fd, p, n, "object", e);
	if (r < 0) {
		errno = e->sys;
		return store_sys(g->store, "read an object", e);
	}
	digest_update(g->digest, p, (size_t)r);
	if ((size_t)r == n)
		return r;
	digest_final(g->digest, got);
	if (memcmp(got, g->id.sha256, DIGEST_LEN) != 0) {
		/* Reading on would find the end again, with a digest of nothing: not right either. */
		return damaged(g->store, g->kind, &g->id, "damaged: its bytes are not those of its name", e);
	}
	g->checked = true;
	return r;
}

ssize_t store_get_source(void *ctx, void *p, size_t n, struct err *e) { return store_get_read(ctx, p, n, e); }

int store_get_bytes(struct store *s, enum store_kind k, const struct object_id *id, size_t limit, struct buf *b,
    struct err *e)
{
	OWN(store_get_closep) struct store_get *g = NULL;
	size_t start = b->len;
	ssize_t n;

	if (store_get_open(s, k, id, &g, e) < 0)
		return -1;
	do {
		char *p = buf_reserve(b, 65536);

		if (!p)
			return buf_finish(b, e);
		n = store_get_read(g, p, 65536, e);
		if (n > 0)
			b->len += (size_t)n;
		if (b->len - start > limit)
			n = damaged(s, k, id, "larger than such an object can be", e);
	} while (n > 0);
	if (n < 0)
		b->len = start;
	if (b->data)
		b->data[b->len] = '\0';
	return n < 0 ? -1 : 0;
}

static int digest_past_cache(int fd, struct digest *d, uint8_t *block, struct err *e)
{
	struct stat st;
	int flags = fcntl(fd, F_GETFL);

	if (fstat(fd, &st) < 0)
		return err_sys(e, "stat");
	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	if (flags >= 0)		/* refused where the file system has none: then what fadvise left is what is read */
		(void)fcntl(fd, F_SETFL, flags | O_DIRECT);
	for (off_t at = 0; at < st.st_size; at += CHECK_READ) {
		ssize_t n;

		do
			n = sys_pread(STORE_SITE, fd, block, CHECK_READ, at);
		while (n < 0 && errno == EINTR);
		if (n < 0 && errno == EINVAL && (fcntl(fd, F_GETFL) & O_DIRECT)) {
			(void)fcntl(fd, F_SETFL, flags & ~O_DIRECT);
			at -= CHECK_READ;
			continue;
		}
		if (n < 0)
			return err_sys(e, "read");
		digest_update(d, block, (size_t)n);
		if (n < (ssize_t)CHECK_READ && at + n < st.st_size)
			return err_set(e, ERR_TEMPORARY, "read: fewer bytes than there are");
	}
	return 0;
}

int store_compare(int fd, const struct object_id *id, bool *same, struct err *e)
{
	OWN(digest_freep) struct digest *d = digest_new(DIGEST_SHA256);
	OWN_FREE void *block = NULL;
	uint8_t got[DIGEST_LEN];

	if (!d || posix_memalign(&block, CHECK_ALIGN, CHECK_READ) != 0)
		return err_set(e, ERR_TEMPORARY, "out of memory");
	if (digest_past_cache(fd, d, block, e) < 0)
		return -1;
	digest_final(d, got);
	*same = memcmp(got, id->sha256, DIGEST_LEN) == 0;
	return 0;
}

int store_check(struct store *s, enum store_kind k, const struct object_id *id, struct err *e)
{
	OWN_FD int fd = open_object(s, k, id, e);
	char label[OBJECT_NAME];
	bool same = false;

	if (fd < 0)
		return -1;
	if (store_compare(fd, id, &same, e) < 0) {
		if (e->sys != 0)	/* the medium, not our memory */
			e->class = ERR_UNVERIFIED;
		return err_at(e, "store %s: object %s could not be checked", esc_s(s->dir), object_label(label, k, id));
	}
	return same ? 0 : damaged(s, k, id, "damaged: its bytes are not those of its name", e);
}
