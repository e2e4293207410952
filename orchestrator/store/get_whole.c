#include "store_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "sys.h"

#define ALIGN 4096u
#define WHOLE_MAX (128u << 20)	/* no pack and no slice has more stored bytes */

void store_whole_dispose(struct store_whole *b)
{
	free(b->p);
	*b = (struct store_whole){ .p = NULL };
}

/* What is in the page cache costs less from there; what is not shall not get into it. */
static bool is_cached(int fd)
{
	char byte;
	struct iovec v = { &byte, 1 };

	return preadv2(fd, &v, 1, 0, RWF_NOWAIT) == 1;
}

static int make_room(struct store_whole *b, size_t size, struct err *e)
{
	size_t cap = (size + 2 * ALIGN - 1) & ~(size_t)(ALIGN - 1);	/* O_DIRECT reads whole blocks */

	if (cap <= b->cap)
		return 0;
	free(b->p);
	b->cap = 0;
	if (!(b->p = aligned_alloc(ALIGN, cap)))
		return err_set(e, ERR_TEMPORARY, "store: out of memory");
	b->cap = cap;
	return 0;
}

static int read_all(int fd, struct store_whole *b, size_t size, struct err *e)
{
	for (b->len = 0; b->len < size; ) {
		ssize_t n = sys_pread(STORE_SITE, fd, b->p + b->len, b->cap - b->len, (off_t)b->len);
		int flags;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EINVAL && (flags = fcntl(fd, F_GETFL)) >= 0 && (flags & O_DIRECT)) {
			(void)fcntl(fd, F_SETFL, flags & ~O_DIRECT);
			continue;
		}
		if (n < 0)
			return err_sys(e, "read");
		if (n == 0)
			return err_set(e, ERR_TEMPORARY, "fewer bytes than there are");
		b->len += (size_t)n;
	}
	return 0;
}

int store_get_whole(struct store *s, enum store_kind k, const struct object_id *id, struct store_whole *b, struct err *e)
{
	OWN_FD int fd = -1;
	char name[OBJECT_NAME];
	struct stat st;
	bool waiting;
	int flags;

	object_name(name, k, id);
	waiting = store_find_waiting(s, k, id, NULL, &fd) && fd >= 0;
	if (!waiting && (fd = openat(s->objects_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)) < 0)
		return store_sys(s, name, e);
	if (fstat(fd, &st) < 0)
		return store_sys(s, name, e);
	if (st.st_size <= 0 || st.st_size > WHOLE_MAX)
		return err_set(e, ERR_INTEGRITY, "store: object %s has a size that none can have", object_label(name, k, id));
	if (make_room(b, (size_t)st.st_size, e) < 0)
		return -1;
	/* The fd of one that waits is shared with whoever makes it durable. */
	if (!waiting && !is_cached(fd) && (flags = fcntl(fd, F_GETFL)) >= 0)
		(void)fcntl(fd, F_SETFL, flags | O_DIRECT);
	return read_all(fd, b, (size_t)st.st_size, e) < 0 ? err_at(e, "store: object %s", object_label(name, k, id)) : 0;
}
