#include "sshkey.h"

#include <string.h>

#include "base64.h"
#include "digest.h"

#define BLOB_MAX 16384		/* OpenSSH's own limit is of this order */

static const char *const types[] = {
	"ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa",
	"sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com" };

bool sshkey_is_fingerprint(const char *s)
{
	OWN_BUF struct buf b = BUF_INIT;
	char padded[45];

	if (strncmp(s, "SHA256:", 7) != 0 || strlen(s) != 7 + 43)
		return false;
	(void)snprintf(padded, sizeof(padded), "%s=", s + 7);
	return base64_get(&b, padded, 44) && b.len == DIGEST_LEN;
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
	OWN_BUF struct buf blob = BUF_INIT, print = BUF_INIT;
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
	if (blen > BLOB_MAX || !base64_get(&blob, base, blen))
		return "its base64 part is cut or damaged";
	if (!blob_is(&blob, out->type))
		return "its base64 part is not a key of that type; was it cut?";
	if (digest_sha256(blob.data, blob.len, sum, &e) < 0)
		return "its fingerprint could not be computed";
	base64_put(&print, sum, DIGEST_LEN, false);
	if (print.failed)
		return "its fingerprint could not be computed";
	(void)snprintf(out->fingerprint, sizeof(out->fingerprint), "SHA256:%s", print.data);
	buf_printf(line, "%s %.*s", out->type, (int)blen, base);
	return NULL;
}
