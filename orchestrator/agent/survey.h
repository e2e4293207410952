/*
 * survey - the parts of the survey role: what runs at a host, for the survey form and for "what the target lacks".
 *
 * Everything is read beneath the root fd of the agent ("/" in practice), so that a test, or somebody with a mounted disk, can
 * survey a tree that is not running.  A fact is SECTION/NAME and a value (waybill-wire.7); a source that is absent gives no
 * facts, one that cannot be read gives unreadable/SOURCE with the reason.
 */
#ifndef SURVEY_H
#define SURVEY_H

#include "agent.h"

/* One fact; section is a word, name and value raw bytes without NUL, cut at 4 KiB.  0, or -1 when it could not be sent. */
int survey_tell(struct agent *a, const char *section, const char *name, const char *value, struct err *e) MUST_CHECK;

/*
 * Appends a file beneath the root, at most 8 MiB, to b: 1, or 0 when it is absent or cannot be read (the latter has been told),
 * -1 when telling failed.
 */
int survey_file(struct agent *a, const char *path, struct buf *b, struct err *e) MUST_CHECK;

/* Calls fn for each line of a file that survey_file reads, without its LF; lines are writable.  Result as survey_file, or fn's -1. */
typedef int (*survey_line)(struct agent *a, char *line, void *ctx, struct err *e);
int survey_lines(struct agent *a, const char *path, survey_line fn, void *ctx, struct err *e) MUST_CHECK;

/* Calls fn for each name in a directory beneath the root (not "." and ".."), sorted; an absent one gives no calls. */
typedef int (*survey_name)(struct agent *a, const char *dir, const char *name, void *ctx, struct err *e);
int survey_dir(struct agent *a, const char *dir, survey_name fn, void *ctx, struct err *e) MUST_CHECK;

int survey_system(struct agent *a, struct err *e) MUST_CHECK;	/* system, locale, mount, kernel */
int survey_software(struct agent *a, struct err *e) MUST_CHECK;	/* package, unit, schedule */
int survey_accounts(struct agent *a, struct err *e) MUST_CHECK;	/* user, group */
int survey_ports(struct agent *a, struct err *e) MUST_CHECK;	/* port */

#endif
