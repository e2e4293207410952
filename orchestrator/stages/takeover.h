/*
 * takeover - what is asked before production is frozen, how long that will take, and which side serves.
 */
#ifndef TAKEOVER_H
#define TAKEOVER_H

#include "run.h"

/*
 * Seconds from the first freeze hook to the end of the cut-over, from what was measured: the last pass and verification of each
 * dataset (or its rehearsal), and the hooks when they last ran.  < 0: a dataset has no finished pass yet.
 */
double takeover_predict(const struct run *r);

/*
 * Everything that must hold before the freeze, for between freeze and smoke nothing waits for a person: window, rehearsal, predicted
 * end against give_up, and the confirmation.  ERR_REFUSED, ERR_WAITING (no confirmation).
 */
int takeover_ready(struct run *r, struct err *e) MUST_CHECK;

/* ERR_USAGE: the run would end while production is frozen, and nobody asked for that (contract 4.2). */
int takeover_ends_well(const struct run *r, enum plan_stage until, struct err *e) MUST_CHECK;

/* "source", "target", "none" or "unknown" */
const char *takeover_serving(const struct run *r);
/* Production is frozen, or may be: a run that was cut. */
bool takeover_interrupted(const struct run *r);

#endif
