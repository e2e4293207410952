/*
 * hooks - runs the hooks of one point, in the plan's order, each on its hosts, from the copy that was recorded with the plan.
 */
#ifndef HOOKS_H
#define HOOKS_H

#include "run.h"

struct hooks_call {
	enum plan_point point;
	const char *stage;	/* stage word of the events: "freeze", "thaw", "copy", ... */
	const char *why;	/* thaw, rollback: what for; may be NULL */
	const char *dataset, *outcome;	/* copy points; may be NULL */
	unsigned pass;
	bool go_on;		/* after a failure too; the worst of them is the result */
	const struct plan_hooks *instead;	/* of the plan's own for this point; may be NULL */
	bool rehearsal;
};

/*
 * 0: each did its work (also when there are none).  Else -1; the class says what is known:
 *   smoke      ERR_INTEGRITY: one answered no.  ERR_DOWN: one could not be run to its end
 *   all others the class of what stopped it, ERR_PERMANENT for a status other than 0
 * Every run of a hook is recorded as `STAGE hook`, secrets struck out.
 */
int hooks_run(struct run *r, const struct hooks_call *c, struct err *e) MUST_CHECK;

/* Seconds that the hooks of a point took when they last ran; 1 s each for those that never did. */
double hooks_seconds(const struct run *r, enum plan_point point);

#endif
