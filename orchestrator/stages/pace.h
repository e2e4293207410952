/*
 * pace - keeps the bytes of a pass within limits.bandwidth.
 *
 * Taking from the source more slowly is enough: its windows fill, and it stops reading (wire.h).  Rate over any two seconds stays
 * within the limit; nothing is owed for time in which the source had nothing to send.
 */
#ifndef PACE_H
#define PACE_H

#include <stdatomic.h>
#include <stdint.h>

struct pace { uint64_t rate; int64_t free_at; };	/* bytes a second, 0 = none; mono ns at which the bytes so far are paid for */
/* Sleeps as long as n further bytes ask for, or until *stop is set. */
void pace_bytes(struct pace *p, uint64_t n, const atomic_bool *stop);

#endif
