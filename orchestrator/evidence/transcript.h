/* transcript - what an interface answered when a copy was deleted (grade E2, waybill-evidence.5). */
#ifndef TRANSCRIPT_H
#define TRANSCRIPT_H

#include <stddef.h>

#include "err.h"

/*
 * n bytes of an attachment: a JSON object with "request_id" (text), "deleted", "before" and "after" (lists of the names of copies; the
 * listings before and after).  1: each of deleted stood in before and no longer in after; *request_id (escaped) is then owned by the caller.
 * 0: it is no transcript.  ERR_USAGE: it is one, and does not show that.
 */
int transcript_read(const void *p, size_t n, char **request_id, struct err *e) MUST_CHECK;

#endif
