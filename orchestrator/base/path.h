/*
 * path - relative names beneath a root, as bytes, in the one order used everywhere.
 *
 * The root itself is ".", everything else "a/b" with no leading "./", no empty, "." or ".." component.
 * Order: component by component as unsigned bytes, a directory before its contents.  That is memcmp order once
 * '/' sorts below every other byte, which is also what path_sort_key() gives to SQLite.
 */
#ifndef PATH_H
#define PATH_H

#include "buf.h"

#define PATH_BYTES_MAX (64 * 1024)	/* longest path we carry; PATH_MAX limits calls, not trees */
#define NAME_BYTES_MAX 255

/* <0, 0, >0 in walk order. */
int path_cmp(const char *a, size_t alen, const char *b, size_t blen);
/* Is this a path as described above?  Refuses absolute, "..", "//", over-long and NUL. */
bool path_is_safe(const char *p, size_t n);
/* True if p lies beneath dir or is dir ("." holds everything). */
bool path_is_beneath(const char *p, const char *dir);
/* Append the path with '/' as NUL ("." as nothing): memcmp order of the keys is walk order. */
void path_sort_key(struct buf *b, const char *p, size_t n);
/* Absolute and clean, as plans and scopes want it: starts with '/', no "." or ".." or "//", no trailing '/'. */
bool path_is_clean_absolute(const char *p);

/*
 * Open beneath rootfd (borrowed) without following any symlink and without leaving it: openat2 with
 * RESOLVE_BENEATH|RESOLVE_NO_SYMLINKS, or an equal walk with O_NOFOLLOW where the kernel lacks it, and for paths
 * beyond PATH_MAX.  path as above.  Returns the fd, or -1 with errno (ELOOP/EXDEV/ENOTDIR: a component is no directory).
 */
int path_open_beneath(int rootfd, const char *path, int flags, unsigned mode);
/* The same for the parent directory of path; *base points into path at its last component. */
int path_open_parent(int rootfd, const char *path, const char **base);

#endif
