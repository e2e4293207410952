/* ledger_txn - a transaction's inside, for the two files that make it. */
#ifndef LEDGER_TXN_H
#define LEDGER_TXN_H

#include "ledger_private.h"

struct change { char *path; bool remove; git_oid blob; };	/* path owned */
struct pending { git_oid id; void *data; size_t len; };		/* data owned */

struct ledger_txn {
	struct ledger *l;		/* borrowed */
	char *plan;
	struct change *changes;
	size_t change_count;
	struct pending *pending;	/* new blobs, while they are few */
	size_t pending_count, pending_bytes;
	struct pack_stream *pack;	/* else */
	char **tags;
	size_t tag_count;
};

#define OWN_TXN OWN(ledger_txn_freep)
static inline void ledger_txn_freep(struct ledger_txn **t) { ledger_txn_abandon(*t); }

/* The collected changes onto a tree. */
int txn_apply(const struct ledger_txn *t, struct tree *tree, struct err *e) MUST_CHECK;
/* All blobs, and with many of them the directories that hold them, durable in the repository. */
int txn_flush(struct ledger_txn *t, struct err *e) MUST_CHECK;

#endif
