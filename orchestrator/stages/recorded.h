/*
 * recorded - the plan as the ledger has it, and what happens when the file differs (contract 4.6).
 */
#ifndef RECORDED_H
#define RECORDED_H

#include "run.h"

/*
 * Brings the ledger's plan up to the one of this run: records a first version; an edited plan without standing approvals
 * becomes a new version (the difference is shown through show); with them ERR_REFUSED unless o->amend gives a reason.  Refused
 * always: another kind, another from or to of a dataset that has versions, any edit while clearing.
 */
int recorded_update(struct run *r, const struct plan_sum *sum, void (*show)(const char *diff), struct err *e) MUST_CHECK;

/* The recorded plan text of a plan in the ledger: 1 (appended), 0 = no such plan, -1. */
int recorded_text(struct workspace *w, const char *plan, struct buf *b, struct err *e) MUST_CHECK;

#endif
