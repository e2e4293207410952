/*
 * gates - what a stage's approvals sign, filled from the plan and from where it stands.
 */
#ifndef GATES_H
#define GATES_H

#include "approval.h"
#include "run.h"

struct gate_facts {
	struct facts facts;
	char **owned;			/* strings and identities the facts point to */
	size_t owned_count;
	struct statement_discard *skipped;
	char package[DIGEST_HEX];
};
#define GATE_FACTS_INIT { .facts = FACTS_INIT }
void gate_facts_dispose(struct gate_facts *g);
#define OWN_GATE_FACTS OWN(gate_facts_dispose)

/* Everything that an approval of this stage signs now.  ERR_USAGE: the stage needs a version that is not there yet. */
int gate_facts(struct run *r, const char *stage, struct gate_facts *g, struct err *e) MUST_CHECK;
/* The gate of a stage as it is now (open when it has none). */
int gate_now(struct run *r, const char *stage, struct gate *g, struct err *e) MUST_CHECK;
/*
 * 0 = open.  Else -1: ERR_WAITING names who must act with which command; ERR_REFUSED when an approval has fallen or
 * somebody says no.  Recorded as `STAGE waiting` (or refused) once.
 */
int gate_pass(struct run *r, const char *stage, struct err *e) MUST_CHECK;

#endif
