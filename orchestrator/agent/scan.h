/*
 * scan - inside of the role that looks for known content on raw media; shared by scan*.c only.
 *
 * scan.c          the role: maps, witnesses, one medium after the other
 * scan_medium.c   which devices lie beneath a directory; opening, flushing, what is known of them
 * scan_read.c     the bytes of a medium in order, unreadable sectors singled out
 * scan_search.c   witnesses in those bytes
 * scan_owner.c    to which file, or free space, a hit belongs
 * scan_btrfs.c    the same on btrfs
 * scan_settle.c   what a file system is asked to do first
 */
#ifndef SCAN_H
#define SCAN_H

#include "agent.h"
#include "messages_scan.h"
#include "witness_table.h"

#define SCAN_SITE "scan"		/* of the fault seam */
#define SCAN_CHUNK (4u << 20)
#define SCAN_READ 8192u			/* a random one */

struct medium {
	char *path;			/* owned */
	int fd;				/* O_RDONLY, O_DIRECT where that can be had */
	int mount;			/* a directory of the file system that is mounted from it, or -1 */
	char *mount_path;		/* owned, or NULL */
	uint64_t size, dev;		/* bytes; st_rdev, 0 for a file */
	uint32_t sector;
	struct msg_medium facts;	/* strings owned */
};
void medium_close(struct medium *m);

struct media {
	struct medium *v;		/* owned */
	size_t n;
	char why_none[300];		/* why there is no raw medium; "" when there is */
};
#define MEDIA_INIT { NULL, 0, "" }
void media_close(struct media *m);
#define OWN_MEDIA OWN(media_close)

/* Opens a device or image file.  ERR_UNVERIFIED: it cannot be read raw. */
int media_add(struct media *m, const char *path, struct err *e) MUST_CHECK;
/* The devices of the file system beneath dir; none with why_none where it stands on nothing that can be read raw.  -1: out of memory. */
int media_beneath(struct media *m, int dir, struct err *e) MUST_CHECK;
/* Everything written is on the medium, and nothing of it is kept in memory. */
int medium_flush(struct medium *m, struct err *e) MUST_CHECK;

/* Asks the mounted file system to let go of what it no longer needs; text says what was done, "" for nothing. */
void medium_settle(struct medium *m, struct buf *text);

/* ---- reading ---- */

struct range { uint64_t at, length; };
struct ranges {				/* NULL v: the whole medium */
	struct range *v;		/* owned; ascending */
	size_t n, cap;
};
/* count random reads by the seed, ascending. */
int ranges_random(struct ranges *r, const uint8_t seed[MSG_SCAN_KEY], uint64_t count, uint64_t size, struct err *e) MUST_CHECK;

/* Bytes of the medium; before them 512 and after them 96 bytes of memory may be overwritten or read by whoever takes them. */
struct piece { uint8_t *p; size_t n; uint64_t at; };
struct reader;
int reader_start(struct reader **out, struct medium *m, const struct ranges *r, struct err *e) MUST_CHECK;
/* 1: the next piece, valid until the next call; 0: all read; -1: the medium could not be read on (ERR_UNVERIFIED). */
int reader_next(struct reader *r, struct piece *out, struct err *e) MUST_CHECK;
/* What could not be read so far, ascending; bytes counted in any case. */
const struct range *reader_bad(const struct reader *r, size_t *n, uint64_t *bytes);
uint64_t reader_bytes(const struct reader *r);
void reader_stop(struct reader *r);
static inline void reader_stopp(struct reader **r) { reader_stop(*r); }
#define OWN_READER OWN(reader_stopp)

/* ---- searching ---- */

struct scan_hit { uint64_t at; uint32_t len, witness; char *owner; /* owned, or NULL */ };
struct search {
	const struct witness_table *table;	/* borrowed */
	uint8_t *found;				/* bitmap by witness; owned by the caller, or NULL */
	struct scan_hit *hits;			/* owned */
	size_t n, max;
	uint64_t count[WITNESS_CLASSES];
	const struct ranges *own;		/* borrowed: hits there count apart; NULL: none */
	uint64_t own_count;
	/* between pieces */
	uint8_t tail[256 + 256 + 128];
	size_t tail_before;
	bool have_tail;
	uint64_t tail_at;			/* of tail[256] */
};
int search_init(struct search *s, const struct witness_table *t, uint8_t *found, size_t max, struct err *e) MUST_CHECK;
void search_dispose(struct search *s);
void search_piece(struct search *s, const struct piece *p);
void search_end(struct search *s);

/* Fills in owner where it can be told. */
int search_owners(struct search *s, const struct medium *m, struct err *e) MUST_CHECK;
int search_owners_btrfs(struct search *s, const struct medium *m, struct err *e) MUST_CHECK;	/* scan_btrfs.c */
/* Adds where on the medium the files beneath dir lie, ascending; what cannot be read of them is left out. */
int ranges_beneath(struct ranges *r, const char *dir, const struct medium *m, struct err *e) MUST_CHECK;
int ranges_add(struct ranges *r, uint64_t at, uint64_t length, struct err *e) MUST_CHECK;
/* Ascending, none overlapping, cut to whole sectors (outwards) and to the medium. */
void ranges_tidy(struct ranges *r, const struct medium *m);
bool ranges_hold(const struct ranges *r, uint64_t at);

#endif
