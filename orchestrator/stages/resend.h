/*
 * resend - paths that a verification found different at the target, or damaged or missing in the archive: the next pass treats them as
 * not known, so that they are read at the source and sent again.
 *
 * Kept in state.db by plan and dataset as 64-bit keys of paths (u64set_key); a collision only sends an entry again.
 */
#ifndef RESEND_H
#define RESEND_H

#include "u64set.h"
#include "verify.h"
#include "workspace.h"

/* Replaces the list of v's side by what v found; an empty list when that is nothing.  The source's side has none. */
#define RESEND_ALL UINT64_C(0)	/* as a key: more differences than are kept by name, so everything is sent again */
int resend_note(struct run *r, const struct verify_result *v, struct err *e) MUST_CHECK;
/* The target is to be built anew: everything is sent again. */
int resend_everything(struct run *r, const char *dataset, struct err *e) MUST_CHECK;
/* A pass has sent all of it again: the archive has good objects now.  (The target's list waits for its next verification.) */
int resend_healed(struct run *r, const char *dataset, struct err *e) MUST_CHECK;
int resend_load(const struct workspace *w, struct state *s, const char *plan, const char *dataset, struct u64set *out, struct err *e) MUST_CHECK;

#endif
