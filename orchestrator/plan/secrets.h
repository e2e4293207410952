/*
 * secrets - the values behind "secret:NAME": read when they are needed, from the file or the variable that the plan names.
 *
 * They go to hooks and commands by wire, environment and standard input; never into argv, ledger, log or message.
 */
#ifndef SECRETS_H
#define SECRETS_H

#include "plan.h"

/* NAME of "secret:NAME"; NULL: an ordinary value. */
const char *secret_name(const char *value);
/*
 * The value of a secret of the plan, without line ends at its end.  ERR_USAGE names the file or variable that is missing, empty,
 * longer than 64 KiB, or has a NUL.
 */
int secret_read(const struct plan *p, const char *name, struct buf *out, struct err *e) MUST_CHECK;

#endif
