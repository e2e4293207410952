/*
 * undo - back to the source: thaw before the cut-over, roll-back after it began; and the end of both, finish.
 *
 * None of them is stopped by a signal (run_shield).  Each may be run again: what is undone already is found so.
 */
#ifndef UNDO_H
#define UNDO_H

#include "run.h"

/* All thaw hooks, even if one fails.  ERR_DOWN: one did. */
int undo_thaw(struct run *r, const char *why, struct err *e) MUST_CHECK;
/* Rollback hooks, swapped places back, thaw hooks; all of them, even if one fails.  ERR_DOWN: one did. */
int undo_rollback(struct run *r, const char *why, struct err *e) MUST_CHECK;
/*
 * A stage failed: undoes what it must (contract 4.3), and says so in *e; what failed to be undone takes the place of the first
 * failure (ERR_DOWN).  Always -1.
 */
int undo_after(struct run *r, enum plan_stage failed, struct err *e);
/* A thaw or roll-back that was cut is brought to its end.  0: none was.  -1: ERR_TEMPORARY (done; run again), or ERR_DOWN. */
int undo_pending(struct run *r, struct err *e) MUST_CHECK;

/*
 * `waybill rollback`: ERR_REFUSED after rollback.until, finish, or once clearing began; ERR_WAITING without confirmation.
 * *done: whether there was anything to undo.
 */
int undo_command(struct run *r, bool *done, struct err *e) MUST_CHECK;
/* `waybill finish`.  ERR_REFUSED: the plan is not at its end. */
int finish_command(struct run *r, bool *done, struct err *e) MUST_CHECK;

#endif
