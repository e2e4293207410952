/* rollback: back to the source.  finish: never again.  rehearse: neither. */
#include <string.h>

#include "job.h"
#include "output.h"
#include "recorded.h"
#include "rehearse.h"
#include "takeover.h"
#include "undo.h"

static int report(struct cli_context *c, struct job *j, const char *text, struct err *e)
{
	out_text(c, "plan %s: %s\n", j->plan->name, text);
	if (c->json)
		return out_json(c, json_pack("{s:s,s:s,s:s,s:s}", "plan", j->plan->name, "text", text, "serving", takeover_serving(&j->run),
		    "head", j->run.standing.head), e);
	return out_finish(e);
}

int cmd_rollback(struct cli_context *c, int argc, char **argv, struct err *e)
{
	OWN_JOB struct job j = JOB_INIT;
	bool done;
	int r;

	(void)argc;
	if (job_watch_signals(&j, e) < 0)
		return -1;
	j.options.yes = cli_flag(c, "yes");
	if (job_open_undo(&j, c, argv[0], e) < 0)
		return -1;
	r = undo_command(&j.run, &done, e);
	if (j.progress)
		progress_clear(j.progress);
	job_say_serving(&j);
	if (r < 0)
		return -1;
	return report(c, &j, done ? "rolled back; it stands at copy again, and its approvals from freeze on are void" : "nothing to roll back", e);
}

int cmd_finish(struct cli_context *c, int argc, char **argv, struct err *e)
{
	OWN_JOB struct job j = JOB_INIT;
	bool done;
	int r;

	(void)argc;
	if (job_watch_signals(&j, e) < 0 || job_open_undo(&j, c, argv[0], e) < 0)
		return -1;
	r = finish_command(&j.run, &done, e);
	if (j.progress)
		progress_clear(j.progress);
	if (r < 0)
		return -1;
	return report(c, &j, done ? "finished; from here on nothing can be rolled back" : "was finished before", e);
}

int cmd_rehearse(struct cli_context *c, int argc, char **argv, struct err *e)
{
	OWN_JOB struct job j = JOB_INIT;
	int r;

	(void)argc;
	if (job_watch_signals(&j, e) < 0 || job_open_runner(&j, c, argv[0], false, e) < 0)
		return -1;
	if (recorded_update(&j.run, &j.sum, NULL, e) < 0)
		return -1;
	r = rehearse(&j.run, cli_flag(c, "keep"), e);
	if (j.progress)
		progress_clear(j.progress);
	if (r < 0)
		return -1;
	return report(c, &j, cli_flag(c, "keep") ? "the rehearsal was good; its places stay" : "the rehearsal was good; its places were removed again", e);
}
