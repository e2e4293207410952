#include "out.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "io.h"

bool out_set_direct(int fd, bool on)
{
	int flags = fcntl(fd, F_GETFL);

	return flags >= 0 && fcntl(fd, F_SETFL, on ? flags | O_DIRECT : flags & ~O_DIRECT) == 0;
}

struct out out_on(int fd, uint64_t size)
{
	return (struct out){ fd, size >= OUT_DIRECT_MIN && out_set_direct(fd, true) ? fd : -1 };
}

/* No more blocks past the cache: none are left, or they are refused. */
static void leave_direct(struct out *o)
{
	if (o->direct == o->fd)
		(void)out_set_direct(o->fd, false);
	o->direct = -1;
}

/* The blocks that went past the cache, in bytes; 0: refused, to be written as usual; -1. */
static ssize_t write_blocks(const struct out *o, const char *site, const void *p, size_t n, uint64_t at, const char *what, struct err *e)
{
	struct err why = ERR_INIT;

	n &= ~(size_t)(OUT_ALIGN - 1);
	if (o->direct < 0 || n == 0 || at % OUT_ALIGN || (uintptr_t)p % OUT_ALIGN)
		return 0;
	if (io_pwrite_all(site, o->direct, p, n, at, what, &why) == 0)
		return (ssize_t)n;
	if (why.sys == EINVAL || why.sys == EOPNOTSUPP)
		return 0;
	*e = why;
	return -1;
}

int out_write(struct out *o, const char *site, const void *p, size_t n, uint64_t at, const char *what, struct err *e)
{
	ssize_t done = write_blocks(o, site, p, n, at, what, e);

	if (done < 0)
		return -1;
	if ((size_t)done == n)
		return 0;
	leave_direct(o);
	return io_pwrite_all(site, o->fd, (const char *)p + done, n - (size_t)done, at + (uint64_t)done, what, e);
}

void *out_memory(size_t n)
{
	return aligned_alloc(OUT_ALIGN, (n + OUT_ALIGN - 1) & ~(size_t)(OUT_ALIGN - 1));
}
