#include <string.h>

#include "scalar.h"
#include "share.h"
#include "tables.h"
#include "words.h"

/* ---- hooks ---- */

static void hook_defaults(void *obj)
{
	static const char *const local[] = { "local" };
	struct plan_hook *h = obj;

	h->hosts = (struct plan_strings){ local, 1 };
	h->timeout_s = 300;
	h->tries = 1;
	h->every_s = 5;
}

static void hook_run(struct reader *r, void *obj, const struct ynode *n)
{
	struct plan_hook *h = obj;
	OWN_FREE char *found = NULL;
	char why[256];

	if (!node_scalar(r, n, "the name of a hook"))
		return;
	if (!*n->text || strpbrk(n->text, "\\\n\r\t") || n->text[0] == '-') {
		node_fault(r, n, "the file name of a program beside the plan, or of an installed hook",
		    "\"%s\" cannot be the name of a hook", n->text);
		return;
	}
	h->run = reader_strndup(r, n->text, strlen(n->text));
	if (r->alone)
		return;
	if (share_find_hook(r->plan, h->run, &found, why))
		h->file = reader_strndup(r, found, strlen(found));
	else if (!r->recorded)
		node_fault(r, n, "a hook is an executable file beside the plan, or one of the installed ones",
		    "no hook \"%s\": %s", h->run, why);
}

static const struct field hook_fields[] = {
	{ .key = "run", .type = F_CUSTOM, .at = FIELD(plan_hook, run), .required = true, .custom = hook_run },
	{ .key = "host", .type = F_REFS, .at = FIELD(plan_hook, hosts), .min = 1, .arg2 = REF_HOST },
	{ .key = "user", .type = F_TEXT, .at = FIELD(plan_hook, user) },
	{ .key = "with", .type = F_PAIRS, .at = FIELD(plan_hook, with) },
	{ .key = "timeout", .type = F_SECONDS, .at = FIELD(plan_hook, timeout_s), .min = 1, .max = 7 * 86400 },
	{ .key = "tries", .type = F_INT, .at = FIELD(plan_hook, tries), .min = 1, .max = 1000 },
	{ .key = "every", .type = F_SECONDS, .at = FIELD(plan_hook, every_s), .min = 1, .max = 86400 },
};
static const struct schema hook_schema = { "a hook", FIELDS(hook_fields), sizeof(struct plan_hook), NOWHERE,
	FIELD(plan_hook, pos), hook_defaults, NULL };

void read_hook_list(struct reader *r, struct plan_hooks *out, const struct ynode *list)
{
	const struct field f = { .key = "hooks", .type = F_LIST, .arg = &hook_schema };

	schema_read_value(r, &f, out, list);
}

void read_hooks(struct reader *r, void *plan, const struct ynode *map)
{
	struct plan *p = plan;
	char h[128];

	if (!node_map(r, map, "POINT: [hooks]"))
		return;
	for (const struct ynode *c = map->first; c; c = c->next) {
		int point = word_index(point_words, c->key->text);
		const char *hint = hint_for_word(c->key->text, point_words, h);

		if (point >= 0)
			read_hook_list(r, &p->hooks[point], c);
		else
			node_fault(r, c->key, hint ? hint :
			    "before-copy, after-copy, freeze, thaw, cutover, rollback, smoke or done",
			    "there is no point \"%s\" for hooks", c->key->text);
	}
}

/* ---- gates ---- */

static const struct field gate_fields[] = {
	{ .key = "approve", .type = F_REFS, .at = FIELD(plan_gate, approve), .required = true, .min = 1,
	  .arg2 = REF_PARTY },
};
static const struct schema gate_schema = { "a gate", FIELDS(gate_fields), sizeof(struct plan_gate), NOWHERE,
	FIELD(plan_gate, pos), NULL, NULL };

void read_gates(struct reader *r, void *plan, const struct ynode *map)
{
	struct plan *p = plan;
	char h[128];

	if (!node_map(r, map, "STAGE: {approve: [parties]}"))
		return;
	for (const struct ynode *c = map->first; c; c = c->next) {
		int stage = word_index(stage_words, c->key->text);

		if (stage >= 0) {
			reader_mark(r, &p->gates[stage], c);
			schema_read(r, &gate_schema, &p->gates[stage], c);
		} else {
			node_fault(r, c->key, hint_for_word(c->key->text, stage_words, h), "there is no stage \"%s\"",
			    c->key->text);
		}
	}
}

/* ---- stages ---- */

