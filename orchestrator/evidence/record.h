/*
 * record - facts from outside the program that belong into the ledger (`waybill record`).
 */
#ifndef RECORD_H
#define RECORD_H

#include "buf.h"

struct record_options {		/* borrowed */
	const char *kind;		/* see record_kinds */
	const char *at;			/* when it happened, as typed; NULL = now */
	const char *note;
	const char *copy;		/* which copy a statement is about */
	const char *opinion;		/* agree, amend, refuse */
	const char *zone;		/* of the plan; NULL = Asia/Shanghai */
	const char *const *attached_sha256, *const *attached_name; size_t attached_count;
	const char *request_id;		/* of a statement that is the transcript of an interface (transcript.h), escaped; NULL: it is none */
};

/* notice-received, opinion, opened, went-live, exit-applied, exit-approved, reclaimed, statement, incident, note; NULL-ended. */
extern const char *const record_kinds[];
/*
 * Validates (ERR_USAGE names what is missing or does not belong: opinion needs --opinion, statement needs --copy and an attachment,
 * incident and note need --note; times in the future are refused) and writes the event's data
 * {"kind","happened","note","copy","opinion","attached":[{"sha256","name"}],"grade","request_id"} and its one-line text.  The event is `record recorded`.
 */
int record_build(const struct record_options *o, int64_t now, struct buf *data, struct buf *text, struct err *e) MUST_CHECK;

#endif
