/*
 * persist - a connection that is lost is made anew, within one run.
 *
 * An act that can be repeated (a pass, a verification: both go on from what is durable) is called again after a pause when one of its
 * connections died, fell silent or brought damaged bytes.  Pauses double from 0.5 s to 15 s.  It gives up after 60 s
 * (WAYBILL_PATIENCE: seconds, for tests and slow networks) in which nothing was acknowledged and no connection held for a minute; then
 * the last failure stands: ERR_TEMPORARY, or ERR_UNREACHABLE when the host could not even be reached again.
 *
 * A failure that is none of the connection's is returned at once, and so is the first connection that cannot be made: an address or a
 * key that is wrong does not become right.
 */
#ifndef PERSIST_H
#define PERSIST_H

#include "run.h"

int persist(struct run *r, int (*act)(void *ctx, struct err *e), void *ctx, struct err *e) MUST_CHECK;

#endif
