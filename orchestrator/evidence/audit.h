/*
 * audit - checks a ledger, a package or a certificate offline, re-deriving everything from what lies there.
 *
 * Trusts nothing that waybill said: event chain, digests, signatures and order are computed again.  What could not be
 * anchored (no signers given, no known commit) is said as a note and changes no verdict.
 */
#ifndef AUDIT_H
#define AUDIT_H

#include "buf.h"

enum audit_severity { AUDIT_NOTE, AUDIT_UNVERIFIED, AUDIT_ALTERED };
const char *audit_severity_name(enum audit_severity s);	/* "note", "unverified", "altered" */

struct audit_finding { enum audit_severity severity; char *what; };	/* what owned, escaped */

struct audit_report {
	enum audit_severity worst;	/* AUDIT_NOTE when nothing worse: intact */
	uint64_t commits, versions, signatures, objects;	/* how much was looked at */
	struct audit_finding *findings; size_t finding_count;
};
#define AUDIT_REPORT_INIT { .worst = AUDIT_NOTE }
void audit_report_dispose(struct audit_report *r);
#define OWN_AUDIT_REPORT OWN(audit_report_dispose)
/* "intact" (0), "altered" (4), "unverified" (5). */
const char *audit_verdict(const struct audit_report *r);
int audit_exit_code(const struct audit_report *r);

/* Fewer digits could be met by chance, or by design. */
#define AUDIT_EXPECT_MIN 12

struct audit_options {
	const char *path;		/* workspace, .waybill, bare or plain git repository, BagIt directory, or certificate file (with FILE.sig) */
	const char *signers;		/* allowed_signers file, or NULL */
	const char *expect;		/* hex of a commit that must be in the history (at least its first AUDIT_EXPECT_MIN digits), or NULL */
	const char *plan;		/* only this plan; NULL = all */
	const char *store;		/* archive directory; NULL = beside the ledger when path is a workspace */
	/*
	 * May be NULL.  1: the auditor remembers this head of the plan, it must be in the history (commit: hex); 0: he does not.
	 */
	int (*remembered)(void *ctx, const char *plan, char commit[65]);
	/* May be NULL.  Calls fn for each plan that the auditor remembers. */
	void (*each_remembered)(void *ctx, int (*fn)(void *ctx2, const char *plan), void *ctx2);
	void *ctx;
	bool full;			/* read the store's objects and compare their digests */
};
/* 0 when the audit was made (also when altered); -1 only when path is nothing that can be audited (ERR_USAGE), or memory is short. */
int audit_run(const struct audit_options *o, struct audit_report *r, struct err *e) MUST_CHECK;
/* {"verdict","commits","versions","signatures","objects","findings":[{"severity","what"}]}, one line. */
int audit_json(const struct audit_report *r, struct buf *b, struct err *e) MUST_CHECK;

#endif
