/*
 * sweep - objects that a killed or cut pass stored and that no version names are removed once a pass is complete.
 *
 *   sweep_note before the first object of a pass, sweep_after once its version stands
 *
 * Nothing is removed while another process has the store open, while an entry of any unfinished pass is acknowledged (state.db), when
 * the store serves further workspaces, or when a version's names could not be read: then a later pass looks again.
 */
#ifndef SWEEP_H
#define SWEEP_H

#include "run.h"

/* Remembers the pass in state.db; one that stands there already did not end, and left something perhaps. */
int sweep_note(struct run *r, const struct plan_dataset *d, struct err *e) MUST_CHECK;
/*
 * Forgets it, and sweeps when something may lie there: first the event STAGE swept, then the removal, which a later sweep repeats for what
 * a crash between leaves.  What keeps it from sweeping is logged and no error; -1: state.db or the ledger.
 */
int sweep_after(struct run *r, const struct plan_dataset *d, const char *stage, struct err *e) MUST_CHECK;

#endif
