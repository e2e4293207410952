/*
 * messages - what the streams carry (waybill-wire.7).  All integers little-endian or LEB128 varints (buf.h).
 *
 * A role is fixed by the agent's argv: read, verify, apply, erase, challenge, facts, exec (messages_exec.h).  The first message to every role is
 * MSG_START on WIRE_CONTROL; the last from it is MSG_DONE on WIRE_CONTROL (its presence is our own end record: an
 * exit status without it is a failure).
 */
#ifndef MESSAGES_H
#define MESSAGES_H

#include "entry.h"
#include "attrs.h"

enum msg_type {
	/* control, both ways */
	MSG_START = 1,		/* -> agent: struct msg_start */
	MSG_READY = 2,		/* <- agent: struct msg_ready: root opened, identity known */
	MSG_DONE = 3,		/* <- agent: struct msg_done: end record with the balance */
	/* read, verify: agent -> orchestrator on WIRE_DATA, in this order of appearance */
	MSG_OBJ_BEGIN = 10,	/* varint ordinal (from 1), u8 kind (enum msg_kind), slice: varint large id, varint raw offset */
	MSG_OBJ_DATA = 11,	/* varint ordinal, then stored bytes */
	MSG_OBJ_END = 12,	/* varint ordinal, varint raw bytes, varint stored bytes */
	MSG_ENTRY = 13,		/* struct msg_entry: walk order */
	MSG_SAME = 14,		/* varint count: so many next entries of the known state are unchanged */
	MSG_GONE = 15,		/* varint count: so many next entries of the known state no longer exist */
	MSG_LARGE_BEGIN = 16,	/* varint large id, varint size now, path: a content in slices starts (also told to apply) */
	MSG_LARGE_ABORT = 17,	/* varint large id: it changed while it was read; its slices are void */
	MSG_ATTR = 18,		/* blob text: always sent before the first entry that carries its digest in this session */
	MSG_KNOWN = 20,		/* orchestrator -> read/verify on WIRE_KNOWN: entries (with scan) in walk order, packed: msg_known_add */
	/* orchestrator -> apply on WIRE_DATA: MSG_OBJ_*, MSG_LARGE_BEGIN, MSG_LARGE_ABORT, MSG_ATTR as above, and */
	MSG_LARGE_END = 30,	/* varint large id, entry: truncate to size, check layout, finalise, put in place */
	MSG_FLUSH = 31,		/* varint token: make all before durable, then MSG_ACK */
	MSG_FINAL = 32,		/* entry with attributes: links, directories, changed attributes; walk order */
	MSG_REMOVE = 33,	/* path, u8 type: remove it if it is still of that type; reverse walk order */
	MSG_ACK = 40,		/* apply -> orchestrator on WIRE_ACK: varint token */
	MSG_PROBLEM = 41,	/* any role -> orchestrator: u8 err class, path, text: one entry failed, the role goes on */
	MSG_INVENTORY = 50,	/* orchestrator -> erase on WIRE_DATA: varint index, entry (with scan) */
	MSG_ERASED = 51,	/* erase -> orchestrator on WIRE_ACK: struct msg_erased */
	MSG_ERASE_UNLINK = 165,	/* orchestrator -> erase on WIRE_DATA: varint index: that it will be unlinked is on record */
	MSG_CHALLENGE = 70,	/* orchestrator -> challenge on WIRE_DATA: struct msg_challenge */
	MSG_ANSWER = 71,	/* challenge -> orchestrator on WIRE_ACK: struct msg_answer, in the order of the questions */
	/* changed blocks of large contents (messages_patch.c) */
	MSG_KEY = 120,		/* orchestrator -> read on WIRE_DATA: MSG_KEY_LEN bytes */
	MSG_ASK = 121,		/* read -> orchestrator: SHA-256 of a known content */
	MSG_BLOCKS = 122,	/* orchestrator -> read on WIRE_DATA: struct msg_blocks */
	MSG_HASHES = 123,	/* read -> orchestrator: varint large id, hashes of its next blocks */
	MSG_PATCH_BEGIN = 124,	/* read -> orchestrator -> apply: struct msg_patch_begin, in the place of MSG_LARGE_BEGIN */
	MSG_RANGES = 125,	/* read -> orchestrator -> apply: struct msg_ranges */
	MSG_NOBASE = 126,	/* apply -> orchestrator on WIRE_ACK: varint large id, path */
	MSG_HOLE = 127,		/* read -> orchestrator -> apply: varint large id, varint offset, varint length */
	MSG_NAMES = 128,	/* read -> orchestrator: u8 type, path and NUL of each entry of a pack, before its OBJ_END */
	MSG_FACT = 60		/* facts -> orchestrator on WIRE_DATA: key bytes, value bytes */
};

