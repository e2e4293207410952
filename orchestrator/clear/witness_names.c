/* A name in the encodings in which it may stand on a medium. */
#include <iconv.h>

#include "witness_set.h"

#define FORM_MAX (4u * 255u)

/* 0 when the name cannot be written so. */
static size_t convert(const char *from, const char *to, const char *p, size_t n, char out[FORM_MAX])
{
	iconv_t cd = iconv_open(to, from);
	char *in = (char *)(uintptr_t)p, *at = out;
	size_t left = n, room = FORM_MAX, r;

	if (cd == (iconv_t)-1)
		return 0;
	r = iconv(cd, &in, &left, &at, &room);
	(void)iconv_close(cd);
	return r == (size_t)-1 || left ? 0 : FORM_MAX - room;
}

/* The name as one encoding of text says it, in those others in which it may have been written down. */
static int add_forms(struct witness_set *s, const char *from, const char *p, size_t n, struct err *e)
{
	static const char *const forms[] = { "UTF-8", "GBK", "UTF-16LE", "UTF-16BE" };
	char out[FORM_MAX];

	for (unsigned i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		size_t len = strcmp(forms[i], from) == 0 ? 0 : convert(from, forms[i], p, n, out);

		if (len && !(len == n && memcmp(out, p, n) == 0) && witness_set_text(s, WITNESS_NAME, out, len, i + 1, e) < 0)
			return -1;
	}
	return 0;
}

int witness_set_name(struct witness_set *s, const char *path, size_t n, struct err *e)
{
	const char *slash = memrchr(path, '/', n), *name = slash ? slash + 1 : path;
	size_t len = n - (size_t)(name - path);
	char out[FORM_MAX];

	if (len < WITNESS_NAME_MIN || len > 255)
		return 0;
	if (witness_set_text(s, WITNESS_NAME, name, len, 0, e) < 0)
		return -1;
	return add_forms(s, convert("UTF-8", "UTF-16LE", name, len, out) ? "UTF-8" : "GBK", name, len, e);
}
