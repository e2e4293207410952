#include "filter.h"

#include <stddef.h>
#include <string.h>

/* A class at p (behind '['): its end, or NULL when it is none.  *hit: does c belong to it? */
static const char *match_class(const char *p, char c, bool *hit)
{
	bool negate = *p == '!' || *p == '^', found = false, first = true;

	if (negate)
		p++;
	for (; *p && (first || *p != ']'); first = false) {
		unsigned char lo, hi;

		if (*p == '\\' && p[1])
			p++;
		lo = hi = (unsigned char)*p++;
		if (p[0] == '-' && p[1] && p[1] != ']') {
			p++;
			if (*p == '\\' && p[1])
				p++;
			hi = (unsigned char)*p++;
		}
		found |= lo <= (unsigned char)c && (unsigned char)c <= hi;
	}
	if (*p != ']')
		return NULL;
	*hit = found != negate && c != '/';
	return p + 1;
}

/* One pattern element but a star against *s: how many pattern bytes it took, 0 = no match. */
static size_t match_one(const char *p, const char *p_end, char c)
{
	if (*p == '?')
		return c != '/' ? 1 : 0;
	if (*p == '[') {
		bool hit = false;
		const char *end = match_class(p + 1, c, &hit);

		if (end && end <= p_end)
			return hit ? (size_t)(end - p) : 0;
	}
	if (*p == '\\' && p + 1 < p_end)
		return p[1] == c ? 2 : 0;
	return *p == c ? 1 : 0;
}

/*
 * Two places to come back to, the last '*' and the last "**": going back to an earlier one never helps, so the time
 * is bounded by pattern times text, whatever the pattern.
 */
static bool glob(const char *p, const char *p_end, const char *s)
{
	const char *star = NULL, *star_s = NULL, *deep = NULL, *deep_s = NULL;

	for (;;) {
		size_t k;

		if (p < p_end && *p == '*') {
			bool two = p + 1 < p_end && p[1] == '*';

			while (p < p_end && *p == '*')
				p++;
			if (two) {
				deep = p;
				deep_s = s;
				star = NULL;
			} else {
				star = p;
				star_s = s;
			}
			continue;
		}
		if (p == p_end && !*s)
			return true;
		if (*s && p < p_end && (k = match_one(p, p_end, *s))) {
			p += k;
			s++;
			continue;
		}
		if (star && *star_s && *star_s != '/') {
			p = star;
			s = ++star_s;
		} else if (deep && *deep_s) {
			p = deep;
			s = ++deep_s;
			star = NULL;
		} else {
			return false;
		}
	}
}

bool filter_match(const char *pattern, const char *path, bool is_dir)
{
	const char *end = pattern + strlen(pattern);
	bool anchored = pattern[0] == '/';

	if (end > pattern + 1 && end[-1] == '/' && end[-2] != '\\') {
		if (!is_dir)
			return false;
		end--;
	}
	if (anchored)
		return glob(pattern + 1, end, path);
	if (!memchr(pattern, '/', (size_t)(end - pattern)) && !memmem(pattern, (size_t)(end - pattern), "**", 2)) {
		const char *slash = strrchr(path, '/');

		return glob(pattern, end, slash ? slash + 1 : path);
	}
	/* As with rsync, what "**" stands for at the beginning may be nothing. */
	if (strncmp(pattern, "**/", 3) == 0 && glob(pattern + 3, end, path))
		return true;
	for (const char *tail = path; tail; tail = (tail = strchr(tail, '/')) ? tail + 1 : NULL)
		if (glob(pattern, end, tail))
			return true;
	return false;
}

const char *filter_find(char *const *patterns, const char *path, bool is_dir)
{
	for (; patterns && *patterns; patterns++)
		if (filter_match(*patterns, path, is_dir))
			return *patterns;
	return NULL;
}
