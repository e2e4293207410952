/*
 * history - reading a ledger's git history as an auditor: every commit, what it changed, how it is signed.
 *
 * Read only, and independent of the code that appends.  Works on any git repository, bare or not, also one that belongs
 * to somebody else.  ERR_INTEGRITY: an object is there but is not what its name says; ERR_UNVERIFIED: an object is
 * missing or cannot be read.
 *
 *   history_open -> history_plans, history_walk, history_read ... -> history_close
 */
#ifndef HISTORY_H
#define HISTORY_H

#include "buf.h"

#define HISTORY_OID 41		/* hex of an object id, with NUL */

struct history;
/* ERR_USAGE when dir is no git repository. */
int history_open(struct history **out, const char *dir, struct err *e) MUST_CHECK;
void history_close(struct history *h);
static inline void history_closep(struct history **h) { history_close(*h); }

/* Branch names (without refs/heads/), sorted; those that begin with '_' are left out.  Non-zero from fn stops. */
int history_plans(struct history *h, int (*fn)(void *ctx, const char *plan), void *ctx, struct err *e) MUST_CHECK;
/* Tags "PLAN/..." with the commit each names, sorted by name; plan NULL: those of every plan, "PLAN/DATASET/NUMBER" alone. */
int history_tags(struct history *h, const char *plan, int (*fn)(void *ctx, const char *name, const char *oid), void *ctx, struct err *e) MUST_CHECK;

struct history_change { char *path; char how; };	/* how: 'A' added, 'M' modified, 'D' deleted, 'T' other type (link, submodule) */
struct history_commit {		/* borrowed during the call */
	char oid[HISTORY_OID], parent[HISTORY_OID];	/* parent: the first one, "" without */
	unsigned parents;
	const char *message;
	const char *author;		/* name */
	const char *payload; size_t payload_len;	/* what a signature covers; NULL when unsigned */
	const char *signature; size_t signature_len;	/* armored; NULL when unsigned */
	const struct history_change *changes; size_t change_count;	/* against the parent (or nothing), sorted by path */
};
/* Commits of a plan along first parents, oldest first.  Non-zero from fn stops the walk (result still 0). */
int history_walk(struct history *h, const char *plan, int (*fn)(void *ctx, const struct history_commit *c), void *ctx, struct err *e) MUST_CHECK;
/* A file of a commit's tree, appended to b: 1, 0 absent, -1. */
int history_read(struct history *h, const char *oid, const char *path, struct buf *b, struct err *e) MUST_CHECK;
/* Paths of all files beneath dir in a commit's tree, in git's order; absent: no calls. */
int history_list(struct history *h, const char *oid, const char *dir, int (*fn)(void *ctx, const char *path), void *ctx, struct err *e) MUST_CHECK;
/* Is the commit (hex, may be shortened to its first digits) the head of plan or one of its ancestors: 1, 0, -1. */
int history_contains(struct history *h, const char *plan, const char *oid, struct err *e) MUST_CHECK;
int history_head(struct history *h, const char *plan, char oid[HISTORY_OID], struct err *e) MUST_CHECK;	/* 1, 0, -1 */

#endif
