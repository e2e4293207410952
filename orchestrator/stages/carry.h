/*
 * carry - foreign: carry: what lay at a target before the first copy, and is not in the dataset, is copied into the staged tree.
 */
#ifndef CARRY_H
#define CARRY_H

#include "run.h"

/* With the target's own tar.  ERR_PERMANENT: tar could not do all of it. */
int carry_foreign(struct run *r, const struct plan_dataset *d, struct err *e) MUST_CHECK;

#endif
