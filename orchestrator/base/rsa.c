#include "rsa.h"

#include <limits.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>

struct rsa_key { EVP_PKEY *pkey; };

static void bn_freep(BIGNUM **b) { BN_clear_free(*b); }
static void bio_freep(BIO **b) { BIO_free_all(*b); }
static void bld_freep(OSSL_PARAM_BLD **b) { OSSL_PARAM_BLD_free(*b); }
static void params_freep(OSSL_PARAM **p) { OSSL_PARAM_free(*p); }
static void pkey_ctx_freep(EVP_PKEY_CTX **c) { EVP_PKEY_CTX_free(*c); }
static void md_ctx_freep(EVP_MD_CTX **c) { EVP_MD_CTX_free(*c); }

static int fail(struct err *e, const char *what)
{
	char why[128];

	ERR_error_string_n(ERR_get_error(), why, sizeof(why));
	ERR_clear_error();
	return err_set(e, ERR_PERMANENT, "RSA key: %s: %s", what, why);
}

/* Takes pkey in every case. */
static int wrap(struct rsa_key **out, EVP_PKEY *pkey, struct err *e)
{
	if (!EVP_PKEY_is_a(pkey, "RSA")) {
		EVP_PKEY_free(pkey);
		return err_set(e, ERR_PERMANENT, "not an RSA key");
	}
	if (!(*out = malloc(sizeof(**out)))) {
		EVP_PKEY_free(pkey);
		return err_sys(e, "RSA key");
	}
	(*out)->pkey = pkey;
	return 0;
}

/* Never ask on the terminal: an encrypted key is the caller's business. */
static int no_passphrase(char *out, int size, int rwflag, void *ctx)
{
	(void)out;
	(void)size;
	(void)rwflag;
	(void)ctx;
	return -1;
}

int rsa_key_from_pem(struct rsa_key **out, const void *pem, size_t n, struct err *e)
{
	OWN(bio_freep) BIO *bio = n <= INT_MAX ? BIO_new_mem_buf(pem, (int)n) : NULL;
	EVP_PKEY *pkey = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;

	if (!pkey)
		return fail(e, "read");
	return wrap(out, pkey, e);
}

static bool push(OSSL_PARAM_BLD *b, const char *name, BIGNUM **bn, const struct rsa_number *v)
{
	return v->n <= 4096 && (*bn = BN_bin2bn(v->p, (int)v->n, NULL)) && OSSL_PARAM_BLD_push_BN(b, name, *bn);
}

int rsa_key_from_numbers(struct rsa_key **out, const struct rsa_numbers *k, struct err *e)
{
	OWN(bld_freep) OSSL_PARAM_BLD *b = OSSL_PARAM_BLD_new();
	OWN(bn_freep) BIGNUM *n = NULL;
	OWN(bn_freep) BIGNUM *pub = NULL;
	OWN(bn_freep) BIGNUM *d = NULL;
	OWN(bn_freep) BIGNUM *p = NULL;
	OWN(bn_freep) BIGNUM *q = NULL;
	OWN(bn_freep) BIGNUM *inv = NULL;
	OWN(bn_freep) BIGNUM *d1 = NULL;
	OWN(bn_freep) BIGNUM *d2 = NULL;
	OWN(params_freep) OSSL_PARAM *params = NULL;
	OWN(pkey_ctx_freep) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	BN_CTX *bc = BN_CTX_new();
	EVP_PKEY *pkey = NULL;
	bool good;

	good = b && ctx && bc && push(b, OSSL_PKEY_PARAM_RSA_N, &n, &k->n) && push(b, OSSL_PKEY_PARAM_RSA_E, &pub, &k->e) &&
	    push(b, OSSL_PKEY_PARAM_RSA_D, &d, &k->d) && push(b, OSSL_PKEY_PARAM_RSA_FACTOR1, &p, &k->p) &&
	    push(b, OSSL_PKEY_PARAM_RSA_FACTOR2, &q, &k->q) && (d1 = BN_dup(p)) && (d2 = BN_dup(q)) &&
	    BN_sub_word(d1, 1) && BN_sub_word(d2, 1) && BN_mod(d1, d, d1, bc) && BN_mod(d2, d, d2, bc) &&
	    OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_RSA_EXPONENT1, d1) &&
	    OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_RSA_EXPONENT2, d2) &&
	    push(b, OSSL_PKEY_PARAM_RSA_COEFFICIENT1, &inv, &k->iqmp) &&
	    (params = OSSL_PARAM_BLD_to_param(b)) && EVP_PKEY_fromdata_init(ctx) > 0 &&
	    EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_KEYPAIR, params) > 0;
	BN_CTX_free(bc);
	return good ? wrap(out, pkey, e) : fail(e, "its numbers");
}

void rsa_key_free(struct rsa_key *k)
{
	if (!k)
		return;
	EVP_PKEY_free(k->pkey);
	free(k);
}

int rsa_key_sign(const struct rsa_key *k, int bits, const void *p, size_t n, struct buf *signature, struct err *e)
{
	OWN(md_ctx_freep) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	size_t len = 0;
	char *room;

	if (!ctx || EVP_DigestSignInit_ex(ctx, NULL, bits == 256 ? "SHA256" : "SHA512", NULL, NULL, k->pkey, NULL) <= 0 ||
	    EVP_DigestSign(ctx, NULL, &len, p, n) <= 0)
		return fail(e, "sign");
	if (!(room = buf_reserve(signature, len)))
		return buf_finish(signature, e);
	if (EVP_DigestSign(ctx, (unsigned char *)room, &len, p, n) <= 0)
		return fail(e, "sign");
	signature->len += len;
	return 0;
}
