#include "job.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "clock.h"
#include "esc.h"
#include "plan_file.h"
#include "save.h"
#include "takeover.h"
#include "workspace.h"

void job_close(struct job *j)
{
	if (j->watching) {
		(void)pthread_cancel(j->signals);
		(void)pthread_join(j->signals, NULL);
	}
	if (j->run_open)
		run_close(&j->run);
	j->run_open = false;
	progress_free(j->progress);
	if (j->lockfd >= 0)
		(void)close(j->lockfd);
	plan_sum_dispose(&j->sum);
	plan_free(j->plan);
	workspace_close(j->w);
	free(j->agent);
}

static int who_acts(struct job *j, struct err *e)
{
	if (cli_who(j->c, e) < 0 || cli_agent_binary(&j->agent, e) < 0)
		return -1;
	j->options.as = j->c->as;
	j->options.key = j->c->key;
	j->options.agent_binary = j->agent;
	return 0;
}

/* "yes", typed at a terminal; whoever redirects either side is no person who reads the question. */
static bool ask_at_terminal(void *ctx, const char *question)
{
	struct progress *p = ctx;
	char answer[16] = "";
	size_t n = 0;

	if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO))
		return false;
	progress_clear(p);
	(void)fputs(question, stderr);
	(void)fflush(stderr);
	while (n + 1 < sizeof(answer) && read(STDIN_FILENO, answer + n, 1) == 1 && answer[n] != '\n')
		n++;
	answer[n] = '\0';
	return strcmp(answer, "yes") == 0;
}

static int start(struct job *j, const char *digest, bool runner, struct err *e)
{
	if (!(j->progress = progress_new(j->c, j->plan->name, j->plan->timezone)))
		return err_sys(e, "progress");
	j->view = progress_view(j->progress);
	j->view.confirm = ask_at_terminal;
	if (run_open(&j->run, j->w, j->plan, digest, &j->options, &j->view, runner, e) < 0)
		return -1;
	/* From here on a signal reaches the run itself; one that came before is not forgotten. */
	pthread_mutex_lock(&j->lock);
	j->run_open = true;
	if (j->interrupted)
		run_cancel(&j->run);
	pthread_mutex_unlock(&j->lock);
	return 0;
}

/* The ledger's own text, also when a file was named: digests and approvals are about what was recorded. */
static int load_recorded(struct job *j, const char *arg, struct err *e)
{
	OWN_FREE char *name = NULL;

	if (cli_plan_name(j->c, j->w, arg, &name, e) < 0)
		return -1;
	return cli_plan_recorded(j->w, name, &j->plan, e);
}

int job_open(struct job *j, struct cli_context *c, const char *arg, struct err *e)
{
	j->c = c;
	if (cli_workspace_open(c, arg, &j->w, e) < 0 || load_recorded(j, arg, e) < 0 || who_acts(j, e) < 0)
		return -1;
	return start(j, NULL, false, e);
}

static int take_lock(struct job *j, struct err *e)
{
	OWN_FREE char *path = NULL;
	char who[256], at[CLOCK_TEXT];

	if (asprintf(&path, "%s/run-%s.lock", j->w->dir, j->plan->name) < 0)
		return err_sys(e, "lock");
	(void)snprintf(who, sizeof(who), "%s, process %d, since %s", j->options.as ? j->options.as : "unnamed", (int)getpid(),
	    clock_text(clock_now_ns() / 1000000000, j->plan->timezone, at));
	return runner_lock(path, who, &j->lockfd, e);
}

static int check_operator(const struct job *j, struct err *e)
{
	if (!j->plan->has_operators || (j->options.as && plan_is_operator(j->plan, j->options.as)))
		return 0;
	err_set(e, ERR_REFUSED, "plan %s may be run by its operators only, not by %s", j->plan->name, j->options.as ? j->options.as : "somebody unnamed");
	return err_hint(e, "add --as PERSON");
}

int job_open_runner(struct job *j, struct cli_context *c, const char *arg, bool dry, struct err *e)
{
	bool recorded;

	j->c = c;
	if (cli_workspace_open(c, arg, &j->w, e) < 0 || cli_plan(c, j->w, arg, &j->plan, &recorded, e) < 0 || who_acts(j, e) < 0)
		return -1;
	if (recorded && plan_file_warn(j->w, j->plan, e) < 0)
		return -1;
	if (plan_not_built(j->plan, e) < 0 || check_operator(j, e) < 0)
		return -1;
	if (plan_sum_make(j->plan, &j->sum, e) < 0)
		return -1;
	if (!dry && (take_lock(j, e) < 0 || (!recorded && plan_file_remember(j->w, j->plan, arg, e) < 0)))
		return -1;
	return start(j, j->sum.hex, !dry, e);
}

int job_open_undo(struct job *j, struct cli_context *c, const char *arg, struct err *e)
{
	j->c = c;
	if (cli_workspace_open(c, arg, &j->w, e) < 0 || load_recorded(j, arg, e) < 0 || who_acts(j, e) < 0)
		return -1;
	if (check_operator(j, e) < 0 || take_lock(j, e) < 0)
		return -1;
	return start(j, NULL, true, e);
}

void job_say_serving(struct job *j)
{
	if (j->run_open && plan_takes_over(j->plan))
		(void)snprintf(j->c->last_words, sizeof(j->c->last_words), "serving: %s", takeover_serving(&j->run));
}

static void *watch(void *arg)
{
	struct job *j = arg;
	sigset_t set;
	int sig, times = 0;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGHUP);
	for (;;) {
		if (sigwait(&set, &sig) != 0)
			return NULL;
		pthread_mutex_lock(&j->lock);
		j->interrupted = true;
		if (j->run_open)
			run_cancel(&j->run);
		pthread_mutex_unlock(&j->lock);
		/* Undoing is not skipped, however often somebody asks. */
		if (++times >= 3 && !(j->run_open && atomic_load(&j->run.must_undo)))
			_exit(8);
	}
}

int job_watch_signals(struct job *j, struct err *e)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGHUP);
	/* Before any other thread is started, so that all of them inherit it. */
	if ((errno = pthread_sigmask(SIG_BLOCK, &set, NULL)) != 0 || (errno = pthread_create(&j->signals, NULL, watch, j)) != 0)
		return err_sys(e, "signals");
	j->watching = true;
	return 0;
}

int job_dataset(struct job *j, const char *name, const struct plan_dataset **d, struct err *e)
{
	OWN_BUF struct buf names = BUF_INIT;

	if ((*d = save_dataset(&j->run, name)))
		return 0;
	for (size_t i = 0; i < j->plan->ndatasets; i++)
		buf_printf(&names, "%s%s", i ? ", " : "", j->plan->datasets[i].name);
	return err_set(e, ERR_USAGE, "plan %s has no dataset %s; it has %s", j->plan->name, esc_s(name), names.data ? names.data : "none");
}
