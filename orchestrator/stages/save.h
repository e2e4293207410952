/*
 * save - rollback.save: what the target held when it was rolled back goes into the archive, as a dataset DATASET-saved-ROUND of its own.
 */
#ifndef SAVE_H
#define SAVE_H

#include "run.h"

/*
 * After a roll-back, while the source serves again: reads each dataset of rollback.save where the roll-back left what was written (the
 * target, or the tree that was set aside).  Goes on after a failure, whose first is in *e.
 */
int save_rolled_back(struct run *r, struct err *e) MUST_CHECK;

/*
 * The dataset of that name as the plan has it, or one that a rehearsal or a roll-back recorded (its filters are the plan's, its places are
 * not known): for reading the archive.  NULL: neither.  Lives as long as r.
 */
const struct plan_dataset *save_dataset(struct run *r, const char *name);

#endif
