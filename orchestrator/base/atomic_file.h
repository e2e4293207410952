/*
 * atomic_file - replace a file so that after a crash it is either the old one or the new one, whole and durable.
 *
 *   ATOMIC_FILE_INIT -> atomic_file_open -> write to .fd -> atomic_file_commit
 *                            any state -> atomic_file_abandon (the destructor)
 *
 * Temp beside the target, fsync, close, rename, fsync of the directory: this module is the only place that does it.
 */
#ifndef ATOMIC_FILE_H
#define ATOMIC_FILE_H

#include "err.h"

struct atomic_file {
	int fd;			/* write here; -1 when not open */
	int dirfd;		/* borrowed from the caller */
	char tmp[48];		/* ".tmp-" and random hex */
	char name[256];
};
#define ATOMIC_FILE_INIT { -1, -1, "", "" }
#define OWN_ATOMIC_FILE OWN(atomic_file_abandon)

/* name is one component beneath dirfd (borrowed until commit or abandon); mode as for open. */
int atomic_file_open(struct atomic_file *f, int dirfd, const char *name, unsigned mode, struct err *e) MUST_CHECK;
/* Durable under its name when 0.  On failure the old file stands and the temp file is gone. */
int atomic_file_commit(struct atomic_file *f, struct err *e) MUST_CHECK;
/* As commit, but the name given now (content-addressed stores know it only at the end); an existing file is kept. */
int atomic_file_commit_as(struct atomic_file *f, int dirfd, const char *name, struct err *e) MUST_CHECK;
void atomic_file_abandon(struct atomic_file *f);

/* open + write + commit in one. */
int atomic_file_write(int dirfd, const char *name, unsigned mode, const void *p, size_t n, struct err *e) MUST_CHECK;

#endif