enum msg_kind { MSG_KIND_PACK = 1, MSG_KIND_SLICE = 2 };

enum msg_content {		/* where the content of a msg_entry is */
	MSG_CONTENT_NONE = 0,	/* no content, or a further name of an inode */
	MSG_CONTENT_PACK = 1,	/* in the pack with that ordinal */
	MSG_CONTENT_LARGE = 2,	/* segments of slices */
	MSG_CONTENT_KEPT = 3,	/* as in the known state: only attributes changed */
	MSG_CONTENT_PATCH = 4	/* segments of slices and of the known content */
};

struct msg_segment {		/* a run of a large content, ascending, complete */
	uint64_t ordinal;	/* slice; 0 = hole; MSG_SEGMENT_BASE */
	uint64_t offset;	/* raw offset inside the slice, or in the base */
	uint64_t length;
};

#define MSG_SEGMENT_BASE UINT64_MAX	/* as an ordinal: as in the base (MSG_CONTENT_PATCH only) */

struct msg_entry {
	struct entry entry;
	enum msg_content content;
	uint64_t ordinal;	/* pack */
	uint64_t large_id;
	uint8_t base[DIGEST_LEN];	/* patch: SHA-256 of the content that it changes */
	struct msg_segment *segments;	/* owned */
	size_t segment_count;
};
void msg_entry_dispose(struct msg_entry *m);
#define MSG_SEGMENTS_MAX (1u << 20)
/* prev: path of the MSG_ENTRY before it in this session (NULL for the first); segments at most MSG_SEGMENTS_MAX. */
void msg_entry_encode(struct buf *b, const struct msg_entry *m, const char *prev);
int msg_entry_decode(const void *p, size_t n, struct msg_entry *m, const char *prev, struct err *e) MUST_CHECK;

enum msg_flag {
	MSG_F_ONE_FS = 1,	/* do not cross mount points */
	MSG_F_STRICT = 2,	/* known state never saves a read */
	MSG_F_MEDIUM = 4,	/* read past the page cache (verify) */
	MSG_F_HASH_ONLY = 8,	/* entries with digests, no objects (verify) */
	MSG_F_NO_HASH = 16,	/* attributes only */
	MSG_F_FROZEN = 32,	/* after freeze: a file that changes is failed, not unsettled */
	MSG_F_SM3 = 64,		/* SM3 beside SHA-256 */
	MSG_F_FLAGS = 128,	/* apply: set inode flags */
	MSG_F_NO_RAW = 256,	/* erase: no raw read-back wanted */
	MSG_F_BLOCKS = 512,	/* read: MSG_KEY comes, block hashes are wanted */
	MSG_F_ANNOUNCED = 1024,	/* apply: what the agent's rights deny was announced before; no PROBLEM for it */
	MSG_F_TELL_ATTRS = 2048,	/* verify: ATTR is sent all the same */
	MSG_F_STAGED = 4096	/* apply: the tree is not live; a large file may be patched in place */
};

struct msg_owner { bool group; uint32_t from, to; };

struct msg_start {		/* strings owned by whoever filled it; decode allocates */
	uint64_t epoch;		/* fencing number of the runner */
	uint64_t flags;		/* enum msg_flag */
	int32_t level;		/* zstd level; INT32_MIN = adaptive */
	char *identity;		/* expected "fsid:inode" of the root from the last version, or "" */
	char **include, **exclude;	/* patterns (waybill-plan.5), NULL-terminated */
	char **list_only;
	char *scope;		/* erase: the signed authorization text; else "" */
	/* read: files outside these bounds are skipped; a limit is the first value that is too much, 0 = none */
	uint64_t size_min, size_limit;		/* bytes */
	int64_t age_min_s, age_limit_s;		/* seconds since mtime, by the host's own clock */
	struct msg_owner *owners;	/* apply: the first that fits gives the id that is set; owned */
	size_t owner_count;
	char *lanes;		/* token for further connections (waybill-wire.7), NULL or "" = none */
};
#define MSG_LANES_MAX 64	/* characters */
#define MSG_OWNERS_MAX 65536
void msg_start_dispose(struct msg_start *m);
void msg_start_encode(struct buf *b, const struct msg_start *m);
int msg_start_decode(const void *p, size_t n, struct msg_start *m, struct err *e) MUST_CHECK;

struct msg_ready {
	char *identity;		/* "fsid:inode" of the root */
	char *fstype;		/* "ext4", "xfs", "btrfs", "tmpfs", or hex of f_type */
	uint32_t euid;
	int64_t now_s;		/* the host's own clock */
	uint64_t free_bytes, free_inodes;	/* of the file system beneath the root, for this user */
	uint32_t block;		/* its block size, of which holes are multiples; 0 = not known */
};
#define READY_BLOCK_MAX (1u << 30)
void msg_ready_dispose(struct msg_ready *m);
void msg_ready_encode(struct buf *b, const struct msg_ready *m);
int msg_ready_decode(const void *p, size_t n, struct msg_ready *m, struct err *e) MUST_CHECK;

