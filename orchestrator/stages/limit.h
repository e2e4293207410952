/*
 * limit - the bandwidth of a run: limits.bandwidth of its plan, until `waybill limit` says otherwise.
 *
 * `waybill limit` leaves its wish in state.db; the runner looks there twice a second and tells every session.  A new run begins with
 * what its plan says.  Limits are void while production is frozen.
 */
#ifndef LIMIT_H
#define LIMIT_H

#include "run.h"

/* Starts looking; a run that cannot do so goes on with its plan's limit. */
void limit_open(struct run *r);
void limit_close(struct run *r);
/* Frozen: no limit, from here on. */
void limit_frozen(struct run *r, bool frozen);
/* Under r->lock, for a session that begins: what holds now. */
uint64_t limit_now(const struct run *r);
/* The wish itself: bytes a second, 0 = off. */
int limit_wish(struct workspace *w, const char *plan, uint64_t rate, struct err *e) MUST_CHECK;

#endif
