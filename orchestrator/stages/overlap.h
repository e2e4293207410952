/*
 * overlap - no target may be, hold or lie in another place of its plan.
 *
 * The plan's check compares paths; this compares what the hosts say stands there, so that a symlink, a bind mount or two names of
 * one machine cannot make a run write over its own source.
 */
#ifndef OVERLAP_H
#define OVERLAP_H

#include "run.h"

/*
 * datasets: of preflight, NAME: {from, to}, each the facts of a place.  ERR_REFUSED names both places.  The facts that only this
 * comparison needs are taken out of datasets in any case.
 */
int overlap_check(const struct run *r, json_t *datasets, struct err *e) MUST_CHECK;

#endif
