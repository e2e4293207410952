/*
 * lanes - further connections of a session, opened while bytes flow and replaced when they have carried enough.
 *
 * hosts.H.connections and limits.connections say how many a session may have (4 unless told; the lesser counts).  The first is the
 * leader's; the others are opened one at a time, once the session has moved 8 MiB and as long as it goes on moving: a short
 * session never pays for them.  One that cannot be opened is tried again later and later, and is no fault: the session works without.
 * After 32 GiB (WAYBILL_RENEW: MiB, for tests) a connection is relieved by a fresh one.
 */
#ifndef SESSION_LANES_H
#define SESSION_LANES_H

#include "run.h"

#define LANES_TOKEN 33
struct session_lanes;

/* A token for START, or "" when this host's sessions have no lanes. */
void lanes_token(const struct run *r, const char *host, char out[LANES_TOKEN]);
/* NULL when the token is "" or nothing can be started: both mean no lanes.  s must outlive it. */
struct session_lanes *lanes_start(struct session *s, const char *token);
/* No more lanes are opened; before wire_close. */
void lanes_stop(struct session_lanes *l);
/* Hangs up; after wire_close.  NULL is fine in both. */
void lanes_free(struct session_lanes *l);

#endif
