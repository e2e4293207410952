/*
 * ledger - append and replay: one git branch a plan, one commit and one new event file an act (waybill-events.5).
 *
 *   ledger_open -> ledger_replay, ledger_txn_begin -> put/link/del* -> ledger_txn_commit ... -> ledger_close
 *
 * The only user of libgit2.  Objects and refs are fsynced; bulk text (manifest chunks) goes out as one pack stream.
 */
#ifndef LEDGER_H
#define LEDGER_H

#include "buf.h"
#include "digest.h"

struct ledger;
int ledger_create(const char *dir, struct err *e) MUST_CHECK;		/* bare repository, HEAD on refs/heads/_none */
int ledger_open(struct ledger **out, const char *dir, struct err *e) MUST_CHECK;
void ledger_close(struct ledger *l);
static inline void ledger_closep(struct ledger **l) { ledger_close(*l); }

#define LEDGER_OID 41		/* hex of a commit id, with NUL */

struct ledger_event {		/* one event file, decoded; strings owned by the event list or, when appending, borrowed */
	uint64_t seq;		/* 1.. */
	const char *stage, *state;	/* words: preflight/copy/...; started/done/waiting/failed/refused/recorded */
	const char *text;	/* one line for the subject */
	const char *by;		/* person (a name as plans have them) or "" */
	const char *at;		/* "2026-11-28T22:00:00+08:00"; also the time of the commit */
	const char *plan_digest;	/* hex SHA-256 */
	const char *data;	/* JSON object text of the act's own facts ("{}", "" or NULL if none) */
	char commit[LEDGER_OID];	/* filled on replay and after append */
	uint8_t digest[DIGEST_LEN];	/* SHA-256 of the event file: the next one's prev */
};

/* Plans in the ledger: calls fn with each branch name.  Non-zero from fn stops. */
int ledger_plans(struct ledger *l, int (*fn)(void *ctx, const char *plan), void *ctx, struct err *e) MUST_CHECK;
/* Head commit of a plan: 1 and oid, 0 = no such plan, -1. */
int ledger_head(struct ledger *l, const char *plan, char oid[LEDGER_OID], struct err *e) MUST_CHECK;
/*
 * All events in order (oldest first).  Checks the chain (seq, prev) while reading: a broken one is ERR_INTEGRITY and
 * names the event.  fn returning non-zero stops; the event is borrowed during the call.
 */
int ledger_replay(struct ledger *l, const char *plan, int (*fn)(void *ctx, const struct ledger_event *ev), void *ctx, struct err *e) MUST_CHECK;
/* A file of the plan's tree at rev (NULL = head; commit hex, or tag name "PLAN/D/N"): 1 (appended to b), 0 absent, -1. */
int ledger_read(struct ledger *l, const char *plan, const char *rev, const char *path, struct buf *b, struct err *e) MUST_CHECK;
/* Names in a directory of that tree, sorted bytewise; fn gets name and whether it is a directory.  Absent: no calls. */
int ledger_list(struct ledger *l, const char *plan, const char *rev, const char *dir, int (*fn)(void *ctx, const char *name, bool is_dir), void *ctx, struct err *e) MUST_CHECK;
/* Commit that a tag "PLAN/D/N" names: 1, 0, -1. */
int ledger_tag(struct ledger *l, const char *tag, char oid[LEDGER_OID], struct err *e) MUST_CHECK;

/*
 * Appending: changes to the tree are collected, then one commit with one event.  Nothing is visible before commit.
 * Blobs are written as they are put (as one pack); equal content costs nothing (git's own addressing).
 */
struct ledger_txn;
int ledger_txn_begin(struct ledger *l, const char *plan, struct ledger_txn **out, struct err *e) MUST_CHECK;
int ledger_txn_put(struct ledger_txn *t, const char *path, const void *p, size_t n, struct err *e) MUST_CHECK;
/*
 * Writes what was put so far, when it is so much that it goes out as a pack: a commit then has little left to do.  All of it is
 * beneath the directory whole, which is not changed any more.  An act that is abandoned afterwards leaves a pack that nothing names.
 */
int ledger_txn_store(struct ledger_txn *t, const char *whole, struct err *e) MUST_CHECK;
int ledger_txn_delete(struct ledger_txn *t, const char *path, struct err *e) MUST_CHECK;	/* file or whole directory; absent is fine */
/*
 * A tag refs/tags/NAME to be set on the new commit (lightweight).  The commit fails (ERR_BUG) when a tag of that name
 * belongs to a commit of the branch already; one that an act left behind which was cut short is replaced.
 */
int ledger_txn_tag(struct ledger_txn *t, const char *name, struct err *e) MUST_CHECK;

/* Signs the commit buffer: returns an armored SSH signature (git namespace) appended to sig; see evidence/sign.h. */
typedef int (*ledger_signer)(void *ctx, const void *p, size_t n, struct buf *sig, struct err *e);
/*
 * Writes events/NNNNNN-STAGE-STATE.json with prev, makes the commit (author and committer: by), signs it if signer is
 * given, moves the branch by compare-and-swap.  If another process appended meanwhile the event is renumbered and the commit made again on the new
 * head (bounded retries), with the same tree changes.  Durable when 0.  ev->commit/seq/digest are set.  Frees t in every case.
 */
int ledger_txn_commit(struct ledger_txn *t, struct ledger_event *ev, ledger_signer signer, void *ctx, struct err *e) MUST_CHECK;
void ledger_txn_abandon(struct ledger_txn *t);

/* Lock "one runner a plan": flock on DIR/../run-PLAN.lock style file given by the caller; ERR_TEMPORARY (8) names the holder written in it. */
int runner_lock(const char *lockfile, const char *who, int *fd, struct err *e) MUST_CHECK;

#endif
