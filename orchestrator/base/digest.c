#include "digest.h"

#include <errno.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <string.h>
#include <sys/random.h>

struct digest {
	EVP_MD_CTX *ctx;
	const EVP_MD *md;	/* borrowed from the process-wide fetch */
};

static EVP_MD *fetched[2];
static pthread_once_t fetch_once = PTHREAD_ONCE_INIT;

static void fetch_all(void)
{
	/* The static agent must not read the host's openssl.cnf (libraries.md 5). */
	(void)OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
	fetched[DIGEST_SHA256] = EVP_MD_fetch(NULL, "SHA256", NULL);
	fetched[DIGEST_SM3] = EVP_MD_fetch(NULL, "SM3", NULL);
}

struct digest *digest_new(enum digest_alg alg)
{
	struct digest *d;

	pthread_once(&fetch_once, fetch_all);
	if (!fetched[alg] || !(d = calloc(1, sizeof(*d))))
		return NULL;
	d->md = fetched[alg];
	if (!(d->ctx = EVP_MD_CTX_new()) || EVP_DigestInit_ex2(d->ctx, d->md, NULL) != 1) {
		digest_free(d);
		return NULL;
	}
	return d;
}

void digest_free(struct digest *d)
{
	if (!d)
		return;
	EVP_MD_CTX_free(d->ctx);
	free(d);
}

/* SHA-256 and SM3 in memory fail only if OpenSSL itself is broken: nothing that follows could be trusted. */
static void need(int ok)
{
	if (ok != 1)
		abort();
}

void digest_reset(struct digest *d) { need(EVP_DigestInit_ex2(d->ctx, d->md, NULL)); }
void digest_update(struct digest *d, const void *p, size_t n) { need(EVP_DigestUpdate(d->ctx, p, n)); }

void digest_final(struct digest *d, uint8_t out[DIGEST_LEN])
{
	unsigned len = 0;

	need(EVP_DigestFinal_ex(d->ctx, out, &len));
	need(len == DIGEST_LEN);
	digest_reset(d);
}

int digest_sha256(const void *p, size_t n, uint8_t out[DIGEST_LEN], struct err *e)
{
	OWN(digest_freep) struct digest *d = digest_new(DIGEST_SHA256);

	if (!d)
		return err_set(e, ERR_PERMANENT, "SHA-256 is not available from the OpenSSL library");
	digest_update(d, p, n);
	digest_final(d, out);
	return 0;
}

int digest_fd(int fd, uint8_t out[DIGEST_LEN], uint64_t *size, struct err *e)
{
	OWN(digest_freep) struct digest *d = digest_new(DIGEST_SHA256);
	OWN_FREE char *b = malloc(1 << 18);
	uint64_t total = 0;
	ssize_t n;

	if (!d || !b) {
		errno = ENOMEM;
		return err_sys(e, "digest");
	}
	while ((n = read(fd, b, 1 << 18)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, "read");
		digest_update(d, b, (size_t)n);
		total += (uint64_t)n;
	}
	digest_final(d, out);
	if (size)
		*size = total;
	return 0;
}

void hex_of(const uint8_t *p, size_t n, char *out)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < n; i++) {
		*out++ = digits[p[i] >> 4];
		*out++ = digits[p[i] & 15];
	}
	*out = '\0';
}

bool digest_hmac_sha1(const void *key, size_t keylen, const void *p, size_t n, uint8_t out[20])
{
	size_t len = 0;

	return EVP_Q_mac(NULL, "HMAC", NULL, "SHA1", NULL, key, keylen, p, n, out, 20, &len) && len == 20;
}

static int nibble(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

bool hex_parse(const char *s, uint8_t *out, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int hi = nibble(s[2 * i]), lo = hi < 0 ? -1 : nibble(s[2 * i + 1]);

		if (lo < 0)
			return false;
		out[i] = (uint8_t)(hi << 4 | lo);
	}
	return s[2 * n] == '\0';
}

void random_bytes(void *p, size_t n)
{
	uint8_t *b = p;

	while (n) {
		ssize_t r = getrandom(b, n, 0);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			abort();
		b += r;
		n -= (size_t)r;
	}
}
