#include "entry.h"

struct holes { const struct entry *en; uint64_t grain; size_t next; };

/* Next hole of at least one grain, cut to whole grains; the end of the content counts as one.  False: no more. */
static bool next_hole(struct holes *h, uint64_t *from, uint64_t *to)
{
	const struct entry *en = h->en;

	while ((en->has & ENTRY_HAS_LAYOUT) && h->next <= en->layout_count) {
		size_t i = h->next++;
		uint64_t a = i ? en->layout[i - 1].offset + en->layout[i - 1].length : 0;
		uint64_t b = i < en->layout_count ? en->layout[i].offset : en->size;

		a += (h->grain - a % h->grain) % h->grain;
		if (b != en->size)
			b -= b % h->grain;
		if (a >= b)
			continue;
		*from = a;
		*to = b;
		return true;
	}
	return false;
}

bool entry_layout_alike(const struct entry *a, const struct entry *b, uint64_t grain)
{
	struct holes x = { a, grain ? grain : 1, 0 }, y = { b, grain ? grain : 1, 0 };
	uint64_t from[2] = { 0 }, to[2] = { 0 };

	for (;;) {
		bool more = next_hole(&x, &from[0], &to[0]);

		if (more != next_hole(&y, &from[1], &to[1]))
			return false;
		if (!more)
			return true;
		if (from[0] != from[1] || to[0] != to[1])
			return false;
	}
}
