/*
 * feed - contents out of the archive, packed anew for an apply session.
 *
 *   feed_begin -> feed_entry* (walk order) -> feed_end -> feed_free
 */
#ifndef FEED_H
#define FEED_H

#include "archive.h"
#include "pack.h"
#include "target.h"

struct feed {
	struct target *target;		/* borrowed */
	struct archive *archive;	/* borrowed */
	struct pack_writer *pack;
	uint64_t ordinal;		/* of the open pack, else of the last object */
	uint64_t large_id;
	struct buf message;
};

void feed_begin(struct feed *f, struct target *t, struct archive *a);
/*
 * Sends an entry and, for a file, its content (at; kind LOCATION_NONE for an empty one).  ERR_INTEGRITY: the content is
 * damaged; nothing of it was sent for good and the feed goes on with the next entry.
 */
int feed_entry(struct feed *f, const struct entry *en, const struct location *at, struct err *e) MUST_CHECK;
int feed_end(struct feed *f, struct err *e) MUST_CHECK;
void feed_free(struct feed *f);

#endif