void read_stages(struct reader *r, void *plan, const struct ynode *list)
{
	bool seen[STAGE_COUNT] = { false };
	struct plan *p = plan;
	enum plan_stage *v;
	char h[128];

	if (list->kind != Y_LIST || list->count == 0) {
		node_fault(r, list, "such as [preflight, copy, verify]", "expected a list of stages, found %s",
		    list->kind == Y_LIST ? "an empty one" : node_found(list));
		return;
	}
	if (!(v = reader_alloc(r, STAGE_COUNT * sizeof(*v))))
		return;
	for (const struct ynode *c = list->first; c; c = c->next) {
		int stage;

		if (!node_scalar(r, c, "a stage"))
			continue;
		stage = word_index(stage_words, c->text);
		if (stage < 0) {
			node_fault(r, c, hint_for_word(c->text, stage_words, h), "there is no stage \"%s\"", c->text);
		} else if (seen[stage]) {
			node_fault(r, c, NULL, "the stage \"%s\" stands twice", c->text);
		} else {
			seen[stage] = true;
			v[p->nstages++] = (enum plan_stage)stage;
		}
	}
	p->stages = v;
	p->own_stages = true;
}

/* ---- passes, cutover, rollback, rehearsal ---- */

static void passes_defaults(void *obj) { *(struct plan_passes *)obj = (struct plan_passes){ 3, 60, true }; }

static const struct field passes_fields[] = {
	{ .key = "max", .type = F_INT, .at = FIELD(plan_passes, max), .min = 1, .max = 1000 },
	{ .key = "until", .type = F_DURATION, .at = FIELD(plan_passes, until_s), .min = 0, .max = 30 * 86400 },
	{ .key = "verify", .type = F_BOOL, .at = FIELD(plan_passes, verify) },
};
const struct schema passes_schema = { "passes", FIELDS(passes_fields), sizeof(struct plan_passes), NOWHERE, NOWHERE,
	passes_defaults, NULL };

static void cutover_check(struct reader *r, void *obj, const struct ynode *node)
{
	const struct plan_cutover *c = obj;

	if (c->give_up && c->window.given && (c->give_up <= c->window.start || c->give_up > c->window.end))
		node_fault(r, yaml_get(node, "give_up"), NULL, "give_up must lie inside the window");
}

static const struct field cutover_fields[] = {
	{ .key = "window", .type = F_WINDOW, .at = FIELD(plan_cutover, window) },
	{ .key = "give_up", .type = F_TIME, .at = FIELD(plan_cutover, give_up) },
	{ .key = "require_rehearsal", .type = F_BOOL, .at = FIELD(plan_cutover, require_rehearsal) },
};
const struct schema cutover_schema = { "cutover", FIELDS(cutover_fields), sizeof(struct plan_cutover), NOWHERE, NOWHERE,
	NULL, cutover_check };

static const struct field rollback_fields[] = {
	{ .key = "on_failed_smoke", .type = F_BOOL, .at = FIELD(plan_rollback, on_failed_smoke) },
	{ .key = "until", .type = F_TIME, .at = FIELD(plan_rollback, until) },
	{ .key = "save", .type = F_REFS, .at = FIELD(plan_rollback, save), .arg2 = REF_DATASET },
};
const struct schema rollback_schema = { "rollback", FIELDS(rollback_fields), sizeof(struct plan_rollback), NOWHERE,
	NOWHERE, NULL, NULL };

static void rehearsal_to(struct reader *r, void *obj, const struct ynode *map)
{
	struct plan_rehearsal *h = obj;
	struct plan_rehearsal_place *v;

	if (!node_map(r, map, "DATASET: HOST:/PATH") ||
	    !(v = reader_alloc(r, map->count * sizeof(*v))))
		return;
	for (const struct ynode *c = map->first; c; c = c->next) {
		struct plan_rehearsal_place *one = &v[h->nto];

		one->dataset = reader_strndup(r, c->key->text, strlen(c->key->text));
		reader_ref(r, REF_DATASET, one->dataset, c->key);
		reader_mark(r, &one->to, c);
		if (value_place(r, c, &one->to))
			h->nto++;
	}
	h->to = v;
}

static void rehearsal_smoke(struct reader *r, void *obj, const struct ynode *list)
{
	read_hook_list(r, &((struct plan_rehearsal *)obj)->smoke, list);
}

static const struct field rehearsal_fields[] = {
	{ .key = "to", .type = F_CUSTOM, .at = FIELD(plan_rehearsal, to), .required = true, .custom = rehearsal_to },
	{ .key = "smoke", .type = F_CUSTOM, .at = FIELD(plan_rehearsal, smoke), .custom = rehearsal_smoke },
};
const struct schema rehearsal_schema = { "rehearsal", FIELDS(rehearsal_fields), sizeof(struct plan_rehearsal), NOWHERE,
	NOWHERE, NULL, NULL };

