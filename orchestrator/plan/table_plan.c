#include <string.h>

#include "clock.h"
#include "share.h"
#include "tables.h"
#include "words.h"

static void read_version(struct reader *r, void *obj, const struct ynode *n)
{
	(void)obj;
	if (node_scalar(r, n, "1") && strcmp(n->text, "1") != 0)
		node_fault(r, n, "this waybill reads version 1", "unknown version \"%s\" of the plan language", n->text);
}

static void read_state_secret(struct reader *r, void *obj, const struct ynode *n)
{
	const struct field f = { .key = "state_secret", .type = F_BOOL };
	bool v = false;

	(void)obj;
	value_read(r, &f, &v, n);
	if (v)
		node_fault(r, n, "hand it to the unit that is authorised for classified systems",
		    "a system that holds state secrets must not be moved or cleared with waybill: "
		    "such systems need certified means and staff");
}

static void read_timezone(struct reader *r, void *obj, const struct ynode *n)
{
	struct plan *p = obj;
	int32_t offset;

	if (!node_scalar(r, n, "a time zone such as Asia/Shanghai"))
		return;
	if (!clock_zone_offset(n->text, 0, &offset))
		node_fault(r, n, "a name of the IANA database, such as Asia/Shanghai or UTC",
		    "\"%s\" is not a known time zone", n->text);
	else
		p->timezone = reader_strndup(r, n->text, strlen(n->text));
}

static void read_rules(struct reader *r, void *obj, const struct ynode *n)
{
	OWN_FREE char *found = NULL;
	struct plan *p = obj;
	char why[256];

	if (!node_scalar(r, n, "the name of a rule profile"))
		return;
	p->rules = reader_strndup(r, n->text, strlen(n->text));
	if (r->alone)
		return;
	if (share_find_rules(p, p->rules, &found, why))
		p->rules_file = reader_strndup(r, found, strlen(found));
	else if (!r->recorded)
		node_fault(r, n, NULL, "no rule profile \"%s\": %s", n->text, why);
}

#define IN_SYSTEM(member) (offsetof(struct plan, system) + offsetof(__typeof__(((struct plan *)0)->system), member))
static const struct field system_fields[] = {
	{ .key = "id", .type = F_TEXT, .at = IN_SYSTEM(id) },
	{ .key = "level", .type = F_TEXT, .at = IN_SYSTEM(level) },
	{ .key = "filing", .type = F_TEXT, .at = IN_SYSTEM(filing) },
};
static const struct schema system_schema = { "system", FIELDS(system_fields), sizeof(struct plan), NOWHERE, NOWHERE,
	NULL, NULL };

static void read_system(struct reader *r, void *obj, const struct ynode *n) { schema_read(r, &system_schema, obj, n); }

#define IN_CONTRACT(member) \
	(offsetof(struct plan, contract) + offsetof(__typeof__(((struct plan *)0)->contract), member))
static const struct field contract_fields[] = {
	{ .key = "number", .type = F_TEXT, .at = IN_CONTRACT(number) },
	{ .key = "ends", .type = F_TIME, .at = IN_CONTRACT(ends) },
};
static const struct schema contract_schema = { "contract", FIELDS(contract_fields), sizeof(struct plan), NOWHERE,
	NOWHERE, NULL, NULL };

static void read_contract(struct reader *r, void *obj, const struct ynode *n)
{
	schema_read(r, &contract_schema, obj, n);
}

static void read_operators(struct reader *r, void *obj, const struct ynode *n)
{
	const struct field f = { .key = "operators", .type = F_REFS, .arg2 = REF_PERSON, .min = 1 };
	struct plan *p = obj;

	value_read(r, &f, &p->operators, n);
	p->has_operators = true;
}

/* The defaults of parts that the plan leaves out. */
static void plan_defaults(void *obj)
{
	struct plan *p = obj;

	passes_schema.defaults(&p->passes);
	limits_schema.defaults(&p->limits);
	archive_schema.defaults(&p->archive);
	package_schema.defaults(&p->package);
	clear_schema.defaults(&p->clear);
	p->clear.given = false;
}

static void plan_check(struct reader *r, void *obj, const struct ynode *node)
{
	const struct plan *p = obj;
	const struct ynode *datasets = yaml_get(node, "datasets");

	if (datasets && datasets->kind == Y_MAP && p->ndatasets == 0)
		node_fault(r, datasets, NULL, "a plan needs at least one dataset");
}

static const struct field plan_fields[] = {
	{ .key = "waybill", .type = F_CUSTOM, .required = true, .custom = read_version },
	{ .key = "name", .type = F_NAME, .at = FIELD(plan, name), .required = true },
	{ .key = "kind", .type = F_WORD, .at = FIELD(plan, kind), .required = true, .arg = kind_words },
	{ .key = "title", .type = F_TEXT, .at = FIELD(plan, title) },
	{ .key = "rules", .type = F_CUSTOM, .custom = read_rules },
	{ .key = "timezone", .type = F_CUSTOM, .custom = read_timezone },
	{ .key = "system", .type = F_CUSTOM, .custom = read_system },
	{ .key = "contract", .type = F_CUSTOM, .custom = read_contract },
	{ .key = "state_secret", .type = F_CUSTOM, .custom = read_state_secret },
	{ .key = "parties", .type = F_MAP, .at = FIELD(plan, parties), .arg = &party_schema },
	{ .key = "people", .type = F_MAP, .at = FIELD(plan, people), .arg = &person_schema },
	{ .key = "operators", .type = F_CUSTOM, .at = FIELD(plan, operators), .custom = read_operators },
	{ .key = "documents", .type = F_LIST, .at = FIELD(plan, documents), .arg = &document_schema },
	{ .key = "hosts", .type = F_MAP, .at = FIELD(plan, hosts), .arg = &host_schema },
	{ .key = "secrets", .type = F_MAP, .at = FIELD(plan, secrets), .arg = &secret_schema },
	{ .key = "datasets", .type = F_MAP, .at = FIELD(plan, datasets), .required = true, .arg = &dataset_schema },
	{ .key = "hooks", .type = F_CUSTOM, .at = FIELD(plan, hooks), .custom = read_hooks },
	{ .key = "gates", .type = F_CUSTOM, .at = FIELD(plan, gates), .custom = read_gates },
	{ .key = "passes", .type = F_STRUCT, .at = FIELD(plan, passes), .arg = &passes_schema },
	{ .key = "cutover", .type = F_STRUCT, .at = FIELD(plan, cutover), .arg = &cutover_schema },
	{ .key = "rollback", .type = F_STRUCT, .at = FIELD(plan, rollback), .arg = &rollback_schema },
	{ .key = "rehearsal", .type = F_STRUCT, .at = FIELD(plan, rehearsal), .arg = &rehearsal_schema },
	{ .key = "limits", .type = F_STRUCT, .at = FIELD(plan, limits), .arg = &limits_schema },
	{ .key = "archive", .type = F_STRUCT, .at = FIELD(plan, archive), .arg = &archive_schema },
	{ .key = "package", .type = F_STRUCT, .at = FIELD(plan, package), .arg = &package_schema },
	{ .key = "clear", .type = F_STRUCT, .at = FIELD(plan, clear), .arg = &clear_schema },
	{ .key = "stages", .type = F_CUSTOM, .at = FIELD(plan, stages), .custom = read_stages },
};
const struct schema plan_schema = { "a plan", FIELDS(plan_fields), sizeof(struct plan), NOWHERE, NOWHERE,
	plan_defaults, plan_check };
