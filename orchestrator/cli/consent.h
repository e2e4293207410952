/*
 * consent - what approve and accept share: who speaks, the text to sign, signed texts brought back.
 */
#ifndef CONSENT_H
#define CONSENT_H

#include "approval.h"
#include "job.h"

/* --as must name a person of the plan.  ERR_USAGE otherwise. */
int consent_person(struct job *j, struct err *e) MUST_CHECK;
/* The statement with the options --refuse, --withdraw, --reason, --except and --attach of the command line. */
int consent_text(struct job *j, const char *stage, const struct statement_facts *f, struct buf *txt, struct err *e) MUST_CHECK;
/* Writes it to file and says how it is signed. */
int consent_request(struct job *j, const char *stage, const struct statement_facts *f, const char *file, struct err *e) MUST_CHECK;
/* "X.sig" and the text beside it, "X". */
int consent_read_signed(const char *sigfile, struct buf *txt, struct buf *sig, struct err *e) MUST_CHECK;
/* The files of --attach go into the archive: every one that s names by its digest, and no other. */
int consent_attach(struct job *j, const struct statement *s, struct err *e) MUST_CHECK;

#endif
