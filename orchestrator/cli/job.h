/*
 * job - what commands that work on a plan of the ledger open, and how a signal reaches it.
 *
 *   job_open (recorded plan) | job_open_runner (plan as given, locked, recorded) -> j.run -> job_close
 */
#ifndef JOB_H
#define JOB_H

#include "command.h"
#include "plan_sha256.h"
#include "progress.h"
#include "run.h"

struct job {
	struct cli_context *c;
	struct workspace *w;
	struct plan *plan;
	struct plan_sum sum;		/* runner only */
	struct run_options options;
	struct progress *progress;
	struct run_view view;
	struct run run;
	pthread_mutex_t lock;		/* run_open and interrupted, between the signal thread and the other */
	bool run_open, interrupted;
	char *agent;
	int lockfd;			/* runner only */
	pthread_t signals;
	bool watching;
};
#define JOB_INIT { .lock = PTHREAD_MUTEX_INITIALIZER, .lockfd = -1, .sum = PLAN_SUM_INIT }
void job_close(struct job *j);
#define OWN_JOB OWN(job_close)

/* arg: plan file or name.  What the ledger recorded is used, so that digests and approvals agree with it. */
int job_open(struct job *j, struct cli_context *c, const char *arg, struct err *e) MUST_CHECK;
/*
 * For run: the plan as it is given now, the run's lock taken (ERR_TEMPORARY names its holder), a new epoch.  dry: neither lock
 * nor epoch, and the ledger may not know the plan.  options (j->options) are the caller's to fill before.
 */
int job_open_runner(struct job *j, struct cli_context *c, const char *arg, bool dry, struct err *e) MUST_CHECK;
/* For rollback, finish and rehearse: the plan as the ledger has it, the run's lock taken, a new epoch. */
int job_open_undo(struct job *j, struct cli_context *c, const char *arg, struct err *e) MUST_CHECK;
/* Has `serving: SIDE` printed as the last line on standard error; plans that never take over say nothing. */
void job_say_serving(struct job *j);
/* SIGINT, SIGTERM and SIGHUP cancel the run from now on; a third one ends the process. */
int job_watch_signals(struct job *j, struct err *e) MUST_CHECK;

/* Dataset of the plan, or one that a rehearsal or a roll-back recorded; ERR_USAGE names what there is. */
int job_dataset(struct job *j, const char *name, const struct plan_dataset **d, struct err *e) MUST_CHECK;

#endif
