/*
 * blocks - what is known of the blocks of large contents, by the SHA-256 of the content (waybill-manifest.5, Block hashes).
 *
 *   blocks_open -> blocks_load, blocks_save ... -> blocks_prune once a version stands -> blocks_close
 *
 * Beside the scan files, in a directory of the dataset: they belong to no version, and losing them only costs that changed
 * contents are sent whole.
 */
#ifndef BLOCKS_H
#define BLOCKS_H

#include "objects.h"
#include "pack.h"
#include "u64set.h"
#include "workspace.h"

struct blocks;
/* The directory and its random key are made when missing. */
int blocks_open(const struct workspace *w, const char *plan, const char *dataset, struct blocks **out, struct err *e) MUST_CHECK;
void blocks_close(struct blocks *b);
static inline void blocks_closep(struct blocks **b) { blocks_close(*b); }
const uint8_t *blocks_key(const struct blocks *b);	/* MSG_KEY_LEN bytes */

struct blocks_of {			/* one content */
	uint64_t size, block;		/* bytes of it, and of a block */
	struct object_id recipe;	/* that makes it */
	const void *hashes;
	size_t bytes;			/* of hashes */
};
int blocks_save(struct blocks *b, const uint8_t sha256[DIGEST_LEN], const struct blocks_of *of, struct err *e) MUST_CHECK;
/* 1: of->hashes point into text; 0: nothing usable is known; -1. */
int blocks_load(struct blocks *b, const uint8_t sha256[DIGEST_LEN], struct buf *text, struct blocks_of *of, struct err *e) MUST_CHECK;
/* Forgets contents whose u64set_key(sha256) is not in keep. */
int blocks_prune(struct blocks *b, const struct u64set *keep, struct err *e) MUST_CHECK;

#endif
