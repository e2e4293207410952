#include "block_hash.h"

#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "digest.h"

#define SECRET_LEN 192	/* XXH3_SECRET_DEFAULT_SIZE: what the vector code wants */

struct block_key { uint8_t secret[SECRET_LEN]; };

uint64_t block_size_for(uint64_t content)
{
	uint64_t block = BLOCK_MIN;

	while (content / block >= BLOCK_COUNT_MAX)
		block *= 2;
	return block;
}

struct block_key *block_key_new(const uint8_t key[BLOCK_KEY_LEN])
{
	struct block_key *k = malloc(sizeof(*k));
	uint8_t text[BLOCK_KEY_LEN + 1];
	struct err ignored = ERR_INIT;

	memcpy(text, key, BLOCK_KEY_LEN);
	for (uint8_t i = 0; k && i < SECRET_LEN / DIGEST_LEN; i++) {
		text[BLOCK_KEY_LEN] = i;
		if (digest_sha256(text, sizeof(text), k->secret + i * DIGEST_LEN, &ignored) < 0)
			free(take_ptr(&k));
	}
	return k;
}

void block_key_free(struct block_key *k) { free(k); }

void block_hash(const struct block_key *k, const void *p, size_t n, uint8_t out[BLOCK_HASH_LEN])
{
	XXH128_canonical_t c;

	XXH128_canonicalFromHash(&c, XXH3_128bits_withSecret(p, n, k->secret, SECRET_LEN));
	memcpy(out, c.digest, BLOCK_HASH_LEN);
}
