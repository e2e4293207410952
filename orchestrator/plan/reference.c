/* Names that refer to other parts of the plan: resolved once everything is read, so order does not matter. */
#include <string.h>

#include "schema.h"
#include "suggest.h"

static size_t name_count(const struct plan *p, enum ref_kind kind)
{
	switch (kind) {
	case REF_HOST: return p->nhosts;
	case REF_PARTY: return p->nparties;
	case REF_PERSON: return p->npeople;
	case REF_DATASET: return p->ndatasets;
	case REF_SECRET: return p->nsecrets;
	case REF_KINDS: break;
	}
	return 0;
}

static const char *name_at(const struct plan *p, enum ref_kind kind, size_t i)
{
	switch (kind) {
	case REF_HOST: return p->hosts[i].name;
	case REF_PARTY: return p->parties[i].key;
	case REF_PERSON: return p->people[i].key;
	case REF_DATASET: return p->datasets[i].name;
	case REF_SECRET: return p->secrets[i].name;
	case REF_KINDS: break;
	}
	return "";
}

static void check_one(struct reader *r, const struct ref *ref)
{
	static const char *const what[REF_KINDS] = { "host", "party", "person", "dataset", "secret" };
	static const char *const where[REF_KINDS] = { "hosts:", "parties:", "people:", "datasets:", "secrets:" };
	struct suggest near = SUGGEST_INIT(ref->name);
	size_t n = name_count(r->plan, ref->kind);
	char hint[160];

	for (size_t i = 0; i < n; i++) {
		const char *name = name_at(r->plan, ref->kind, i);

		if (strcmp(name, ref->name) == 0)
			return;
		suggest_try(&near, name);
	}
	if (near.best)
		(void)snprintf(hint, sizeof(hint), "did you mean \"%s\"?", near.best);
	else
		(void)snprintf(hint, sizeof(hint), "describe it under %s", where[ref->kind]);
	node_fault(r, ref->node, hint, "there is no %s \"%s\" in this plan", what[ref->kind], ref->name);
}

void references_check(struct reader *r)
{
	for (size_t i = 0; i < r->nrefs && r->src.out->n < PLAN_FAULT_CAP; i++)
		check_one(r, &r->refs[i]);
}
