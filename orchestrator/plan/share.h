/*
 * share - where the files that a plan names are found: beside the plan, then among the installed ones.
 *
 * Installed: the folder named by WAYBILL_SHARE if it is set, else ../share/waybill and .. of the running program
 * (/usr/bin/waybill -> /usr/share/waybill; build/waybill -> the checkout), with hooks/ and rules/ beneath.
 */
#ifndef PLAN_SHARE_H
#define PLAN_SHARE_H

#include "plan.h"

/* The path of hook `run` in *found (owned by the caller), or false and why not. */
bool share_find_hook(const struct plan *p, const char *run, char **found, char why[256]);
/* The path of a rule profile: NAME or NAME.yaml beside the plan, or an installed one. */
bool share_find_rules(const struct plan *p, const char *name, char **found, char why[256]);

#endif
