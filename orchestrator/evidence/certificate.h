/*
 * certificate - the certificate of clearance, a pure function of the ledger (waybill-evidence.5, "Certificate").
 *
 * Built from the events up to and with `clear done` and from the tree at that commit, so that anybody with the ledger gets the
 * same bytes.  It says what was measured and by whom, and what cannot be known; a field nobody measured says so.
 */
#ifndef CERTIFICATE_H
#define CERTIFICATE_H

#include "ledger.h"

enum certificate_format { CERTIFICATE_TXT, CERTIFICATE_JSON, CERTIFICATE_HTML };
bool certificate_format_parse(const char *s, enum certificate_format *f);

struct certificate_options {
	enum certificate_format format;
	bool chinese;			/* text: Chinese first with English; else English only.  JSON keys do not change */
};

/*
 * Appends the certificate.  ERR_REFUSED: the plan has no `clear done` yet (nothing is certified from an unfinished record);
 * ERR_INTEGRITY: events or data are not as their grammar says.
 */
int certificate_build(struct ledger *l, const char *plan, const struct certificate_options *o, struct buf *out, struct err *e) MUST_CHECK;
struct certificate_summary {
	char verdict[32];		/* of the whole: the worst of items and copies ("performed-not-provable", ...) */
	char id[128];			/* PLAN-NNNNNN: the event that the paper goes up to */
};
/* What the paper would say now: 1, 0 = nothing was cleared yet, -1. */
int certificate_about(struct ledger *l, const char *plan, struct certificate_summary *out, struct err *e) MUST_CHECK;
/* Rank of a verdict word, 0 = best ("cleared-full"), 7 = "unknown"; -1 for no such word. */
int certificate_rank(const char *verdict);
/* May a paper with this verdict be titled 清除证明: cleared-full, -sampled, -guest-level, crypto-erased. */
bool certificate_is_proof(const char *verdict);
struct plan;
/* What the plan says, as the JSON object that `clear started` carries as "facts", appended to b. */
int certificate_facts(const struct plan *p, struct buf *b, struct err *e) MUST_CHECK;
/* Signed with a key file in certificate@waybill; armored text appended to sig. */
int certificate_sign(const char *keyfile, const void *p, size_t n, struct buf *sig, struct err *e) MUST_CHECK;

#endif
