/*
 * passfile - what a pass has found so far, in walk order, on disk: memory does not grow with the tree.
 *
 *   passfile_new -> passfile_add* -> passfile_rewind -> passfile_next* (-> passfile_rewind ...) -> passfile_free
 *
 * An unnamed temporary file; it goes with the process.  place is an index into the pass's table of locations, for an
 * object's id is known only when the object ends, after the entries in it.
 */
#ifndef PASSFILE_H
#define PASSFILE_H

#include "entry.h"

struct passfile;
int passfile_new(struct passfile **out, int dirfd, struct err *e) MUST_CHECK;
int passfile_add(struct passfile *p, const struct entry *en, uint64_t place, struct err *e) MUST_CHECK;
/* From writing (or reading) to reading from the start. */
int passfile_rewind(struct passfile *p, struct err *e) MUST_CHECK;
int passfile_next(struct passfile *p, struct entry *en, uint64_t *place, struct err *e) MUST_CHECK;	/* 1, 0, -1 */
/*
 * A second reader of what was added so far, with a place of its own, for another thread; nothing is added to it, and of goes after
 * it.  Begins at the start.
 */
int passfile_view(struct passfile *of, struct passfile **out, struct err *e) MUST_CHECK;
void passfile_free(struct passfile *p);
static inline void passfile_freep(struct passfile **p) { passfile_free(*p); }

#endif
