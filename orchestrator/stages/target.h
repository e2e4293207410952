/*
 * target - an apply session: what the place is told, what it answers.
 *
 *   target_open -> target_send*, target_final* (target_wait for acknowledgements) -> target_finish -> target_free
 *
 * A thread of its own listens to acknowledgements and problems.  A target without a host (archive only) takes and
 * forgets everything, so that nobody above has to ask.
 */
#ifndef TARGET_H
#define TARGET_H

#include "owners.h"
#include "run.h"
#include "u64set.h"

#define TARGET_PROBLEMS_KEPT 100	/* named; the rest is counted */

struct target_problem { char *path, *text; };	/* owned; the path is raw bytes, the text clean for output */

struct target {
	struct run *run;
	struct session *session;	/* NULL: archive only */
	pthread_t thread;
	bool running;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	uint64_t asked, acked;		/* highest tokens; guarded by lock, as is all below */
	bool ended;
	struct err failure;		/* class NONE while well */
	struct target_problem *problems;	/* owned */
	size_t problem_count;		/* kept */
	uint64_t problem_total;
	struct u64set no_base;		/* u64set_key of paths whose patch it could not make; guarded by lock */
	struct u64set attrs;		/* blobs sent in this session; the sending thread only */
};

/* host NULL: archive only.  d: its place is that of the dataset; NULL: a directory.  flags: MSG_F_* of apply.  owners (borrowed, NULL: none): ids to be replaced. */
int target_open(struct target *t, struct run *r, const struct plan_dataset *d, const char *host, const char *path, uint64_t flags, const struct owners *owners,
    struct err *e) MUST_CHECK;
int target_send(struct target *t, uint8_t type, const void *data, size_t n, struct err *e) MUST_CHECK;
/* MSG_FLUSH; tokens ascend from 1. */
int target_flush(struct target *t, uint64_t token, struct err *e) MUST_CHECK;
/* An attribute blob that has just been stored or received. */
int target_blob(struct target *t, const void *blob, size_t n, const uint8_t digest[DIGEST_LEN], struct err *e) MUST_CHECK;
/* The attribute blobs that en names, unless they are there already: before LARGE_END, before MSG_FINAL. */
int target_attrs(struct target *t, const struct entry *en, struct err *e) MUST_CHECK;
/* MSG_FINAL for en; blobs that its digests name are fetched from the archive when not yet sent. */
int target_final(struct target *t, const struct entry *en, struct err *e) MUST_CHECK;
/* Until token is acknowledged. */
int target_wait(struct target *t, uint64_t token, struct err *e) MUST_CHECK;
uint64_t target_acked(struct target *t);	/* UINT64_MAX for archive only */
/* Has it said by now that it had no base for a patch of this path (a collision may say so of another), or of any? */
bool target_lacks_base(struct target *t, const char *path, size_t n);
bool target_lacks_any(struct target *t);
/* Ends the data, waits for the end record: everything is durable when 0. */
int target_finish(struct target *t, struct err *e) MUST_CHECK;
void target_free(struct target *t);		/* also of one that was never opened (all zero) */

#endif
