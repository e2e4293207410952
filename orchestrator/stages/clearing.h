/*
 * clearing - the parts of stage_clear: its gate, its record, and the work at one dataset's place.
 */
#ifndef CLEARING_H
#define CLEARING_H

#include "run.h"
#include "verdict.h"

struct clearing_dataset {
	const struct plan_dataset *d;	/* borrowed */
	struct clear_tally tally;
	uint64_t objects, bytes;	/* of the inventory */
	char inventory[DIGEST_HEX];
	json_t *place;			/* facts of host and path before, owned */
	json_t *errors;			/* [{path, state, text}], owned; at most CLEARING_ERRORS */
	uint64_t error_count;
};
#define CLEARING_ERRORS 1000

struct clearing {
	struct run *r;
	struct clearing_dataset *v;	/* owned, one for each dataset to clear */
	size_t n;
	char *scope;			/* signed statement that the eraser obeys, owned */
	int64_t started;		/* seconds */
	int64_t gate_checked;		/* monotonic ns */
};
void clearing_dispose(struct clearing *c);
#define OWN_CLEARING OWN(clearing_dispose)

/*
 * What must hold before the first write, in the order of contract 4.7: the approvals (gate_pass), clearing_gate (archive,
 * restore test), inventory_take (the source), clearing_may_begin (retention over, the right people).
 */
int clearing_gate(struct run *r, struct err *e) MUST_CHECK;
int clearing_may_begin(struct run *r, struct err *e) MUST_CHECK;
/* The right people alone: they are asked for again whenever a clearing goes on. */
int clearing_people(struct run *r, struct err *e) MUST_CHECK;
/* The statement of the first standing approval. */
int clearing_scope(struct run *r, char **text, struct err *e) MUST_CHECK;
/* Erases what the inventory of c->v[i] holds and the journal does not say is done. */
int clearing_erase(struct clearing *c, size_t i, struct err *e) MUST_CHECK;
/* Data of `clear started` and `clear done`. */
json_t *clearing_started(const struct clearing *c, const char *basis);
json_t *clearing_done(const struct clearing *c, enum verdict verdict);
/* The overall verdict: the weakest dataset. */
enum verdict clearing_verdict(const struct clearing *c);
/* Hex digest of what the clear approvals sign. */
int clearing_basis(struct run *r, char hex[DIGEST_HEX], struct err *e) MUST_CHECK;

#endif
