#include "control.h"

#include <inttypes.h>
#include <stdio.h>

static const char *const storages[MSG_STORAGES] = { "plain", "inline", "encoded", "shared", "unmapped" };

const char *control_storage_name(enum msg_storage s) { return (unsigned)s < MSG_STORAGES ? storages[s] : "?"; }

static bool is_found(const uint8_t *found, size_t i) { return found[i / 8] >> i % 8 & 1; }

uint64_t control_count(const struct witness_set *s, const uint8_t *found)
{
	uint64_t n = 0;

	for (size_t i = 0; i < s->n; i++)
		n += is_found(found, i);
	return n;
}

static bool cell_blind(const struct control_cell *c) { return c->found * 100 < c->expected * 99; }

static bool expected(const struct witness_set *s, const struct witness *w, const bool *datasets)
{
	const struct witness_file *f = &s->files[w->file];

	if (w->cls == WITNESS_CANARY || w->form || f->old || !datasets[f->dataset])
		return false;
	return !(w->cls == WITNESS_SECTOR && f->storage == MSG_STORAGE_INLINE);
}

static void judge_cell(struct control *c, int cls, int storage)
{
	static const char *const why[MSG_STORAGES] = { "", " (kept inside the metadata)", " (stored compressed or encrypted)", "", "" };
	const struct control_cell *x = &c->cell[cls][storage];

	if (!cell_blind(x))
		return;
	if (cls == WITNESS_NAME) {
		c->names_blind = true;
		return;
	}
	if (!c->blind)
		(void)snprintf(c->reason, sizeof(c->reason), "before the clearing the scan saw only %" PRIu64 " of %" PRIu64 " %s of %s content%s",
		    x->found, x->expected, witness_class_name((enum witness_class)cls), storages[storage], why[storage]);
	c->blind = true;
}

void control_judge(const struct witness_set *s, const uint8_t *found, const bool *datasets, struct control *c)
{
	*c = (struct control){ .expected = 0 };
	for (size_t i = 0; i < s->n; i++) {
		const struct witness *w = &s->v[i];
		/* A name is kept by its directory, however the content is. */
		unsigned storage = w->cls == WITNESS_NAME ? (unsigned)MSG_STORAGE_PLAIN : s->files[w->file].storage;

		if (!expected(s, w, datasets))
			continue;
		c->cell[w->cls][storage].expected++;
		c->cell[w->cls][storage].found += is_found(found, i);
		if (w->cls != WITNESS_NAME) {
			c->expected++;
			c->found += is_found(found, i);
		}
	}
	for (int i = 0; i < WITNESS_CLASSES; i++)
		for (int k = 0; k < MSG_STORAGES; k++)
			judge_cell(c, i, k);
	if (!c->blind && c->expected == 0) {
		c->blind = true;
		(void)snprintf(c->reason, sizeof(c->reason), "there is no content that could be looked for");
	}
}

json_t *control_json(const struct control *c)
{
	json_t *cells = json_array();

	for (int i = 0; i < WITNESS_CLASSES; i++)
		for (int k = 0; k < MSG_STORAGES; k++)
			if (c->cell[i][k].expected)
				(void)json_array_append_new(cells, json_pack("{s:s,s:s,s:I,s:I,s:b}", "class", witness_class_name((enum witness_class)i),
				    "storage", storages[k], "expected", (json_int_t)c->cell[i][k].expected, "found",
				    (json_int_t)c->cell[i][k].found, "blind", cell_blind(&c->cell[i][k])));
	return json_pack("{s:I,s:I,s:b,s:s,s:o}", "found", (json_int_t)c->found, "expected", (json_int_t)c->expected, "blind", c->blind,
	    "reason", c->reason, "cells", cells);
}
