#include "pace.h"

#include <time.h>

#include "clock.h"

#define BURST_NS 100000000LL	/* so much may be ahead: sleeping for less costs more than it keeps */

void pace_bytes(struct pace *p, uint64_t n)
{
	int64_t now, ahead;
	struct timespec t;

	if (!p->rate)
		return;
	now = clock_mono_ns();
	if (p->free_at < now)
		p->free_at = now;
	p->free_at += (int64_t)((double)n * 1e9 / (double)p->rate);
	ahead = p->free_at - now;
	if (ahead < BURST_NS)
		return;
	t = (struct timespec){ ahead / 1000000000, ahead % 1000000000 };
	(void)nanosleep(&t, NULL);
}
