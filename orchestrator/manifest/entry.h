/*
 * entry - one inode name of a tree, with everything that must arrive.
 *
 * The same structure stands behind the walk, the known state, the wire, the scan file, the manifest and the
 * verification, so that they cannot disagree about what an entry is.  Paths are as in path.h ("." is the root).
 *
 * Strings are owned by the entry unless a function says "borrowed"; entry_dispose frees them.
 */
#ifndef ENTRY_H
#define ENTRY_H

#include "buf.h"
#include "digest.h"

enum entry_type {		/* values stand on the wire and on disk */
	ENTRY_FILE = 1, ENTRY_DIR = 2, ENTRY_SYMLINK = 3, ENTRY_FIFO = 4, ENTRY_CHAR = 5, ENTRY_BLOCK = 6,
	ENTRY_SOCKET = 7
};

enum entry_outcome {		/* of a pass; scanned = the sum of all five */
	ENTRY_COPIED = 1,	/* content or attributes were taken in this pass */
	ENTRY_UNCHANGED = 2,	/* equal to the last version, not opened */
	ENTRY_SKIPPED = 3,	/* by a rule of the plan, or a socket: note says why */
	ENTRY_UNSETTLED = 4,	/* changed while it was read in a live pass: note says how */
	ENTRY_FAILED = 5	/* could not be read: note says why */
};

enum entry_has {		/* which optional fields are set; values stand on the wire and on disk */
	ENTRY_HAS_SHA256 = 1u << 0, ENTRY_HAS_SM3 = 1u << 1, ENTRY_HAS_XATTR = 1u << 2, ENTRY_HAS_ACL = 1u << 3,
	ENTRY_HAS_BTIME = 1u << 4, ENTRY_HAS_FLAGS = 1u << 5, ENTRY_HAS_SCAN = 1u << 6, ENTRY_HAS_LAYOUT = 1u << 7
};

/* A data range of a sparse content; what lies between ranges (and after the last) is hole. */
struct entry_range { uint64_t offset, length; };

/* What the source said when the entry was taken: for the next pass only, never in a manifest. */
struct entry_scan {
	uint64_t dev, ino;
	int64_t ctime_s;
	uint32_t ctime_ns;
	bool racy;		/* read within 2 s of its ctime by the host's own clock: hash again next time */
};

struct entry {
	char *path;		/* owned */
	size_t path_len;
	enum entry_type type;
	enum entry_outcome outcome;
	uint32_t mode;		/* permission bits, 07777 */
	uint32_t uid, gid;
	uint32_t has;		/* enum entry_has */
	int64_t mtime_s;
	uint32_t mtime_ns;	/* 0..999999999 */
	uint32_t nlink;		/* of the inode, as stat says; in a manifest: names within the dataset */
	uint64_t size;		/* bytes of content; 0 unless ENTRY_FILE */
	uint8_t sha256[DIGEST_LEN];	/* of the whole logical content (holes as zeros); files only */
	uint8_t sm3[DIGEST_LEN];
	uint8_t xattr[DIGEST_LEN];	/* of the attribute blob (attrs.h) of all xattrs but ACLs; only if any */
	uint8_t acl[DIGEST_LEN];	/* of the attribute blob of system.posix_acl_*; only if any */
	uint32_t rdev_major, rdev_minor;	/* devices */
	uint32_t flags;		/* inode flags as FS_IOC_GETFLAGS gives, masked to immutable, append, nodump, noatime */
	int64_t btime_s;	/* birth time: recorded, cannot be set on Linux */
	uint32_t btime_ns;
	char *target;		/* symlink target, owned; else NULL */
	char *link_to;		/* path of the first name of the same inode, owned; NULL for that first name itself */
	char *owner, *group;	/* names as known at the source, owned; NULL if unknown */
	char *note;		/* reason for skipped, unsettled, failed; owned, may be NULL */
	struct entry_range *layout;	/* data ranges, ascending, merged; owned; only with ENTRY_HAS_LAYOUT (it has holes) */
	size_t layout_count;
	struct entry_scan scan;	/* only with ENTRY_HAS_SCAN */
};
#define ENTRY_INIT { .path = NULL }

