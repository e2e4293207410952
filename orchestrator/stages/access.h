/*
 * access - is the access that clear.revoke names refused, now that everything is cleared?
 */
#ifndef ACCESS_H
#define ACCESS_H

#include "run.h"

/*
 * Tries to log in as each host and user of clear.revoke, by the plan's route and the operator's keys, and records `certify access`
 * {access: [{host, user, result: refused | open | unreachable, text}]}.  Nothing is recorded when the plan names none.  -1 only when that
 * could not be done; open logs are told by *open and *unknown (numbers of rows).
 */
int access_test(struct run *r, unsigned *open, unsigned *unknown, struct err *e) MUST_CHECK;

#endif
