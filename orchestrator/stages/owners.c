#include "owners.h"

#include <errno.h>
#include <string.h>

#include "esc.h"
#include "places.h"

void owners_dispose(struct owners *o)
{
	free(o->v);
	*o = (struct owners)OWNERS_INIT;
}

static bool number_of(const char *s, uint32_t *id)
{
	unsigned long v;
	char *end;

	if (*s < '0' || *s > '9')
		return false;
	errno = 0;
	v = strtoul(s, &end, 10);
	if (errno || *end || v >= UINT32_MAX)
		return false;
	*id = (uint32_t)v;
	return true;
}

/* One side of the map at one host: a single session asks for all names. */
static int look_up(struct run *r, const struct plan_dataset *d, const char *host, bool old, struct owners *o, struct err *e)
{
	size_t n = d->files.nowners, argc = 3;
	OWN_FREE const char **args = calloc(2 * n + 4, sizeof(*args));
	char key[160];
	uint32_t id;
	json_t *facts;
	int res = 0;

	if (!args)
		return err_sys(e, "owners");
	args[0] = "facts";
	args[1] = "--root";
	args[2] = "/";
	for (size_t i = 0; i < n; i++) {
		const struct plan_owner *p = &d->files.owners[i];
		const char *name = old ? p->from : p->to;

		if (number_of(name, old ? &o->v[i].from : &o->v[i].to))
			continue;
		args[argc++] = p->group ? "--group" : "--user";
		args[argc++] = name;
	}
	if (argc == 3)
		return 0;
	if (place_ask(r, host, args, &facts, e) < 0)
		return -1;
	for (size_t i = 0; res == 0 && i < n; i++) {
		const struct plan_owner *p = &d->files.owners[i];
		const char *name = old ? p->from : p->to;

		if (number_of(name, &id))
			continue;
		(void)snprintf(key, sizeof(key), "%s.%s", p->group ? "group" : "user", name);
		if (number_of(place_fact(facts, key), &id))
			*(old ? &o->v[i].from : &o->v[i].to) = id;
		else
			res = err_set(e, ERR_USAGE, "dataset %s, owners: host %s knows no %s %s", d->name, host,
			    p->group ? "group" : "user", esc_s(name));
	}
	json_decref(facts);
	return res < 0 ? err_hint(e, "make the account there first, or write a number") : 0;
}

static int begin(const struct plan_dataset *d, struct owners *out, struct err *e)
{
	*out = (struct owners)OWNERS_INIT;
	if (!d->files.nowners)
		return 0;
	if (!(out->v = calloc(d->files.nowners, sizeof(*out->v))))
		return err_sys(e, "owners");
	out->n = d->files.nowners;
	for (size_t i = 0; i < out->n; i++)
		out->v[i].group = d->files.owners[i].group;
	return 0;
}

int owners_new(struct run *r, const struct plan_dataset *d, const char *host, struct owners *out, struct err *e)
{
	return begin(d, out, e) < 0 || (out->n && look_up(r, d, host, false, out, e) < 0) ? -1 : 0;
}

int owners_resolve(struct run *r, const struct plan_dataset *d, struct owners *out, struct err *e)
{
	if (owners_new(r, d, d->to.host, out, e) < 0)
		return -1;
	return out->n ? look_up(r, d, d->from.host, true, out, e) : 0;
}

/* The same entry gets the same answer as from the resolved map: the first pair of its kind that fits. */
static void expect_one(const struct plan_dataset *d, const struct owners *o, bool group, const char *name, uint32_t *id)
{
	uint32_t number;

	for (size_t i = 0; i < o->n; i++) {
		const struct plan_owner *p = &d->files.owners[i];

		if (p->group != group || (number_of(p->from, &number) ? number != *id : !name || strcmp(p->from, name) != 0))
			continue;
		*id = o->v[i].to;
		return;
	}
}

void owners_expect(const struct plan_dataset *d, const struct owners *o, const struct entry *en, uint32_t *uid, uint32_t *gid)
{
	expect_one(d, o, false, en->owner, uid);
	expect_one(d, o, true, en->group, gid);
}
