#include "sshkey.h"

#include <string.h>

#include "digest.h"

#define BLOB_MAX 16384		/* OpenSSH's own limit is of this order */

static const char *const types[] = {
	"ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa",
	"sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com" };

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static int digit_of(char c)
{
	const char *p = c ? strchr(alphabet, c) : NULL;

	return p ? (int)(p - alphabet) : -1;
}

/* Canonical base64 with padding: whole quartets, no stray bits. */
static bool base64_decode(const char *s, size_t n, struct buf *out)
{
	if (n == 0 || n % 4)
		return false;
	for (size_t i = 0; i < n; i += 4) {
		int pad = i + 4 == n ? (s[i + 3] == '=') + (s[i + 3] == '=' && s[i + 2] == '=') : 0;
		uint32_t v = 0;

		for (int k = 0; k < 4; k++) {
			int d = k >= 4 - pad ? 0 : digit_of(s[i + (size_t)k]);

			if (d < 0)
				return false;
			v = v << 6 | (uint32_t)d;
		}
		if ((pad == 1 && (v & 0xff)) || (pad == 2 && (v & 0xffff)))
			return false;
		for (int k = 0; k < 3 - pad; k++)
			buf_putc(out, (char)(v >> (16 - 8 * k)));
	}
	return !out->failed;
}

static void fingerprint_of(const uint8_t sum[DIGEST_LEN], char *out)
{
	memcpy(out, "SHA256:", 7);
	out += 7;
	for (size_t bit = 0; bit < DIGEST_LEN * 8; bit += 6) {
		size_t byte = bit / 8;
		uint32_t two = (uint32_t)sum[byte] << 8 | (byte + 1 < DIGEST_LEN ? sum[byte + 1] : 0);

		*out++ = alphabet[two >> (10 - bit % 8) & 63];
	}
	*out = '\0';
}

bool sshkey_is_fingerprint(const char *s)
{
	return strncmp(s, "SHA256:", 7) == 0 && strlen(s) == 7 + 43 && strspn(s + 7, alphabet) == 43;
}

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* The blob is a run of length-prefixed strings, the first of which repeats the type. */
static bool blob_is(const struct buf *b, const char *type)
{
	const uint8_t *p = (const uint8_t *)b->data;
	size_t left = b->len, fields = 0, second = 0;

	while (left >= 4) {
		size_t n = be32(p);

		if (n > left - 4 || n == 0)
			break;
		if (fields == 0 && (n != strlen(type) || memcmp(p + 4, type, n) != 0))
			return false;
		if (fields == 1)
			second = n;
		fields++;
		p += 4 + n;
		left -= 4 + n;
	}
	if (left != 0 || fields < 2 || fields > 5)
		return false;
	return strcmp(type, "ssh-ed25519") != 0 || (fields == 2 && second == 32);
}

static const char *type_of(const char *s, size_t n)
{
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (strlen(types[i]) == n && memcmp(types[i], s, n) == 0)
			return types[i];
	return NULL;
}

const char *sshkey_parse(const char *text, struct sshkey *out, struct buf *line)
{
	OWN_BUF struct buf blob = BUF_INIT;
	size_t tlen = strcspn(text, " \t"), blen;
	const char *base = text + tlen + strspn(text + tlen, " \t");
	uint8_t sum[DIGEST_LEN];
	struct err e = ERR_INIT;

	if (strstr(text, "PRIVATE KEY"))
		return "it is a private key, which must never stand in a plan; use the .pub file";
	if (!(out->type = type_of(text, tlen)))
		return "it does not begin with a key type such as ssh-ed25519";
	blen = strcspn(base, " \t\r\n");
	if (blen == 0)
		return "the base64 part is missing";
	if (blen > BLOB_MAX || !base64_decode(base, blen, &blob))
		return "its base64 part is cut or damaged";
	if (!blob_is(&blob, out->type))
		return "its base64 part is not a key of that type; was it cut?";
	if (digest_sha256(blob.data, blob.len, sum, &e) < 0)
		return "its fingerprint could not be computed";
	fingerprint_of(sum, out->fingerprint);
	buf_printf(line, "%s %.*s", out->type, (int)blen, base);
	return NULL;
}
