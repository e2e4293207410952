/*
 * scan_client - one session with a scan agent: what lies where, and which witnesses are readable on a medium.
 *
 *   scan_open -> scan_map* -> scan_search | scan_look -> scan_close
 */
#ifndef SCAN_CLIENT_H
#define SCAN_CLIENT_H

#include "messages_scan.h"
#include "run.h"
#include "witness_set.h"

struct scan_found_hit {
	uint64_t offset, length;
	uint32_t witness;
	char *owner;			/* owned, escaped; "" = not told */
};

struct scan_result {
	struct msg_medium medium;	/* strings owned, escaped */
	struct msg_scanned sum;
	char *settled;			/* owned, escaped; "" = nothing was asked */
	struct scan_found_hit *hits;	/* owned; at most what was asked for */
	size_t nhits;
	struct msg_bad *bad;		/* owned: ranges that could not be read */
	size_t nbad;
	bool complete;			/* searched to its end */
};
void scan_result_dispose(struct scan_result *x);

struct scan {
	struct run *r;
	struct session *session;
	const char *host;		/* borrowed */
	const char *mount, *at;		/* borrowed, set before scan_open: the device whose file system is looked at there, NULL: none */
	struct scan_result *media;	/* owned */
	size_t n;
	char why_none[ERR_TEXT_MAX];	/* why there is no raw medium, "" when there is one */
};
#define SCAN_INIT { .n = 0 }
void scan_close(struct scan *s);
#define OWN_SCAN OWN(scan_close)

/*
 * root: a directory whose devices are meant; on: a device or image file instead (then root is not used).  settle: the file
 * system is first asked to empty its journal or trim its free space.
 */
int scan_open(struct scan *s, struct run *r, const char *host, const char *root, const char *on, bool settle, struct err *e) MUST_CHECK;
/* Hits in the workspace's own files count apart (sum.own), where the medium is that of this host. */
/* How the files are kept; their extents follow one after the other.  n at most 128; out[i].v is owned by the caller. */
#define SCAN_MAP_MAX 128
int scan_map(struct scan *s, const char *const *paths, size_t n, struct msg_mapped *out, struct err *e) MUST_CHECK;
/* Only which media there are. */
int scan_look(struct scan *s, struct err *e) MUST_CHECK;

struct scan_request {
	const struct witness_set *set;
	uint64_t flags;			/* enum msg_scan_flag */
	uint64_t hits_max;
	uint64_t reads;			/* 0 = all */
	const uint8_t *seed;		/* MSG_SCAN_KEY bytes, with reads */
	uint8_t *found;			/* bitmap by witness that is added to (with MSG_SCAN_WANT_FOUND) */
	const char *dataset;		/* for progress */
};
/* ERR_UNVERIFIED: the medium could not be read on. */
int scan_search(struct scan *s, const struct scan_request *q, struct err *e) MUST_CHECK;

#endif
