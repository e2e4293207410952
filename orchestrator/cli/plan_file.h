/*
 * plan_file - which file the plan of the ledger came from, so that a run by the plan's name can say that the file is another one now.
 */
#ifndef PLAN_FILE_H
#define PLAN_FILE_H

#include "plan.h"
#include "workspace.h"

/* p was read from path to be run: state.db keeps where that is. */
int plan_file_remember(struct workspace *w, const struct plan *p, const char *path, struct err *e) MUST_CHECK;
/* Warns when the file that p was last run from differs from it; one that is gone, or not known any more, is no reason to. */
int plan_file_warn(struct workspace *w, const struct plan *p, struct err *e) MUST_CHECK;

#endif
