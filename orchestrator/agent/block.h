/*
 * block - a block device or an image of one as a dataset of one content, ENTRY "image" beneath a root of its own making.
 *
 * Options after --root ABSPATH: --serial S (the device has that serial number, else nothing is opened), --mounted (reading it while
 * it is mounted read-write was agreed to), --size N (verifyblock: only the first N bytes are looked at).
 */
#ifndef BLOCK_H
#define BLOCK_H

#include "agent.h"

#define BLOCK_CONTENT "image"

/* The value of an option ("" for one without), or NULL. */
const char *block_option(const struct agent *a, const char *name);
uint64_t block_size(const struct agent *a);	/* bytes of what a->root is open on */

#endif
