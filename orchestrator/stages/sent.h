/*
 * sent - names that a pass sends to its target, written down before they go.
 *
 * What was sent and not acknowledged when a pass was cut is known to no version and to no row of state.db.  Should it vanish at the
 * source before the next pass, it would lie at the target for ever like something foreign; so the next pass looks here.
 *
 * PLAN.D.sent beside the scan files: u8 type, path, NUL for each, as they were sent.  It outlives the process, not
 * the machine: it is not synced.
 */
#ifndef SENT_H
#define SENT_H

#include "run.h"

struct sent;
struct sent_name { char *path; enum entry_type type; };	/* owned by struct sent */

/* Opens the dataset's list; what earlier passes left there, and neither version nor the rows of pass know, is kept in it. */
int sent_open(struct run *r, const struct plan_dataset *d, uint64_t version, uint64_t pass, struct sent **out, struct err *e) MUST_CHECK;
int sent_add(struct sent *s, const char *path, enum entry_type type, struct err *e) MUST_CHECK;
int sent_flush(struct sent *s, struct err *e) MUST_CHECK;	/* before the target is told */
/* Left by earlier passes, in walk order. */
const struct sent_name *sent_left(const struct sent *s, size_t *n);
int sent_forget(struct run *r, const char *dataset, struct err *e) MUST_CHECK;	/* what was sent went elsewhere */
void sent_clear(struct sent *s);	/* the pass is a version: nothing is pending */
void sent_close(struct sent *s);	/* NULL is fine */

#endif
