#include "esc.h"

#include <string.h>

/* Length of the valid UTF-8 sequence at p (1-4), or 0; *cp is its code point. */
static size_t utf8_len(const uint8_t *p, size_t n, uint32_t *cp)
{
	size_t len;
	uint32_t c;

	if (p[0] < 0x80) {
		*cp = p[0];
		return 1;
	}
	if (p[0] >= 0xc2 && p[0] <= 0xdf) { len = 2; c = p[0] & 0x1f; }
	else if ((p[0] & 0xf0) == 0xe0) { len = 3; c = p[0] & 0x0f; }
	else if (p[0] >= 0xf0 && p[0] <= 0xf4) { len = 4; c = p[0] & 0x07; }
	else return 0;
	if (n < len)
		return 0;
	for (size_t i = 1; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	if ((len == 3 && (c < 0x800 || (c >= 0xd800 && c <= 0xdfff))) || (len == 4 && (c < 0x10000 || c > 0x10ffff)))
		return 0;
	*cp = c;
	return len;
}

size_t esc_utf8_len(const void *p, size_t n)
{
	uint32_t cp;

	return n ? utf8_len(p, n, &cp) : 0;
}

/* Invisible or direction-changing: C0, DEL, C1, soft hyphen, zero width, bidi, line separators, BOM, tags. */
static bool is_hostile(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c <= 0x9f) || c == 0xad || c == 0x34f || c == 0x61c ||
	    c == 0x180e || (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
	    (c >= 0x2060 && c <= 0x206f) || c == 0xfeff || (c >= 0xfff9 && c <= 0xfffb) ||
	    (c >= 0xe0000 && c <= 0xe007f);
}

static void put_octal(struct buf *b, uint8_t c)
{
	char t[4] = { '\\', (char)('0' + (c >> 6)), (char)('0' + (c >> 3 & 7)), (char)('0' + (c & 7)) };

	buf_put(b, t, 4);
}

void esc_put(struct buf *b, const void *p, size_t n)
{
	const uint8_t *s = p;

	while (n) {
		uint32_t cp = 0;
		size_t len = utf8_len(s, n, &cp);

		if (len == 0 || cp == '\\' || is_hostile(cp)) {
			size_t k = len ? len : 1;
			for (size_t i = 0; i < k; i++)
				put_octal(b, s[i]);
			s += k;
			n -= k;
		} else {
			buf_put(b, s, len);
			s += len;
			n -= len;
		}
	}
}

char *esc_dup(const void *p, size_t n)
{
	OWN_BUF struct buf b = BUF_INIT;

	esc_put(&b, p, n);
	return buf_take(&b);
}

char *esc_into(char *out, size_t size, const void *p, size_t n)
{
	OWN_BUF struct buf b = BUF_INIT;
	size_t len;

	esc_put(&b, p, n);
	len = b.len < size - 1 ? b.len : size - 1;
	if (b.failed)
		len = 0;
	if (len)
		memcpy(out, b.data, len);
	/* Cut: never inside an escape (a backslash within the last three bytes began one) or a character. */
	for (size_t k = 1; len < b.len && k <= 3 && k <= len; k++)
		if (out[len - k] == '\\')
			len -= k;
	out[len] = '\0';
	esc_trim(out);
	return out;
}

void esc_trim(char *s)
{
	size_t len = strlen(s), k = 0;

	while (k < 3 && k < len && ((unsigned char)s[len - 1 - k] & 0xc0) == 0x80)
		k++;
	/* s[len - 1 - k] begins the last character: whole, or not there any more */
	if (k < len && ((unsigned char)s[len - 1 - k] & 0x80) && esc_utf8_len(s + len - 1 - k, k + 1) != k + 1)
		s[len - 1 - k] = '\0';
}

static bool is_mtree_plain(uint8_t c)
{
	switch (c) {
	case '\\': case '#': case '=': case '*': case '?': case '[':
		return false;
	default:
		return c > 0x20 && c < 0x7f;
	}
}

/* Nearly every byte of nearly every name is plain: these are appended in runs. */
void esc_put_mtree(struct buf *b, const void *p, size_t n)
{
	const uint8_t *s = p;
	size_t from = 0;

	for (size_t i = 0; i < n; i++) {
		if (is_mtree_plain(s[i]))
			continue;
		buf_put(b, s + from, i - from);
		put_octal(b, s[i]);
		from = i + 1;
	}
	buf_put(b, s + from, n - from);
}

bool esc_undo(struct buf *b, const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		unsigned v = 0;

		if (s[i] != '\\') {
			buf_putc(b, s[i]);
			continue;
		}
		if (n - i < 4)
			return false;
		for (size_t k = 1; k <= 3; k++) {
			if (s[i + k] < '0' || s[i + k] > '7')
				return false;
			v = v * 8 + (unsigned)(s[i + k] - '0');
		}
		if (v > 255)
			return false;
		buf_putc(b, (char)v);
		i += 3;
	}
	return true;
}
