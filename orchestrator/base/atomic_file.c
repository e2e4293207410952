#include "atomic_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "digest.h"
#include "esc.h"
#include "io.h"
#include "sys.h"

int atomic_file_open(struct atomic_file *f, int dirfd, const char *name, unsigned mode, struct err *e)
{
	uint8_t rnd[12];
	char hex[25];

	if (strlen(name) >= sizeof(f->name))
		return err_set(e, ERR_BUG, "file name too long: %s", esc_s(name));
	random_bytes(rnd, sizeof(rnd));
	hex_of(rnd, sizeof(rnd), hex);
	(void)snprintf(f->tmp, sizeof(f->tmp), ".tmp-%s", hex);
	(void)snprintf(f->name, sizeof(f->name), "%s", name);
	f->dirfd = dirfd;
	f->fd = openat(dirfd, f->tmp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, (mode_t)mode);
	if (f->fd < 0)
		return err_sys(e, "create a file for %s", esc_s(name));
	return 0;
}

int atomic_file_commit_as(struct atomic_file *f, int dirfd, const char *name, struct err *e)
{
	int fd, from = f->dirfd;

	if (sys_fsync("file", f->fd) < 0)
		return err_sys(e, "fsync %s", esc_s(name));	/* still owned: abandoned */
	fd = take_fd(&f->fd);
	if (close(fd) < 0 || sys_renameat("file", from, f->tmp, dirfd, name) < 0) {
		err_sys(e, "put %s in place", esc_s(name));
		(void)unlinkat(from, f->tmp, 0);
		return -1;
	}
	if (sys_fsync("file", dirfd) < 0)	/* renamed: nothing left to undo */
		return err_sys(e, "fsync the directory of %s", esc_s(name));
	return 0;
}

int atomic_file_commit(struct atomic_file *f, struct err *e)
{
	return atomic_file_commit_as(f, f->dirfd, f->name, e);
}

void atomic_file_abandon(struct atomic_file *f)
{
	if (f->fd < 0)
		return;
	(void)close(take_fd(&f->fd));
	(void)unlinkat(f->dirfd, f->tmp, 0);
}

int atomic_file_write(int dirfd, const char *name, unsigned mode, const void *p, size_t n, struct err *e)
{
	OWN_ATOMIC_FILE struct atomic_file f = ATOMIC_FILE_INIT;

	if (atomic_file_open(&f, dirfd, name, mode, e) < 0 || io_write_all("file", f.fd, p, n, name, e) < 0 ||
	    atomic_file_commit(&f, e) < 0)
		return -1;
	return 0;
}
