/*
 * runner - takes a plan from where the ledger stands to its end, a gate, a failure, or --until.
 */
#ifndef RUNNER_H
#define RUNNER_H

#include "run.h"

struct runner_result {
	const char *reason;	/* one word for JSON: "done", "finished", "until", "only" */
};

/*
 * r must be open as runner, the plan recorded.  0 = got as far as asked.  Else -1: the class is the exit code; what
 * happened is recorded.
 */
int runner_run(struct run *r, struct runner_result *out, struct err *e) MUST_CHECK;

/* The stage that the next run begins with; NULL when nothing is left to do. */
const enum plan_stage *runner_next(const struct run *r);

/* Stages, one file each; 0 = done. */
int stage_preflight(struct run *r, struct err *e) MUST_CHECK;
int stage_copy(struct run *r, struct err *e) MUST_CHECK;
int stage_freeze(struct run *r, struct err *e) MUST_CHECK;
int stage_cutover(struct run *r, struct err *e) MUST_CHECK;
int stage_smoke(struct run *r, struct err *e) MUST_CHECK;
int stage_final(struct run *r, struct err *e) MUST_CHECK;
int stage_verify(struct run *r, struct err *e) MUST_CHECK;
int stage_package(struct run *r, struct err *e) MUST_CHECK;
int stage_accept(struct run *r, struct err *e) MUST_CHECK;
int stage_restore_test(struct run *r, struct err *e) MUST_CHECK;
int stage_clear(struct run *r, struct err *e) MUST_CHECK;
int stage_certify(struct run *r, struct err *e) MUST_CHECK;

/* Is this dataset asked for by --only (or is there no --only)? */
bool runner_wants(const struct run *r, const struct plan_dataset *d);

#endif
