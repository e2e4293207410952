/*
 * rsa - PKCS#1 v1.5 signatures with SHA-256 or SHA-512, for the RSA log-in that libssh2 before 1.11 cannot do.
 *
 *   rsa_key_from_pem | rsa_key_from_numbers -> rsa_key_sign... -> rsa_key_free
 */
#ifndef RSA_H
#define RSA_H

#include "buf.h"

struct rsa_key;
struct rsa_number { const uint8_t *p; size_t n; };	/* big-endian, borrowed */
struct rsa_numbers { struct rsa_number n, e, d, p, q, iqmp; };

/* PKCS#1 or PKCS#8 text without passphrase; ERR_PERMANENT when it is something else. */
int rsa_key_from_pem(struct rsa_key **out, const void *pem, size_t n, struct err *e) MUST_CHECK;
int rsa_key_from_numbers(struct rsa_key **out, const struct rsa_numbers *k, struct err *e) MUST_CHECK;
void rsa_key_free(struct rsa_key *k);		/* NULL is fine */
static inline void rsa_key_freep(struct rsa_key **k) { rsa_key_free(*k); }
/* bits: 256 or 512.  Appends the signature of n bytes at p. */
int rsa_key_sign(const struct rsa_key *k, int bits, const void *p, size_t n, struct buf *signature, struct err *e) MUST_CHECK;

#endif
