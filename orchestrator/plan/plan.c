#include "plan.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <string.h>

#include "arena.h"
#include "clock.h"
#include "esc.h"
#include "io.h"
#include "rules.h"
#include "tables.h"
#include "words.h"

/* The struct that readers see is the first member, so that plan_free finds the rest. */
struct plan_owned {
	struct plan plan;
	struct arena arena;
};

void plan_free(struct plan *p)
{
	struct plan_owned *o = (struct plan_owned *)p;

	if (!o)
		return;
	arena_dispose(&o->arena);
	free(o);
}

/* ---- lookups ---- */

const struct plan_host *plan_host(const struct plan *p, const char *name)
{
	for (size_t i = 0; i < p->nhosts; i++)
		if (strcmp(p->hosts[i].name, name) == 0)
			return &p->hosts[i];
	return NULL;
}

const struct plan_dataset *plan_dataset(const struct plan *p, const char *name)
{
	for (size_t i = 0; i < p->ndatasets; i++)
		if (strcmp(p->datasets[i].name, name) == 0)
			return &p->datasets[i];
	return NULL;
}

const struct plan_person *plan_person(const struct plan *p, const char *key)
{
	for (size_t i = 0; i < p->npeople; i++)
		if (strcmp(p->people[i].key, key) == 0)
			return &p->people[i];
	return NULL;
}

const struct plan_party *plan_party(const struct plan *p, const char *key)
{
	for (size_t i = 0; i < p->nparties; i++)
		if (strcmp(p->parties[i].key, key) == 0)
			return &p->parties[i];
	return NULL;
}

const struct plan_secret *plan_secret(const struct plan *p, const char *name)
{
	for (size_t i = 0; i < p->nsecrets; i++)
		if (strcmp(p->secrets[i].name, name) == 0)
			return &p->secrets[i];
	return NULL;
}

int plan_stage_index(const struct plan *p, enum plan_stage s)
{
	for (size_t i = 0; i < p->nstages; i++)
		if (p->stages[i] == s)
			return (int)i;
	return -1;
}

bool plan_is_operator(const struct plan *p, const char *person)
{
	for (size_t i = 0; i < p->operators.n; i++)
		if (strcmp(p->operators.v[i], person) == 0)
			return true;
	return false;
}

bool plan_takes_over(const struct plan *p)
{
	if (p->hooks[POINT_FREEZE].n || p->hooks[POINT_CUTOVER].n)
		return true;
	for (size_t i = 0; i < p->ndatasets; i++)
		if (p->datasets[i].kind == DATASET_FILES && p->datasets[i].files.activate != ACTIVATE_IN_PLACE)
			return true;
	return false;
}

char *plan_file_path(const struct plan *p, const char *written)
{
	const char *home = getenv("HOME");
	OWN_BUF struct buf b = BUF_INIT;

	if (strncmp(written, "~/", 2) == 0 && home && *home)
		buf_printf(&b, "%s/%s", home, written + 2);
	else if (written[0] == '/')
		buf_puts(&b, written);
	else
		buf_printf(&b, "%s/%s", p->dir, written);
	return buf_take(&b);
}

void plan_signers(const struct plan *p, struct buf *out)
{
	for (size_t i = 0; i < p->npeople; i++)
		buf_printf(out, "%s namespaces=\"approval@waybill,acceptance@waybill,clearance@waybill,"
		    "certificate@waybill,git\" %s\n", p->people[i].key, p->people[i].key_line);
}

/* ---- loading ---- */

static void resolve_stages(struct reader *r, const struct ynode *root)
{
	static const enum plan_stage migration[] = { STAGE_PREFLIGHT, STAGE_COPY, STAGE_FREEZE, STAGE_FINAL, STAGE_VERIFY,
		STAGE_CUTOVER, STAGE_SMOKE };
	static const enum plan_stage head[] = { STAGE_PREFLIGHT, STAGE_COPY, STAGE_FREEZE, STAGE_FINAL, STAGE_VERIFY };
	static const enum plan_stage landing[] = { STAGE_CUTOVER, STAGE_SMOKE };
	static const enum plan_stage handing[] = { STAGE_PACKAGE, STAGE_ACCEPT };
	static const enum plan_stage clearing[] = { STAGE_RESTORE_TEST, STAGE_CLEAR, STAGE_CERTIFY };
	struct plan *p = r->plan;
	enum plan_stage *v;
	bool has_to = false;

	if (p->nstages || !(v = reader_alloc(r, STAGE_COUNT * sizeof(*v))))
		return;
	for (size_t i = 0; i < p->ndatasets; i++)
		has_to |= p->datasets[i].to.host != NULL;
#define APPEND(list) do { memcpy(v + p->nstages, list, sizeof(list)); \
	p->nstages += sizeof(list) / sizeof((list)[0]); } while (0)
	if (p->kind == PLAN_MIGRATION) {
		APPEND(migration);
	} else {
		APPEND(head);
		if (p->kind == PLAN_HANDOVER && has_to)
			APPEND(landing);
		if (p->kind == PLAN_HANDOVER)
			APPEND(handing);
		if (p->kind == PLAN_RETIREMENT || yaml_get(root, "clear"))
			APPEND(clearing);
	}
#undef APPEND
	p->stages = v;
}

/* "local" first, whether the plan writes it or not. */
static void add_local(struct reader *r)
{
	static const struct plan_host local = { .name = "local" };
	struct plan *p = r->plan;
	struct plan_host *v;
	size_t n = 0;

	if (!(v = reader_alloc(r, (p->nhosts + 1) * sizeof(*v))))
		return;
	v[n++] = local;
	for (size_t i = 0; i < p->nhosts; i++) {
		if (strcmp(p->hosts[i].name, "local") == 0)
			v[0] = p->hosts[i];
		else
			v[n++] = p->hosts[i];
	}
	p->hosts = v;
	p->nhosts = n;
}

