/*
 * links - inodes with several names, so that the first in walk order carries the content and the others point to it.
 *
 * An inode is forgotten when as many names were seen as it has; those with names outside the walk stay to the end.
 */
#ifndef LINKS_H
#define LINKS_H

#include "entry.h"

struct links { struct link_first **buckets; size_t bucket_count, n; };
#define LINKS_INIT { NULL, 0, 0 }

/* The first name of the inode of st (its scan says which), borrowed until the next call; NULL when st is the first. */
const struct entry *links_find(const struct links *l, const struct entry *st);
/* Remember en as the first name of its inode (a copy is kept); it needs ENTRY_HAS_SCAN. */
int links_add(struct links *l, const struct entry *en, struct err *e) MUST_CHECK;
/* One more name of the inode was seen; forgets it after the last. */
void links_seen(struct links *l, const struct entry *st);
/* Forget the inode of st, if it is remembered. */
void links_forget(struct links *l, const struct entry *st);
void links_dispose(struct links *l);

#endif
