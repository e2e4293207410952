#include "arena.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK 16384

struct arena_chunk {
	struct arena_chunk *next;
	alignas(max_align_t) unsigned char bytes[];
};

static struct arena_chunk *chunk_new(size_t n)
{
	return calloc(1, sizeof(struct arena_chunk) + n);
}

void *arena_alloc(struct arena *a, size_t n)
{
	const size_t align = alignof(max_align_t);
	struct arena_chunk *c;
	void *p;

	n = (n + align - 1) / align * align;
	if (!a->first || a->cap - a->used < n) {
		size_t cap = n > CHUNK ? n : CHUNK;

		if (!(c = chunk_new(cap)))
			return NULL;
		c->next = a->first;
		a->first = c;
		a->used = 0;
		a->cap = cap;
	}
	p = a->first->bytes + a->used;
	a->used += n;
	return p;
}

char *arena_strndup(struct arena *a, const char *s, size_t n)
{
	char *p = arena_alloc(a, n + 1);

	if (p)
		memcpy(p, s, n);
	return p;
}

void arena_dispose(struct arena *a)
{
	struct arena_chunk *c = a->first, *next;

	for (; c; c = next) {
		next = c->next;
		free(c);
	}
	*a = (struct arena)ARENA_INIT;
}
