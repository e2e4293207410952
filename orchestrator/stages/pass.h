/*
 * pass - one staged copy of one dataset: source agent -> archive (-> target agent) -> manifest -> ledger.
 *
 * Each finished pass is a version.  A pass that was cut is taken up again by the next: what was acknowledged (durable
 * in the archive and at the target) is not sent again.
 */
#ifndef PASS_H
#define PASS_H

#include "manifest.h"
#include "run.h"

struct pass_result {
	uint64_t version;
	struct msg_done balance;
	struct manifest_totals totals;
	struct manifest_root root;
	uint64_t objects, stored;	/* new ones in this pass, and their stored bytes */
	uint64_t removed;		/* deleted at the target */
	uint64_t added, changed, gone;	/* against the version before, whatever became of it at the target */
	uint64_t blocked;		/* failed entries that known_faults does not cover */
	uint64_t problems;		/* entries the target could not take as they are */
	char losses[512];		/* what the target's rights do not keep, as announced: loss_counts_text */
	double seconds;
};

/*
 * stage is "copy" or "final" (then the source counts as frozen: a changing file is failed).  ERR_REFUSED: the source is
 * missing, emptied or another one than before.  ERR_WAITING: more deletions than limits.deletes, and no --yes.
 * Nothing is recorded unless 0.
 */
int pass_run(struct run *r, const struct plan_dataset *d, const char *stage, struct pass_result *out, struct err *e) MUST_CHECK;

/* Fills the filter and flag fields of a MSG_START for reading d (arrays borrowed from the plan: use pass_start_free). */
int pass_start(const struct run *r, const struct plan_dataset *d, uint64_t flags, struct msg_start *m, struct err *e) MUST_CHECK;

#endif
