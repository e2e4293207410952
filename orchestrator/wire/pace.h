/*
 * pace - keeps bytes within a rate.
 *
 * Whoever sends asks before each piece how long to wait.  Over any two seconds the rate is kept within 5 %; nothing is owed for time in
 * which there was nothing to send, so a pause is not made up for by a burst.
 */
#ifndef PACE_H
#define PACE_H

#include <stdint.h>

struct pace { uint64_t rate; int64_t free_at; };	/* bytes a second, 0 = none; mono ns at which the bytes so far are paid for */

/* Nanoseconds from now (mono ns) until the next n bytes may go; they count as sent then. */
int64_t pace_wait(struct pace *p, uint64_t n, int64_t now);
/* Largest piece that keeps the rate even: what goes in a tenth of a second, 4 KiB to most. */
uint32_t pace_piece(const struct pace *p, uint32_t most);

#endif
