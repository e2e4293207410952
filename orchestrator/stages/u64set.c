#include "u64set.h"

#include <string.h>

uint64_t u64set_key(const void *p, size_t n)
{
	const unsigned char *s = p;
	uint64_t h = 0xcbf29ce484222325u;

	while (n--)
		h = (h ^ *s++) * 0x100000001b3u;
	return h;
}

static size_t slot(const uint64_t *v, size_t cap, uint64_t key)
{
	size_t i = (size_t)(key * 0x9e3779b97f4a7c15u >> 20) & (cap - 1);

	while (v[i] && v[i] != key)
		i = (i + 1) & (cap - 1);
	return i;
}

static int grow(struct u64set *s)
{
	size_t cap = s->cap ? s->cap * 2 : 64;
	uint64_t *v = calloc(cap, sizeof(*v));

	if (!v)
		return -1;
	for (size_t i = 0; i < s->cap; i++)
		if (s->v[i])
			v[slot(v, cap, s->v[i])] = s->v[i];
	free(s->v);
	s->v = v;
	s->cap = cap;
	return 0;
}

int u64set_add(struct u64set *s, uint64_t key)
{
	size_t i;

	if (key == 0) {
		int added = !s->has_zero;

		s->has_zero = true;
		return added;
	}
	if ((s->n + 1) * 2 > s->cap && grow(s) < 0)
		return -1;
	i = slot(s->v, s->cap, key);
	if (s->v[i])
		return 0;
	s->v[i] = key;
	s->n++;
	return 1;
}

bool u64set_has(const struct u64set *s, uint64_t key)
{
	if (key == 0)
		return s->has_zero;
	return s->cap && s->v[slot(s->v, s->cap, key)] == key;
}
