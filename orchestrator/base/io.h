/* io - whole reads and writes: what POSIX lets return short, these finish. */
#ifndef IO_H
#define IO_H

#include "buf.h"

/* All n bytes, or -1.  what names the place for the message; site is the seam of sys.h. */
int io_write_all(const char *site, int fd, const void *p, size_t n, const char *what, struct err *e) MUST_CHECK;
int io_pwrite_all(const char *site, int fd, const void *p, size_t n, uint64_t at, const char *what,
    struct err *e) MUST_CHECK;
/* Up to n bytes; fewer only at the end of the file; -1 on error. */
ssize_t io_read_full(const char *site, int fd, void *p, size_t n, const char *what, struct err *e) MUST_CHECK;
ssize_t io_pread_full(const char *site, int fd, void *p, size_t n, uint64_t at, const char *what,
    struct err *e) MUST_CHECK;
/* Append a whole file to b; more than limit bytes is an error (ERR_PERMANENT).  ENOENT keeps e->sys == ENOENT. */
int io_read_file(int dirfd, const char *name, size_t limit, struct buf *b, struct err *e) MUST_CHECK;
/* mkdir -p beneath dirfd (AT_FDCWD allowed), mode for the new ones; existing directories are fine. */
int io_mkdirs(int dirfd, const char *path, unsigned mode, struct err *e) MUST_CHECK;

#endif
