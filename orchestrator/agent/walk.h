/*
 * walk - a tree in walk order, through directory fds only.
 *
 *   walk_new -> walk_next* (walk_prune after a directory that is not to be entered) -> walk_free
 *
 * Every name is taken from the open fd of its directory, directories are opened with O_NOFOLLOW and then described through
 * that fd; so whatever is renamed or replaced meanwhile, nothing outside the root is ever reached.  Names of a
 * directory are read and sorted when it is entered: memory is the sum of the open directories' names.  The walk
 * itself keeps at most WALK_FDS directories open; those further up are opened again beneath the root when the walk returns to them.
 */
#ifndef WALK_H
#define WALK_H

#include <sys/stat.h>

#include "buf.h"
#include "dir.h"
#include "entry.h"

#define WALK_FDS 64

struct walk_item {		/* valid until the next call; all borrowed */
	const char *path;	/* "." for the root */
	size_t path_len;
	const char *name;	/* last component; "" for the root */
	struct dir *dir;	/* its directory; NULL for the root.  dir_get it to use it longer */
	struct dir *self;	/* directories that could be opened: itself; others: NULL */
	int dirfd;		/* of dir; -1 for the root */
	int fd;			/* of self, open for reading; else -1 */
	int error;		/* 0; errno of what failed: stx is then void but for stx_mode's type when stat failed */
	bool no_stat;		/* stat failed: nothing is known but the name and perhaps the type */
	enum entry_type type;
	struct statx stx;
};

struct walk;
/* rootfd is borrowed. */
int walk_new(struct walk **out, int rootfd, struct err *e) MUST_CHECK;
/*
 * Next item: 1, 0 at the end, -1.  What vanished between listing and looking is left out.  A directory that was listed
 * but whose names cannot be read comes with error set; it is not entered.  -1: no memory, or a directory
 * far up was replaced while the walk was beneath it (ERR_TEMPORARY), or a path beyond PATH_BYTES_MAX.
 */
int walk_next(struct walk *w, struct walk_item *it, struct err *e) MUST_CHECK;
/* Do not enter the directory that walk_next gave last. */
void walk_prune(struct walk *w);
void walk_free(struct walk *w);
static inline void walk_freep(struct walk **w) { walk_free(*w); }

/* Entry type of a stat mode; whatever Linux does not know counts as a file, whose opening then says what it is. */
enum entry_type walk_type(unsigned mode);

#endif
