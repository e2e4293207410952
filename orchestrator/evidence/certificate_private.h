/* certificate_private - the paper as one JSON object, and its rendering as text. */
#ifndef CERTIFICATE_PRIVATE_H
#define CERTIFICATE_PRIVATE_H

#include <jansson.h>

#include "certificate.h"

#define NOT_MEASURED "not measured"

/* The whole paper; NULL with e filled in.  Pure function of the events and their data. */
json_t *certificate_paper(struct ledger *l, const char *plan, struct err *e);
/* The paper for people. */
void certificate_text(const json_t *paper, bool chinese, struct buf *b);
/* A string out of the ledger for output: escapes what esc.h escapes, but leaves the backslashes of escapes made before. */
void certificate_put_safe(struct buf *b, const char *s);

#endif