struct msg_done {		/* the balance: scanned == copied + unchanged + skipped + unsettled + failed */
	uint64_t scanned, copied, unchanged, skipped, unsettled, failed;
	uint64_t bytes;		/* bytes of content read */
};
void msg_done_encode(struct buf *b, const struct msg_done *m);
int msg_done_decode(const void *p, size_t n, struct msg_done *m, struct err *e) MUST_CHECK;

enum msg_erase_state {		/* values stand in journals */
	MSG_ERASE_DONE = 1,	/* overwritten, synced, same extents, read back as far as rights allow, unlinked */
	MSG_ERASE_ABSENT = 2,	/* was not there */
	MSG_ERASE_CHANGED = 3,	/* no longer as inventoried: untouched */
	MSG_ERASE_REFUSED = 4,	/* outside the scope, or linked from elsewhere: untouched */
	MSG_ERASE_FAILED = 5,	/* an error; may be partly overwritten */
	MSG_ERASE_INTENDED = 7	/* no end: all is done but its unlinking, which waits for MSG_ERASE_UNLINK */
};
enum msg_erase_how {		/* what was measured, as bits */
	MSG_EH_OVERWRITTEN = 1, MSG_EH_SAME_EXTENTS = 2, MSG_EH_READ_RAW = 4, MSG_EH_READ_FILE = 8, MSG_EH_UNLINKED = 16,
	MSG_EH_INLINE = 32, MSG_EH_SHARED = 64, MSG_EH_ENCODED = 128, MSG_EH_MOVED = 256, MSG_EH_NO_MAP = 512
};
struct msg_erased {
	uint64_t index;
	enum msg_erase_state state;
	uint32_t how;		/* enum msg_erase_how */
	uint64_t bytes;		/* allocated bytes overwritten */
	char *text;		/* reason, or "" ; owned */
};
void msg_erased_dispose(struct msg_erased *m);
void msg_erased_encode(struct buf *b, const struct msg_erased *m);
int msg_erased_decode(const void *p, size_t n, struct msg_erased *m, struct err *e) MUST_CHECK;

/* ---- the small ones: the whole payload each; decoders refuse trailing bytes (ERR_INTEGRITY) ---- */

/* One varint: MSG_SAME, MSG_GONE, MSG_LARGE_ABORT, MSG_FLUSH, MSG_ACK. */
void msg_number_encode(struct buf *b, uint64_t v);
int msg_number_decode(const void *p, size_t n, uint64_t *v, struct err *e) MUST_CHECK;

struct msg_obj_begin {
	uint64_t ordinal;
	enum msg_kind kind;
	uint64_t large_id, offset;	/* slices only: which large content, and where in it the slice's first byte lies */
};
void msg_obj_begin_encode(struct buf *b, const struct msg_obj_begin *m);
int msg_obj_begin_decode(const void *p, size_t n, struct msg_obj_begin *m, struct err *e) MUST_CHECK;

void msg_obj_data_encode(struct buf *b, uint64_t ordinal, const void *p, size_t n);
/* *data is borrowed from p; an empty run is ERR_INTEGRITY. */
int msg_obj_data_decode(const void *p, size_t n, uint64_t *ordinal, const uint8_t **data, size_t *len, struct err *e) MUST_CHECK;

struct msg_obj_end { uint64_t ordinal, raw, stored; };
void msg_obj_end_encode(struct buf *b, const struct msg_obj_end *m);
int msg_obj_end_decode(const void *p, size_t n, struct msg_obj_end *m, struct err *e) MUST_CHECK;

struct msg_large_begin { uint64_t large_id, size; char *path; /* owned */ };
void msg_large_begin_dispose(struct msg_large_begin *m);
void msg_large_begin_encode(struct buf *b, uint64_t large_id, uint64_t size, const char *path);
int msg_large_begin_decode(const void *p, size_t n, struct msg_large_begin *m, struct err *e) MUST_CHECK;

/* ---- messages_patch.c ---- */

#define MSG_KEY_LEN 32
#define MSG_BLOCK_HASH 16		/* bytes of a block's hash */
struct msg_blocks {
	uint64_t block;			/* bytes of a block; 0 = nothing is known */
	uint64_t size, room;
	const uint8_t *hashes;		/* borrowed from what was decoded */
	size_t count;
};
void msg_blocks_encode(struct buf *b, const struct msg_blocks *m);
int msg_blocks_decode(const void *p, size_t n, struct msg_blocks *m, struct err *e) MUST_CHECK;

