/*
 * lanes - further connections of a session, at the agent's side.
 *
 * The leader (the agent that got START) listens on a socket in the abstract name space, named by START's token; it leaves nothing behind
 * when it is killed.  `waybill-agent lane TOKEN`, started over another connection, hands its stdin and stdout to it and stays until
 * the leader is through with them.  Either side accepts nobody but its own user.
 */
#ifndef LANES_H
#define LANES_H

#include "agent.h"

struct agent_lanes;
/* Listens from when it returns.  token is hexadecimal, or "": then *out is NULL and no lane will come. */
int lanes_listen(struct wire *w, const char *token, struct agent_lanes **out, struct err *e) MUST_CHECK;
/* Takes no more of them; before wire_close.  NULL is fine. */
void lanes_stop(struct agent_lanes *l);

/* The whole of `waybill-agent lane TOKEN`; returns the exit code. */
int lane_main(const char *token);

#endif
