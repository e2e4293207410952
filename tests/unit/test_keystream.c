/* rooms: base */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include <stdlib.h>

#include <openssl/evp.h>
#include <openssl/provider.h>
#include <openssl/rand.h>

#include "digest.h"
#include "keystream.h"

#define BYTES 70001

/* In pieces of any size, 16 bytes a call as libssh2 does among them, the bytes are those of OpenSSL's own cipher. */
static void same_bytes(const char *name, const EVP_CIPHER *(*legacy)(void))
{
	static const size_t pieces[] = { 16, 16, 1, 15, 4096, 33, 4095, 7 };
	uint8_t key[32], iv[16], *in = malloc(BYTES), *want = malloc(BYTES), *got = malloc(BYTES);
	EVP_CIPHER *own = EVP_CIPHER_fetch(NULL, name, "provider=default");
	EVP_CIPHER_CTX *a = EVP_CIPHER_CTX_new(), *b = EVP_CIPHER_CTX_new();
	int n = 0;

	random_bytes(key, sizeof(key));
	random_bytes(iv, sizeof(iv));
	memset(iv, 0xff, 15);	/* the counter runs over */
	random_bytes(in, BYTES);
	assert_int_equal(EVP_EncryptInit_ex2(a, own, key, iv, NULL), 1);
	assert_int_equal(EVP_EncryptUpdate(a, want, &n, in, BYTES), 1);
	assert_int_equal(EVP_CipherInit(b, legacy(), key, iv, 1), 1);
	assert_string_equal(OSSL_PROVIDER_get0_name(EVP_CIPHER_get0_provider(EVP_CIPHER_CTX_get0_cipher(b))), "waybill-keystream");
	for (size_t at = 0, i = 0, k; at < BYTES; at += k, i++) {
		k = pieces[i % 8] < BYTES - at ? pieces[i % 8] : BYTES - at;
		assert_int_equal(EVP_Cipher(b, got + at, in + at, (unsigned)k) >= 0, 1);
	}
	assert_memory_equal(got, want, BYTES);
	/* Key and counter one after the other, as some callers have it. */
	assert_int_equal(EVP_CipherInit(b, legacy(), key, NULL, 1), 1);
	assert_int_equal(EVP_CipherInit(b, NULL, NULL, iv, 1), 1);
	(void)EVP_Cipher(b, got, in, 4099);
	assert_memory_equal(got, want, 4099);
	/* A new key in the same context, decrypting in place. */
	assert_int_equal(EVP_CipherInit(b, legacy(), key, iv, 0), 1);
	for (size_t at = 0; at + 16 <= BYTES; at += 16)
		(void)EVP_Cipher(b, want + at, want + at, 16);
	assert_memory_equal(want, in, BYTES / 16 * 16);
	EVP_CIPHER_CTX_free(a);
	EVP_CIPHER_CTX_free(b);
	EVP_CIPHER_free(own);
	free(in);
	free(want);
	free(got);
}

static void the_stream_is_that_of_the_library(void **state)
{
	(void)state;
	if (!keystream_install())
		skip();
	same_bytes("AES-128-CTR", EVP_aes_128_ctr);
	same_bytes("AES-192-CTR", EVP_aes_192_ctr);
	same_bytes("AES-256-CTR", EVP_aes_256_ctr);
}

/* What it does not offer comes from where it always came. */
static void everything_else_is_as_before(void **state)
{
	uint8_t d[DIGEST_LEN];
	char hex[DIGEST_HEX];
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(digest_sha256("abc", 3, d, &e), 0);
	hex_of(d, DIGEST_LEN, hex);
	assert_int_equal(RAND_bytes(d, sizeof(d)), 1);
	assert_int_equal(RAND_priv_bytes(d, sizeof(d)), 1);
	assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_stream_is_that_of_the_library),
		cmocka_unit_test(everything_else_is_as_before),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
