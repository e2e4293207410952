#include "pace.h"

#include <time.h>

#include "clock.h"

#define BURST_NS 100000000LL	/* so much may be ahead: sleeping for less costs more than it keeps */

void pace_bytes(struct pace *p, uint64_t n, const atomic_bool *stop)
{
	const struct timespec nap = { 0, BURST_NS };
	int64_t now;

	if (!p->rate)
		return;
	now = clock_mono_ns();
	if (p->free_at < now)
		p->free_at = now;
	p->free_at += (int64_t)((double)n * 1e9 / (double)p->rate);
	while (p->free_at - clock_mono_ns() >= BURST_NS && !atomic_load(stop))
		(void)nanosleep(&nap, NULL);
}
