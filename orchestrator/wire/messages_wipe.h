/*
 * messages_wipe - what is said to and by the role wipe (waybill-wire.7, numbers 140 to 143).
 */
#ifndef MESSAGES_WIPE_H
#define MESSAGES_WIPE_H

#include "messages.h"

enum msg_wipe_type {
	MSG_WIPE_BEGIN = 140,	/* -> wipe on WIRE_DATA, first: struct msg_wipe_begin */
	MSG_WIPE_FACTS = 141,	/* <- wipe on WIRE_ACK, the answer: struct msg_wipe_facts */
	MSG_WIPE_ACT = 142,	/* -> wipe: struct msg_wipe_act */
	MSG_WIPE_RESULT = 143	/* <- wipe: struct msg_wipe_result, one for each act */
};

#define MSG_WIPE_SEED 32
#define MSG_WIPE_HEAD 131072u	/* bytes that head is of */

struct msg_wipe_begin {
	uint8_t seed[MSG_WIPE_SEED];	/* of the 4 KiB block that is written */
	bool write;			/* else it is only looked at */
	char *keep;			/* devices that the orchestrator stands on (backing.h); owned after decode */
};
void msg_wipe_begin_encode(struct buf *b, const struct msg_wipe_begin *m);
int msg_wipe_begin_decode(const void *p, size_t n, struct msg_wipe_begin *m, struct err *e) MUST_CHECK;

enum msg_wipe_flag { MSG_WIPE_BLOCK = 1, MSG_WIPE_FLASH = 2, MSG_WIPE_GUEST = 4, MSG_WIPE_SANITIZE = 8 };
struct msg_wipe_facts {
	uint64_t size;			/* bytes */
	uint32_t sector;		/* logical sector in bytes */
	uint32_t flags;			/* enum msg_wipe_flag */
	uint64_t luks;			/* bytes before the data of a LUKS volume: both headers and the key slots; 0 = none */
	char *serial, *model;		/* owned after decode; "" = not known */
	char *parts;			/* owned: nodes on which a file system of it may begin, escaped, a line each (medium.h) */
	char *storage;			/* owned: words, as the fact storage */
	char *where;			/* owned: where it is known again (device_where) */
	char *head;			/* owned: SHA-256 in hex of its first 128 KiB and of those of its partitions, "" where they cannot be read */
};
void msg_wipe_facts_dispose(struct msg_wipe_facts *m);
void msg_wipe_facts_encode(struct buf *b, const struct msg_wipe_facts *m);
int msg_wipe_facts_decode(const void *p, size_t n, struct msg_wipe_facts *m, struct err *e) MUST_CHECK;

enum msg_wipe_how {
	MSG_WIPE_OVERWRITE = 1,		/* O_DIRECT writes of the block, then fdatasync */
	MSG_WIPE_ZEROOUT = 2,		/* BLKZEROOUT; zeros written where there is none */
	MSG_WIPE_DISCARD = 3,		/* BLKDISCARD; a hole in an image */
	MSG_WIPE_READ = 4,		/* O_DIRECT reads; the counts say of what */
	MSG_WIPE_DEVICE = 5		/* the device's own sanitize (NVMe, ATA); whole device only */
};
struct msg_wipe_act { uint8_t how; uint64_t offset, length; };
void msg_wipe_act_encode(struct buf *b, const struct msg_wipe_act *m);
int msg_wipe_act_decode(const void *p, size_t n, struct msg_wipe_act *m, struct err *e) MUST_CHECK;

struct msg_wipe_result {
	bool done;			/* false: the device or the kernel refused, text says how; nothing was claimed */
	uint64_t bytes;			/* written, or read */
	uint64_t pattern, zero, other;	/* of what was read */
	uint64_t bad;			/* bytes that could not be read or written */
	uint64_t bad_at;		/* where the first of them lie */
	char *text;			/* owned after decode */
};
void msg_wipe_result_dispose(struct msg_wipe_result *m);
void msg_wipe_result_encode(struct buf *b, const struct msg_wipe_result *m);
int msg_wipe_result_decode(const void *p, size_t n, struct msg_wipe_result *m, struct err *e) MUST_CHECK;

#endif
