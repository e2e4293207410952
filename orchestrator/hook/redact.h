/*
 * redact - strikes secrets out of what a command said, before anybody keeps or sees it.
 *
 *   redactor_new -> redactor_add* -> redact* -> redactor_free
 *
 * Struck out are the values that were added, as they are and in the forms in which programs repeat them (JSON string, percent
 * encoding, base64), and what looks like a secret whoever wrote it: private keys in PEM, passwords in addresses
 * (scheme://user:password@), and values behind words such as password=.
 */
#ifndef REDACT_H
#define REDACT_H

#include "buf.h"

#define REDACT_LEAST 4		/* bytes: a shorter value cannot be told from other text */

struct redactor;
struct redactor *redactor_new(void);	/* NULL = out of memory */
void redactor_free(struct redactor *r);	/* NULL is fine */
static inline void redactor_freep(struct redactor **r) { redactor_free(*r); }
/* name stands in the place of the value afterwards: [secret NAME].  ERR_USAGE: shorter than REDACT_LEAST. */
int redactor_add(struct redactor *r, const char *name, const char *value, struct err *e) MUST_CHECK;
/* Appends n bytes without their secrets; raw: still to be escaped. */
void redact(const struct redactor *r, const char *p, size_t n, struct buf *out);

#endif
