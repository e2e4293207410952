/* u64set - a small open-addressing set of 64-bit keys (0 is allowed). */
#ifndef U64SET_H
#define U64SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "err.h"

struct u64set { uint64_t *v; size_t n, cap; bool has_zero; };
#define U64SET_INIT { NULL, 0, 0, false }
static inline void u64set_dispose(struct u64set *s) { free(s->v); *s = (struct u64set)U64SET_INIT; }
/* 1 = added, 0 = was there, -1 = out of memory. */
int u64set_add(struct u64set *s, uint64_t key);
bool u64set_has(const struct u64set *s, uint64_t key);
/* FNV-1a 64 of n bytes (a collision must be harmless to the caller). */
uint64_t u64set_key(const void *p, size_t n);

#endif
