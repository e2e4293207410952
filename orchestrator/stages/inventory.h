/*
 * inventory - what a clearing will destroy, frozen before the first write.
 *
 * One file a dataset in the workspace's scan directory: "WBINV1\n", then for each object its entry (entry_encode
 * without prefix), followed by the length of it as 32 bit little-endian, so that it can be read from the end: contents
 * before their directory.  Object 0 is the last entry in walk order.  Its SHA-256 stands in `clear started`.
 */
#ifndef INVENTORY_H
#define INVENTORY_H

#include "passfile.h"
#include "run.h"

struct inventory {
	int fd;
	uint64_t count, bytes;		/* objects, and bytes of their contents */
	uint8_t sha256[DIGEST_LEN];
	uint64_t at;			/* where the next record (going backwards) ends */
};
#define INVENTORY_INIT { .fd = -1 }
void inventory_close(struct inventory *v);
#define OWN_INVENTORY OWN(inventory_close)

/* Writes the file durably from what found holds (walk order); nlink becomes the number of names in it. */
int inventory_write(struct run *r, const char *dataset, struct passfile *found, struct err *e) MUST_CHECK;
/* Opens it again; *v is positioned at object 0. */
int inventory_open(struct run *r, const char *dataset, struct inventory *v, struct err *e) MUST_CHECK;
/* 1, 0 after the last object, -1. */
int inventory_next(struct inventory *v, struct entry *en, struct err *e) MUST_CHECK;

/*
 * Walks the source without filters and compares it with the newest version (contract 4.7): everything there must be in the
 * manifest unchanged, be skipped or failed there ("destroyed without copy"), or stand in clear.discard.  The entries go into
 * found.  mount: the device whose file system is looked at there, for nobody has mounted it; NULL: what is there.  ERR_REFUSED names the first entry that is changed, missing or unaccounted, and how many there are;
 * ERR_UNVERIFIED: something could not be read.
 */
int inventory_take(struct run *r, const struct plan_dataset *d, const char *mount, struct passfile *found, struct err *e) MUST_CHECK;

#endif
