/*
 * archive - the contents of one version out of the store, in walk order, every byte checked before it is given out.
 *
 *   archive_open -> archive_content for contents in walk order -> archive_close
 *
 * A pack is read once from front to back however often the version comes back to it, because contents lie in packs in
 * walk order; a few packs are kept open for that.  Small contents are compared with the manifest's digest and slices with
 * their id in memory, so a damaged object is noticed and never restored.
 */
#ifndef ARCHIVE_H
#define ARCHIVE_H

#include "entry.h"
#include "objects.h"
#include "workspace.h"

/* Data bytes of the content at offset; ranges that are not given are holes. */
typedef int (*archive_sink)(void *ctx, uint64_t offset, const void *p, size_t n, struct err *e);

struct archive;
int archive_open(struct workspace *w, struct archive **out, struct err *e) MUST_CHECK;
/*
 * Gives out the whole content of en, which lies at at.  sink NULL: only check.  ERR_INTEGRITY names the object and the entry
 * when an object is missing, damaged, or holds something else.
 */
int archive_content(struct archive *a, const struct entry *en, const struct location *at, archive_sink sink, void *ctx,
    struct err *e) MUST_CHECK;
/*
 * The n bytes from an offset of a large content (at is a recipe): only the slices that hold them are decoded, each checked against its
 * id; what no sink call covers reads as zeros.  Errors as above.
 */
int archive_range(struct archive *a, const struct entry *en, const struct location *at, uint64_t from, uint64_t n, archive_sink sink,
    void *ctx, struct err *e) MUST_CHECK;
/* Bytes decoded so far. */
uint64_t archive_bytes(const struct archive *a);
void archive_close(struct archive *a);
static inline void archive_closep(struct archive **a) { archive_close(*a); }

#endif
