/*
 * messages_scan - what is said to and by the role scan, and about canaries (waybill-wire.7, numbers 100 to 109).
 */
#ifndef MESSAGES_SCAN_H
#define MESSAGES_SCAN_H

#include "messages.h"

enum msg_scan_type {
	MSG_SCAN_BEGIN = 100,	/* -> scan on WIRE_DATA: struct msg_scan_begin; then MSG_WITNESSES until the stream's end */
	MSG_WITNESSES = 101,	/* -> scan: items, until the message's end: struct msg_witness */
	MSG_MEDIUM = 102,	/* <- scan on WIRE_ACK: struct msg_medium */
	MSG_HIT = 103,		/* <- scan: struct msg_hit */
	MSG_BAD = 104,		/* <- scan: struct msg_bad */
	MSG_FOUND = 105,	/* <- scan: struct msg_found */
	MSG_SCANNED = 106,	/* <- scan: struct msg_scanned: so far, once a second; the last one of a medium is done */
	MSG_MAP = 107,		/* -> scan, before MSG_SCAN_BEGIN: varint index, path; <- scan: struct msg_mapped */
	MSG_CANARY = 108,	/* -> erase: struct msg_canary; <- erase: the same, with what was done */
	MSG_SETTLED = 109	/* <- scan: bytes text: what was asked of the file system before the scan (empty: nothing) */
};

#define MSG_SCAN_KEY 32

enum msg_scan_flag {
	MSG_SCAN_WANT_FOUND = 1,	/* tell which witnesses were found */
	MSG_SCAN_WANT_OWNERS = 2,	/* tell to which file or free space the hits belong */
	MSG_SCAN_MAPPED_ONLY = 4	/* read only what MSG_MAP led to */
};
struct msg_scan_begin {
	uint8_t key[MSG_SCAN_KEY];
	uint64_t witnesses;		/* how many will be sent, at most 2^31 */
	uint64_t flags;			/* enum msg_scan_flag */
	uint64_t hits_max;		/* hits told one by one; all are counted */
	uint64_t reads;			/* 0 = the whole medium; else so many random reads of 8 KiB ... */
	uint8_t seed[MSG_SCAN_KEY];	/* ... chosen by this */
};
void msg_scan_begin_encode(struct buf *b, const struct msg_scan_begin *m);
int msg_scan_begin_decode(const void *p, size_t n, struct msg_scan_begin *m, struct err *e) MUST_CHECK;

/* One witness (witness.h): u8 class, u64 hash; unaligned ones (classes 1 and 2) also u8 len, u8 off, u32 tag. */
struct msg_witness { uint8_t cls, len, off; uint32_t tag; uint64_t hash; };
void msg_witness_put(struct buf *b, const struct msg_witness *w);
/* 1, 0 at the end of the message, -1. */
int msg_witness_next(struct view *v, struct msg_witness *w, struct err *e) MUST_CHECK;

enum msg_medium_flag {
	MSG_MEDIUM_DIRECT = 1,		/* read with O_DIRECT */
	MSG_MEDIUM_ROTATIONAL = 2,
	MSG_MEDIUM_BLOCK = 4,		/* a block device; else a file */
	MSG_MEDIUM_GUEST = 8,		/* of a virtual machine: note says by what it was seen */
	MSG_MEDIUM_MOUNTED = 16		/* a file system on it is in use */
};
struct msg_medium {
	char *path, *serial, *fstype, *note;	/* owned after decode */
	char *uuid;				/* of the file system that begins there, hex; "" = none is known; owned after decode */
	char *where;				/* as that of msg_wipe_facts; owned after decode */
	uint64_t size;				/* bytes */
	uint32_t sector;			/* logical sector in bytes */
	uint32_t flags;				/* enum msg_medium_flag */
};
void msg_medium_dispose(struct msg_medium *m);
void msg_medium_encode(struct buf *b, const struct msg_medium *m);
int msg_medium_decode(const void *p, size_t n, struct msg_medium *m, struct err *e) MUST_CHECK;

struct msg_hit {
	uint64_t witness, offset, length;
	char *owner;		/* "free", "file PATH", "metadata", or "" where it cannot be told; owned after decode */
};
void msg_hit_dispose(struct msg_hit *m);
void msg_hit_encode(struct buf *b, const struct msg_hit *m);
int msg_hit_decode(const void *p, size_t n, struct msg_hit *m, struct err *e) MUST_CHECK;

struct msg_bad { uint64_t offset, length; };	/* could not be read */
void msg_bad_encode(struct buf *b, const struct msg_bad *m);
int msg_bad_decode(const void *p, size_t n, struct msg_bad *m, struct err *e) MUST_CHECK;

struct msg_found { uint64_t first; const uint8_t *bits; size_t bytes; };	/* bit i of byte k: witness first + 8k + i; borrowed */
void msg_found_encode(struct buf *b, const struct msg_found *m);
int msg_found_decode(const void *p, size_t n, struct msg_found *m, struct err *e) MUST_CHECK;

#define MSG_SCAN_CLASSES 4
struct msg_scanned {
	uint64_t bytes;				/* read */
	uint64_t reads;				/* random ones */
	uint64_t hits[MSG_SCAN_CLASSES];	/* by class of witness */
	uint64_t bad;				/* bytes that could not be read */
	uint64_t own;				/* hits in what --own names; they are in none of the other counts */
	uint64_t ns;				/* it took */
	bool done;				/* searched to its end */
};
void msg_scanned_encode(struct buf *b, const struct msg_scanned *m);
int msg_scanned_decode(const void *p, size_t n, struct msg_scanned *m, struct err *e) MUST_CHECK;

enum msg_storage {		/* how a file system keeps a content */
	MSG_STORAGE_PLAIN = 0, MSG_STORAGE_INLINE = 1, MSG_STORAGE_ENCODED = 2, MSG_STORAGE_SHARED = 3, MSG_STORAGE_UNMAPPED = 4
};
#define MSG_STORAGES 5
struct msg_extent { uint64_t physical, length; };
struct msg_mapped {
	uint64_t index;
	enum msg_storage storage;
	struct msg_extent *v;	/* owned after decode; as many as there are, at most MSG_EXTENTS_MAX */
	size_t n;
};
#define MSG_EXTENTS_MAX (1u << 20)
void msg_mapped_dispose(struct msg_mapped *m);
void msg_mapped_encode(struct buf *b, const struct msg_mapped *m);
int msg_mapped_decode(const void *p, size_t n, struct msg_mapped *m, struct err *e) MUST_CHECK;
void msg_map_encode(struct buf *b, uint64_t index, const char *path);
/* *path is owned by the caller. */
int msg_map_decode(const void *p, size_t n, uint64_t *index, char **path, struct err *e) MUST_CHECK;

#define MSG_CANARY_FILE ".waybill-canaries.tmp"	/* in the root of the erase agent */
struct msg_canary {
	uint64_t count;			/* blocks to plant, or that were planted; 0 = remove them */
	uint64_t spread;		/* number of the first; in the answer: bytes of the file that they are spread over */
	uint8_t key[MSG_SCAN_KEY];	/* what they are made of */
};
void msg_canary_encode(struct buf *b, const struct msg_canary *m);
int msg_canary_decode(const void *p, size_t n, struct msg_canary *m, struct err *e) MUST_CHECK;

#endif
