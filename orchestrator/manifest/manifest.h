/*
 * manifest - the list of what a version contains: canonical mtree(5) text, cut into chunks, with a root digest.
 *
 * Grammar, canonical form and chunk rule: waybill-manifest.5.  `cat` of the chunks in INDEX order is the canonical
 * text, and its SHA-256 (SM3) is the root.  Entries arrive and leave in walk order; memory is one chunk.
 *
 *   manifest_writer_new -> manifest_writer_add* -> manifest_writer_finish -> manifest_writer_free
 *   manifest_reader_new -> manifest_reader_next* -> manifest_reader_free
 */
#ifndef MANIFEST_H
#define MANIFEST_H

#include "entry.h"

#define MANIFEST_CHUNK_MIN 256		/* entries; below this no cut */
#define MANIFEST_CHUNK_MAX 8192		/* entries; at this always a cut */
#define MANIFEST_NAME 32		/* "ab/0123456789abcdef.mtree" and NUL */

struct manifest_totals {
	uint64_t entries, files, dirs, bytes;	/* in the tree (not skipped or failed); bytes: of content, each inode once */
	uint64_t skipped, unsettled, failed;
};

/* Receives each finished chunk: its name ("ab/<16 hex>.mtree") and text. */
typedef int (*manifest_chunk_fn)(void *ctx, const char *name, const void *text, size_t n, struct err *e);

struct manifest_writer;
int manifest_writer_new(struct manifest_writer **out, manifest_chunk_fn fn, void *ctx, struct err *e) MUST_CHECK;
/*
 * Entries must come in walk order and be unique, the first is ".", and what is present has its parent directory among
 * those before (ERR_BUG).
 */
int manifest_writer_add(struct manifest_writer *w, const struct entry *en, struct err *e) MUST_CHECK;
struct manifest_root { uint8_t sha256[DIGEST_LEN], sm3[DIGEST_LEN]; };
/* Emits the last chunk; index receives the text of INDEX. */
int manifest_writer_finish(struct manifest_writer *w, struct buf *index, struct manifest_root *root, struct manifest_totals *t, struct err *e) MUST_CHECK;
void manifest_writer_free(struct manifest_writer *w);
static inline void manifest_writer_freep(struct manifest_writer **w) { manifest_writer_free(*w); }

/* The canonical lines of one entry: the mtree line and its "#+ " lines. */
void manifest_format(struct buf *b, const struct entry *en);

/* Appends the next piece of the text to b: a chunk (in INDEX order) or any other cut of it; 1, 0 at the end, -1. */
typedef int (*manifest_source_fn)(void *ctx, struct buf *b, struct err *e);
struct manifest_reader;
int manifest_reader_new(struct manifest_reader **out, manifest_source_fn fn, void *ctx, struct err *e) MUST_CHECK;
/* Next entry: 1, 0, -1 (ERR_INTEGRITY with the line number: not canonical, out of order, unsafe path, unknown keyword). */
int manifest_reader_next(struct manifest_reader *r, struct entry *en, struct err *e) MUST_CHECK;
/* Root and totals of what has been read; right only after the end. */
void manifest_reader_root(const struct manifest_reader *r, struct manifest_root *root, struct manifest_totals *t);
void manifest_reader_free(struct manifest_reader *r);
static inline void manifest_reader_freep(struct manifest_reader **r) { manifest_reader_free(*r); }

/* INDEX text: one line a chunk, "<sha256 of chunk> <entries> <name>\n".  Calls fn for each; ERR_INTEGRITY when malformed. */
int manifest_index_parse(const char *text, size_t n, int (*fn)(void *ctx, const uint8_t sha256[DIGEST_LEN], uint64_t entries, const char *name), void *ctx, struct err *e) MUST_CHECK;

/* A stream of entries in walk order: 1, 0, -1.  Readers, scan files and agents all fit it. */
typedef int (*entry_next_fn)(void *ctx, struct entry *en, struct err *e);

/*
 * Merge two streams: fn is called once for each path in either, in walk order; the absent side is NULL.  fn returning
 * non-zero stops with -1 (fn fills e).
 */
typedef int (*entry_merge_fn)(void *ctx, const struct entry *a, const struct entry *b, struct err *e);
int entry_merge(entry_next_fn a, void *actx, entry_next_fn b, void *bctx, entry_merge_fn fn, void *ctx, struct err *e) MUST_CHECK;

/*
 * Scan files: entries with their source state in binary, "WBSCAN1\n", then varint-length entry records (entry_encode, prefix-coded), an
 * all-zero length, and the SHA-256 of everything before.  A damaged or missing one only costs a re-hash.
 */
struct scan_writer;
int scan_writer_new(struct scan_writer **out, int fd /* borrowed */, struct err *e) MUST_CHECK;
int scan_writer_add(struct scan_writer *w, const struct entry *en, struct err *e) MUST_CHECK;
int scan_writer_finish(struct scan_writer *w, struct err *e) MUST_CHECK;
void scan_writer_free(struct scan_writer *w);
static inline void scan_writer_freep(struct scan_writer **w) { scan_writer_free(*w); }
struct scan_reader;
/* Checks the digest of the whole file first (ERR_INTEGRITY when damaged). fd borrowed. */
int scan_reader_new(struct scan_reader **out, int fd, struct err *e) MUST_CHECK;
int scan_reader_next(struct scan_reader *r, struct entry *en, struct err *e) MUST_CHECK;	/* 1, 0, -1 */
void scan_reader_free(struct scan_reader *r);
static inline void scan_reader_freep(struct scan_reader **r) { scan_reader_free(*r); }

#endif
