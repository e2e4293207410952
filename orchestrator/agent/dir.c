#include "dir.h"

#include <pthread.h>
#include <sys/resource.h>

#define WANTED 16384		/* descriptors */
#define RESERVE 512		/* for everything that is no directory of the walk */

static unsigned open_now;	/* atomic */
static unsigned limit;
static pthread_once_t once = PTHREAD_ONCE_INIT;

struct dir *dir_new(int fd)
{
	struct dir *d = malloc(sizeof(*d));

	if (!d) {
		(void)close(fd);
		return NULL;
	}
	*d = (struct dir){ fd, 1 };
	(void)__atomic_add_fetch(&open_now, 1, __ATOMIC_RELAXED);
	return d;
}

struct dir *dir_get(struct dir *d)
{
	if (d)
		(void)__atomic_add_fetch(&d->holders, 1, __ATOMIC_RELAXED);
	return d;
}

void dir_put(struct dir *d)
{
	if (!d || __atomic_sub_fetch(&d->holders, 1, __ATOMIC_ACQ_REL))
		return;
	(void)close(d->fd);
	free(d);
	(void)__atomic_sub_fetch(&open_now, 1, __ATOMIC_RELAXED);
}

/* The soft limit is what select() once needed, 1024; we may raise it as far as the hard one. */
static void find_limit(void)
{
	struct rlimit r;

	limit = 256;
	if (getrlimit(RLIMIT_NOFILE, &r) < 0)
		return;
	if (r.rlim_cur < WANTED && r.rlim_cur < r.rlim_max) {
		r.rlim_cur = r.rlim_max < WANTED ? r.rlim_max : WANTED;
		if (setrlimit(RLIMIT_NOFILE, &r) < 0 && getrlimit(RLIMIT_NOFILE, &r) < 0)
			return;
	}
	if (r.rlim_cur > RESERVE + limit)
		limit = (unsigned)((r.rlim_cur < WANTED ? r.rlim_cur : WANTED) - RESERVE);
}

unsigned dir_open_count(void) { return __atomic_load_n(&open_now, __ATOMIC_RELAXED); }

unsigned dir_open_max(void)
{
	(void)pthread_once(&once, find_limit);
	return limit;
}
