/*
 * block_place - datasets whose place is no tree but a device or an image: how agents are started there, and what preflight looks at.
 */
#ifndef BLOCK_PLACE_H
#define BLOCK_PLACE_H

#include "run.h"

enum place_side { SIDE_SOURCE, SIDE_TARGET, SIDE_SOURCE_CHECK, SIDE_TARGET_CHECK };

/*
 * The agent that reads or writes the dataset's place: roles read, apply, verify for files, or those of a block dataset with their
 * options.  SIDE_*_CHECK: reads for verification; size: bytes of the content that is looked for, else 0.
 */
int place_session(struct run *r, const struct plan_dataset *d, enum place_side side, const char *host, const char *path, uint64_t size,
    struct msg_start *start, struct session **out, struct err *e) MUST_CHECK;

/* Refusals before anything is read: facts of both places into entry ("from", "to"). */
int block_preflight(struct run *r, const struct plan_dataset *d, json_t *entry, struct err *e) MUST_CHECK;

/*
 * Bytes are written where they belong at once, so a pass that was cut leaves a mixture of two versions, from which nothing may be
 * taken over.  writing: before the first byte; done: it stands in the ledger; cut: an earlier one began to write and does not.
 */
int block_pass_cut(struct run *r, const struct plan_dataset *d, bool *cut, struct err *e) MUST_CHECK;
int block_pass_writing(struct run *r, const struct plan_dataset *d, struct err *e) MUST_CHECK;
int block_pass_done(struct run *r, const struct plan_dataset *d, struct err *e) MUST_CHECK;

#endif
