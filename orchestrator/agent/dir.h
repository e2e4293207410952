/*
 * dir - an open directory that several hold: the walk, and whoever reads its files while the walk has gone on.
 *
 *   dir_new (one holder) -> dir_get for each further one -> dir_put for each; the last closes the fd
 *
 * From any thread.
 */
#ifndef DIR_H
#define DIR_H

#include "err.h"

struct dir { int fd; unsigned holders; /* atomic */ };

/* Takes fd over; NULL: out of memory (fd is closed). */
struct dir *dir_new(int fd);
struct dir *dir_get(struct dir *d);	/* NULL stays NULL */
void dir_put(struct dir *d);		/* NULL is fine */
/* How many are open now, and how many may be, so that enough descriptors are left for all else. */
unsigned dir_open_count(void);
unsigned dir_open_max(void);

#endif
