#include "io.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "esc.h"
#include "sys.h"

int io_write_all(const char *site, int fd, const void *p, size_t n, const char *what, struct err *e)
{
	const char *s = p;

	while (n) {
		ssize_t r = sys_write(site, fd, s, n);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return err_sys(e, "write %s", esc_s(what));
		s += r;
		n -= (size_t)r;
	}
	return 0;
}

int io_pwrite_all(const char *site, int fd, const void *p, size_t n, uint64_t at, const char *what, struct err *e)
{
	const char *s = p;

	while (n) {
		ssize_t r = sys_pwrite(site, fd, s, n, (off_t)at);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return err_sys(e, "write %s", esc_s(what));
		s += r;
		n -= (size_t)r;
		at += (uint64_t)r;
	}
	return 0;
}

ssize_t io_read_full(const char *site, int fd, void *p, size_t n, const char *what, struct err *e)
{
	size_t got = 0;

	while (got < n) {
		ssize_t r = sys_read(site, fd, (char *)p + got, n - got);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return err_sys(e, "read %s", esc_s(what));
		if (r == 0)
			break;
		got += (size_t)r;
	}
	return (ssize_t)got;
}

ssize_t io_pread_full(const char *site, int fd, void *p, size_t n, uint64_t at, const char *what, struct err *e)
{
	size_t got = 0;

	while (got < n) {
		ssize_t r = sys_pread(site, fd, (char *)p + got, n - got, (off_t)(at + got));

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return err_sys(e, "read %s", esc_s(what));
		if (r == 0)
			break;
		got += (size_t)r;
	}
	return (ssize_t)got;
}

int io_read_file(int dirfd, const char *name, size_t limit, struct buf *b, struct err *e)
{
	OWN_FD int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC);
	size_t start = b->len;

	if (fd < 0)
		return err_sys(e, "open %s", esc_s(name));
	for (;;) {
		char *p = buf_reserve(b, 65536);
		ssize_t n;

		if (!p)
			return buf_finish(b, e);
		n = read(fd, p, 65536);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, "read %s", esc_s(name));
		if (n == 0)
			break;
		b->len += (size_t)n;
		b->data[b->len] = '\0';
		if (b->len - start > limit)
			return err_set(e, ERR_PERMANENT, "%s is larger than the limit of %zu bytes", esc_s(name), limit);
	}
	return 0;
}

int io_mkdirs(int dirfd, const char *path, unsigned mode, struct err *e)
{
	OWN_FREE char *p = strdup(path);

	if (!p) {
		errno = ENOMEM;
		return err_sys(e, "mkdir");
	}
	for (char *s = p + (*p == '/'); ; s++) {
		char c = *s;

		if (c != '/' && c != '\0')
			continue;
		*s = '\0';
		if (*p && mkdirat(dirfd, p, (mode_t)mode) < 0 && errno != EEXIST)
			return err_sys(e, "mkdir %s", esc_s(p));
		if (c == '\0')
			return 0;
		*s = c;
	}
}