/* ---- limits, archive, package ---- */

static void limits_defaults(void *obj)
{
	struct plan_limits *l = obj;

	l->deletes_percent = 10;
	l->memory = 256u << 20;
}

static void limits_window(struct reader *r, void *obj, const struct ynode *n)
{
	struct plan_limits *l = obj;

	if (!node_scalar(r, n, "\"HH:MM-HH:MM\""))
		return;
	l->has_window = scalar_day_window(n->text, &l->window_from, &l->window_to);
	if (!l->has_window)
		node_fault(r, n, "such as \"22:00-06:00\"", "\"%s\" is not a time of day from-to", n->text);
}

static const struct field limits_fields[] = {
	{ .key = "bandwidth", .type = F_RATE, .at = FIELD(plan_limits, bandwidth) },
	{ .key = "connections", .type = F_INT, .at = FIELD(plan_limits, connections), .min = 1, .max = 64 },
	{ .key = "window", .type = F_CUSTOM, .custom = limits_window },
	{ .key = "deletes", .type = F_PERCENT, .at = FIELD(plan_limits, deletes_percent) },
	{ .key = "memory", .type = F_SIZE, .at = FIELD(plan_limits, memory), .min = 32 << 20, .max = INT64_C(1) << 44 },
};
const struct schema limits_schema = { "limits", FIELDS(limits_fields), sizeof(struct plan_limits), NOWHERE, NOWHERE,
	limits_defaults, NULL };

static void archive_defaults(void *obj)
{
	struct plan_archive *a = obj;

	a->level_auto = a->keep = true;
}

static void archive_digests(struct reader *r, void *obj, const struct ynode *n)
{
	static const char *const words[] = { "sha256", "sm3", NULL };
	struct plan_archive *a = obj;
	bool sha256 = false;
	char h[128];

	if (n->kind != Y_LIST) {
		node_fault(r, n, "such as [sha256, sm3]", "expected a list, found %s", node_found(n));
		return;
	}
	for (const struct ynode *c = n->first; c; c = c->next) {
		int i = node_scalar(r, c, "a digest") ? word_index(words, c->text) : -2;

		sha256 |= i == 0;
		a->sm3 |= i == 1;
		if (i == -1)
			node_fault(r, c, hint_for_word(c->text, words, h), "there is no digest \"%s\"; sha256, and sm3 beside it",
			    c->text);
	}
	if (!sha256)
		node_fault(r, n, "write [sha256, sm3]", "sha256 is always computed and must stand in the list");
}

static void archive_level(struct reader *r, void *obj, const struct ynode *n)
{
	const struct field f = { .key = "level", .type = F_INT, .min = -5, .max = 19 };
	struct plan_archive *a = obj;

	if (n->kind == Y_SCALAR && strcmp(n->text, "auto") == 0)
		return;
	a->level_auto = false;
	value_read(r, &f, &a->level, n);
}

static const struct field archive_fields[] = {
	{ .key = "digests", .type = F_CUSTOM, .custom = archive_digests },
	{ .key = "level", .type = F_CUSTOM, .custom = archive_level },
	{ .key = "keep", .type = F_BOOL, .at = FIELD(plan_archive, keep) },
};
const struct schema archive_schema = { "archive", FIELDS(archive_fields), sizeof(struct plan_archive), NOWHERE, NOWHERE,
	archive_defaults, NULL };

static void package_defaults(void *obj) { ((struct plan_package *)obj)->part = 1u << 30; }

static void package_encrypt(struct reader *r, void *obj, const struct ynode *n)
{
	const struct field list = { .key = "encrypt", .type = F_STRINGS, .min = 1 };
	const struct field file = { .key = "encrypt", .type = F_FILE };
	struct plan_package *p = obj;
	const char *ignored = NULL;

	value_read(r, &list, &p->encrypt, n);
	for (const struct ynode *c = n->kind == Y_LIST ? n->first : n; c; c = n->kind == Y_LIST ? c->next : NULL)
		if (c->kind == Y_SCALAR && !c->null)
			value_read(r, &file, &ignored, c);
}

static const struct field package_fields[] = {
	{ .key = "to", .type = F_TEXT, .at = FIELD(plan_package, to) },
	{ .key = "part", .type = F_SIZE, .at = FIELD(plan_package, part), .min = 1 << 20, .max = 1 << 30 },
	{ .key = "encrypt", .type = F_CUSTOM, .at = FIELD(plan_package, encrypt), .custom = package_encrypt },
};
const struct schema package_schema = { "package", FIELDS(package_fields), sizeof(struct plan_package), NOWHERE, NOWHERE,
	package_defaults, NULL };
