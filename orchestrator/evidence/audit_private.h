/* audit_private - what the files of the audit share; see audit.h. */
#ifndef AUDIT_PRIVATE_H
#define AUDIT_PRIVATE_H

#include <jansson.h>

#include "audit.h"
#include "digest.h"
#include "history.h"
#include "plan.h"
#include "sign.h"
#include "statement.h"

/* The run of one audit. */
struct audit {
	const struct audit_options *o;
	struct audit_report *r;
	struct history *h;		/* borrowed; NULL for packages and certificates */
	char *signers;			/* text of o->signers, owned; NULL when not given */
	bool nomem;
};

/* Add a finding; fmt's foreign parts must be escaped by the caller. */
void audit_say(struct audit *a, enum audit_severity s, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* A failure of reading: altered for ERR_INTEGRITY, else unverified. */
void audit_err(struct audit *a, const char *where, const struct err *e);

/* One event file, decoded. */
struct audit_event {
	uint64_t seq;
	char *stage, *state, *text, *by, *at, *plan_digest, *prev;	/* owned */
	char *plan;			/* owned; may be NULL */
	json_t *data;			/* owned; an object */
	uint8_t digest[DIGEST_LEN];	/* of the file */
};
void audit_event_dispose(struct audit_event *ev);
#define OWN_AUDIT_EVENT OWN(audit_event_dispose)
/* ERR_INTEGRITY: not of the grammar of waybill-events.5. */
int audit_event_parse(const char *text, size_t n, struct audit_event *ev, struct err *e) MUST_CHECK;
/* Name of the event file, "events/000012-copy-version.json". */
void audit_event_name(const struct audit_event *ev, char out[256]);
/* Checks seq and prev against what came before and moves on; says what is wrong. */
struct audit_chain { uint64_t seq; char prev[DIGEST_HEX]; bool gap; };	/* gap: the event before could not be read */
void audit_chain_step(struct audit *a, struct audit_chain *c, const struct audit_event *ev, const char *where);
const char *audit_text(const json_t *j, const char *key);	/* "" when absent */
uint64_t audit_number(const json_t *j, const char *key);	/* 0 when absent or negative */

/* What the order of events is judged by; one for each plan. */
struct audit_version { char *dataset; uint64_t version, entries, bytes, seq; char root[DIGEST_HEX], root_sm3[DIGEST_HEX]; };
struct audit_checked { char *dataset; uint64_t version, seq; bool restore, archive, good; };	/* archive: that side of it */
struct audit_voice {
	char *person, *party, *stage, *key, *basis;	/* owned; key may be NULL */
	enum statement_says says;
	bool good;			/* not shown to be false: what cannot be checked is another finding */
	uint8_t digest[DIGEST_LEN];	/* of basis */
	char plan_digest[DIGEST_HEX];
	int64_t at, not_before, not_after;
};
struct audit_order {
	struct audit_version *versions; size_t version_count;
	struct audit_checked *checked; size_t checked_count;
	struct audit_voice *voices; size_t voice_count;
	struct plan *plan;		/* in force, owned; NULL when it is not understood */
	char package[DIGEST_HEX];	/* the last one written, "" = none */
	bool clear_started, clear_done;
	bool gaps;			/* an event could not be read: what seems to lack may stand there */
};
void audit_order_dispose(struct audit_order *o);
/* The plan from here on, of that name ("": any); signers NULL when they are missing. */
void audit_plan(struct audit *a, struct audit_order *o, const char *where, const char *name, const struct buf *yaml, const char *signers);
/* Has the sha256sum list this line?  list may be NULL. */
bool audit_plan_lists(const char *list, const char *name, const uint8_t digest[DIGEST_LEN]);
/* A recorded approval: its statement has been parsed, good says whether its signature was not found false; signers is the list it was held against. */
void audit_order_voice(struct audit *a, struct audit_order *o, const struct audit_event *ev, const struct statement *s, bool good, const char *signers);
/* Every other event. */
void audit_order_event(struct audit *a, struct audit_order *o, const struct audit_event *ev);

/*
 * One statement with its signature: parses it, verifies the signature against signers (and a->signers when given).
 * SIGN_BAD also when it cannot be parsed; *s is filled when it could (plan not NULL).
 */
enum sign_result audit_statement(struct audit *a, const char *where, const struct buf *txt, const struct buf *sig, const char *signers, struct statement *s);
/* c.signers is set here: held against signers, and against a->signers when given; says what is wrong. */
enum sign_result audit_signature(struct audit *a, const char *where, struct sign_check c, const char *signers);
/* Do the signers of the ledger agree with those given from outside?  Says so when not. */
void audit_signers_agree(struct audit *a, const char *where, const char *signers);

/* Manifest and objects of one version at a commit; fills the set of objects. */
struct audit_objects { struct audit_object { uint8_t id[DIGEST_LEN]; char kind; } *v; size_t n, cap; };	/* kind: p, r, s, a, d */
void audit_objects_dispose(struct audit_objects *o);
bool audit_objects_add(struct audit_objects *o, char kind, const uint8_t id[DIGEST_LEN]);	/* false: no memory */
/* What plan.sha256 lists beside plan.yaml is in documents ("" when absent), and so in the archive. */
void audit_plan_files(struct audit *a, struct audit_objects *o, const char *where, const char *list, const char *documents);
void audit_version_check(struct audit *a, const char *plan, const char *oid, const struct audit_event *ev, struct audit_objects *o);
/* The archive: is every object there, with o->full of the right digest. */
void audit_store(struct audit *a, const char *store, struct audit_objects *o);

void audit_ledger(struct audit *a);
void audit_package(struct audit *a);
void audit_certificate(struct audit *a);

#endif
