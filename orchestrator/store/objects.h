/*
 * objects - where the contents of one version are in the archive (waybill-objects.5).
 *
 * Contents are named in walk order, so that manifest and objects are read in step: "pack ID N" says that the next N
 * contents lie in that pack, "recipe ID" that the next one is a large content.  Attribute blobs follow at the end.
 */
#ifndef OBJECTS_H
#define OBJECTS_H

#include "entry.h"
#include "store.h"

#define OBJECTS_BYTES_MAX (512u << 20)

enum location_kind { LOCATION_NONE = 0, LOCATION_PACK = 1, LOCATION_RECIPE = 2 };
struct location { enum location_kind kind; struct object_id id; };

/* Has this entry a content that objects must name: a regular file of size > 0, first name of its inode, taken. */
bool objects_has_content(const struct entry *en);

/* ---- writing ---- */
struct objects_writer;
int objects_writer_new(struct objects_writer **out, struct err *e) MUST_CHECK;
/* The location of the next content in walk order. */
int objects_writer_add(struct objects_writer *w, const struct location *at, struct err *e) MUST_CHECK;
/* A blob that an entry's xattr or acl digest names; repeated ones are kept once. */
int objects_writer_attr(struct objects_writer *w, const uint8_t id[DIGEST_LEN], struct err *e) MUST_CHECK;
/* The whole text into b. */
int objects_writer_finish(struct objects_writer *w, struct buf *b, struct err *e) MUST_CHECK;
void objects_writer_free(struct objects_writer *w);
static inline void objects_writer_freep(struct objects_writer **w) { objects_writer_free(*w); }

/* ---- reading ---- */
struct objects {			/* the parsed text, compact: one run a line */
	struct objects_run { struct location at; uint64_t count; } *runs;	/* owned */
	size_t run_count;
	struct object_id *attrs;	/* owned, sorted */
	size_t attr_count;
};
#define OBJECTS_INIT { NULL, 0, NULL, 0 }
void objects_dispose(struct objects *o);
#define OWN_OBJECTS OWN(objects_dispose)
int objects_parse(struct objects *o, const char *text, size_t n, struct err *e) MUST_CHECK;

struct objects_cursor { const struct objects *o; size_t run; uint64_t used; };
/* Location of the next content; ERR_INTEGRITY when the text ends before the manifest does. */
int objects_cursor_next(struct objects_cursor *c, struct location *at, struct err *e) MUST_CHECK;
/* True once every run is used up. */
bool objects_cursor_done(const struct objects_cursor *c);

#endif
