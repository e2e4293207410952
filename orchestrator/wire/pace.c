#include "pace.h"

#define SHORT_NS 20000000LL	/* so much may be ahead: sleeping for less costs more than it keeps */
#define PIECE_MIN 4096u

int64_t pace_wait(struct pace *p, uint64_t n, int64_t now)
{
	int64_t ahead;

	if (!p->rate)
		return 0;
	if (p->free_at < now)
		p->free_at = now;
	ahead = p->free_at - now;
	p->free_at += (int64_t)((double)n * 1e9 / (double)p->rate);
	return ahead < SHORT_NS ? 0 : ahead;
}

uint32_t pace_piece(const struct pace *p, uint32_t most)
{
	uint64_t n = p->rate / 10;

	if (!p->rate || n > most)
		return most;
	return n < PIECE_MIN ? PIECE_MIN : (uint32_t)n;
}
