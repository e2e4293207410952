/* arena - memory that lives and dies with one plan. */
#ifndef PLAN_ARENA_H
#define PLAN_ARENA_H

#include <stddef.h>

struct arena_chunk;
struct arena {
	struct arena_chunk *first;
	size_t used, cap;	/* of the first chunk */
};
#define ARENA_INIT { NULL, 0, 0 }

/* Zeroed bytes, aligned for any type; NULL when memory is exhausted. */
void *arena_alloc(struct arena *a, size_t n);
char *arena_strndup(struct arena *a, const char *s, size_t n);
void arena_dispose(struct arena *a);

#endif
