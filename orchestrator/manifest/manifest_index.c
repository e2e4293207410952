#include "manifest.h"

#include <inttypes.h>
#include <string.h>

/* "ab/ab0123456789cdef.mtree" */
static bool is_chunk_name(const char *s, size_t n)
{
	uint8_t raw[8];
	char hex[17];

	if (n != 25 || s[2] != '/' || memcmp(s + 19, ".mtree", 6) != 0 || memcmp(s, s + 3, 2) != 0)
		return false;
	memcpy(hex, s + 3, 16);
	hex[16] = '\0';
	return hex_parse(hex, raw, sizeof(raw));
}

static bool get_count(const char *s, size_t n, uint64_t *out)
{
	uint64_t v = 0;

	if (n == 0 || n > 4 || s[0] == '0')
		return false;
	for (size_t i = 0; i < n; i++) {
		if (s[i] < '0' || s[i] > '9')
			return false;
		v = v * 10 + (uint64_t)(s[i] - '0');
	}
	*out = v;
	return v <= MANIFEST_CHUNK_MAX;
}

static bool parse_line(const char *p, size_t n, uint8_t d[DIGEST_LEN], uint64_t *entries, char name[MANIFEST_NAME])
{
	const char *space;
	char hex[DIGEST_HEX];

	if (n < 65 + 2 + 25 || p[64] != ' ')
		return false;
	memcpy(hex, p, 64);
	hex[64] = '\0';
	if (!hex_parse(hex, d, DIGEST_LEN) || !(space = memchr(p + 65, ' ', n - 65)))
		return false;
	if (!get_count(p + 65, (size_t)(space - p) - 65, entries) || !is_chunk_name(space + 1, n - (size_t)(space + 1 - p)))
		return false;
	memcpy(name, space + 1, 25);
	name[25] = '\0';
	return true;
}

int manifest_index_parse(const char *text, size_t n,
    int (*fn)(void *ctx, const uint8_t sha256[DIGEST_LEN], uint64_t entries, const char *name), void *ctx, struct err *e)
{
	const char *p = text, *end = text + n, *nl;

	if (n == 0)
		return err_set(e, ERR_INTEGRITY, "manifest/INDEX is empty");
	for (uint64_t line = 1; p < end; p = nl + 1, line++) {
		uint8_t d[DIGEST_LEN];
		char name[MANIFEST_NAME];
		uint64_t entries;

		nl = memchr(p, '\n', (size_t)(end - p));
		if (!nl || !parse_line(p, (size_t)(nl - p), d, &entries, name))
			return err_set(e, ERR_INTEGRITY, "manifest/INDEX, line %" PRIu64 ": malformed", line);
		if (fn(ctx, d, entries, name) != 0)
			return -1;
	}
	return 0;
}
