/*
 * eta - how long a copy will still take, from what its entries and its bytes have cost so far.
 *
 * A million small files and one large file go at different speeds, so both are modelled apart: time = a * entries +
 * b * bytes, fitted to recent samples (least squares, older ones weigh less; neither cost below zero) and scaled so that it
 * explains the time they really took.  While there is
 * too little to go by, the answer is that nobody knows.
 */
#ifndef ETA_H
#define ETA_H

#include <stdint.h>

struct eta {
	double t0, t;			/* seconds of the first and the last sample */
	uint64_t entries, bytes;	/* at the last sample */
	double ee, eb, bb, et, bt;	/* decayed sums of products of differences */
	double se, sb, st;		/* decayed sums of the differences */
	double rate;			/* bytes a second, decayed */
	unsigned samples;
};
#define ETA_INIT { .samples = 0 }

/* What had been done at time t (seconds of a clock that only goes forward).  A count that goes back starts anew. */
void eta_sample(struct eta *m, double t, uint64_t entries, uint64_t bytes);
/* Seconds still to go to the totals, or -1: not known (yet). */
double eta_seconds(const struct eta *m, uint64_t total_entries, uint64_t total_bytes);

#endif
