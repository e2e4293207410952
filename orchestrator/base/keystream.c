#include "keystream.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/provider.h>
#include <openssl/rand.h>

#define NAME "waybill-keystream"
#define AHEAD 4096u
#define BLOCK 16u
#define IV_LEN 16u

struct stream {
	EVP_CIPHER_CTX *inner;		/* of OpenSSL's own provider */
	const EVP_CIPHER *cipher;
	size_t key_len, at;		/* at: of made, used so far */
	uint8_t made[AHEAD];
};

/* These live until OpenSSL's own clean-up, which runs at exit. */
static EVP_CIPHER *cipher_128, *cipher_192, *cipher_256;
static OSSL_PROVIDER *default_provider, *own_provider;

static void *stream_new(const EVP_CIPHER *cipher, size_t key_len)
{
	struct stream *s = calloc(1, sizeof(*s));

	/* The cipher is set once: key and counter may then come one by one. */
	if (!s || !(s->inner = EVP_CIPHER_CTX_new()) || EVP_EncryptInit_ex2(s->inner, cipher, NULL, NULL, NULL) != 1) {
		if (s)
			EVP_CIPHER_CTX_free(s->inner);
		free(s);
		return NULL;
	}
	s->cipher = cipher;
	s->key_len = key_len;
	s->at = AHEAD;
	return s;
}

static void *new_128(void *provider) { (void)provider; return stream_new(cipher_128, 16); }
static void *new_192(void *provider) { (void)provider; return stream_new(cipher_192, 24); }
static void *new_256(void *provider) { (void)provider; return stream_new(cipher_256, 32); }

static void stream_free(void *ctx)
{
	struct stream *s = ctx;

	if (!s)
		return;
	EVP_CIPHER_CTX_free(s->inner);
	OPENSSL_cleanse(s, sizeof(*s));
	free(s);
}

static void *stream_dup(void *ctx)
{
	const struct stream *from = ctx;
	struct stream *s = stream_new(from->cipher, from->key_len);

	if (!s)
		return NULL;
	memcpy(s->made, from->made, AHEAD);
	s->at = from->at;
	if (EVP_CIPHER_CTX_copy(s->inner, from->inner) == 1)
		return s;
	stream_free(s);
	return NULL;
}

/* Encrypting and decrypting are the same. */
static int stream_init(void *ctx, const unsigned char *key, size_t key_len, const unsigned char *iv, size_t iv_len, const OSSL_PARAM params[])
{
	struct stream *s = ctx;

	(void)params;
	if ((key && key_len != s->key_len) || (iv && iv_len != IV_LEN))
		return 0;
	s->at = AHEAD;
	return EVP_EncryptInit_ex2(s->inner, NULL, key, iv, NULL);
}

static bool refill(struct stream *s)
{
	static const uint8_t zeros[AHEAD];
	int n = 0;

	if (EVP_EncryptUpdate(s->inner, s->made, &n, zeros, AHEAD) != 1 || n != (int)AHEAD)
		return false;
	s->at = 0;
	return true;
}

static void combine(uint8_t *out, const uint8_t *in, const uint8_t *with, size_t n)
{
	uint64_t a[2], b[2];

	for (; n >= BLOCK; n -= BLOCK, in += BLOCK, out += BLOCK, with += BLOCK) {
		memcpy(a, in, BLOCK);
		memcpy(b, with, BLOCK);
		a[0] ^= b[0];
		a[1] ^= b[1];
		memcpy(out, a, BLOCK);
	}
	while (n--)
		*out++ = *in++ ^ *with++;
}

static int stream_update(void *ctx, unsigned char *out, size_t *out_len, size_t out_size, const unsigned char *in, size_t n)
{
	struct stream *s = ctx;
	size_t left = n;

	if (out_size < n)
		return 0;
	while (left) {
		size_t k;

		if (s->at == AHEAD && !refill(s))
			return 0;
		k = left < AHEAD - s->at ? left : AHEAD - s->at;
		combine(out, in, s->made + s->at, k);
		s->at += k;
		in += k;
		out += k;
		left -= k;
	}
	if (out_len)
		*out_len = n;
	return 1;
}

static int stream_final(void *ctx, unsigned char *out, size_t *out_len, size_t out_size)
{
	(void)ctx;
	(void)out;
	(void)out_size;
	*out_len = 0;
	return 1;
}

static int set_size(OSSL_PARAM params[], const char *name, size_t v)
{
	OSSL_PARAM *p = OSSL_PARAM_locate(params, name);

	return !p || OSSL_PARAM_set_size_t(p, v);
}

static int describe(OSSL_PARAM params[], size_t key_len)
{
	OSSL_PARAM *mode = OSSL_PARAM_locate(params, OSSL_CIPHER_PARAM_MODE);

	return set_size(params, OSSL_CIPHER_PARAM_KEYLEN, key_len) && set_size(params, OSSL_CIPHER_PARAM_IVLEN, IV_LEN) &&
	    set_size(params, OSSL_CIPHER_PARAM_BLOCK_SIZE, 1) && (!mode || OSSL_PARAM_set_uint(mode, EVP_CIPH_CTR_MODE));
}

