/*
 * rehearse - the plan's stages onto its rehearsal places: two passes with their verification and the rehearsal's smoke hooks, no freeze, no
 * cut-over.  Neither a source nor a production target is written.
 *
 * What is read goes into the archive as a dataset of its own, DATASET-rehearsal, so that the real one's history stays as it is.  The
 * second pass is what a final one will be; its time feeds the prediction of the freeze.
 */
#ifndef REHEARSE_H
#define REHEARSE_H

#include "run.h"

/*
 * r must be open as runner, the plan recorded.  keep: the places stay as they are; else they are removed.  ERR_USAGE: the plan has no
 * rehearsal.  ERR_REFUSED: production is frozen, or a place holds what no rehearsal put there.  ERR_INTEGRITY, ERR_UNVERIFIED: the
 * verification or a smoke hook said no, or could not be made.  Recorded as `rehearse done` or `rehearse failed`.
 */
int rehearse(struct run *r, bool keep, struct err *e) MUST_CHECK;

#endif
