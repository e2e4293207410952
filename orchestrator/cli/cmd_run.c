/* run: the runner, and what it says at its end. */
#include <string.h>

#include "clock.h"
#include "esc.h"
#include "job.h"
#include "output.h"
#include "recorded.h"
#include "runner.h"
#include "takeover.h"

static void show_difference(const char *diff)
{
	OWN_BUF struct buf b = BUF_INIT;
	const char *line = diff;

	fputs("The plan was edited since it was recorded:\n", stderr);
	while (*line) {
		size_t n = strcspn(line, "\n");

		esc_put(&b, line, n);
		buf_putc(&b, '\n');
		line += n + (line[n] == '\n');
	}
	if (b.len)
		(void)fwrite(b.data, 1, b.len, stderr);
}

static const char **only_list(const struct cli_context *c)
{
	size_t n = cli_count(c, "only");
	const char **v = calloc(n + 1, sizeof(*v));

	for (size_t i = 0; v && i < n; i++)
		v[i] = cli_value_at(c, "only", i);
	return v;
}

static int fill_options(struct job *j, const struct cli_context *c, const char ***only, struct err *e)
{
	if (!(*only = only_list(c)))
		return err_sys(e, "run");
	j->options.only = *only;
	j->options.until = cli_value(c, "until");
	j->options.amend = cli_value(c, "amend");
	j->options.yes = cli_flag(c, "yes");
	j->options.wait = cli_flag(c, "wait");
	j->options.stay_frozen = cli_flag(c, "stay-frozen");
	return 0;
}

static int go(struct job *j, struct runner_result *res, struct err *e)
{
	if (recorded_update(&j->run, &j->sum, show_difference, e) < 0)
		return -1;
	return runner_run(&j->run, res, e);
}

static const char *word_of(enum err_class c)
{
	return c == ERR_WAITING ? "waiting" : err_class_name(c);
}

static void last_line(struct cli_context *c, struct job *j, const struct runner_result *res, const struct err *why)
{
	int code = err_exit_code(why->class);
	struct err e = ERR_INIT;
	const char *head = j->run_open ? j->run.standing.head : "";

	if (c->json) {
		json_t *o = json_pack("{s:s,s:i,s:s,s:s,s:s,s:s}", "event", "result", "exit", code, "reason",
		    code ? word_of(why->class) : res->reason, "text", why->text, "serving",
		    j->run_open ? takeover_serving(&j->run) : "unknown", "head", head);

		if (out_json(c, o, &e) < 0)
			out_error(&e);
		return;
	}
	if (!code && strcmp(res->reason, "finished") == 0)
		out_text(c, "plan %s is finished; nothing is left to do\n", j->plan->name);
	if (*head)
		out_text(c, "ledger head: %s (%llu events); write it down: waybill audit --expect %.12s checks against it\n", head,
		    (unsigned long long)j->run.standing.count, head);
}

int cmd_run(struct cli_context *c, int argc, char **argv, struct err *e)
{
	OWN_JOB struct job j = JOB_INIT;
	OWN_FREE const char **only = NULL;
	struct runner_result res = { .reason = "" };
	int r;

	if (cli_flag(c, "dry-run"))
		return cmd_preview(c, argc, argv, e);
	if (fill_options(&j, c, &only, e) < 0)
		return -1;
	r = job_watch_signals(&j, e) < 0 || job_open_runner(&j, c, argv[0], false, e) < 0 ? -1 : go(&j, &res, e);
	/* An interrupted run is one, whatever the torn connections said. */
	if (r < 0 && j.run_open && atomic_load(&j.run.cancelled) && !atomic_load(&j.run.gave_up) && e->class != ERR_CANCELLED &&
	    e->class != ERR_DOWN && e->class != ERR_INTEGRITY) {
		err_set(e, ERR_CANCELLED, "interrupted");
		err_hint(e, "the same command goes on from here");
	}
	if (j.progress)
		progress_clear(j.progress);
	last_line(c, &j, &res, e);
	job_say_serving(&j);
	return r < 0 ? -1 : out_finish(e);
}
