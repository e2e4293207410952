/*
 * restore - a dataset, one version or some of its paths, out of the archive alone.
 *
 * An apply agent of this machine does the writing, so that restoring and copying share one finaliser.  Contents are checked
 * before they are given to it: what is damaged is named and left out, never restored.
 */
#ifndef RESTORE_H
#define RESTORE_H

#include "run.h"

struct restore_options {
	uint64_t version;		/* 0 = newest */
	const char *const *paths;	/* relative, NULL-terminated; NULL or empty = everything */
	const char *to;			/* absolute directory; made when missing */
	bool overwrite;			/* into a directory that is not empty */
};

struct restore_result {
	uint64_t version, entries, files, bytes;
	uint64_t left_out;		/* skipped, failed or list_only entries: never archived */
	uint64_t damaged;		/* entries not restored because the archive is damaged */
	uint64_t problems;		/* attributes that could not be set */
};

/*
 * ERR_REFUSED: the directory is not empty.  ERR_USAGE: a path is not in the version.  ERR_INTEGRITY: something was damaged
 * (the rest is restored, out tells how much).
 */
int restore_run(struct run *r, const struct plan_dataset *d, const struct restore_options *o, struct restore_result *out, struct err *e) MUST_CHECK;

/* One regular file's content to fd ("restore ... --to -"). */
int restore_content(struct run *r, const struct plan_dataset *d, uint64_t version, const char *path, int fd, struct err *e) MUST_CHECK;

#endif
