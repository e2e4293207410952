#include "scan.h"

#include <errno.h>

/*
 * An unaligned witness is recognised at its anchor and lies at most 255 bytes to either side of it.  So the last 256 places of a
 * piece wait for the next one, and 256 bytes before them are kept.
 */
#define SIDE 256u

int search_init(struct search *s, const struct witness_table *t, uint8_t *found, size_t max, struct err *e)
{
	*s = (struct search){ .table = t, .found = found, .max = max };
	s->hits = malloc((max ? max : 1) * sizeof(*s->hits));
	if (!s->hits) {
		errno = ENOMEM;
		return err_sys(e, "hits");
	}
	return 0;
}

void search_dispose(struct search *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->hits[i].owner);
	free(s->hits);
	s->hits = NULL;
	s->n = 0;
}

static void on_hit(void *ctx, uint64_t at, uint32_t len, uint32_t index)
{
	struct search *s = ctx;

	if (s->own && ranges_hold(s->own, at)) {
		s->own_count++;
		return;
	}
	s->count[witness_table_class(s->table, index)]++;
	if (s->found)
		s->found[index / 8] |= (uint8_t)(1u << index % 8);
	if (s->n < s->max)
		s->hits[s->n++] = (struct scan_hit){ .at = at, .len = len, .witness = index };
}

/* The places that waited, when nothing follows them. */
static void flush_tail(struct search *s)
{
	struct witness_window w = { s->tail + SIDE, s->tail_before, SIDE, SIDE, s->tail_at };

	if (s->have_tail)
		witness_table_text(s->table, &w, on_hit, s);
	s->have_tail = false;
}

static void keep_tail(struct search *s, const struct piece *p, bool joined)
{
	size_t all = p->n + (joined ? 2 * SIDE : 0), have = all < 2 * SIDE ? all : 2 * SIDE;

	memset(s->tail, 0, sizeof(s->tail));
	memcpy(s->tail + 2 * SIDE - have, p->p + p->n - have, have);
	s->tail_before = have > SIDE ? have - SIDE : 0;
	s->tail_at = p->at + p->n - SIDE;
	s->have_tail = true;
}

void search_piece(struct search *s, const struct piece *p)
{
	bool joined = s->have_tail && s->tail_at + SIDE == p->at && s->tail_before == SIDE;
	struct witness_window w = { p->p, 0, p->n, p->n, p->at };

	witness_table_sectors(s->table, p->p, p->n - p->n % WITNESS_SECTOR_BYTES, p->at, on_hit, s);
	if (!witness_table_has_text(s->table))
		return;
	if (!joined)
		flush_tail(s);
	else
		memcpy(p->p - 2 * SIDE, s->tail, 2 * SIDE);
	if (p->n < 2 * SIDE) {	/* the end of a file: short, and nothing follows */
		w = joined ? (struct witness_window){ p->p - SIDE, SIDE, p->n + SIDE, p->n + SIDE, p->at - SIDE } : w;
		witness_table_text(s->table, &w, on_hit, s);
		s->have_tail = false;
		return;
	}
	if (joined)
		w = (struct witness_window){ p->p - SIDE, SIDE, p->n, p->n + SIDE, p->at - SIDE };
	else
		w.n = p->n - SIDE;
	witness_table_text(s->table, &w, on_hit, s);
	keep_tail(s, p, joined);
}

void search_end(struct search *s) { flush_tail(s); }
