/* manifest_private - what writer and reader of a manifest share; for this room only. */
#ifndef MANIFEST_PRIVATE_H
#define MANIFEST_PRIVATE_H

#include "manifest.h"

#define MANIFEST_MAGIC "#mtree\n"
#define MANIFEST_RANGES 64		/* data ranges a line: libarchive refuses lines beyond 1 MiB */

/* Running digests and counts of the canonical text. */
struct manifest_sum {
	struct digest *sha256, *sm3;
	struct manifest_totals totals;
};
int manifest_sum_init(struct manifest_sum *s, struct err *e) MUST_CHECK;
void manifest_sum_dispose(struct manifest_sum *s);
void manifest_sum_text(struct manifest_sum *s, const void *p, size_t n);
void manifest_sum_entry(struct manifest_sum *s, const struct entry *en);

/* Order and parents: the path before, and which of its ancestors (by length) are directories that are present. */
struct manifest_order {
	struct buf prev;		/* path; empty at the start */
	size_t *dirs;			/* lengths of the present directories along prev, ascending; 0 is the root; owned */
	size_t depth, cap;
};
#define MANIFEST_ORDER_INIT { BUF_INIT, NULL, 0, 0 }
void manifest_order_dispose(struct manifest_order *o);
/* ERR_INTEGRITY when en must not follow what came before. */
int manifest_order_check(struct manifest_order *o, const struct entry *en, struct err *e) MUST_CHECK;

/* One entry from its text: n bytes of whole lines.  ERR_INTEGRITY when it is not canonical. */
int manifest_parse(const char *text, size_t n, struct entry *en, struct err *e) MUST_CHECK;
/* Does this line (without its newline) begin an absent entry? */
bool manifest_is_absent_line(const char *line, size_t n);

#endif
