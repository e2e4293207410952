/*
 * digest - SHA-256 and SM3 over OpenSSL, fetched once (libraries.md 5: 209 ns a small digest against 716 ns).
 *
 *   digest_new -> digest_update* -> digest_final (may be reused: digest_reset) -> digest_free
 *
 * One thread per object.
 */
#ifndef DIGEST_H
#define DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "err.h"

#define DIGEST_LEN 32		/* SHA-256 and SM3 alike */
#define DIGEST_HEX 65		/* with NUL */

enum digest_alg { DIGEST_SHA256, DIGEST_SM3 };

struct digest;
struct digest *digest_new(enum digest_alg alg);	/* NULL: out of memory, or the library lacks it */
void digest_free(struct digest *d);		/* NULL is fine */
static inline void digest_freep(struct digest **d) { digest_free(*d); }
void digest_reset(struct digest *d);
void digest_update(struct digest *d, const void *p, size_t n);
/* Writes the digest and resets d for the next one. */
void digest_final(struct digest *d, uint8_t out[DIGEST_LEN]);

/* One call for bytes in memory; 0, or -1. */
int digest_sha256(const void *p, size_t n, uint8_t out[DIGEST_LEN], struct err *e) MUST_CHECK;
/* SHA-256 of everything that can be read from fd's current position. */
int digest_fd(int fd, uint8_t out[DIGEST_LEN], uint64_t *size, struct err *e) MUST_CHECK;

/* HMAC-SHA-1, only because OpenSSH hashes the names in known_hosts with it; false: the library lacks it. */
bool digest_hmac_sha1(const void *key, size_t keylen, const void *p, size_t n, uint8_t out[20]) MUST_CHECK;

void hex_of(const uint8_t *p, size_t n, char *out /* 2n+1 */);
/* Lower-case hex only; exactly 2n digits and the end of the string; false otherwise. */
bool hex_parse(const char *s, uint8_t *out, size_t n);

/* n random bytes from the kernel; aborts only if the kernel has none (never on Linux >= 3.17). */
void random_bytes(void *p, size_t n);

#endif
