/*
 * give_up - at cutover.give_up a take-over that has not reached its cut-over is ended, whatever it is doing.
 *
 *   give_up_start -> stages -> give_up_stop
 */
#ifndef GIVE_UP_H
#define GIVE_UP_H

#include "run.h"

struct give_up;
/* A thread that cancels r (r->gave_up tells why) when the time comes while it is frozen; NULL in *out when the plan has no such time. */
int give_up_start(struct run *r, struct give_up **out, struct err *e) MUST_CHECK;
/* From here on it is too late to give up, or too early (frozen false). */
void give_up_arm(struct run *r, bool frozen);
void give_up_stop(struct give_up *g);
static inline void give_up_stopp(struct give_up **g) { give_up_stop(*g); }

#endif
