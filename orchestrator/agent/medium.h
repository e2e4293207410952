/* medium - a block device or a file that is an image of one: its size, and who uses it. */
#ifndef MEDIUM_H
#define MEDIUM_H

#include <stdint.h>
#include <sys/stat.h>

#include "buf.h"

/* Bytes of the device or of the regular file; 0 when the kernel does not tell. */
uint64_t medium_size(const struct stat *st);

enum medium_use {		/* worst last */
	MEDIUM_FREE,
	MEDIUM_MOUNTED_RO,
	MEDIUM_HELD,		/* not mounted as far as we see: another namespace, swap, RAID, LVM; an image: a loop device has it */
	MEDIUM_MOUNTED_RW
};
/* Of the device, its partitions and what is stacked on them; of a file: of the loop devices whose file it is. */
enum medium_use medium_use(const struct stat *st);
/*
 * Appends where file systems of it are mounted here, as the kernel escapes them, a line each; and as lines that are no mount points what
 * would be wiped unseen: " (only ROOT of it)" after the point where a part of a file system is mounted, and, once anything is mounted,
 * "NODE (not mounted)" for each partition or volume that is not.
 */
void medium_mounts(const struct stat *st, struct buf *out);
/*
 * Appends, escaped and a line each, the nodes on which a file system of it can begin: itself, or its partitions and what is stacked on them,
 * those that hold no others.  Without having attached it, an image is one.
 */
void medium_parts(const struct stat *st, const char *path, struct buf *out);
/* Where its partitions begin, in bytes and ascending; at most max of them are told. */
size_t medium_partitions(const struct stat *st, uint64_t *at, size_t max);
const char *medium_use_name(enum medium_use u);	/* "no", "read-only", "held", "read-write" */

#endif
