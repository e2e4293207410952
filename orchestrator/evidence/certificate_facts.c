/* What a plan says, kept in the ledger so that the certificate needs nothing but the ledger. */
#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "certificate.h"
#include "clock.h"
#include "esc.h"
#include "plan.h"

/* NULL stays out; everything else is escaped, as all foreign text in the ledger. */
static void set(json_t *j, const char *key, const char *s)
{
	OWN_FREE char *t = s ? esc_dup(s, strlen(s)) : NULL;

	if (t)
		(void)json_object_set_new(j, key, json_string(t));
}

static json_t *parties(const struct plan *p)
{
	json_t *list = json_array();

	for (size_t i = 0; i < p->nparties; i++) {
		json_t *j = json_object();

		set(j, "party", p->parties[i].key);
		set(j, "name", p->parties[i].name);
		set(j, "role", plan_role_name(p->parties[i].role));
		(void)json_array_append_new(list, j);
	}
	return list;
}

static json_t *people(const struct plan *p)
{
	json_t *list = json_array();

	for (size_t i = 0; i < p->npeople; i++) {
		json_t *j = json_object();

		set(j, "person", p->people[i].key);
		set(j, "name", p->people[i].name);
		set(j, "party", p->people[i].party);
		set(j, "duty", p->people[i].duty);
		set(j, "fingerprint", p->people[i].fingerprint);
		(void)json_array_append_new(list, j);
	}
	return list;
}

static json_t *lists(const struct plan_clear *c, int which)
{
	json_t *list = json_array();

	for (size_t i = 0; which == 0 && i < c->ndevices; i++) {
		json_t *j = json_object();

		set(j, "host", c->devices[i].at.host);
		set(j, "path", c->devices[i].at.path);
		set(j, "serial", c->devices[i].serial);
		(void)json_array_append_new(list, j);
	}
	for (size_t i = 0; which == 1 && i < c->ndiscard; i++) {
		json_t *j = json_object();

		set(j, "dataset", c->discard[i].dataset);
		set(j, "path", c->discard[i].path);
		set(j, "reason", c->discard[i].reason);
		(void)json_array_append_new(list, j);
	}
	for (size_t i = 0; which == 2 && i < c->ncopies; i++) {
		json_t *j = json_object();

		set(j, "what", c->copies[i].what);
		set(j, "held_by", c->copies[i].held_by);
		set(j, "statement", c->copies[i].statement);
		(void)json_array_append_new(list, j);
	}
	return list;
}

static json_t *operators(const struct plan *p)
{
	json_t *list = json_array();

	for (size_t i = 0; i < p->operators.n; i++)
		(void)json_array_append_new(list, json_string(p->operators.v[i]));
	return list;
}

static json_t *build(const struct plan *p)
{
	static const char *const methods[] = { [METHOD_AUTO] = "auto", [METHOD_OVERWRITE] = "overwrite", [METHOD_SANITIZE] = "sanitize",
		[METHOD_CRYPTO] = "crypto" };
	json_t *j = json_object(), *system = json_object(), *contract = json_object();
	char when[CLOCK_TEXT];

	set(j, "title", p->title);
	set(j, "kind", plan_kind_name(p->kind));
	set(system, "id", p->system.id);
	set(system, "level", p->system.level);
	set(system, "filing", p->system.filing);
	set(contract, "number", p->contract.number);
	if (p->contract.ends)
		set(contract, "ends", clock_text(p->contract.ends, p->timezone, when));
	(void)json_object_set_new(j, "system", system);
	(void)json_object_set_new(j, "contract", contract);
	(void)json_object_set_new(j, "parties", parties(p));
	(void)json_object_set_new(j, "people", people(p));
	(void)json_object_set_new(j, "operators", operators(p));
	set(j, "operator", p->clear.oper);
	set(j, "verifier", p->clear.verifier);
	set(j, "method", methods[p->clear.method]);
	set(j, "require", plan_verdict_name(p->clear.require));
	if (p->clear.retain_until)
		set(j, "retain_until", clock_text(p->clear.retain_until, p->timezone, when));
	(void)json_object_set_new(j, "devices", lists(&p->clear, 0));
	(void)json_object_set_new(j, "discard", lists(&p->clear, 1));
	(void)json_object_set_new(j, "copies", lists(&p->clear, 2));
	return j;
}

int certificate_facts(const struct plan *p, struct buf *b, struct err *e)
{
	json_t *j = build(p);
	OWN_FREE char *text = j ? json_dumps(j, JSON_COMPACT) : NULL;

	json_decref(j);
	if (!text) {
		errno = ENOMEM;
		return err_sys(e, "facts of plan %s", p->name);
	}
	buf_puts(b, text);
	return buf_finish(b, e);
}
