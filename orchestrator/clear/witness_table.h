/*
 * witness_table - finds witnesses in bytes read off a medium.
 *
 *   witness_table_new -> witness_table_add* -> witness_table_ready -> witness_table_sectors | witness_table_text ...
 *
 * Two prefilters (bitmaps) keep most bytes away from the tables.  Memory is about 24 bytes a witness.  After ready it is only read:
 * any number of threads may search in it.
 */
#ifndef WITNESS_TABLE_H
#define WITNESS_TABLE_H

#include "witness.h"

struct witness_table;
/* n: how many will be added at most, of them texts unaligned ones. */
int witness_table_new(struct witness_table **out, const struct witness_key *k, uint32_t n, struct err *e) MUST_CHECK;
void witness_table_free(struct witness_table *t);
static inline void witness_table_freep(struct witness_table **t) { witness_table_free(*t); }

struct witness_item { enum witness_class cls; uint64_t hash; uint32_t tag; uint8_t len, off; };
/* Its number is that of the calls before.  ERR_INTEGRITY: more than n, or len and off outside the limits. */
int witness_table_add(struct witness_table *t, const struct witness_item *w, struct err *e) MUST_CHECK;
int witness_table_ready(struct witness_table *t, struct err *e) MUST_CHECK;
bool witness_table_has_text(const struct witness_table *t);
enum witness_class witness_table_class(const struct witness_table *t, uint32_t index);

/* at: offset on the medium; may be called for the same index again and again. */
typedef void (*witness_hit)(void *ctx, uint64_t at, uint32_t len, uint32_t index);

/* n bytes, a multiple of 512, that lie at a multiple of 512. */
void witness_table_sectors(const struct witness_table *t, const uint8_t *p, size_t n, uint64_t at, witness_hit hit, void *ctx);
/*
 * Texts whose anchor lies in p[0..n).  From p[-before] to p[avail - 1] there are bytes of the medium; 96 more after them must be
 * readable memory.
 */
struct witness_window { const uint8_t *p; size_t before, n, avail; uint64_t at; };
void witness_table_text(const struct witness_table *t, const struct witness_window *w, witness_hit hit, void *ctx);

#endif
