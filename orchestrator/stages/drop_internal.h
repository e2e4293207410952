/* drop_internal - shared by drop*.c only. */
#ifndef DROP_INTERNAL_H
#define DROP_INTERNAL_H

#include "digest.h"
#include "drop.h"

#define DROP_TAGS "tagmanifest-sha256.txt"
#define DROP_MANIFEST "manifest-sha256.txt"
#define DROP_LIST_MAX (256u << 20)	/* a manifest */

struct drop_file { char *name; uint8_t digest[DIGEST_LEN]; };
struct drop_list { struct drop_file *v; size_t n; };
void drop_list_dispose(struct drop_list *l);
#define OWN_DROP_LIST OWN(drop_list_dispose)

/*
 * The lines of a manifest appended to l.  payload: each name lies under data/, otherwise none does.  ERR_INTEGRITY, saying whose it is,
 * for anything that waybill does not write itself: names come from a host that is not trusted.
 */
int drop_list_read(struct drop_list *l, const struct buf *text, bool payload, const char *whose, struct err *e) MUST_CHECK;
const struct drop_file *drop_list_find(const struct drop_list *l, const char *name);
/* All files of the package in the directory dirfd but its tagmanifest, payload first; the tagmanifest's own text into tags. */
int drop_list_local(struct drop_list *l, int dirfd, const char *whose, struct buf *tags, struct err *e) MUST_CHECK;

/* dir "/" name and suffix; owned. */
char *drop_path(const struct drop *d, const char *name, const char *suffix);
/* The SHA-256 of the first size bytes of a file there. */
int drop_hash(const struct drop *d, const char *path, uint64_t size, uint8_t digest[DIGEST_LEN], struct err *e) MUST_CHECK;
/* A small file there: 1, 0 = not there, -1. */
int drop_read(const struct drop *d, const char *name, uint64_t limit, struct buf *b, struct err *e) MUST_CHECK;
/* Is this the very package whose tagmanifest is tags?  1, 0 = there is no tagmanifest, -1 (ERR_REFUSED: another one). */
int drop_same(const struct drop *d, const struct buf *tags, struct err *e) MUST_CHECK;

#endif
