#include "path.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>

static int byte_rank(unsigned char c) { return c == '/' ? 0 : c; }

int path_cmp(const char *a, size_t alen, const char *b, size_t blen)
{
	size_t n, i;

	if (alen == 1 && a[0] == '.')
		alen = 0;
	if (blen == 1 && b[0] == '.')
		blen = 0;
	n = alen < blen ? alen : blen;
	for (i = 0; i < n; i++)
		if (a[i] != b[i])
			return byte_rank((unsigned char)a[i]) - byte_rank((unsigned char)b[i]);
	return (alen > blen) - (alen < blen);
}

bool path_is_safe(const char *p, size_t n)
{
	size_t start = 0;

	if (n == 0 || n > PATH_BYTES_MAX || memchr(p, '\0', n))
		return false;
	if (n == 1 && p[0] == '.')
		return true;
	for (size_t i = 0; i <= n; i++) {
		size_t len;

		if (i < n && p[i] != '/')
			continue;
		len = i - start;
		if (len == 0 || len > NAME_BYTES_MAX || (len == 1 && p[start] == '.') ||
		    (len == 2 && p[start] == '.' && p[start + 1] == '.'))
			return false;
		start = i + 1;
	}
	return true;
}

bool path_is_beneath(const char *p, const char *dir)
{
	size_t n = strlen(dir);

	if (strcmp(dir, ".") == 0)
		return true;
	return strncmp(p, dir, n) == 0 && (p[n] == '\0' || p[n] == '/');
}

void path_sort_key(struct buf *b, const char *p, size_t n)
{
	if (n == 1 && p[0] == '.')
		n = 0;
	for (size_t i = 0; i < n; i++)
		buf_putc(b, p[i] == '/' ? '\0' : p[i]);
}

bool path_is_clean_absolute(const char *p)
{
	if (p[0] != '/')
		return false;
	return p[1] == '\0' || (path_is_safe(p + 1, strlen(p + 1)) && strcmp(p + 1, ".") != 0);
}

static int walk_component(int dirfd, const char *name, size_t len)
{
	char t[NAME_BYTES_MAX + 1];

	if (len > NAME_BYTES_MAX) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(t, name, len);
	t[len] = '\0';
	return openat(dirfd, t, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* Component walk: each directory opened from its parent with O_NOFOLLOW. */
static int open_by_walk(int rootfd, const char *path, int flags, unsigned mode)
{
	OWN_FD int owned = -1;
	int dir = rootfd;
	const char *p = path, *slash;

	while ((slash = strchr(p, '/'))) {
		int next = walk_component(dir, p, (size_t)(slash - p));

		if (next < 0)
			return -1;
		if (owned >= 0)
			(void)close(owned);
		dir = owned = next;
		p = slash + 1;
	}
	return openat(dir, p, flags | O_NOFOLLOW | O_CLOEXEC, (mode_t)mode);
}

int path_open_beneath(int rootfd, const char *path, int flags, unsigned mode)
{
	static atomic_bool no_openat2;
	struct open_how how = { .flags = (uint64_t)(unsigned)flags | O_CLOEXEC,
		.mode = flags & (O_CREAT | __O_TMPFILE) ? mode : 0,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS };

	if (!path_is_safe(path, strlen(path))) {
		errno = EINVAL;
		return -1;
	}
	if (!atomic_load(&no_openat2) && strlen(path) < PATH_MAX) {
		long fd;

		/* EAGAIN: a rename raced with the walk; the kernel asks to try again. */
		for (int tries = 0; tries < 64; tries++) {
			fd = syscall(SYS_openat2, rootfd, path, &how, sizeof(how));
			if (fd >= 0 || errno != EAGAIN)
				break;
		}
		if (fd >= 0 || (errno != ENOSYS && errno != EPERM && errno != EAGAIN))
			return (int)fd;
		if (errno == ENOSYS)
			atomic_store(&no_openat2, true);
	}
	return open_by_walk(rootfd, path, flags, mode);
}

int path_open_parent(int rootfd, const char *path, const char **base)
{
	const char *slash = strrchr(path, '/');
	OWN_FREE char *dir = NULL;

	if (!slash) {
		*base = path;
		return fcntl(rootfd, F_DUPFD_CLOEXEC, 0);
	}
	*base = slash + 1;
	if (!(dir = strndup(path, (size_t)(slash - path))))
		return -1;
	return path_open_beneath(rootfd, dir, O_RDONLY | O_DIRECTORY, 0);
}
