/*
 * statement - the readable text that a person signs (waybill-evidence.5, "Statements").
 *
 * Head: who says what, when, for how long.  Below the separator line: the basis, that is everything that is signed for
 * and must not change.  The head names the basis' SHA-256; an approval stands while the basis computed now has the same
 * text.  Neither a ledger head nor another approval is in it, so recording an approval changes nothing that is signed.
 *
 *   fill struct statement_facts (borrowed strings) -> statement_build -> sign -> statement_parse
 */
#ifndef STATEMENT_H
#define STATEMENT_H

#include "buf.h"
#include "digest.h"

#define STATEMENT_MAX (16u << 20)	/* bytes; anything longer is refused */
#define STATEMENT_SKIPPED_MAX 1000	/* skipped entries written out for each dataset; of all the others count and digest */

enum statement_says { SAYS_APPROVE, SAYS_REFUSE, SAYS_WITHDRAW };
const char *statement_says_name(enum statement_says s);	/* "approve", "refuse", "withdraw" */

struct statement_dataset {	/* for package, accept, clear */
	const char *name;
	uint64_t version;
	const char *root, *root_sm3;	/* hex; root_sm3 may be NULL */
	uint64_t entries, bytes;
	const char *host, *path;	/* clear: its place, which becomes a "path:" line of the scope (scope.h); else NULL */
	const char *identity;		/* clear: "fsid:inode" of that root, becomes its "root:" line; may be NULL */
	bool block;			/* clear: no tree; its place stands among the devices */
};
struct statement_discard { const char *dataset, *path, *reason; };	/* clear: destroyed though in no version */
struct statement_device { const char *host, *path, *serial; };	/* clear: whole devices; serial may be NULL */
struct statement_copy { const char *what, *held_by; };			/* clear: declared copies elsewhere */

/*
 * All that is signed for.  Zero-initialise; everything is borrowed.  Which fields are written depends on the stage:
 * datasets for package, accept, clear; the fields from method on for clear only.
 */
struct statement_facts {
	const char *plan, *plan_digest;	/* name; hex of the plan digest */
	const char *kind, *title;	/* title may be NULL */
	const char *stage;
	unsigned round;			/* 1, and one more after each rollback: earlier approvals fall then */
	const char *window;		/* cutover.window, clear.valid: statement_window_text; may be NULL */
	const char *package;		/* hex SHA-256 of the package's tagmanifest-sha256.txt; package and accept, may be NULL */
	const struct statement_dataset *datasets; size_t dataset_count;
	const char *method;		/* auto, overwrite, ... */
	const char *require;		/* verdict asked for, may be NULL */
	const char *retain_until;	/* may be NULL */
	const char *operator_name, *verifier;	/* people, may be NULL */
	const struct statement_device *devices; size_t device_count;
	const struct statement_discard *discards; size_t discard_count;
	const struct statement_discard *skipped; size_t skipped_count;	/* grouped by dataset: "destroyed without copy" */
	const struct statement_copy *copies; size_t copy_count;
};

struct statement_attachment { char digest[DIGEST_HEX]; char *name; };	/* name owned */

struct statement_head {		/* when building: all borrowed */
	const char *person, *name, *party;	/* plan name; the person's own name; party */
	enum statement_says says;
	int64_t at;			/* seconds since the epoch */
	int64_t not_before, not_after;	/* 0 = none */
	const char *zone;		/* for writing times; NULL = Asia/Shanghai */
	const char *reason;		/* or conditions; may be NULL */
	const struct statement_attachment *attachments; size_t attachment_count;
};

/* Namespace in which a stage's statement is signed: approval@, acceptance@ (accept), clearance@ (clear). */
const char *statement_namespace(const char *stage);
/* A window as it stands in statements: "TIME / TIME"; and read back, false if it is none. */
#define STATEMENT_WINDOW 72
char *statement_window_text(int64_t from, int64_t to, const char *zone, char out[STATEMENT_WINDOW]);
bool statement_window(const char *text, int64_t *from, int64_t *to);

/* The basis text alone, appended to b; ERR_USAGE when a field the stage needs is missing. */
int statement_basis(const struct statement_facts *f, struct buf *b, struct err *e) MUST_CHECK;
/* The whole statement, appended to b. */
int statement_build(const struct statement_head *h, const struct statement_facts *f, struct buf *b, struct err *e) MUST_CHECK;

struct statement {		/* parsed; all owned */
	char *name_space, *person, *name, *party, *reason;	/* reason may be NULL */
	enum statement_says says;
	int64_t at, not_before, not_after;
	struct statement_attachment *attachments; size_t attachment_count;
	uint8_t basis_digest[DIGEST_LEN];	/* checked against the text below the separator */
	char *basis;			/* that text */
	char *plan, *plan_digest, *stage;	/* out of the basis */
};
#define STATEMENT_INIT { .basis = NULL }
void statement_dispose(struct statement *s);
#define OWN_STATEMENT OWN(statement_dispose)
/* Strict: ERR_INTEGRITY naming the line when anything is not as statement_build writes it. */
int statement_parse(const char *text, size_t n, struct statement *s, struct err *e) MUST_CHECK;
/* Calls fn for each line of a basis, keyword and value (escapes still in it, not NUL-terminated); non-zero stops and is returned. */
int statement_basis_lines(const char *basis, int (*fn)(void *ctx, const char *keyword, size_t klen, const char *value, size_t vlen), void *ctx);
/* What differs first between two bases, for people ("plan-digest was ..., is ..."); false when they are equal. */
bool statement_basis_differs(const char *was, const char *is, char why[256]);

#endif
