/*
 * journal - what happened to each object of a clearing, kept at the orchestrator (waybill-clearance.5).
 *
 *   clear_journal_open -> clear_journal_put* -> clear_journal_sync ... -> clear_journal_close
 *
 * Order of use: put WRITING for the next objects, sync, only then let the agent begin with them; put each result (that it may be unlinked
 * now is one), sync, only then let it unlink; put each end, sync.
 * After a crash open reads it back; a torn tail is dropped, damage before it is ERR_INTEGRITY.  One thread; the file is
 * locked while open.
 */
#ifndef JOURNAL_H
#define JOURNAL_H

#include "messages.h"

enum journal_state {		/* words in the file: "writing", "unlinking", "done", "absent-at-resume", "changed", "refused", "failed" */
	JOURNAL_PENDING = 0,	/* no record: untouched, must still match the inventory */
	JOURNAL_WRITING = 6,	/* may be partly overwritten: overwrite again, its old content is no longer expected */
	JOURNAL_DONE = MSG_ERASE_DONE,
	JOURNAL_ABSENT = MSG_ERASE_ABSENT,
	JOURNAL_CHANGED = MSG_ERASE_CHANGED,
	JOURNAL_REFUSED = MSG_ERASE_REFUSED,
	JOURNAL_FAILED = MSG_ERASE_FAILED,
	JOURNAL_INTENDED = MSG_ERASE_INTENDED	/* overwritten and read back; if it is gone, it was we who unlinked it */
};
const char *journal_state_name(enum journal_state s);

struct clear_journal;
/*
 * Opens, or creates (mode 0600, durable on return), the journal name beneath dirfd (borrowed).  inventory is the SHA-256
 * of the frozen inventory, count its number of objects: a journal of another inventory is ERR_REFUSED; one that
 * another process holds is ERR_TEMPORARY.
 */
int clear_journal_open(struct clear_journal **out, int dirfd, const char *name, const uint8_t inventory[DIGEST_LEN],
    uint64_t count, struct err *e) MUST_CHECK;
/* The last state recorded for an object; JOURNAL_PENDING when there is none.  index < count. */
enum journal_state clear_journal_state(const struct clear_journal *j, uint64_t index);
/* The bits of enum msg_erase_how last recorded for it. */
uint32_t clear_journal_how(const struct clear_journal *j, uint64_t index);
/* Bytes overwritten last recorded for it. */
uint64_t clear_journal_bytes(const struct clear_journal *j, uint64_t index);
/* Appends WRITING, or a result of the agent (its text cut at 512 bytes).  Buffered: not durable before sync. */
int clear_journal_writing(struct clear_journal *j, uint64_t index, struct err *e) MUST_CHECK;
int clear_journal_result(struct clear_journal *j, const struct msg_erased *r, struct err *e) MUST_CHECK;
/* Everything put so far is on the medium when 0. */
int clear_journal_sync(struct clear_journal *j, struct err *e) MUST_CHECK;
/* Objects whose last state is s. */
uint64_t clear_journal_count(const struct clear_journal *j, enum journal_state s);
/*
 * Calls fn for every object in index order with its last state as a result (text "" ; state 0 for pending, JOURNAL_WRITING
 * as it stands); fn's non-zero stops and is returned.
 */
int clear_journal_each(const struct clear_journal *j, int (*fn)(void *ctx, const struct msg_erased *r), void *ctx);
/* Frees; what was not synced may be lost.  NULL is fine. */
void clear_journal_close(struct clear_journal *j);
static inline void clear_journal_closep(struct clear_journal **j) { clear_journal_close(*j); }
#define OWN_JOURNAL OWN(clear_journal_closep)

#endif