void entry_dispose(struct entry *en);		/* frees the strings; en is ENTRY_INIT afterwards */
#define OWN_ENTRY OWN(entry_dispose)
struct entry *entry_dup(const struct entry *en);	/* deep copy; NULL: out of memory */
void entry_freep(struct entry **en);		/* dispose and free */
int entry_set_path(struct entry *en, const char *p, size_t n, struct err *e) MUST_CHECK;
/*
 * Append a data range (ascending, beyond the last one), merging what touches; sets ENTRY_HAS_LAYOUT.  At
 * ENTRY_LAYOUT_MAX ranges the last one grows instead: the hole before the new range then counts as data.
 */
#define ENTRY_LAYOUT_MAX (1u << 15)	/* so that an entry fits into one frame of the wire */
int entry_layout_add(struct entry *en, uint64_t offset, uint64_t length, struct err *e) MUST_CHECK;
/*
 * Are the holes of two contents of one size the same, as far as a file system whose blocks are of grain bytes (0: not known, taken as 1)
 * can have them?  Parts of blocks at the edges of a hole do not count, nor do holes without a whole block.
 */
bool entry_layout_alike(const struct entry *a, const struct entry *b, uint64_t grain);
#define ENTRY_FLAGS 0xf0u		/* immutable, append, nodump, noatime as FS_IOC_GETFLAGS has them */
#define ENTRY_NOTE_MAX 4096
/* Does every field agree with the type and the limits (safe path, target only for symlinks, ...)?  ERR_INTEGRITY says which not. */
int entry_check(const struct entry *en, struct err *e) MUST_CHECK;
/* Is it in the tree that arrives: neither skipped nor failed. */
bool entry_is_present(const struct entry *en);

/* Walk order (path_cmp). */
int entry_cmp(const struct entry *a, const struct entry *b);
/* Has it content of its own in the archive: a regular file, not skipped or failed, first name of its inode. */
bool entry_has_content(const struct entry *en);
const char *entry_type_name(enum entry_type t);		/* mtree(5) word: "file", "dir", "link", "fifo", ... */

/*
 * Binary form, for wire and scan files (waybill-manifest.5, BINARY FORM).  Paths are prefix-coded against prev, the path
 * of the entry before it in the same sequence (NULL or "" at its start).
 */
void entry_encode(struct buf *b, const struct entry *en, const char *prev);
/* Decodes one entry and checks every field (safe path, known type, digit ranges, limits); ERR_INTEGRITY otherwise. */
int entry_decode(struct view *v, struct entry *en, const char *prev, struct err *e) MUST_CHECK;

/*
 * Is an entry that stat describes as cur the same as known, so that it need not be opened?  Same type, ctime, inode,
 * device, size and mtime, and not racy (transfer.md 14).  Both need ENTRY_HAS_SCAN.
 */
bool entry_scan_equal(const struct entry *known, const struct entry *cur);

/*
 * Differences of what a manifest promises.  Calls fn once for each differing property: what is "type", "mode", "uid",
 * "gid", "mtime", "size", "sha256", "target", "device", "nlink", "link", "xattr", "acl", "flags", "layout"; expected and
 * found are short readable values, escaped ("none" when missing).  Returns the number of differences.  want/got may lack
 * content digests: then they are not compared; a missing xattr or acl digest, flags or layout means that there are none.  Another
 * type ends the comparison; entries of which one is skipped or failed are compared in type and "outcome" only.
 * Owner names, birth time and notes are never compared.  mask: which properties to leave out (ENTRY_CMP_NO_*;
 * NO_NLINK leaves out "nlink" and "link").  fn may be NULL.
 */
enum entry_compare { ENTRY_CMP_NO_TIMES = 1, ENTRY_CMP_NO_NLINK = 2, ENTRY_CMP_NO_LAYOUT = 4, ENTRY_CMP_NO_FLAGS = 8 };
typedef void (*entry_diff_fn)(void *ctx, const char *what, const char *expected, const char *found);
size_t entry_compare(const struct entry *want, const struct entry *got, unsigned mask, entry_diff_fn fn, void *ctx);

#endif
