/*
 * reader - inside of the roles read and verify; shared by read*.c only.
 *
 * read.c          the role: the walk merged with the known state; what is to be done for each item
 * read_batch.c    items in batches: hands of the crew take them, their answers go out in walk order
 * read_take.c     one item: opened, described, read, packed; or a further name of what was
 * read_entry.c    describing an inode: stat, attributes, names, target
 * read_content.c  reading a regular file: hash, pack or slices, changes meanwhile
 *
 * The role's thread walks, decides and sends every entry; the hands only open and read.  Items that follow each other make
 * a batch, one pack's worth; a hand takes a batch at a time, a large content is a batch of its own.
 */
#ifndef READER_H
#define READER_H

#include <pthread.h>
#include <sys/stat.h>

#include "agent.h"
#include "crew.h"
#include "delta.h"
#include "emit.h"
#include "known.h"
#include "links.h"
#include "names.h"
#include "walk.h"

#define SITE "read"		/* of the fault seam */
#define NOTE_LIST_ONLY "list_only"
#define NOTE_CHANGED "changed while it was read"
#define HANDS_MAX 4		/* each needs up to 60 MiB: a slice raw and stored, a pack, a small content */

struct blobs { uint8_t (*v)[DIGEST_LEN]; size_t n, cap; };	/* open-addressed set of digests; all zero = free */

struct reader;
struct hand {			/* what a thread needs for taking items */
	struct reader *r;
	struct digest *sha256, *sm3;	/* sm3: NULL unless wanted */
	uint8_t *data;		/* PACK_FILE_MAX bytes: a small content, or a block of a large one */
	struct emit_packs packs;
	uint64_t bytes;		/* read, for the report */
	struct batch *batch;	/* being taken; NULL: the role's own hand, whose entries go out at once */
	size_t at, unnamed;	/* item being taken; first whose pack has not gone out */
};

enum item_kind {
	ITEM_SAME, ITEM_GONE,	/* so many known entries */
	ITEM_ENTRY,		/* complete */
	ITEM_TAKE,		/* a hand completes it */
	ITEM_LATER		/* a name of an inode whose other name may be under way: decided when that one has gone out */
};

struct item {
	enum item_kind kind;
	uint64_t count;			/* SAME, GONE */
	struct msg_entry m;		/* owned */
	struct entry *known;		/* of the same path; owned, may be NULL */
	struct dir *dir, *self;		/* held: the directory it is in (NULL: the root), itself if it is one */
	struct entry_scan inode;	/* as the walk saw it: what the tables of links know it by */
	bool list_only, several, vanished;
	bool open;			/* counts among the large contents that the target holds open until the entry comes */
	struct err *why;		/* the problem to be told before the entry; owned */
};

struct batch {
	struct task task;		/* first: the crew gives it back */
	struct batch *next;
	struct item *v;			/* owned */
	size_t n, cap;
	uint64_t raw;			/* estimate of what goes into the pack */
	bool work;			/* holds an ITEM_TAKE */
	size_t sent;			/* items that have gone out */
	/* under the reader's lock: */
	size_t ready;			/* items that are complete */
	bool finished;
	int result;
	struct err e;
};

struct reader {
	struct agent *a;
	struct walk *walk;
	struct known known;
	struct links links;	/* first names that have gone out */
	struct links flying;	/* first names that have not */
	struct emit emit;
	struct delta *delta;	/* owned */
	char *prev;		/* path of the last ENTRY, for prefix coding */
	uint64_t same, gone;	/* not yet sent; one of them is 0 */
	int64_t now_s;		/* of the host's own clock when the walk began: ages are counted from it */
	char *unread;		/* directory that could not be read: what is known beneath it is failed, not gone */

	struct crew *crew;
	struct hand *hands, own;	/* own: of the role's thread */
	size_t hand_count;
	struct batch *filling;		/* owned */
	struct batch *first, **last;	/* owned: given, in walk order */
	size_t given;

	pthread_mutex_t lock;	/* of what the hands share: */
	pthread_cond_t moved;	/* a batch is further on, or the head is another, or a large content went out */
	struct batch *head;	/* the batch whose entries go out next */
	size_t open_larges;
	bool stopping;
	struct names names;
	struct blobs sent;	/* attribute blobs told in this session */
};

/* ---- read_batch.c ---- */

int hands_start(struct reader *r, struct err *e) MUST_CHECK;	/* hands and crew */
void hands_stop(struct reader *r);
/* The next item in walk order, of the kind given, to be filled by the caller before the next call; NULL with *e. */
struct item *item_add(struct reader *r, enum item_kind kind, struct err *e);
/* After an item is complete: closes the batch when it is full, sends what is ready, waits while too much is under way. */
int batch_step(struct reader *r, struct err *e) MUST_CHECK;
/* A large content: what follows is for other hands. */
int batch_close(struct reader *r, struct err *e) MUST_CHECK;
/* Everything out. */
int batch_finish(struct reader *r, struct err *e) MUST_CHECK;
/* So many known entries stand, or are gone. */
int add_same(struct reader *r, struct err *e) MUST_CHECK;
int add_gone(struct reader *r, struct err *e) MUST_CHECK;

/*
 * Before a large content begins: the target holds it open until its entry comes, and holds only so many.  May wait for
 * entries before it to go out.
 */
int hand_open_large(struct hand *h, struct err *e) MUST_CHECK;

/* ---- read_take.c ---- */

/* Completes an ITEM_TAKE; its outcome may be failed.  *ended as emit_pack. */
int item_take(struct hand *h, struct item *x, uint64_t *ended, struct err *e) MUST_CHECK;
int item_fail(struct item *x, const struct err *why, struct err *e) MUST_CHECK;
/* An ITEM_LATER in its turn: 1 = it is the same as known, 0 = complete, -1. */
int item_decide(struct reader *r, struct item *x, struct err *e) MUST_CHECK;
bool item_is_same(const struct reader *r, const struct entry *known, const struct entry *cur, bool list_only);
/* Known content that the archive has (or that was hashed): all entries but those that were only listed or not taken. */
bool was_taken(const struct entry *k, bool list_only);
/* What only an entry that was read may claim goes. */
void strip(struct entry *en);

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
#define CONTENT_INIT { .attrs = ATTR_SET_INIT, .large = EMIT_LARGE_INIT, .delta = DELTA_CONTENT_INIT }
void content_dispose(struct content *c);
#define OWN_CONTENT OWN(content_dispose)
/*
 * Read the regular file behind fd, again while it changes or another takes its name (fd is that one then).  known (may be NULL): what it was.  send: contents go into slices or are
 * left in h->data for the pack.  0 with en complete but outcome, 1 = why (nothing of it is left on the wire), -1.
 */
int content_take(struct hand *h, int fd, struct entry *en, const struct entry *known, bool send, struct content *c, struct err *why, struct err *e) MUST_CHECK;

#endif
