/*
 * pack - many small entries as one pax archive in independent zstd frames, and raw frames for slices.
 *
 * A pack is what `tar --zstd -xf` opens: pax with xattrs (SCHILY.xattr.*) and ACLs (SCHILY.acl.*), raw name bytes, no atime/ctime,
 * cut into frames of 4 MiB raw with checksum and content size, windowLog <= 23.  Reading accepts <= 24 and treats the
 * bytes as hostile: limits, safe relative paths, known types.
 *
 *   pack_writer_new -> pack_add, pack_data* for each entry -> pack_writer_finish -> pack_writer_free
 *   pack_reader_new -> pack_next -> pack_read* ... until pack_next returns 0 -> pack_reader_free
 *
 * One thread per object; it runs libarchive under a C-locale thread locale (libraries.md 2.2).
 */
#ifndef PACK_H
#define PACK_H

#include "entry.h"
#include "attrs.h"

#define PACK_RAW_TARGET (16u << 20)	/* a pack is closed once it holds this many raw bytes */
#define PACK_FILE_MAX (8u << 20)	/* larger contents, and sparse ones, travel as slices */
#define SLICE_RAW (16u << 20)		/* raw bytes of a slice */
#define FRAME_RAW (4u << 20)		/* raw bytes of one zstd frame */
#define PACK_WINDOW_LOG 23
#define PACK_WINDOW_LOG_ACCEPT 24
#define PACK_ENTRIES_MAX (2u << 20)	/* entries of one pack, accepted when reading */
#define PACK_ATTRS_MAX (768u << 10)	/* attributes of one entry: Debian's libarchive reads headers up to 1 MiB */
#define PACK_ATTR_VALUE_MAX (64u << 10)	/* XATTR_SIZE_MAX of Linux */
#define PACK_ATTR_NAMES_MAX (64u << 10)	/* XATTR_LIST_MAX of Linux */
#define PACK_LEVEL_RAW INT32_MIN	/* store frames without compressing (raw zstd blocks) */

/* Receives stored bytes as they are made; returns 0, or -1 with *e. */
typedef int (*pack_sink)(void *ctx, const void *p, size_t n, struct err *e);
/* Gives up to n stored bytes; 0 at the end; -1 with *e. */
typedef ssize_t (*pack_source)(void *ctx, void *p, size_t n, struct err *e);

/* ---- frames: the compressor beneath packs and slices ---- */

struct frame_writer;
/* level: zstd -5..19, or PACK_LEVEL_RAW.  Input is cut into frames of FRAME_RAW. */
int frame_writer_new(struct frame_writer **out, int level, pack_sink sink, void *ctx, struct err *e) MUST_CHECK;
/* The level for frames not yet begun (adaptive senders). */
void frame_writer_level(struct frame_writer *w, int level);
int frame_writer_put(struct frame_writer *w, const void *p, size_t n, struct err *e) MUST_CHECK;
/* Ends the last frame.  *raw and *stored are the totals (may be NULL). */
int frame_writer_finish(struct frame_writer *w, uint64_t *raw, uint64_t *stored, struct err *e) MUST_CHECK;
void frame_writer_free(struct frame_writer *w);
static inline void frame_writer_freep(struct frame_writer **w) { frame_writer_free(*w); }

struct frame_reader;
/* A pull reader over stored bytes.  Corrupt, truncated or over-windowed frames: ERR_INTEGRITY. */
int frame_reader_new(struct frame_reader **out, pack_source src, void *ctx, struct err *e) MUST_CHECK;
/* The same over n stored bytes in memory, borrowed.  With room for a whole frame (FRAME_RAW) at each call nothing is copied twice. */
int frame_reader_new_memory(struct frame_reader **out, const void *p, size_t n, struct err *e) MUST_CHECK;
/* Up to n raw bytes; 0 at the clean end; -1. */
ssize_t frame_reader_get(struct frame_reader *r, void *p, size_t n, struct err *e) MUST_CHECK;
void frame_reader_free(struct frame_reader *r);
static inline void frame_reader_freep(struct frame_reader **r) { frame_reader_free(*r); }

