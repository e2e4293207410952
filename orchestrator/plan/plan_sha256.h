/*
 * plan_sha256 - the plan's digest: SHA-256 of `plan.sha256`, a sha256sum(1) list of the plan and every file it pulls in.
 *
 *   plan_sum_make -> read the fields -> plan_sum_dispose
 *
 * Names in the list are stable: "plan.yaml", "hooks/NAME", "documents/PATH", "owners/PATH", "rules/NAME"; lines are
 * sorted by name as bytes.  The same bytes are what is recorded, so what was digested is what can be run.
 */
#ifndef PLAN_SHA256_H
#define PLAN_SHA256_H

#include "digest.h"
#include "plan.h"

#define PLAN_FILE_MAX (64u * 1024 * 1024)	/* one document */
#define PLAN_FILES_MAX (256u * 1024 * 1024)	/* all of them */

enum plan_file_kind { PLAN_FILE_PLAN, PLAN_FILE_HOOK, PLAN_FILE_DOCUMENT, PLAN_FILE_OWNERS, PLAN_FILE_RULES };

struct plan_file {
	enum plan_file_kind kind;
	char *name;			/* as in the list */
	char *path;			/* where it was read */
	struct buf bytes;
	uint8_t sha256[DIGEST_LEN];
};

struct plan_sum {
	struct buf text;		/* plan.sha256 */
	uint8_t digest[DIGEST_LEN];
	char hex[DIGEST_HEX];
	struct plan_file *files;	/* sorted by name; plan.yaml is among them */
	size_t nfiles;
};
#define PLAN_SUM_INIT { BUF_INIT, { 0 }, "", NULL, 0 }
#define OWN_PLAN_SUM OWN(plan_sum_dispose)
void plan_sum_dispose(struct plan_sum *s);

/* Reads every file anew (the plan's own bytes are those that were parsed).  ERR_USAGE: a file is missing or too large. */
int plan_sum_make(const struct plan *p, struct plan_sum *out, struct err *e) MUST_CHECK;
/* NULL when there is none of that name. */
const struct plan_file *plan_sum_file(const struct plan_sum *s, const char *name);
/* The list's name of a hook as the plan writes it; owned; NULL with *e. */
char *plan_sum_hook_name(const char *written, struct err *e);

#endif
