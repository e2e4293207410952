/*
 * activation - swap and merge: a dataset is built beside its target, and takes its place at the cut-over.
 *
 * The staged tree is ".waybill-PLAN-DATASET" in the target's directory, until the cut-over; after a swap the old tree has that name,
 * until rollback or finish.  What is rolled back becomes ".waybill-PLAN-DATASET.rolled-back-ROUND", until finish: it may hold what was
 * written since.  All of it can be done again after anything: inodes and a journal (place.h of the agent) tell what was done.
 */
#ifndef ACTIVATION_H
#define ACTIVATION_H

#include "run.h"

/*
 * The dataset as passes and verifications see it now: before the cut-over of a swapped or merged one its `to` is the staged tree;
 * else d itself.  Lives as long as r; NULL when memory is short.
 */
const struct plan_dataset *activation_dataset(struct run *r, const struct plan_dataset *d);

/* Is that one of activation_dataset whose `to` is the staged tree? */
bool activation_is_staged(const struct run *r, const struct plan_dataset *d);

/* Path of the staged tree at the target's host; owned, NULL = no memory. */
char *activation_staged_path(const struct run *r, const struct plan_dataset *d);
/* Where the last roll-back put what the target held; owned. */
char *activation_set_aside_path(const struct run *r, const struct plan_dataset *d);

/* ERR_REFUSED: a symlink, a mount point, mounts beneath, another device, a failed trial exchange, foreign entries without foreign:. */
int activation_preflight(struct run *r, const struct plan_dataset *d, uint64_t foreign, struct err *e) MUST_CHECK;
/* What is about to change places, for `cutover started`: {D: {activate, target, staged}}; a new reference. */
int activation_intent(struct run *r, json_t **out, struct err *e) MUST_CHECK;
/* Does what the recorded intent says, as far as it is not done. */
int activation_cut(struct run *r, struct err *e) MUST_CHECK;
/* All of it back, as far as it was done; goes on after a failure, whose first is in *e. */
int activation_undo(struct run *r, struct err *e) MUST_CHECK;
/* Drops what only a roll-back needs. */
int activation_finish(struct run *r, struct err *e) MUST_CHECK;

#endif
