/*
 * between_reads - LD_PRELOAD for an agent with shared libraries: what happens to a file while it is read, made to happen at one point.
 *
 *   BETWEEN_INODE=N    the inode meant
 *   BETWEEN_BYTES=N    once so many bytes of it have been read (1: after the first read)
 *   BETWEEN_TIMES=N    so often, once for each time that it is opened (1)
 *   BETWEEN_DO=COMMAND runs to its end before the read returns
 */
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static unsigned long got, times;
static int last_fd = -1;

static unsigned long number(const char *name, unsigned long otherwise)
{
	const char *s = getenv(name);

	return s ? strtoul(s, NULL, 10) : otherwise;
}

static void after(int fd, ssize_t n, off_t at)
{
	const char *what = getenv("BETWEEN_DO");
	struct stat st;

	if (n <= 0 || !what || times >= number("BETWEEN_TIMES", 1) || fstat(fd, &st) < 0 || st.st_ino != number("BETWEEN_INODE", 0))
		return;
	/* A read from the beginning starts a new count: the file is tried again. */
	if (fd != last_fd || at == 0)
		got = 0;
	last_fd = fd;
	got += (unsigned long)n;
	if (got < number("BETWEEN_BYTES", 1))
		return;
	times++;
	got = 0;
	(void)unsetenv("LD_PRELOAD");
	if (system(what) != 0)
		_exit(97);
}

ssize_t pread(int fd, void *p, size_t n, off_t at)
{
	ssize_t (*real)(int, void *, size_t, off_t) = (ssize_t (*)(int, void *, size_t, off_t))dlsym(RTLD_NEXT, "pread");
	ssize_t r = real(fd, p, n, at);

	after(fd, r, at);
	return r;
}

ssize_t read(int fd, void *p, size_t n)
{
	ssize_t (*real)(int, void *, size_t) = (ssize_t (*)(int, void *, size_t))dlsym(RTLD_NEXT, "read");
	ssize_t r = real(fd, p, n);

	after(fd, r, 1);
	return r;
}
