#include <string.h>

#include "rules.h"

/* ---- via ---- */

void rules_hosts(struct reader *r, const struct ynode *root)
{
	const struct plan *p = r->plan;
	const struct ynode *hosts = yaml_get(root, "hosts");

	for (size_t i = 0; i < p->nhosts; i++) {
		const struct plan_host *h = &p->hosts[i];
		const struct ynode *at = yaml_get(yaml_get(hosts, h->name), "via");
		const struct plan_host *next = h->via ? plan_host(p, h->via) : NULL;
		size_t steps = 0;

		if (!at)
			continue;
		if (h->via && strcmp(h->via, "local") == 0)
			node_fault(r, at, "leave via out", "every host is reached from \"local\" already");
		while (next && next != h && next->via && steps++ <= p->nhosts)
			next = plan_host(p, next->via);
		if (next == h)
			node_fault(r, at, NULL, "the way to host \"%s\" leads through itself", h->name);
	}
}

/* ---- overlapping places ---- */

struct spot { const struct plan_place *place; const char *dataset; const char *what; bool target; };

/* Two names for one machine are one machine. */
static bool same_host(const struct plan *p, const char *a, const char *b)
{
	const struct plan_host *ha = plan_host(p, a), *hb = plan_host(p, b);

	if (strcmp(a, b) == 0)
		return true;
	return ha && hb && ha->ssh && hb->ssh && strcmp(ha->ssh, hb->ssh) == 0 && ha->port == hb->port;
}

static bool beneath(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	if (strcmp(dir, "/") == 0)
		return true;
	return strncmp(path, dir, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

static void overlap_fault(struct reader *r, const struct spot *a, const struct spot *b)
{
	const struct ynode *at = reader_mark_of(r, a->place);

	if (!at)
		return;
	if (strcmp(a->place->path, b->place->path) == 0)
		node_fault(r, at, "every target needs a place of its own", "this target is also the %s of dataset \"%s\"",
		    b->what, b->dataset);
	else
		node_fault(r, at, "every target needs a place of its own", "this target lies %s %s:%s, the %s of dataset \"%s\"",
		    beneath(a->place->path, b->place->path) ? "beneath" : "above", b->place->host, b->place->path, b->what,
		    b->dataset);
}

static void compare(struct reader *r, const struct spot *v, size_t n)
{
	for (size_t i = 0; i < n && r->src.out->n < PLAN_FAULT_CAP; i++) {
		if (!v[i].target)
			continue;
		for (size_t k = 0; k < n; k++) {
			/* Of two targets the later one is named; a target against a source is always the target's fault. */
			if (k == i || (v[k].target && k > i))
				continue;
			if (same_host(r->plan, v[i].place->host, v[k].place->host) &&
			    (beneath(v[i].place->path, v[k].place->path) || beneath(v[k].place->path, v[i].place->path))) {
				overlap_fault(r, &v[i], &v[k]);
				break;
			}
		}
	}
}

void rules_targets(struct reader *r)
{
	const struct plan *p = r->plan;
	OWN_FREE struct spot *v = calloc(2 * p->ndatasets + p->rehearsal.nto + 1, sizeof(*v));
	size_t n = 0;

	if (!v) {
		r->src.out->out_of_memory = true;
		return;
	}
	for (size_t i = 0; i < p->ndatasets; i++) {
		const struct plan_dataset *d = &p->datasets[i];

		if (d->from.path)
			v[n++] = (struct spot){ &d->from, d->name, "source", false };
		if (d->to.path)
			v[n++] = (struct spot){ &d->to, d->name, "target", true };
	}
	for (size_t i = 0; i < p->rehearsal.nto; i++)
		if (p->rehearsal.to[i].to.path)
			v[n++] = (struct spot){ &p->rehearsal.to[i].to, p->rehearsal.to[i].dataset, "rehearsal place", true };
	compare(r, v, n);
}