static int params_128(OSSL_PARAM params[]) { return describe(params, 16); }
static int params_192(OSSL_PARAM params[]) { return describe(params, 24); }
static int params_256(OSSL_PARAM params[]) { return describe(params, 32); }

static int stream_params(void *ctx, OSSL_PARAM params[])
{
	const struct stream *s = ctx;

	return set_size(params, OSSL_CIPHER_PARAM_KEYLEN, s->key_len) && set_size(params, OSSL_CIPHER_PARAM_IVLEN, IV_LEN);
}

/* There is nothing to set (padding means nothing here). */
static int stream_set_params(void *ctx, const OSSL_PARAM params[])
{
	(void)ctx;
	(void)params;
	return 1;
}

#define FN(f) ((void (*)(void))(f))
#define FUNCTIONS(bits) { \
	{ OSSL_FUNC_CIPHER_NEWCTX, FN(new_##bits) }, { OSSL_FUNC_CIPHER_FREECTX, FN(stream_free) }, \
	{ OSSL_FUNC_CIPHER_DUPCTX, FN(stream_dup) }, { OSSL_FUNC_CIPHER_ENCRYPT_INIT, FN(stream_init) }, \
	{ OSSL_FUNC_CIPHER_DECRYPT_INIT, FN(stream_init) }, { OSSL_FUNC_CIPHER_UPDATE, FN(stream_update) }, \
	{ OSSL_FUNC_CIPHER_CIPHER, FN(stream_update) }, { OSSL_FUNC_CIPHER_FINAL, FN(stream_final) }, \
	{ OSSL_FUNC_CIPHER_GET_PARAMS, FN(params_##bits) }, { OSSL_FUNC_CIPHER_GET_CTX_PARAMS, FN(stream_params) }, \
	{ OSSL_FUNC_CIPHER_SET_CTX_PARAMS, FN(stream_set_params) }, { 0, NULL } }

static const OSSL_DISPATCH functions_128[] = FUNCTIONS(128), functions_192[] = FUNCTIONS(192), functions_256[] = FUNCTIONS(256);
static const OSSL_ALGORITHM algorithms[] = {
	{ "AES-128-CTR", "provider=" NAME, functions_128, "AES-CTR, key stream made ahead" },
	{ "AES-192-CTR", "provider=" NAME, functions_192, "AES-CTR, key stream made ahead" },
	{ "AES-256-CTR", "provider=" NAME, functions_256, "AES-CTR, key stream made ahead" },
	{ NULL, NULL, NULL, NULL } };

static const OSSL_ALGORITHM *query(void *provider, int operation, int *no_cache)
{
	(void)provider;
	*no_cache = 0;
	return operation == OSSL_OP_CIPHER ? algorithms : NULL;
}

static int provider_init(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in, const OSSL_DISPATCH **out, void **provider)
{
	static const OSSL_DISPATCH table[] = { { OSSL_FUNC_PROVIDER_QUERY_OPERATION, FN(query) }, { 0, NULL } };

	(void)in;
	*out = table;
	*provider = (void *)(uintptr_t)handle;
	return 1;
}

static void release(void)
{
	EVP_CIPHER_free(cipher_128);
	EVP_CIPHER_free(cipher_192);
	EVP_CIPHER_free(cipher_256);
	cipher_128 = cipher_192 = cipher_256 = NULL;
	if (own_provider)
		(void)OSSL_PROVIDER_unload(own_provider);
	if (default_provider)
		(void)OSSL_PROVIDER_unload(default_provider);
	own_provider = default_provider = NULL;
}

bool keystream_install(void)
{
	if (EVP_default_properties_is_fips_enabled(NULL))
		return false;
	/* The random generator is made of AES-CTR too, and stays as it is. */
	if (RAND_set_DRBG_type(NULL, NULL, "provider=default", NULL, NULL) != 1)
		return false;
	/* Loading any provider by name ends OpenSSL's loading of its own by itself. */
	if (OPENSSL_atexit(release) != 1 || !(default_provider = OSSL_PROVIDER_load(NULL, "default")))
		return false;
	cipher_128 = EVP_CIPHER_fetch(NULL, "AES-128-CTR", "provider=default");
	cipher_192 = EVP_CIPHER_fetch(NULL, "AES-192-CTR", "provider=default");
	cipher_256 = EVP_CIPHER_fetch(NULL, "AES-256-CTR", "provider=default");
	return cipher_128 && cipher_192 && cipher_256 && OSSL_PROVIDER_add_builtin(NULL, NAME, provider_init) == 1 &&
	    (own_provider = OSSL_PROVIDER_load(NULL, NAME)) && EVP_set_default_properties(NULL, "?provider=" NAME) == 1;
}
