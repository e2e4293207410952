/* log: the events of a plan, or the versions of a dataset. */
#include <inttypes.h>
#include <string.h>

#include "esc.h"
#include "job.h"
#include "output.h"
#include "version.h"
#include "workspace.h"

struct listing { struct cli_context *c; json_t *rows; const char *dataset; };

static int one_event(void *ctx, const struct ledger_event *ev)
{
	struct listing *l = ctx;
	json_t *data = json_loads(ev->data && *ev->data ? ev->data : "{}", 0, NULL);

	out_text(l->c, "%06" PRIu64 " %s %-12s %-10s %s%s%s\n", ev->seq, ev->at, ev->stage, ev->state, ev->text ? ev->text : "",
	    ev->by && *ev->by ? " -- " : "", ev->by ? ev->by : "");
	(void)json_array_append_new(l->rows, json_pack("{s:I,s:s,s:s,s:s,s:s,s:s,s:s,s:o?}", "seq", (json_int_t)ev->seq, "at", ev->at, "stage", ev->stage,
	    "state", ev->state, "by", ev->by ? ev->by : "", "text", ev->text ? ev->text : "", "commit", ev->commit, "data", data));
	return 0;
}

static int one_version(void *ctx, const struct ledger_event *ev)
{
	struct listing *l = ctx;
	json_t *d;
	char size[OUT_SIZE];
	const char *dataset, *root;

	if (strcmp(ev->state, "version") != 0 || !(d = json_loads(ev->data, 0, NULL)))
		return 0;
	dataset = json_string_value(json_object_get(d, "dataset"));
	root = json_string_value(json_object_get(d, "root"));
	if (dataset && root && strcmp(dataset, l->dataset) == 0) {
		(void)json_object_set_new(d, "commit", json_string(ev->commit));
		out_text(l->c, "%s@%lld %s %lld entries, %s, %lld added, %lld changed, %lld removed, %lld failed, root %.16s..., commit %.12s\n", l->dataset,
		    (long long)json_integer_value(json_object_get(d, "version")), ev->at, (long long)json_integer_value(json_object_get(d, "entries")),
		    out_size((uint64_t)json_integer_value(json_object_get(d, "bytes")), size), (long long)json_integer_value(json_object_get(d, "added")), (long long)json_integer_value(json_object_get(d, "changed")),
		    (long long)json_integer_value(json_object_get(d, "removed")), (long long)json_integer_value(json_object_get(d, "failed")),
		    root, ev->commit);
		(void)json_array_append(l->rows, d);
	}
	json_decref(d);
	return 0;
}

int cmd_log(struct cli_context *c, int argc, char **argv, struct err *e)
{
	OWN_JOB struct job j = JOB_INIT;
	struct listing l = { c, json_array(), argc > 1 ? argv[1] : NULL };
	const struct plan_dataset *d;

	if (job_open(&j, c, argv[0], e) < 0 || (l.dataset && job_dataset(&j, l.dataset, &d, e) < 0) ||
	    ledger_replay(j.w->ledger, j.plan->name, l.dataset ? one_version : one_event, &l, e) < 0) {
		json_decref(l.rows);
		return -1;
	}
	if (c->json)
		return out_json(c, json_pack("{s:s,s:o}", "plan", j.plan->name, l.dataset ? "versions" : "events", l.rows), e);
	json_decref(l.rows);
	return out_finish(e);
}
