/*
 * answers - the entries that a read or verify agent finds, as one stream in walk order.
 *
 * The agent is told a known state and answers with "same", "gone" and entries; this puts the three together again.
 * Used where only entries are wanted (verification, inventories); pass.c does the same with objects and places.
 */
#ifndef ANSWERS_H
#define ANSWERS_H

#include "run.h"

struct answers_options {
	const char *host, *path;
	uint64_t flags;			/* MSG_F_* besides those of the plan */
	const char *known;		/* name of a scan file in the workspace to be told, or NULL */
	void (*attr)(void *ctx, const void *blob, size_t n);	/* with MSG_F_TELL_ATTRS: each blob, before the first entry that has it; or NULL */
	void *ctx;
	bool is_place;			/* the dataset's own source or target, not a directory that was restored */
	bool source;			/* which of them */
	uint64_t size;			/* of a block dataset's content */
	const char *mount;		/* the device whose file system is to be looked at there (agent: --mount), or NULL */
	bool unfiltered;		/* everything that is there, whatever include and exclude say */
};

struct answers;
/* Starts a verify agent at the place with the dataset's filters. */
int answers_open(struct run *r, const struct plan_dataset *d, const struct answers_options *o, struct answers **out, struct err *e) MUST_CHECK;
/* Next entry (outcome unchanged = not read again): 1, 0 = end (the end record was good), -1. */
int answers_next(struct answers *a, struct entry *en, struct err *e) MUST_CHECK;
const struct msg_ready *answers_ready(const struct answers *a);
const struct msg_done *answers_balance(const struct answers *a);	/* after the end */
void answers_close(struct answers *a);
static inline void answers_closep(struct answers **a) { answers_close(*a); }

#endif