static void fill_defaults(struct reader *r)
{
	struct plan *p = r->plan;
	const char **names;
	size_t n = 0;

	if (!p->title)
		p->title = p->name;
	if (plan_stage_index(p, STAGE_CLEAR) >= 0)
		p->clear.given = true;
	if (p->clear.datasets.n || !(names = reader_alloc(r, p->ndatasets * sizeof(*names))))
		return;
	for (size_t i = 0; i < p->ndatasets; i++)
		if (p->datasets[i].kind == DATASET_FILES || p->datasets[i].kind == DATASET_BLOCK)
			names[n++] = p->datasets[i].name;
	p->clear.datasets = (struct plan_strings){ names, n };
}

static void read_tree(struct reader *r, const struct ynode *root)
{
	const struct ynode *zone = yaml_get(root, "timezone"), *kind = yaml_get(root, "kind");
	int32_t offset;

	/* Times are read by the plan's zone, wherever it stands in the file. */
	r->zone = zone && zone->kind == Y_SCALAR && clock_zone_offset(zone->text, 0, &offset) ? zone->text : NULL;
	r->plan->timezone = "Asia/Shanghai";
	schema_read(r, &plan_schema, r->plan, root);
	if (r->partial)
		return;
	add_local(r);
	references_check(r);
	resolve_stages(r, root);
	rules_hosts(r, root);
	rules_targets(r);
	/* Without a kind nothing can be said about stages and gates; its own fault stands already. */
	if (kind && kind->kind == Y_SCALAR && word_index(kind_words, kind->text) >= 0) {
		rules_stages(r, root);
		rules_clear(r, root);
		rules_gates(r, root);
	}
	fill_defaults(r);
}

static void read_text(struct reader *r)
{
	struct ynode *root;
	bool whole = false;
	size_t before = r->src.out->n;

	if (r->src.len > PLAN_BYTES_MAX) {
		fault_add(&r->src, AT_FILE, 0, "a plan is a page or two of text", "larger than %d bytes", PLAN_BYTES_MAX);
		return;
	}
	root = yaml_parse(r->arena, &r->src, &whole);
	r->partial = !whole;
	if (root)
		read_tree(r, root);
	else if (r->src.out->n == before)
		fault_add(&r->src, AT_FILE, 0, "begin with: waybill new migration --from HOST:/PATH --to HOST:/PATH",
		    "the file is empty; a plan begins with \"waybill: 1\"");
}

static struct plan_owned *owned_new(const char *file, const char *dir, const void *text, size_t n)
{
	struct plan_owned *o = calloc(1, sizeof(*o));

	if (!o)
		return NULL;
	o->plan.file = arena_strndup(&o->arena, file, strlen(file));
	o->plan.dir = arena_strndup(&o->arena, dir ? dir : ".", dir ? strlen(dir) : 1);
	o->plan.text = arena_strndup(&o->arena, n ? text : "", n);
	o->plan.text_len = n;
	if (o->plan.file && o->plan.dir && o->plan.text)
		return o;
	plan_free(&o->plan);
	return NULL;
}

static int parse(const char *file, const char *dir, const void *text, size_t n, bool recorded, struct plan **out,
    struct plan_faults *faults)
{
	struct plan_owned *o = owned_new(file, dir, text, n);
	struct reader r = { .plan = o ? &o->plan : NULL, .arena = o ? &o->arena : NULL, .recorded = recorded, .alone = !dir };

	*out = NULL;
	if (!faults->file)
		faults->file = esc_dup(file, strlen(file));
	if (!o || !faults->file) {
		faults->out_of_memory = true;
		plan_free(r.plan);
		return -1;
	}
	r.src = (struct fault_source){ o->plan.text, n, faults };
	read_text(&r);
	free(r.refs);
	free(r.marks);
	fault_sort(faults);
	if (faults->n || faults->out_of_memory) {
		plan_free(&o->plan);
		return -1;
	}
	*out = &o->plan;
	return 0;
}

int plan_parse(const char *file, const char *dir, const void *text, size_t n, struct plan **out,
    struct plan_faults *faults)
{
	return parse(file, dir, text, n, false, out, faults);
}

int plan_parse_recorded(const char *file, const char *dir, const void *text, size_t n, struct plan **out,
    struct plan_faults *faults)
{
	return parse(file, dir, text, n, true, out, faults);
}

/* Directory of a file name, "." at least. */
static char *dir_of(const char *file)
{
	const char *slash = strrchr(file, '/');

	if (!slash)
		return strdup(".");
	return strndup(file, slash == file ? 1 : (size_t)(slash - file));
}

int plan_load(const char *file, struct plan **out, struct plan_faults *faults)
{
	OWN_BUF struct buf text = BUF_INIT;
	OWN_FREE char *dir = dir_of(file);
	struct fault_source none = { "", 0, faults };
	struct err e = ERR_INIT;

	*out = NULL;
	if (!faults->file)
		faults->file = esc_dup(file, strlen(file));
	if (!dir || !faults->file) {
		faults->out_of_memory = true;
		return -1;
	}
	/* One byte more than allowed, so that plan_parse can say so. */
	if (io_read_file(AT_FDCWD, file, PLAN_BYTES_MAX + 1, &text, &e) < 0) {
		if (e.sys)
			fault_add(&none, AT_FILE, 0, NULL, "the plan cannot be read: %s", strerror(e.sys));
		else
			fault_add(&none, AT_FILE, 0, "a plan is a page or two of text", "larger than %d bytes", PLAN_BYTES_MAX);
		return -1;
	}
	return plan_parse(file, dir, text.data ? text.data : "", text.len, out, faults);
}
