#include <string.h>

#include "rules.h"
#include "words.h"

/* Where both stand in a plan, first comes before second; needed: second cannot stand without first. */
static const struct { enum plan_stage first, second; bool needed; } orders[] = {
	{ STAGE_COPY, STAGE_FREEZE, true },
	{ STAGE_COPY, STAGE_VERIFY, true },
	{ STAGE_FREEZE, STAGE_FINAL, false },
	{ STAGE_COPY, STAGE_FINAL, true },
	{ STAGE_FREEZE, STAGE_CUTOVER, false },
	{ STAGE_FINAL, STAGE_VERIFY, false },
	{ STAGE_VERIFY, STAGE_CUTOVER, true },
	{ STAGE_CUTOVER, STAGE_SMOKE, false },
	{ STAGE_VERIFY, STAGE_PACKAGE, true },
	{ STAGE_PACKAGE, STAGE_ACCEPT, true },
	{ STAGE_COPY, STAGE_RESTORE_TEST, true },
	{ STAGE_VERIFY, STAGE_CLEAR, true },
	{ STAGE_RESTORE_TEST, STAGE_CLEAR, true },
	{ STAGE_CLEAR, STAGE_CERTIFY, true },
};

static const struct ynode *stage_node(const struct ynode *list, enum plan_stage s)
{
	for (const struct ynode *c = list->first; c; c = c->next)
		if (strcmp(c->text, plan_stage_name(s)) == 0)
			return c;
	return list;
}

static void check_order(struct reader *r, const struct ynode *list)
{
	const struct plan *p = r->plan;

	if (p->nstages == 0)
		return;
	if (plan_stage_index(p, STAGE_PREFLIGHT) > 0)
		node_fault(r, stage_node(list, STAGE_PREFLIGHT), NULL, "preflight must be the first stage");
	for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
		int a = plan_stage_index(p, orders[i].first), b = plan_stage_index(p, orders[i].second);

		if (b >= 0 && a > b)
			node_fault(r, stage_node(list, orders[i].second), NULL, "the stage \"%s\" must come after \"%s\"",
			    plan_stage_name(orders[i].second), plan_stage_name(orders[i].first));
		else if (b >= 0 && a < 0 && orders[i].needed)
			node_fault(r, stage_node(list, orders[i].second), NULL, "the stage \"%s\" needs \"%s\" before it",
			    plan_stage_name(orders[i].second), plan_stage_name(orders[i].first));
	}
}

/* A gate that nobody will ever be asked at gives false safety. */
static void check_gates_exist(struct reader *r)
{
	const struct plan *p = r->plan;

	for (int s = 0; s < STAGE_COUNT; s++) {
		const struct ynode *at = reader_mark_of(r, &p->gates[s]);

		if (!at || plan_stage_index(p, (enum plan_stage)s) >= 0)
			continue;
		if (p->kind == PLAN_RETIREMENT && s == STAGE_CLEAR)
			continue;	/* demanded of every retirement, whatever its stages */
		key_fault(r, at, NULL, "a gate at \"%s\", but this plan has no such stage",
		    plan_stage_name((enum plan_stage)s));
	}
}

void rules_stages(struct reader *r, const struct ynode *root)
{
	const struct plan *p = r->plan;
	const struct ynode *list = yaml_get(root, "stages"), *cutover = yaml_get(root, "cutover");

	if (list && list->kind == Y_LIST)
		check_order(r, list);
	check_gates_exist(r);
	if (p->cutover.require_rehearsal && !yaml_get(root, "rehearsal"))
		node_fault(r, yaml_get(cutover, "require_rehearsal"), "add rehearsal: {to: {DATASET: HOST:/PATH}}",
		    "a rehearsal is required, but the plan has no place to rehearse");
}

void rules_clear(struct reader *r, const struct ynode *root)
{
	const struct plan *p = r->plan;
	const struct ynode *block = yaml_get(root, "clear"), *list = yaml_get(block, "datasets");

	if (block && plan_stage_index(p, STAGE_CLEAR) < 0 && p->kind != PLAN_RETIREMENT)
		key_fault(r, block, "make it a retirement, or a handover with clear", "a %s never clears anything",
		    plan_kind_name(p->kind));
	for (const struct ynode *c = list && list->kind == Y_LIST ? list->first : NULL; c; c = c->next) {
		const struct plan_dataset *d = plan_dataset(p, c->text);

		if (d && (d->kind == DATASET_COMMAND || d->kind == DATASET_DATABASE))
			node_fault(r, c, "name the files or the device that hold its data", "\"%s\" is a %s; only files and block "
			    "datasets can be cleared", d->name, plan_dataset_kind_name(d->kind));
	}
}
