/*
 * reader - inside of the roles read and verify; shared by read*.c only.
 *
 * read.c          the role: walk merged with the known state, what is sent for each item
 * read_entry.c    describing an inode: stat, attributes, names, target
 * read_content.c  reading a regular file: hash, pack or slices, changes meanwhile
 */
#ifndef READER_H
#define READER_H

#include <sys/stat.h>

#include "agent.h"
#include "delta.h"
#include "emit.h"
#include "known.h"
#include "links.h"
#include "names.h"
#include "walk.h"

#define SITE "read"		/* of the fault seam */
#define NOTE_LIST_ONLY "list_only"
#define NOTE_CHANGED "changed while it was read"

struct blobs { uint8_t (*v)[DIGEST_LEN]; size_t n, cap; };	/* open-addressed set of digests; all zero = free */

struct reader {
	struct agent *a;
	struct walk *walk;
	struct known known;
	struct links links;
	struct names names;
	struct emit emit;
	struct delta *delta;	/* owned */
	struct blobs sent;	/* attribute blobs told in this session */
	struct digest *sha256, *sm3;	/* sm3: NULL unless wanted */
	uint8_t *data;		/* PACK_FILE_MAX bytes: a small content, or a block of a large one */
	char *prev;		/* path of the last ENTRY, for prefix coding */
	uint64_t same, gone;	/* not yet sent; one of them is 0 */
	int64_t now_s;		/* of the host's own clock when the walk began: ages are counted from it */
	char *unread;		/* directory that could not be read: what is known beneath it is failed, not gone */
};

/* ---- read_entry.c ---- */

void describe_stat(struct entry *en, const struct statx *st);	/* all that stat tells, ENTRY_HAS_SCAN included */
/* Attributes, inode flags and owner names of the open inode; blobs not yet told are sent.  0, 1 = why, -1. */
int describe_more(struct reader *r, int fd, struct entry *en, struct attr_set *attrs, struct err *why, struct err *e) MUST_CHECK;
int describe_target(int fd, struct entry *en, struct err *why) MUST_CHECK;	/* symlink: 0, 1 = why */
int set_note(struct entry *en, struct err *e, const char *fmt, ...) MUST_CHECK __attribute__((format(printf, 3, 4)));

/* ---- read_content.c ---- */

struct content {		/* what reading a file gave */
	struct attr_set attrs;
	struct emit_large large;
	struct delta_content delta;
	bool is_large, settled;
	int dirfd;			/* where name (borrowed, NULL: not asked) must still lead to what was read */
	const char *name;
};
void content_dispose(struct content *c);
#define OWN_CONTENT OWN(content_dispose)
/*
 * Read the regular file behind fd, again while it changes or another takes its name (fd is that one then).  known (may be NULL): what it was.  send: contents go into slices or are
 * left in r->data for the pack.  0 with en complete but outcome, 1 = why (nothing of it is left on the wire), -1.
 */
int content_take(struct reader *r, int fd, struct entry *en, const struct entry *known, bool send, struct content *c, struct err *why, struct err *e) MUST_CHECK;

#endif
