/*
 * backing - on which devices and image files does a file stand?  What is to be wiped must be none of them.
 */
#ifndef BACKING_H
#define BACKING_H

#include <stdbool.h>
#include <sys/stat.h>

#include "buf.h"

/*
 * Appends a word, with a blank before it, for each: "dev:MAJOR:MINOR" for the device of st's file system, what it is stacked on and
 * the disk of which it is a partition; "file:MAJOR:MINOR:INODE" for the files of loop devices among them, whose own devices follow.
 * Nothing for a file system without a device.  First of all comes "boot:ID" when the text is empty.
 */
void backing_of(const struct stat *st, struct buf *words);
/*
 * Is the device or image that st describes among the words, or one of the words a partition of it?  Always false when the words are
 * of another running kernel.
 */
bool backing_holds(const char *words, const struct stat *st);

#endif
