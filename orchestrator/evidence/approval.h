/*
 * approval - which approvals stand, and whether a gate is open.
 *
 * approvals/NNNN-STAGE-PERSON.{txt,sig} lie in the plan's tree.  An approval stands while its signature verifies with the
 * person's key of the plan, its basis equals the one computed now, it has not expired, and the same person has not
 * spoken again for this stage.  A gate counts distinct people with distinct keys; operators never count.
 */
#ifndef APPROVAL_H
#define APPROVAL_H

#include "ledger.h"
#include "plan.h"
#include "statement.h"

enum approval_state {
	APPROVAL_STANDS,
	APPROVAL_REFUSED,		/* the person's last word is no */
	APPROVAL_WITHDRAWN,
	APPROVAL_SUPERSEDED,		/* the same person spoke again later */
	APPROVAL_FALLEN,		/* why: what it signed has changed, bad signature, expired, not a person of the plan, ... */
	APPROVAL_BARRED,		/* stands, but does not count: operator, or same key as another person's */
	APPROVAL_UNCHECKED		/* the signature could not be checked: counts as nothing */
};
const char *approval_state_name(enum approval_state s);	/* "stands", "refused", ... for JSON */

struct approval {		/* all owned */
	unsigned number;
	char *stage, *person, *party;
	enum approval_state state;
	char *why;			/* for fallen, barred, unchecked; else NULL */
	bool amended;			/* fell because the plan was edited, which somebody answered for with --amend */
	char *reason;			/* the person's own words, may be NULL */
	int64_t at;
	enum statement_says says;
	bool spoke;			/* these are their words: what they said before does not count */
};
struct approval_missing {	/* one missing voice; owned */
	char *party;
	char *people;			/* candidates, separated by ", "; "" if there is none */
	char *command;			/* the line that one of them runs */
};
struct gate {
	bool open;
	bool refused;			/* somebody who counts says no: stays shut until that person says otherwise */
	bool fallen;			/* at least one fell, other than by an amended plan: callers may want exit 6 instead of 3 */
	struct approval *approvals; size_t approval_count;	/* of this stage, oldest first */
	struct approval_missing *missing; size_t missing_count;
};
#define GATE_INIT { .open = false }
void gate_dispose(struct gate *g);
#define OWN_GATE OWN(gate_dispose)

/*
 * Facts of a stage as far as the plan gives them: kind, title, window, and for clear the places, devices, discards, copies, method, people.
 * The caller adds versions and roots to f.datasets (writable in `datasets`, one for each dataset of the stage, in the plan's order; drop
 * those without a version by lowering f.dataset_count), package and skipped.
 */
struct facts {
	struct statement_facts f;
	struct statement_dataset *datasets;	/* owned, f.datasets points to it for package, accept, clear */
	struct statement_device *devices;
	struct statement_discard *discards;
	struct statement_copy *copies;
	char window[STATEMENT_WINDOW], retain[40];
};
#define FACTS_INIT { .datasets = NULL }
void facts_dispose(struct facts *f);
#define OWN_FACTS OWN(facts_dispose)
/* p and plan_digest are borrowed and must outlive f. */
int facts_from_plan(struct facts *f, const struct plan *p, const char *stage, const char *plan_digest, unsigned round, struct err *e) MUST_CHECK;

/* Files of one approval as read from a tree. */
struct approval_file { unsigned number; char *stage, *person; struct buf txt, sig; };
struct approval_files { struct approval_file *v; size_t n; };
#define APPROVAL_FILES_INIT { NULL, 0 }
void approval_files_dispose(struct approval_files *f);
#define OWN_APPROVAL_FILES OWN(approval_files_dispose)
/* stage NULL = all.  rev as for ledger_read.  Ascending by number.  A name out of grammar is ERR_INTEGRITY. */
int approval_files_read(struct ledger *l, const char *plan, const char *rev, const char *stage, struct approval_files *out, struct err *e) MUST_CHECK;

/* Has this stage a gate: parties the plan asks for, and for accept the receivers. */
bool gate_exists(const struct plan *p, const char *stage);
/* Would this person's word count at the gate of the stage?  Not that of operators and of parties that are not asked. */
bool gate_counts(const struct plan *p, const char *stage, const char *person);
/*
 * Judges the files against the plan and the facts of now.  A stage without a gate is open.  now: seconds.
 * 0 also when shut (look at g->open); -1 only when it could not be judged at all.
 */
int gate_evaluate(const struct plan *p, const struct statement_facts *now_facts, const struct approval_files *files, int64_t now, struct gate *g, struct err *e) MUST_CHECK;
/* Read and evaluate in one. */
int gate_check(struct ledger *l, const struct plan *p, const struct statement_facts *now_facts, int64_t now, struct gate *g, struct err *e) MUST_CHECK;
/* One line for people: "waits for: department (zhang, li): waybill approve ..."; or why it is refused. */
void gate_text(const struct gate *g, struct buf *b);

/*
 * Head of a statement that this person would sign: name, party, time, and for clear the validity (clear.valid, or 30 days from now).
 * ERR_REFUSED: no such person, no key, or an operator, who can never open a gate of this plan.  Strings are borrowed from p.
 */
int approval_head(const struct plan *p, const char *person, const char *stage, enum statement_says says, int64_t now, struct statement_head *h, struct err *e) MUST_CHECK;
/*
 * Checks a signed statement before it is recorded: person is of the plan with a key, namespace and basis are those of now, not
 * expired, signature good.  ERR_REFUSED for what a person must put right; ERR_UNVERIFIED when it could not be checked.
 */
int approval_check(const struct plan *p, const struct statement_facts *now_facts, const void *txt, size_t n, const char *sig, size_t sig_len, int64_t now, struct statement *out, struct err *e) MUST_CHECK;
/*
 * Puts both files into the transaction under the next free number and writes the event's data
 * {"file","number","stage","person","party","verdict","basis","statement_sha256","signature_sha256"[,"reason"]} into data.
 * The event itself is stage "approval", state "recorded".
 */
int approval_put(struct ledger *l, struct ledger_txn *t, const char *plan, const struct statement *s, const void *txt, size_t n, const char *sig, size_t sig_len, struct buf *data, struct err *e) MUST_CHECK;
/* "approvals/0007-clear-zhang" (without suffix) after what lies in the tree at head. */
int approval_next_name(struct ledger *l, const char *plan, const char *stage, const char *person, char out[256], struct err *e) MUST_CHECK;
/* The file name without directory and suffix: "0007-clear-zhang" into its parts (owned by the caller); false if it is none. */
bool approval_name_parse(const char *name, unsigned *number, char **stage, char **person);

#endif
