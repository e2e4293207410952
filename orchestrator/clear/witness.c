#include "witness.h"

#include <math.h>
#include <xxhash.h>

#include "digest.h"

static const char *const names[WITNESS_CLASSES] = { "sectors", "strings", "names", "canaries" };

const char *witness_class_name(enum witness_class c)
{
	return (unsigned)c < WITNESS_CLASSES ? names[c] : "?";
}

/* n bytes of SHA-256(key, word, counter)... */
static int derive(const uint8_t key[WITNESS_KEY], const char *word, uint32_t number, uint8_t *out, size_t n, struct err *e)
{
	uint8_t in[WITNESS_KEY + 16 + 8] = { 0 }, digest[DIGEST_LEN];

	memcpy(in, key, WITNESS_KEY);
	memcpy(in + WITNESS_KEY, word, strnlen(word, 16));
	memcpy(in + WITNESS_KEY + 16, &number, 4);
	for (uint32_t i = 0; n > 0; i++) {
		size_t k = n < DIGEST_LEN ? n : DIGEST_LEN;

		memcpy(in + WITNESS_KEY + 20, &i, 4);
		if (digest_sha256(in, sizeof(in), digest, e) < 0)
			return -1;
		memcpy(out, digest, k);
		out += k;
		n -= k;
	}
	return 0;
}

int witness_key_init(struct witness_key *k, const uint8_t bytes[WITNESS_KEY], struct err *e)
{
	uint64_t small[4];

	memmove(k->bytes, bytes, WITNESS_KEY);
	if (derive(k->bytes, "sector", 0, k->sector, sizeof(k->sector), e) < 0 || derive(k->bytes, "text", 0, k->text, sizeof(k->text), e) < 0 ||
	    derive(k->bytes, "prefix", 0, (uint8_t *)small, sizeof(small), e) < 0)
		return -1;
	k->add = small[0];
	k->mul = small[1] | 1;
	k->pick = small[2];
	memcpy(k->anchor, &small[3], sizeof(k->anchor));
	return 0;
}

uint64_t witness_sector_hash(const struct witness_key *k, const void *p)
{
	return XXH3_64bits_withSecret(p, WITNESS_SECTOR_BYTES, k->sector, sizeof(k->sector));
}

uint64_t witness_text_hash(const struct witness_key *k, const void *p, size_t n)
{
	return XXH3_64bits_withSecret(p, n, k->text, sizeof(k->text));
}

unsigned witness_pick(const struct witness_key *k, uint64_t content, uint64_t block, unsigned n)
{
	uint64_t in[2] = { content, block };

	return (unsigned)(XXH3_64bits_withSeed(in, sizeof(in), k->pick) % n);
}

static bool distinct(const uint8_t *p, size_t n, unsigned wanted)
{
	uint64_t seen[4] = { 0, 0, 0, 0 };
	unsigned count = 0;

	for (size_t i = 0; i < n; i++) {
		uint64_t bit = UINT64_C(1) << (p[i] & 63);

		if (seen[p[i] >> 6] & bit)
			continue;
		seen[p[i] >> 6] |= bit;
		if (++count >= wanted)
			return true;
	}
	return false;
}

bool witness_probative(const void *p, size_t n) { return distinct(p, n, 8); }

/* Eight bytes of which fewer than four differ would be met everywhere. */
int witness_find_anchor(const struct witness_key *k, const void *p, size_t n)
{
	const uint8_t *b = p;

	for (size_t i = 0; i + WITNESS_PREFIX <= n; i++)
		if (witness_anchor(k, b + i) && distinct(b + i, WITNESS_PREFIX, 4))
			return (int)i;
	return -1;
}

int witness_canary(const struct witness_key *k, uint32_t i, uint8_t out[WITNESS_CANARY_BYTES], struct err *e)
{
	return derive(k->bytes, "canary", i, out, WITNESS_CANARY_BYTES, e);
}

double witness_miss_kept(unsigned shift, uint64_t r)
{
	return shift == 0 ? 0.0 : pow(1.0 - ldexp(1.0, -(int)shift), (double)(r / WITNESS_BLOCK));
}

#define READ_BYTES 8192u

/* A read of 8 KiB holds a whole 4 KiB of the residue, however aligned, when it lies inside of it. */
static double share(uint64_t d, uint64_t r)
{
	return r > READ_BYTES && d > 0 ? fmin(1.0, (double)(r - READ_BYTES) / (double)d) : 0.0;
}

double witness_miss_reads(uint64_t d, uint64_t r, uint64_t n)
{
	return pow(1.0 - share(d, r), (double)n);
}

uint64_t witness_reads_for(uint64_t d, uint64_t r, double p)
{
	double q = share(d, r);

	if (q <= 0.0)
		return UINT64_MAX;
	return q >= 1.0 ? 1 : (uint64_t)ceil(log(p) / log1p(-q));
}
