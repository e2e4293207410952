/*
 * delta - a large content on its way into slices: its blocks are hashed for the next time, and where the orchestrator knows the
 * blocks of the version before, those that are as they were are not sent.
 *
 *   delta_new for a session -> for each content: delta_begin -> delta_take for all of it, ascending -> delta_end; or delta_drop
 *                           -> delta_free
 *
 * A delta may be shared by several threads, a delta_content and its emit_large belong to one.
 */
#ifndef DELTA_H
#define DELTA_H

#include "block_hash.h"
#include "emit.h"

struct delta;
/* Without MSG_F_BLOCKS contents just pass through.  The key is received here. */
int delta_new(struct delta **out, struct agent *a, struct err *e) MUST_CHECK;
void delta_free(struct delta *d);

struct delta_content {
	struct delta *d;		/* borrowed */
	struct emit_large *l;		/* borrowed */
	bool hashing;
	uint64_t block;			/* bytes */
	uint64_t index;			/* of the block that comes next */
	uint8_t *base;			/* owned: hashes of the base; NULL: there is none */
	size_t base_count;
	uint64_t base_size, room, size;
	uint8_t *part;			/* owned: a block that came in pieces */
	size_t part_len;
	bool part_hole;			/* so far it is hole from end to end */
	struct buf hashes;		/* not yet told */
};
#define DELTA_CONTENT_INIT { .d = NULL, .hashes = BUF_INIT }
void delta_content_dispose(struct delta_content *c);	/* c can be begun anew */
#define OWN_DELTA_CONTENT OWN(delta_content_dispose)

/*
 * Asks for the blocks of known (NULL: the content goes whole) and begins l, as a patch where they are known.  size: as it is now;
 * what is taken may be less.
 */
int delta_begin(struct delta *d, struct delta_content *c, struct emit *em, struct emit_large *l, const char *path, uint64_t size,
    const struct entry *known, struct err *e) MUST_CHECK;
/* The next n bytes; hole: they are zeros that need not be stored.  0; 1: so much has changed that l is better aborted and sent whole; -1. */
int delta_take(struct delta_content *c, struct emit *em, const uint8_t *p, size_t n, bool hole, struct err *e) MUST_CHECK;
int delta_end(struct delta_content *c, struct emit *em, struct err *e) MUST_CHECK;	/* as delta_take; ends l too */

#endif
