#include <string.h>

#include "tables.h"
#include "words.h"

static const struct field device_fields[] = {
	{ .key = "at", .type = F_PLACE, .at = FIELD(plan_device, at), .required = true },
	{ .key = "serial", .type = F_TEXT, .at = FIELD(plan_device, serial) },
};
static const struct schema device_schema = { "a device", FIELDS(device_fields), sizeof(struct plan_device), NOWHERE,
	FIELD(plan_device, pos), NULL, NULL };

static const struct field discard_fields[] = {
	{ .key = "dataset", .type = F_REF, .at = FIELD(plan_discard, dataset), .required = true, .arg2 = REF_DATASET },
	{ .key = "path", .type = F_BENEATH, .at = FIELD(plan_discard, path), .required = true },
	{ .key = "reason", .type = F_TEXT, .at = FIELD(plan_discard, reason), .required = true },
};
static const struct schema discard_schema = { "a discard", FIELDS(discard_fields), sizeof(struct plan_discard), NOWHERE,
	FIELD(plan_discard, pos), NULL, NULL };

static const struct field revoke_fields[] = {
	{ .key = "host", .type = F_REF, .at = FIELD(plan_revoke, host), .required = true, .arg2 = REF_HOST },
	{ .key = "user", .type = F_TEXT, .at = FIELD(plan_revoke, user), .required = true },
};
static const struct schema revoke_schema = { "a revoke", FIELDS(revoke_fields), sizeof(struct plan_revoke), NOWHERE,
	NOWHERE, NULL, NULL };

static const struct field copy_fields[] = {
	{ .key = "what", .type = F_TEXT, .at = FIELD(plan_copy, what), .required = true },
	{ .key = "held_by", .type = F_TEXT, .at = FIELD(plan_copy, held_by) },
	{ .key = "statement", .type = F_TEXT, .at = FIELD(plan_copy, statement) },
};
static const struct schema copy_schema = { "a copy", FIELDS(copy_fields), sizeof(struct plan_copy), NOWHERE, NOWHERE,
	NULL, NULL };

static void clear_defaults(void *obj)
{
	struct plan_clear *c = obj;

	c->given = true;
	c->require = PLAN_VERDICT_CLEARED_SAMPLED;
	c->fresh_s = 24 * 3600;
}

static void clear_check(struct reader *r, void *obj, const struct ynode *node)
{
	const struct plan_clear *c = obj;

	if (c->oper && c->verifier && strcmp(c->oper, c->verifier) == 0)
		node_fault(r, yaml_get(node, "verifier"), "name another person",
		    "the verifier must not be the operator (\"%s\")", c->oper);
}

static const struct field clear_fields[] = {
	{ .key = "datasets", .type = F_REFS, .at = FIELD(plan_clear, datasets), .min = 1, .arg2 = REF_DATASET },
	{ .key = "devices", .type = F_LIST, .at = FIELD(plan_clear, devices), .arg = &device_schema },
	{ .key = "method", .type = F_WORD, .at = FIELD(plan_clear, method), .arg = method_words },
	{ .key = "require", .type = F_WORD, .at = FIELD(plan_clear, require), .arg = verdict_words },
	{ .key = "valid", .type = F_WINDOW, .at = FIELD(plan_clear, valid) },
	{ .key = "retain_until", .type = F_TIME, .at = FIELD(plan_clear, retain_until) },
	{ .key = "operator", .type = F_REF, .at = FIELD(plan_clear, oper), .arg2 = REF_PERSON },
	{ .key = "verifier", .type = F_REF, .at = FIELD(plan_clear, verifier), .arg2 = REF_PERSON },
	{ .key = "fresh", .type = F_DURATION, .at = FIELD(plan_clear, fresh_s), .min = 60, .max = 30 * 86400 },
	{ .key = "discard", .type = F_LIST, .at = FIELD(plan_clear, discard), .arg = &discard_schema },
	{ .key = "revoke", .type = F_LIST, .at = FIELD(plan_clear, revoke), .arg = &revoke_schema },
	{ .key = "copies", .type = F_LIST, .at = FIELD(plan_clear, copies), .arg = &copy_schema },
};
const struct schema clear_schema = { "clear", FIELDS(clear_fields), sizeof(struct plan_clear), NOWHERE, NOWHERE,
	clear_defaults, clear_check };
