/*
 * archive_check - does a large content come back out of the archive as it was?  Decoded from front to back and compared with the
 * digest taken at the source; its slices are read and decoded by threads of their own ahead of the hashing, past the page cache.
 *
 * The digest of the content is what is compared: it covers every byte that the content takes from its slices.  What does not agree is
 * decoded once more by archive_content, which compares each slice with its id as well and so can name the one that is damaged.
 */
#ifndef ARCHIVE_CHECK_H
#define ARCHIVE_CHECK_H

#include "archive.h"

/* 0: it does; errors as archive_content, to which whatever is no recipe, or needs too many slices at a time, goes at once. */
int archive_check(struct archive *a, struct workspace *w, const struct entry *en, const struct location *at, struct err *e) MUST_CHECK;

#endif
