/*
 * block_hash - keyed hashes of the blocks of a large content, so that a later reading sends only what changed
 * (waybill-wire.7, "Changed blocks of large contents").
 *
 * The key keeps whoever writes the data from preparing two blocks of one hash; it never lies where the data does.
 */
#ifndef BLOCK_HASH_H
#define BLOCK_HASH_H

#include <stddef.h>
#include <stdint.h>

#include "err.h"

#define BLOCK_MIN ((uint64_t)16 << 10)	/* bytes */
#define BLOCK_COUNT_MAX (1u << 20)	/* of one content; beyond 16 GiB blocks grow */
#define BLOCK_KEY_LEN 32
#define BLOCK_HASH_LEN 16

uint64_t block_size_for(uint64_t content);	/* bytes of a block; a power of two */

struct block_key;
/* NULL: out of memory. */
struct block_key *block_key_new(const uint8_t key[BLOCK_KEY_LEN]);
void block_key_free(struct block_key *k);
void block_hash(const struct block_key *k, const void *p, size_t n, uint8_t out[BLOCK_HASH_LEN]);

#endif
