/*
 * verify - re-reads a place and compares it with a version's manifest.
 *
 * Sides: target and source are walked and re-read by an agent, past the page cache unless cached is set; archive decodes
 * every content of the version out of the store.  Three verdicts: match, mismatch, unverified; "not checked" is never
 * "good".
 */
#ifndef VERIFY_H
#define VERIFY_H

#include "loss.h"
#include "run.h"

struct made_asked;
struct witnesses;
enum verify_side { VERIFY_TARGET, VERIFY_SOURCE, VERIFY_ARCHIVE };
const char *verify_side_name(enum verify_side s);
bool verify_side_parse(const char *s, enum verify_side *side);

#define VERIFY_KEPT 10000	/* differences kept with their text; all are counted */

struct verify_difference { char *path, *what, *expected, *found; };	/* owned, escaped */
struct verify_unverified { char *path, *reason; };			/* owned, escaped */

struct verify_result {
	const char *dataset;
	uint64_t version;
	enum verify_side side;
	bool cached, full;
	double seconds;				/* it took */
	uint64_t challenged;			/* questions with a nonce: contents, or ranges of large ones (challenge.h) */
	uint64_t checked, read, bytes;	/* entries compared, of them contents re-read, and their bytes */
	struct verify_difference *differences; size_t difference_count; uint64_t difference_total;
	struct verify_unverified *unverified; size_t unverified_count; uint64_t unverified_total;
	struct verify_difference *losses; size_t loss_count; uint64_t loss_total;	/* named, counted, and no difference: loss.h */
	struct loss_counts lost;
	char **foreign; size_t foreign_count; uint64_t foreign_total;	/* there before the first copy: no difference */
};
#define VERIFY_RESULT_INIT { .dataset = NULL }
void verify_result_dispose(struct verify_result *v);
#define OWN_VERIFY OWN(verify_result_dispose)

struct verify_options {
	enum verify_side side;
	uint64_t version;	/* 0 = newest */
	bool full, cached;
	bool keep_extra;	/* entries that are in no version are foreign, not differences: what a run asks while the source serves */
	/* Another place than the plan's (restore tests): host and path; NULL = the plan's. */
	const char *host, *path;
	/* archive: every content is decoded through this as well, if it is not NULL (witnesses.h). */
	struct witnesses *witnesses;
	struct made_asked *asked;	/* made.h; NULL: nothing was asked before */
};

/* 0 when the check was made, whatever its verdict; -1 when it could not be (ERR_UNVERIFIED for an unreadable medium). */
int verify_run(struct run *r, const struct plan_dataset *d, const struct verify_options *o, struct verify_result *v, struct err *e) MUST_CHECK;
const char *verify_verdict(const struct verify_result *v);	/* "match", "mismatch", "unverified" */
int verify_exit_code(const struct verify_result *v);		/* 0, 4, 5 */
/* Facts for JSON output and the event; at most limit rows of each list. */
json_t *verify_json(const struct verify_result *v, size_t limit);
/* Records `STAGE checked` ("verify", "restore-test"). */
int verify_record(struct run *r, const char *stage, const struct verify_result *v, struct err *e) MUST_CHECK;

int verify_add_unverified(struct verify_result *v, const char *path, const char *reason);
/* Adds one difference (escapes); used by clear's gate as well. */
int verify_add_difference(struct verify_result *v, const char *path, const char *what, const char *expected, const char *found);


#endif
