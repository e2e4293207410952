/*
 * window - limits.window: the hours of the day in which passes over a live source may begin.
 */
#ifndef WINDOW_H
#define WINDOW_H

#include "run.h"

/* Is minute (0..1439) inside from..to, both minutes of the day; to <= from crosses midnight.  to itself is outside. */
bool window_holds(int from, int to, int minute);
/*
 * 0 when a pass may begin now: no window, inside it, or waited for (o->wait).  ERR_REFUSED says when it opens;
 * ERR_CANCELLED while waiting.
 */
int window_open(struct run *r, struct err *e) MUST_CHECK;

#endif
