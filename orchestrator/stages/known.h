/*
 * known - what need not be sent again: the last version, overlaid with the entries acknowledged in a pass that was cut.
 *
 * Both the sender of the known state and the merge of the answers read one of these each; they give the same sequence.
 */
#ifndef KNOWN_H
#define KNOWN_H

#include "version.h"

struct known_item {
	struct entry entry;
	struct location at;
	bool acked;		/* from the pass in progress, not from the last version */
	bool in_version;	/* the last version has an entry of this path (acked or not) */
};
void known_item_dispose(struct known_item *it);
#define OWN_ITEM OWN(known_item_dispose)

struct known;
/* version: the last complete one (0 = none); pass: the number of the version being made. */
int known_open(const struct workspace *w, const char *plan, const char *dataset, uint64_t version, uint64_t pass,
    struct known **out, struct err *e) MUST_CHECK;
int known_next(struct known *k, struct known_item *it, struct err *e) MUST_CHECK;	/* 1, 0, -1 */
void known_close(struct known *k);
static inline void known_closep(struct known **k) { known_close(*k); }

/* Row of state.db for an acknowledged entry. */
void known_row_encode(struct buf *b, const struct entry *en, const struct location *at);

#endif
