#include "base64.h"

#include <string.h>

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_put(struct buf *b, const void *p, size_t n, bool pad)
{
	const uint8_t *in = p;

	for (size_t i = 0; i < n; i += 3) {
		size_t have = n - i < 3 ? n - i : 3;
		uint32_t v = (uint32_t)in[i] << 16 | (have > 1 ? (uint32_t)in[i + 1] << 8 : 0) | (have > 2 ? in[i + 2] : 0);

		for (size_t k = 0; k < have + 1; k++)
			buf_putc(b, digits[v >> (18 - 6 * k) & 63]);
		for (size_t k = have; pad && k < 3; k++)
			buf_putc(b, '=');
	}
}

/* Four characters, the last pads of them '='; bits that padding leaves over must be zero. */
static bool group(struct buf *b, const char *s, size_t pads)
{
	uint32_t v = 0;

	for (size_t i = 0; i < 4; i++) {
		const char *d = i < 4 - pads ? memchr(digits, s[i], 64) : digits;
		if (!d)
			return false;
		v = v << 6 | (uint32_t)(d - digits);
	}
	if ((pads == 1 && (v & 0xff)) || (pads == 2 && (v & 0xffff)))
		return false;
	for (size_t i = 0; i < 3 - pads; i++)
		buf_putc(b, (char)(v >> (16 - 8 * i) & 0xff));
	return true;
}

bool base64_get(struct buf *b, const char *s, size_t n)
{
	if (n % 4)
		return false;
	for (size_t i = 0; i < n; i += 4) {
		size_t pads = 0;

		if (i + 4 == n && s[n - 1] == '=')
			pads = s[n - 2] == '=' ? 2 : 1;
		if (!group(b, s + i, pads))
			return false;
	}
	return true;
}
