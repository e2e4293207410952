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

/* What a writer gives to be hashed, on a thread of its own from the first chunk on that is not the last (here if there can be none). */
struct manifest_hash;
/* Into sum, of which nobody else touches the digests until manifest_hash_index or _free. */
int manifest_hash_new(struct manifest_hash **out, struct manifest_sum *sum, struct err *e) MUST_CHECK;
/*
 * Waits for the text before and takes this one; text is empty afterwards.  What comes back is that text, to be read until the next
 * call.  name (shorter than MANIFEST_NAME) and entries are for its line of the index.
 */
const struct buf *manifest_hash_give(struct manifest_hash *h, struct buf *text, const char *name, uint64_t entries, bool last);
/* Waits, then the lines of all chunks: it may have failed for want of memory (buf_finish).  Lives as long as h. */
const struct buf *manifest_hash_index(struct manifest_hash *h);
void manifest_hash_free(struct manifest_hash *h);	/* NULL is fine */

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
