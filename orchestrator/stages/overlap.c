#include "overlap.h"

#include <string.h>

#include "places.h"

struct place {
	const struct plan_dataset *d;
	const char *host, *path;
	const json_t *facts;
	bool target;
};

/* The inode that the place itself has; empty while it is still to be made. */
static size_t own_id(const struct place *p, const char **id)
{
	*id = place_fact(p->facts, "chain");
	return strcmp(place_fact(p->facts, "exists"), "yes") == 0 ? strcspn(*id, " ") : 0;
}

static bool same_kernel(const struct place *a, const struct place *b)
{
	const char *boot = place_fact(a->facts, "boot");

	return strcmp(a->host, b->host) == 0 || (boot[0] && strcmp(boot, place_fact(b->facts, "boot")) == 0);
}

/* Is outer the place inner, or a directory above it? */
static bool holds(const struct place *outer, const struct place *inner)
{
	const char *id, *at = place_fact(inner->facts, "chain");
	size_t n = own_id(outer, &id);

	while (n && *at) {
		size_t len = strcspn(at, " ");

		if (len == n && memcmp(at, id, n) == 0)
			return true;
		at += len + (at[len] == ' ');
	}
	return false;
}

static int compare(const struct place *t, const struct place *p, struct err *e)
{
	char target[PLACE_NAME], other[PLACE_NAME];
	const char *how = NULL;

	if (!same_kernel(t, p))
		return 0;
	if (holds(t, p))
		how = holds(p, t) ? "is the same directory as" : "lies above";
	else if (holds(p, t))
		how = "lies beneath";
	if (!how)
		return 0;
	err_set(e, ERR_REFUSED, "%s, the target of dataset %s, %s %s, the %s of dataset %s, by whatever symlinks and mounts lead there",
	    place_name(t->host, t->path, target), t->d->name, how, place_name(p->host, p->path, other),
	    p->target ? "target" : "source", p->d->name);
	return err_hint(e, "give every target a place of its own");
}

static size_t collect(const struct run *r, const json_t *datasets, struct place *v)
{
	size_t n = 0;

	for (size_t i = 0; i < r->plan->ndatasets; i++) {
		const struct plan_dataset *d = &r->plan->datasets[i];
		const json_t *entry = json_object_get(datasets, d->name);
		const json_t *from = json_object_get(entry, "from"), *to = json_object_get(entry, "to");

		if (from)
			v[n++] = (struct place){ d, d->from.host, d->from.path, from, false };
		if (to)
			v[n++] = (struct place){ d, d->to.host, d->to.path, to, true };
	}
	return n;
}

static void forget(json_t *datasets)
{
	const char *name, *side;
	json_t *entry, *facts;

	json_object_foreach(datasets, name, entry)
		json_object_foreach(entry, side, facts)
			if (json_is_object(facts)) {
				(void)json_object_del(facts, "chain");
				(void)json_object_del(facts, "boot");
			}
}

int overlap_check(const struct run *r, json_t *datasets, struct err *e)
{
	struct place *v = calloc(r->plan->ndatasets * 2 + 1, sizeof(*v));
	size_t n;
	int res = 0;

	if (!v)
		return err_sys(e, "preflight");
	n = collect(r, datasets, v);
	for (size_t i = 0; res == 0 && i < n; i++)
		for (size_t k = 0; res == 0 && v[i].target && k < n; k++)
			if (k != i && !(v[k].target && k < i))
				res = compare(&v[i], &v[k], e);
	free(v);
	forget(datasets);
	return res;
}
