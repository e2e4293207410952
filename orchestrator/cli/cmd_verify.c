/* verify: re-reads and compares; recorded when the medium was read. */
#include <inttypes.h>
#include <string.h>

#include "job.h"
#include "output.h"
#include "resend.h"
#include "verify.h"

#define SHOWN 50

static void print_result(struct cli_context *c, const struct verify_result *v)
{
	char bytes[OUT_SIZE], losses[64] = "";

	if (v->loss_total)
		(void)snprintf(losses, sizeof(losses), ", but for %" PRIu64 " known losses", v->loss_total);

	for (size_t i = 0; i < v->difference_count && i < SHOWN; i++)
		out_text(c, "%s: %s: expected %s, found %s\n", v->differences[i].path, v->differences[i].what,
		    v->differences[i].expected, v->differences[i].found);
	if (v->difference_total > SHOWN)
		out_text(c, "... %" PRIu64 " more differences (--json lists up to %d)\n", v->difference_total - SHOWN, VERIFY_KEPT);
	for (size_t i = 0; i < v->loss_count && i < SHOWN; i++)
		out_text(c, "%s: %s: expected %s, found %s (a known loss: the agent there is not root)\n", v->losses[i].path, v->losses[i].what,
		    v->losses[i].expected, v->losses[i].found);
	if (v->loss_total > SHOWN)
		out_text(c, "... %" PRIu64 " more known losses\n", v->loss_total - SHOWN);
	for (size_t i = 0; i < v->unverified_count && i < SHOWN; i++)
		out_text(c, "%s: not verified: %s\n", v->unverified[i].path, v->unverified[i].reason);
	for (size_t i = 0; i < v->foreign_count && i < SHOWN; i++)
		out_text(c, "%s: foreign: it was there before the first copy\n", v->foreign[i]);
	out_text(c, "%s version %" PRIu64 " at the %s: %s%s; %" PRIu64 " entries compared, %" PRIu64 " contents (%s) read %s%s\n", v->dataset,
	    v->version, verify_side_name(v->side), verify_verdict(v), losses, v->checked, v->read, out_size(v->bytes, bytes),
	    v->cached ? "cached" : "from the medium", v->full ? "" : "; the others are unchanged since the last good verification (--full reads them too)");
}

static int verdict_err(const struct job *j, const struct verify_result *v, struct err *e)
{
	if (verify_exit_code(v) == 0)
		return 0;
	if (v->difference_total) {
		err_set(e, ERR_INTEGRITY, "dataset %s version %" PRIu64 " at the %s: %" PRIu64 " differences, first %s: %s", v->dataset, v->version,
		    verify_side_name(v->side), v->difference_total, v->differences[0].path, v->differences[0].what);
		if (strcmp(v->differences[0].what, "extra") == 0)
			return err_hint(e, "nothing that waybill did not bring is removed by it");
		if (v->side == VERIFY_ARCHIVE)
			return err_hint(e, "waybill run %s reads it at the source and sends it again, as long as the source has it", j->plan->name);
		return v->side == VERIFY_TARGET ? err_hint(e, "waybill run %s sends what differs again", j->plan->name) : -1;
	}
	return err_set(e, ERR_UNVERIFIED, "dataset %s version %" PRIu64 " at the %s: %" PRIu64 " entries could not be verified, first %s: %s", v->dataset,
	    v->version, verify_side_name(v->side), v->unverified_total, v->unverified[0].path, v->unverified[0].reason);
}

static int one(struct job *j, const struct plan_dataset *d, struct verify_options o, json_t *list, struct err *worst)
{
	OWN_VERIFY struct verify_result v = VERIFY_RESULT_INIT;
	struct err e = ERR_INIT;
	const struct standing_dataset *s = standing_dataset(&j->run.standing, d->name);
	int r = verify_run(&j->run, d, &o, &v, &e);

	if (r == 0) {
		bool newest = s && v.version == s->version;

		progress_clear(j->progress);
		print_result(j->c, &v);
		(void)json_array_append_new(list, verify_json(&v, VERIFY_KEPT));
		if (!o.cached && verify_record(&j->run, "verify", &v, &e) < 0)
			r = -1;
		else if (newest && resend_note(&j->run, &v, &e) < 0)
			r = -1;
		else
			r = verdict_err(j, &v, &e);
	}
	if (r < 0 && (worst->class == ERR_NONE || err_worse_exit(err_exit_code(worst->class), err_exit_code(e.class)) != err_exit_code(worst->class)))
		*worst = e;
	return r;
}

static int parse_options(const struct cli_context *c, const struct plan_dataset *d, struct verify_options *o, struct err *e)
{
	const char *side = cli_value(c, "side");

	o->full = cli_flag(c, "full");
	o->cached = cli_flag(c, "cached");
	o->side = d->to.host ? VERIFY_TARGET : VERIFY_ARCHIVE;
	if (side && !verify_side_parse(side, &o->side))
		return err_set(e, ERR_USAGE, "--side takes target, source or archive");
	return 0;
}

static int print_json(struct cli_context *c, json_t *list, struct err *e)
{
	json_t *o;

	/* Where no check could be made at all, the failure is the only object. */
	if (!c->json || json_array_size(list) == 0) {
		json_decref(list);
		return 0;
	}
	/* One dataset: its object; several: the worst verdict over a list of them. */
	if (json_array_size(list) == 1) {
		o = json_incref(json_array_get(list, 0));
		json_decref(list);
		return out_json(c, o, e);
	}
	return out_json(c, json_pack("{s:o}", "datasets", list), e);
}

int cmd_verify(struct cli_context *c, int argc, char **argv, struct err *e)
{
	OWN_JOB struct job j = JOB_INIT;
	OWN_FREE char *name = NULL;
	json_t *list = json_array();
	struct err worst = ERR_INIT;
	uint64_t version = 0;
	const struct plan_dataset *only = NULL;

	if ((argc > 1 && cli_dataset_version(argv[1], &name, &version, e) < 0) || job_watch_signals(&j, e) < 0 ||
	    job_open(&j, c, argv[0], e) < 0 || (name && job_dataset(&j, name, &only, e) < 0)) {
		json_decref(list);
		return -1;
	}
	for (size_t i = 0; i < j.plan->ndatasets; i++) {
		const struct plan_dataset *d = &j.plan->datasets[i];
		struct verify_options o = { .version = version };

		if (only && d != only)
			continue;
		if (parse_options(c, d, &o, e) < 0) {
			json_decref(list);
			return -1;
		}
		(void)one(&j, d, o, list, &worst);
	}
	if (print_json(c, list, e) < 0)
		return -1;
	if (worst.class != ERR_NONE) {
		*e = worst;
		return -1;
	}
	return out_finish(e);
}
