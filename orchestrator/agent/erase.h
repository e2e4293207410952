/*
 * erase - inside of the role that destroys; shared by erase*.c only.
 *
 * erase.c       scope, messages, removal, results once durable
 * erase_file.c  one file: overwrite in place, prove it, as far as rights allow
 */
#ifndef ERASE_H
#define ERASE_H

#include <sys/stat.h>

#include "agent.h"
#include "entry.h"

#define ERASE_SITE "erase"		/* of the fault seam */
#define PATTERN_BYTES 4096u
#define ERASE_CHUNK (1u << 20)

struct eraser {
	uint8_t *pattern;		/* owned, page-aligned: ERASE_CHUNK + PATTERN_BYTES of the 4 KiB pattern of this run */
	uint8_t *back;			/* owned, page-aligned, ERASE_CHUNK: what was read */
	bool raw_wanted;
	uint64_t raw_dev;		/* device that raw reads, or could not be opened for */
	int raw;			/* O_RDONLY|O_DIRECT; -1 = none */
	char raw_why[200];		/* why there is no raw reading of raw_dev */
};

int eraser_init(struct eraser *r, bool raw_wanted, struct err *e) MUST_CHECK;
void eraser_dispose(struct eraser *r);

/*
 * Overwrites the content of the file behind path_fd (O_PATH, identity already checked, st as fstat says) where it lies, syncs, looks
 * whether it stayed there and reads it back.  *how and *bytes tell what was done and measured, also on failure; note
 * receives remarks for the record.  0 when it may be unlinked; -1 when not (nothing there is to be trusted then).
 */
int erase_content(struct eraser *r, int path_fd, const struct stat *st, uint32_t *how, uint64_t *bytes, struct buf *note,
    struct err *e) MUST_CHECK;

#endif
