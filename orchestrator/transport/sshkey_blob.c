#include "sshkey_blob.h"

#include <string.h>

#include "base64.h"
#include "digest.h"

uint32_t ssh_get_u32(struct view *v)
{
	const uint8_t *p = view_raw(v, 4);

	return p ? (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3] : 0;
}

const uint8_t *ssh_get_string(struct view *v, size_t *n)
{
	*n = ssh_get_u32(v);
	return v->failed ? NULL : view_raw(v, *n);
}

void ssh_put_u32(struct buf *b, uint32_t v)
{
	uint8_t p[4] = { (uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v };

	buf_put(b, p, 4);
}

void ssh_put_string(struct buf *b, const void *p, size_t n)
{
	ssh_put_u32(b, (uint32_t)n);
	buf_put(b, p, n);
}

bool key_type_of(const void *blob, size_t n, char type[KEY_TYPE_MAX])
{
	struct view v = view_of(blob, n);
	size_t len;
	const uint8_t *p = ssh_get_string(&v, &len);

	type[0] = '\0';
	if (!p || len == 0 || len >= KEY_TYPE_MAX)
		return false;
	for (size_t i = 0; i < len; i++)
		if (p[i] <= ' ' || p[i] > '~' || p[i] == ',')
			return false;
	memcpy(type, p, len);
	type[len] = '\0';
	return true;
}

char *key_fingerprint(const void *blob, size_t n, char out[FINGERPRINT_MAX])
{
	OWN_BUF struct buf b = BUF_INIT;
	uint8_t sum[DIGEST_LEN];
	struct err e = ERR_INIT;

	(void)snprintf(out, FINGERPRINT_MAX, "SHA256:?");	/* never equal to any pinned one */
	if (digest_sha256(blob, n, sum, &e) < 0)
		return out;
	base64_put(&b, sum, sizeof(sum), false);
	if (buf_finish(&b, &e) == 0)
		(void)snprintf(out, FINGERPRINT_MAX, "SHA256:%s", b.data);
	return out;
}

void key_line(struct buf *b, const void *blob, size_t n)
{
	char type[KEY_TYPE_MAX];

	if (!key_type_of(blob, n, type))
		return;
	buf_puts(b, type);
	buf_putc(b, ' ');
	base64_put(b, blob, n, true);
}

bool key_line_parse(const char *s, size_t n, struct buf *blob)
{
	const char *end = s + n, *type = s, *data;
	char found[KEY_TYPE_MAX];
	size_t tlen, dlen, before = blob->len;

	while (s < end && *s != ' ' && *s != '\t')
		s++;
	tlen = (size_t)(s - type);
	while (s < end && (*s == ' ' || *s == '\t'))
		s++;
	data = s;
	while (s < end && *s != ' ' && *s != '\t' && *s != '\r' && *s != '\n')
		s++;
	dlen = (size_t)(s - data);
	if (!tlen || !dlen || !base64_get(blob, data, dlen) || blob->failed)
		return false;
	return key_type_of(blob->data + before, blob->len - before, found) && strlen(found) == tlen &&
	    memcmp(found, type, tlen) == 0;
}
