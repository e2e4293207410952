/*
 * foreign - what lay at a target before the first copy: listed in the archive, never deleted, no difference.
 */
#ifndef FOREIGN_H
#define FOREIGN_H

#include "run.h"

struct foreign;		/* sorted by walk order */
/* The recorded list of the dataset's target (NULL in *out when there is none): what the ledger says, else state.db. */
int foreign_load(struct run *r, const struct plan_dataset *d, struct foreign **out, struct err *e) MUST_CHECK;
bool foreign_has(const struct foreign *f, const char *path, size_t n);	/* f may be NULL */
/* The i-th path in walk order; NULL behind the last.  Borrowed. */
const char *foreign_path(const struct foreign *f, size_t i);
void foreign_free(struct foreign *f);
/* The dataset has no version, and its target is another one now: that is looked at anew. */
int foreign_forget(struct run *r, const struct plan_dataset *d, struct err *e) MUST_CHECK;
static inline void foreign_freep(struct foreign **f) { foreign_free(*f); }

/*
 * Walks the target (without reading contents) before its first version, keeps the list of what is there as a document in the archive and
 * its digest in facts ("foreign_count", "foreign_sha256") and in state.db.  A target that was looked at before is not looked at
 * again: what lies there by now may be ours, from a first pass that was cut.
 */
int foreign_record(struct run *r, const struct plan_dataset *d, bool exists, json_t *facts, struct err *e) MUST_CHECK;
/* The facts of that record once more, for the event of the first version (--only records no preflight). */
int foreign_facts(struct run *r, const struct plan_dataset *d, json_t *facts, struct err *e) MUST_CHECK;

#endif