int msg_hashes_decode(const void *p, size_t n, uint64_t *large_id, const uint8_t **hashes, size_t *bytes, struct err *e) MUST_CHECK;

struct msg_patch_begin { uint64_t large_id, size; char *path; /* owned after decode */ uint64_t base_size; int64_t mtime_s; uint32_t mtime_ns; };
void msg_patch_begin_dispose(struct msg_patch_begin *m);
void msg_patch_begin_encode(struct buf *b, const struct msg_patch_begin *m);
int msg_patch_begin_decode(const void *p, size_t n, struct msg_patch_begin *m, struct err *e) MUST_CHECK;

struct msg_range { uint64_t offset, length; };
struct msg_ranges { uint64_t ordinal; struct msg_range *v; /* owned after decode */ size_t count; };
void msg_ranges_dispose(struct msg_ranges *m);
void msg_ranges_encode(struct buf *b, const struct msg_ranges *m);
int msg_ranges_decode(const void *p, size_t n, struct msg_ranges *m, struct err *e) MUST_CHECK;	/* ascending, not touching 2^63 */

void msg_nobase_encode(struct buf *b, uint64_t large_id, const char *path);
int msg_nobase_decode(const void *p, size_t n, uint64_t *large_id, char **path, struct err *e) MUST_CHECK;	/* *path is the caller's */
void msg_hole_encode(struct buf *b, uint64_t large_id, uint64_t offset, uint64_t length);
int msg_hole_decode(const void *p, size_t n, uint64_t *large_id, uint64_t *offset, uint64_t *length, struct err *e) MUST_CHECK;

/* A number and an entry of its own (not prefix-coded): MSG_LARGE_END (large id), MSG_INVENTORY (index). */
void msg_numbered_encode(struct buf *b, uint64_t v, const struct entry *en);
int msg_numbered_decode(const void *p, size_t n, uint64_t *v, struct entry *en, struct err *e) MUST_CHECK;

/* MSG_FINAL: one entry, not prefix-coded. */
void msg_final_encode(struct buf *b, const struct entry *en);
int msg_final_decode(const void *p, size_t n, struct entry *en, struct err *e) MUST_CHECK;

struct msg_remove { char *path; /* owned */ enum entry_type type; };
void msg_remove_dispose(struct msg_remove *m);
void msg_remove_encode(struct buf *b, const char *path, enum entry_type type);
int msg_remove_decode(const void *p, size_t n, struct msg_remove *m, struct err *e) MUST_CHECK;

struct msg_problem { enum err_class class; char *path, *text; /* owned; text is clean for output */ };
void msg_problem_dispose(struct msg_problem *m);
void msg_problem_encode(struct buf *b, enum err_class class, const char *path, const char *text);
int msg_problem_decode(const void *p, size_t n, struct msg_problem *m, struct err *e) MUST_CHECK;

struct msg_challenge {
	uint64_t index;
	uint8_t nonce[32];
	char *path;			/* owned after decode */
	uint64_t offset, length;	/* of the content; length 0: from the offset to its end */
};
void msg_challenge_dispose(struct msg_challenge *m);
void msg_challenge_encode(struct buf *b, const struct msg_challenge *m);
int msg_challenge_decode(const void *p, size_t n, struct msg_challenge *m, struct err *e) MUST_CHECK;
struct msg_answer { uint64_t index; bool read; uint8_t digest[DIGEST_LEN]; /* of nonce and content; void unless read */ };
void msg_answer_encode(struct buf *b, const struct msg_answer *m);
int msg_answer_decode(const void *p, size_t n, struct msg_answer *m, struct err *e) MUST_CHECK;

#define MSG_FACT_MAX (64u << 10)	/* bytes of a key, and of a value */
struct msg_fact { char *key, *value; /* owned, NUL-terminated, without NUL inside */ };
void msg_fact_dispose(struct msg_fact *m);
void msg_fact_encode(struct buf *b, const char *key, const char *value);
int msg_fact_decode(const void *p, size_t n, struct msg_fact *m, struct err *e) MUST_CHECK;

/*
 * MSG_KNOWN holds as many entries as the sender likes, prefix-coded within the message: add until b is large enough (some
 * 64 KiB), send, start afresh with prev NULL.
 */
#define MSG_KNOWN_FULL (64u << 10)
void msg_known_add(struct buf *b, const struct entry *en, const char *prev);
/* Next entry of a MSG_KNOWN payload: 1, 0 at its end, -1.  prev: path of the one before in the same message, or NULL. */
int msg_known_next(struct view *v, struct entry *en, const char *prev, struct err *e) MUST_CHECK;

#endif
