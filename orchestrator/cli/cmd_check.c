#include <string.h>

#include "check_connect.h"
#include "esc.h"
#include "output.h"
#include "plan.h"
#include "plan_sha256.h"
#include "workspace.h"

static json_t *fault_json(const struct plan_fault *f)
{
	return json_pack("{s:i,s:i,s:s,s:s?}", "line", f->line, "column", f->column, "message", f->message, "hint", f->hint);
}

static int faults_json(struct cli_context *c, const struct plan_faults *f, struct err *e)
{
	json_t *list = json_array(), *obj = json_object();

	for (size_t i = 0; i < f->n; i++)
		if (json_array_append_new(list, fault_json(&f->v[i])) < 0)
			break;
	if (json_array_size(list) != f->n || out_json_set(obj, "file", json_string(f->file), e) < 0 ||
	    json_object_set(obj, "faults", list) < 0) {
		json_decref(list);
		json_decref(obj);
		return err_set(e, ERR_TEMPORARY, "out of memory");
	}
	json_decref(list);
	return out_json(c, obj, e);
}

/* A faulty plan: all of it for people, or one object. */
static int report_faults(struct cli_context *c, const struct plan_faults *f, struct err *e)
{
	if (f->out_of_memory)
		return plan_faults_err(f, e);
	if (c->json) {
		if (faults_json(c, f, e) < 0)
			return -1;
	} else {
		plan_faults_print(f, stderr, isatty(2) && !getenv("NO_COLOR"));
	}
	return err_set(e, ERR_USAGE, "%s: %zu fault%s", f->file, f->n, f->n == 1 ? "" : "s");
}

static json_t *plan_json(const struct plan *p, const struct plan_sum *sum)
{
	json_t *stages = json_array(), *files = json_array();

	for (size_t i = 0; i < p->nstages; i++)
		(void)json_array_append_new(stages, json_string(plan_stage_name(p->stages[i])));
	for (size_t i = 0; i < sum->nfiles; i++)
		(void)json_array_append_new(files, out_json_text(sum->files[i].name));
	if (json_array_size(stages) != p->nstages || json_array_size(files) != sum->nfiles) {
		json_decref(stages);
		json_decref(files);
		return NULL;
	}
	return json_pack("{s:s,s:s,s:s,s:o,s:o,s:[]}", "plan", p->name, "kind", plan_kind_name(p->kind), "digest", sum->hex,
	    "stages", stages, "files", files, "faults");
}

static void print_good(const struct cli_context *c, const struct plan *p, const struct plan_sum *sum)
{
	struct err not_built = ERR_INIT;

	out_text(c, "%s: no faults\n%s %s, %zu dataset%s, digest %s\nstages:", esc_s(p->file), plan_kind_name(p->kind), p->name,
	    p->ndatasets, p->ndatasets == 1 ? "" : "s", sum->hex);
	for (size_t i = 0; i < p->nstages; i++)
		out_text(c, " %s%s", plan_stage_name(p->stages[i]), p->gates[p->stages[i]].approve.n ? " (gate)" : "");
	out_text(c, "\n");
	/* The plan is right all the same: this is about us, not about it. */
	if (plan_not_built(p, &not_built) < 0)
		out_text(c, "note: %s\n", not_built.text);
}

static int connect_hosts(struct cli_context *c, const struct plan *p, json_t *obj, struct err *e)
{
	json_t *hosts = json_object();

	if (!hosts || json_object_set_new(obj, "hosts", hosts) < 0)
		return err_set(e, ERR_TEMPORARY, "out of memory");
	return check_connect(c, p, hosts, e);
}

static int check_good(struct cli_context *c, const struct plan *p, struct err *e)
{
	OWN_PLAN_SUM struct plan_sum sum = PLAN_SUM_INIT;
	struct err connect = ERR_INIT;
	json_t *obj;

	if (plan_sum_make(p, &sum, e) < 0)
		return -1;
	if (!(obj = plan_json(p, &sum)))
		return err_set(e, ERR_TEMPORARY, "out of memory");
	print_good(c, p, &sum);
	/* What was learned about the other hosts is shown even if one fails. */
	if (cli_flag(c, "connect") && connect_hosts(c, p, obj, &connect) < 0)
		*e = connect;
	if (!c->json) {
		json_decref(obj);
		return e->class == ERR_NONE ? out_finish(e) : -1;
	}
	if (out_json(c, obj, e->class == ERR_NONE ? e : &connect) < 0)
		return -1;
	return e->class == ERR_NONE ? 0 : -1;
}

static int load(struct cli_context *c, const char *arg, struct plan **p, struct err *e)
{
	OWN_PLAN_FAULTS struct plan_faults f = PLAN_FAULTS_INIT;
	OWN(workspace_closep) struct workspace *w = NULL;
	const char *root;
	struct err none = ERR_INIT;

	/* A plan file needs no workspace; the name of a recorded one does. */
	if (access(arg, F_OK) != 0 && cli_workspace(c, NULL, &root, &none) == 0) {
		if (cli_workspace_open(c, NULL, &w, e) < 0)
			return -1;
		return cli_plan(c, w, arg, p, NULL, e);
	}
	if (plan_load(arg, p, &f) < 0)
		return report_faults(c, &f, e);
	return 0;
}

int cmd_check(struct cli_context *c, int argc, char **argv, struct err *e)
{
	OWN_PLAN struct plan *p = NULL;

	(void)argc;
	if (load(c, argv[0], &p, e) < 0)
		return -1;
	return check_good(c, p, e);
}
