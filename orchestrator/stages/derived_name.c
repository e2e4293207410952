#include "derived_name.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "digest.h"

#define DIGITS 8
#define SUFFIX_MAX 20

int derived_name(const char *name, const char *suffix, char out[DERIVED_NAME], struct err *e)
{
	size_t n = strlen(name), room = PLAN_NAME_MAX - strlen(suffix);
	uint8_t sum[DIGEST_LEN];
	char hex[DIGEST_HEX];

	if (n <= room) {
		(void)snprintf(out, DERIVED_NAME, "%s%s", name, suffix);
		return 0;
	}
	if (digest_sha256(name, n, sum, e) < 0)
		return -1;
	hex_of(sum, DIGEST_LEN, hex);
	(void)snprintf(out, DERIVED_NAME, "%.*s-%.*s%s", (int)(room - DIGITS - 1), name, DIGITS, hex, suffix);
	return 0;
}

/* Where the suffix of a derived name begins; NULL: it is none. */
static const char *suffix_of(const char *name)
{
	static const char rehearsal[] = "-rehearsal", saved[] = "-saved-";
	const char *last = NULL, *end;

	for (const char *s = name; (s = strstr(s, saved)); s++)
		last = s;
	if (last) {
		end = last + strlen(saved);
		if (*end && !end[strspn(end, "0123456789")])
			return last;
	}
	end = name + strlen(name);
	return end - name > (ptrdiff_t)strlen(rehearsal) && strcmp(end - strlen(rehearsal), rehearsal) == 0 ? end - strlen(rehearsal) : NULL;
}

int derived_from(const struct plan *p, const char *name, const struct plan_dataset **out, struct err *e)
{
	const char *suffix = suffix_of(name);

	*out = NULL;
	for (size_t i = 0; suffix && strlen(suffix) <= SUFFIX_MAX && i < p->ndatasets; i++) {
		char one[DERIVED_NAME];

		if (derived_name(p->datasets[i].name, suffix, one, e) < 0)
			return -1;
		if (strcmp(one, name) == 0)
			*out = &p->datasets[i];
	}
	return 0;
}
