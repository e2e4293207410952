/* survey: what ran at the hosts of a plan when preflight last looked, and what a target lacks; from the ledger alone. */
#include <string.h>

#include "job.h"
#include "output.h"
#include "survey_form.h"

int cmd_survey(struct cli_context *c, int argc, char **argv, struct err *e)
{
	OWN_JOB struct job j = JOB_INIT;
	OWN_BUF struct buf text = BUF_INIT;
	json_auto_t *survey = NULL;

	(void)argc;
	if (job_open(&j, c, argv[0], e) < 0 || survey_last(j.w->ledger, j.plan->name, &survey, e) < 0)
		return -1;
	if (!survey) {
		err_set(e, ERR_PERMANENT, "plan %s: no survey in the ledger yet", j.plan->name);
		return err_hint(e, "it is taken in preflight: waybill run %s --until preflight", j.plan->name);
	}
	if (c->json)
		return out_json(c, json_pack("{s:s,s:O,s:o}", "plan", j.plan->name, "hosts", json_object_get(survey, "hosts"), "drift",
		    survey_drift(json_object_get(survey, "hosts"), json_object_get(survey, "pairs"))), e);
	survey_text(j.plan, survey, strcmp(c->lang, "zh") == 0, &text);
	if (buf_finish(&text, e) < 0)
		return -1;
	out_raw(text.data, text.len);
	return out_finish(e);
}
