/*
 * derived_name - names of the datasets that a rehearsal or a roll-back records beside those of the plan.
 */
#ifndef DERIVED_NAME_H
#define DERIVED_NAME_H

#include "plan.h"

#define DERIVED_NAME (PLAN_NAME_MAX + 1)

/*
 * "NAME" "SUFFIX", at most PLAN_NAME_MAX characters.  A name that has no room is cut and carries eight digits of the SHA-256 of the whole,
 * so that two long names that begin alike stay two.  suffix is at most 20 characters.
 */
int derived_name(const char *name, const char *suffix, char out[DERIVED_NAME], struct err *e) MUST_CHECK;
/* The dataset of the plan whose name with "-rehearsal" or "-saved-ROUND" name is; *out NULL: none. */
int derived_from(const struct plan *p, const char *name, const struct plan_dataset **out, struct err *e) MUST_CHECK;

#endif
