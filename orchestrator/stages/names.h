/*
 * names - how many names each hard-linked inode has within a list of entries.
 *
 * Links that lead out of the list do not count: it is what a copy of the list will have as link count.
 */
#ifndef NAMES_H
#define NAMES_H

#include "passfile.h"

struct names { struct names_group { char *first; uint32_t names; } *v; size_t n; };
#define NAMES_INIT { NULL, 0 }
void names_dispose(struct names *n);
/* One entry, in walk order. */
int names_add(struct names *n, const struct entry *en, struct err *e) MUST_CHECK;
/* Counts over all of found (from its start; left at its end). */
int names_from(struct names *n, struct passfile *found, struct err *e) MUST_CHECK;
/* first: path of the inode's first name; 1 when it has no further ones. */
uint32_t names_count(const struct names *n, const char *first);

#endif
