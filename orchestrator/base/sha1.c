#include "sha1.h"

#include <openssl/evp.h>
#include <stdlib.h>

struct sha1 { EVP_MD_CTX *ctx; };

struct sha1 *sha1_new(void)
{
	struct sha1 *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	if (!(s->ctx = EVP_MD_CTX_new()) || EVP_DigestInit_ex(s->ctx, EVP_sha1(), NULL) != 1) {
		sha1_free(s);
		return NULL;
	}
	return s;
}

void sha1_free(struct sha1 *s)
{
	if (!s)
		return;
	EVP_MD_CTX_free(s->ctx);
	free(s);
}

/* As in digest.c: a failure here means a broken library. */
static void need(int ok)
{
	if (ok != 1)
		abort();
}

void sha1_update(struct sha1 *s, const void *p, size_t n) { need(EVP_DigestUpdate(s->ctx, p, n)); }

void sha1_final(struct sha1 *s, uint8_t out[SHA1_LEN])
{
	unsigned len = 0;

	need(EVP_DigestFinal_ex(s->ctx, out, &len));
	need(len == SHA1_LEN);
	need(EVP_DigestInit_ex(s->ctx, EVP_sha1(), NULL));
}
