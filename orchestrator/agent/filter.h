/*
 * filter - which names a plan's patterns mean (waybill-plan.5).
 *
 * As rsync has them: '*' any run without '/', '**' any run, '?' one byte but '/', [..] a class, '\' takes the next byte
 * literally.  A leading '/' anchors at the root of the dataset; a pattern without '/' (but a trailing one) is held against the
 * last component, any other against the path or a tail of it.  A trailing '/' means directories only; "dir/" + "**"
 * means everything in dir but not dir itself.  Matching is by bytes.
 *
 * An entry that an include pattern matches stays; else one that an exclude pattern matches is skipped, a directory with
 * all it holds.  So includes beneath an excluded directory are never reached.
 */
#ifndef FILTER_H
#define FILTER_H

#include <stdbool.h>

/* Does the pattern mean this path (never ".")? */
bool filter_match(const char *pattern, const char *path, bool is_dir);
/* The first pattern of the NULL-terminated list (NULL = empty) that matches, or NULL. */
const char *filter_find(char *const *patterns, const char *path, bool is_dir);

#endif
