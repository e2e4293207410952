/*
 * witness - how known content is recognised on a raw medium (waybill-witness.5).
 *
 * A witness is a keyed 64-bit hash: of one 512-byte sector of each 4 KiB of content, of short unaligned strings from head and
 * tail of each content (all of small ones), or of a name.  Content never leaves through it: without the key nothing can be
 * looked up, with it only what is known already.
 */
#ifndef WITNESS_H
#define WITNESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "err.h"

enum witness_class {		/* values travel on the wire */
	WITNESS_SECTOR = 0,	/* 512 bytes at a multiple of 512 of the medium */
	WITNESS_STRING = 1,	/* 24 to 48 bytes anywhere */
	WITNESS_NAME = 2,	/* 12 to 255 bytes anywhere: a name in one of its encodings */
	WITNESS_CANARY = 3	/* a sector that waybill itself planted */
};
#define WITNESS_CLASSES 4
const char *witness_class_name(enum witness_class c);	/* "sectors", "strings", "names", "canaries" */

#define WITNESS_SECTOR_BYTES 512u
#define WITNESS_BLOCK 4096u		/* one sector is taken of each */
#define WITNESS_STRING_BYTES 48u
#define WITNESS_STRING_MIN 24u
#define WITNESS_NAME_MIN 12u
#define WITNESS_TEXT_MAX 255u
#define WITNESS_PREFIX 8u		/* bytes by which an unaligned witness is first recognised */
#define WITNESS_KEY 32u
#define WITNESS_ANCHOR 7u		/* these bits must be 0 */

struct witness_key {
	uint8_t bytes[WITNESS_KEY];
	uint8_t sector[192], text[192];	/* secrets of the two hashes */
	uint64_t add, mul;		/* of the prefix */
	uint64_t pick;			/* of the choice of a sector */
	uint8_t anchor[2];
};
/* Derives the rest from 32 random bytes. */
int witness_key_init(struct witness_key *k, const uint8_t bytes[WITNESS_KEY], struct err *e) MUST_CHECK;

/* p: 512 bytes. */
uint64_t witness_sector_hash(const struct witness_key *k, const void *p);
uint64_t witness_text_hash(const struct witness_key *k, const void *p, size_t n);
/* Of 8 bytes; its high bits are the tag. */
static inline uint64_t witness_prefix(const struct witness_key *k, const void *p)
{
	uint64_t x;

	memcpy(&x, p, sizeof(x));
	return (x ^ k->add) * k->mul;
}
static inline uint32_t witness_tag(uint64_t prefix) { return (uint32_t)(prefix >> 32); }
/*
 * Is the place at p (8 bytes) one where unaligned witnesses are looked for?  One in eight is, by three of its own bytes, so that
 * a scan may pass over the others.
 */
static inline bool witness_anchor(const struct witness_key *k, const uint8_t *p)
{
	return ((((uint8_t)((p[0] ^ k->anchor[0]) + 2 * p[1]) ^ (uint8_t)(p[3] + k->anchor[1])) & WITNESS_ANCHOR) == 0);
}
/* Offset in p[0..n) of the first place by which these bytes can be recognised; -1: they have none. */
int witness_find_anchor(const struct witness_key *k, const void *p, size_t n);
/* Which of the n sectors of a block of that content comes first into question. */
unsigned witness_pick(const struct witness_key *k, uint64_t content, uint64_t block, unsigned n);
/* At least 8 different byte values, else the bytes prove nothing. */
bool witness_probative(const void *p, size_t n);

/* Bytes of canary number i: 4096 of a key stream that nothing else holds. */
#define WITNESS_CANARY_BYTES 4096u
#define WITNESS_CANARIES 64u		/* a medium */
int witness_canary(const struct witness_key *k, uint32_t i, uint8_t out[WITNESS_CANARY_BYTES], struct err *e) MUST_CHECK;

/* ---- probabilities (waybill-witness.5) ---- */

/* That a residue of r bytes holds none of the sectors kept when one in 2^shift was kept. */
double witness_miss_kept(unsigned shift, uint64_t r);
/* That n random reads of 8 KiB on a medium of d bytes all miss a contiguous residue of r bytes. */
double witness_miss_reads(uint64_t d, uint64_t r, uint64_t n);
/* Reads that are needed for a probability of at most p. */
uint64_t witness_reads_for(uint64_t d, uint64_t r, double p);

#endif