/* Is this sample worth compressing?  Tries level 1 on up to 64 KiB of it; false when it saves under 3 %. */
bool frame_compressible(const void *p, size_t n);

/* ---- packs ---- */

struct pack_writer;
int pack_writer_new(struct pack_writer **out, int level, pack_sink sink, void *ctx, struct err *e) MUST_CHECK;
/*
 * Begin an entry.  attrs (may be NULL) hold xattrs and ACLs raw as getxattr gave them.  A file's content of exactly
 * en->size bytes must follow with pack_data.  en->link_to set: written as a hard link to that path, no content.
 * ENTRY_SOCKET is ERR_BUG, as are a path twice and a link_to that is not in this pack.  en->layout, when given, is
 * written as GNU.sparse 1.0 (packages only), its ranges widened to blocks of 512; the holes are fed as zeros.  Attributes above PACK_ATTRS_MAX are
 * ERR_PERMANENT, and the entry may be added again without them (the manifest's blob has them).
 */
int pack_add(struct pack_writer *w, const struct entry *en, const struct attr_set *attrs, struct err *e) MUST_CHECK;
int pack_data(struct pack_writer *w, const void *p, size_t n, struct err *e) MUST_CHECK;
/* Raw tar bytes so far, an upper bound while an entry is open. */
uint64_t pack_writer_raw(const struct pack_writer *w);
void pack_writer_level(struct pack_writer *w, int level);
int pack_writer_finish(struct pack_writer *w, uint64_t *raw, uint64_t *stored, struct err *e) MUST_CHECK;
void pack_writer_free(struct pack_writer *w);
static inline void pack_writer_freep(struct pack_writer **w) { pack_writer_free(*w); }

struct pack_reader;
int pack_reader_new(struct pack_reader **out, pack_source src, void *ctx, struct err *e) MUST_CHECK;
/* The same over n stored bytes in memory, borrowed. */
int pack_reader_new_memory(struct pack_reader **out, const void *p, size_t n, struct err *e) MUST_CHECK;
/*
 * Next entry: 1, 0 at the clean end, -1.  en and attrs (either may be NULL) are filled (dispose them); digests are not
 * known here, nor nlink, flags, owner names; of a hard link only what tar repeats, type and link_to.  What en and attrs
 * held is disposed first, so they can be reused.  Unread content of the entry before is skipped.  Anything unsafe or
 * malformed, a path twice, a link to nothing earlier, bytes after the end: ERR_INTEGRITY.
 */
int pack_next(struct pack_reader *r, struct entry *en, struct attr_set *attrs, struct err *e) MUST_CHECK;
/* Up to n bytes of the current entry's logical content (holes as zeros); 0 at its end; -1. */
ssize_t pack_read(struct pack_reader *r, void *p, size_t n, struct err *e) MUST_CHECK;
void pack_reader_free(struct pack_reader *r);
static inline void pack_reader_freep(struct pack_reader **r) { pack_reader_free(*r); }

/* ---- recipes (waybill-recipe.5): which ranges of which slices make a large content ---- */

struct recipe_part {
	bool hole;
	uint8_t slice[DIGEST_LEN];	/* object id; unused for a hole */
	uint64_t offset, length;	/* raw bytes inside the slice; length > 0 */
};
struct recipe {
	uint64_t size;			/* of the content: the sum of the lengths */
	uint8_t sha256[DIGEST_LEN];	/* of the content */
	struct recipe_part *parts;	/* owned */
	size_t count, cap;
};
#define RECIPE_INIT { .parts = NULL }
#define RECIPE_BYTES_MAX (256u << 20)
void recipe_dispose(struct recipe *r);
#define OWN_RECIPE OWN(recipe_dispose)
/* Append a part, merging it with the one before where they continue each other; r->size grows with it. */
int recipe_add(struct recipe *r, const struct recipe_part *p, struct err *e) MUST_CHECK;
void recipe_encode(const struct recipe *r, struct buf *b);
/* Strict: only the canonical text; ERR_INTEGRITY otherwise.  What r held is disposed first. */
int recipe_decode(struct recipe *r, const void *p, size_t n, struct err *e) MUST_CHECK;

#endif
