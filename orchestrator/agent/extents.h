/* extents - where a file's blocks lie on its device, as FIEMAP tells. */
#ifndef EXTENTS_H
#define EXTENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "err.h"

struct extent { uint64_t logical, physical, length; uint32_t flags; /* FIEMAP_EXTENT_* */ };
struct extents {
	struct extent *v;	/* owned; ascending by logical offset */
	size_t n;
	uint32_t flags;		/* of all extents together */
};
#define EXTENTS_INIT { NULL, 0, 0 }
void extents_dispose(struct extents *x);
#define OWN_EXTENTS OWN(extents_dispose)

/*
 * All extents of the file, delayed ones written out first.  1; 0 when the file system gives no map, or one without places
 * (x then holds the data ranges that SEEK_DATA tells, physical 0, ends rounded up to 4096); -1.
 */
int extents_read(int fd, struct extents *x, struct err *e) MUST_CHECK;
/* Do both say the same places for the same offsets, however cut? */
bool extents_same(const struct extents *a, const struct extents *b);
uint64_t extents_bytes(const struct extents *x);

#endif
