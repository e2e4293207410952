/*
 * store - the archive: content-addressed objects on disk, and state.db, the memory between runs.
 *
 * objects/ab/<sha256>.KIND, mode 0400; the id is the SHA-256 of the stored bytes.  An object exists only once it
 * is complete and durable (fsync of file and directory); temp files live in tmp/ and are dropped at open.
 *
 *   store_open -> store_put_begin, store_put_write*, store_put_commit | store_put_abandon ... -> store_close
 *
 * One struct store may be used by several threads (a put or a get by one of them); several processes may have the same
 * store open.  After a failed store_sync nothing is put through this handle any more: what was committed since
 * the last good sync is gone, and every later commit and sync says so.
 */
#ifndef STORE_H
#define STORE_H

#include "buf.h"
#include "digest.h"
#include "entry.h"

enum store_kind { STORE_PACK, STORE_SLICE, STORE_RECIPE, STORE_ATTR, STORE_DOC };
/* ".tar.zst", ".zst", ".recipe", ".attr", ".doc" */
const char *store_kind_suffix(enum store_kind k);
const char *store_kind_name(enum store_kind k);			/* "pack", "slice", "recipe", "attr", "doc" */
bool store_kind_parse(const char *name, enum store_kind *k);

struct object_id { uint8_t sha256[DIGEST_LEN]; };

struct store;
/* dir must exist (store_create makes it; a store that is there already is fine).  Drops temp files left by dead writers. */
int store_create(const char *dir, struct err *e) MUST_CHECK;
int store_open(struct store **out, const char *dir, struct err *e) MUST_CHECK;
void store_close(struct store *s);
static inline void store_closep(struct store **s) { store_close(*s); }
const char *store_dir(const struct store *s);

/* Writing an object whose id is known only at the end.  Several may be open at once. */
struct store_put;
int store_put_begin(struct store *s, enum store_kind k, struct store_put **out, struct err *e) MUST_CHECK;
int store_put_write(struct store_put *p, const void *data, size_t n, struct err *e) MUST_CHECK;
/*
 * Ends writing: computes the id, names the object.  Not yet durable: call store_sync before it is recorded anywhere.
 * This handle finds and reads it at once; under objects/ it appears with the sync, so that a crash never leaves a
 * name without its bytes.  An object that is already there is checked and kept, a damaged one replaced.  Frees p in
 * every case.  With many objects waiting it syncs by itself.
 */
int store_put_commit(struct store_put *p, struct object_id *id, uint64_t *stored, struct err *e) MUST_CHECK;
void store_put_abandon(struct store_put *p);	/* NULL is fine */
static inline void store_put_abandonp(struct store_put **p) { store_put_abandon(*p); }
/* store_put_write as a pack_sink; ctx is the struct store_put. */
int store_put_sink(void *ctx, const void *data, size_t n, struct err *e) MUST_CHECK;
/* Makes every object committed since the last call durable: files and directories (group sync). */
int store_sync(struct store *s, struct err *e) MUST_CHECK;
/* One small object from memory, durable when it returns. */
int store_put_bytes(struct store *s, enum store_kind k, const void *p, size_t n, struct object_id *id, struct err *e) MUST_CHECK;

/* 1 = there (size set, may be NULL), 0 = not there, -1 */
int store_has(struct store *s, enum store_kind k, const struct object_id *id, uint64_t *size, struct err *e) MUST_CHECK;
/*
 * Reading checks the id: the reader hashes what it gives out, and the read that reaches the end fails with
 * ERR_INTEGRITY ("object ... is damaged") when the bytes are not the id's.  A missing object is ERR_INTEGRITY too.
 * Whoever must not act on unchecked bytes (restore) calls store_check first or acts after the end.
 */
struct store_get;
int store_get_open(struct store *s, enum store_kind k, const struct object_id *id, struct store_get **out, struct err *e) MUST_CHECK;
ssize_t store_get_read(struct store_get *g, void *p, size_t n, struct err *e) MUST_CHECK;
/* store_get_read as a pack_source; ctx is the struct store_get. */
ssize_t store_get_source(void *ctx, void *p, size_t n, struct err *e) MUST_CHECK;
void store_get_close(struct store_get *g);
static inline void store_get_closep(struct store_get **g) { store_get_close(*g); }
/* Whole object, checked, into b; at most limit bytes. */
int store_get_bytes(struct store *s, enum store_kind k, const struct object_id *id, size_t limit, struct buf *b, struct err *e) MUST_CHECK;
/*
 * The stored bytes of an object of any size, not checked: for whoever compares what they decode to with a digest of its own, and reads the
 * object through store_get when that is not right.  Past the page cache where they are not in it.  b (begins as {0}) is used again by the
 * next call.  -1: missing, unreadable, out of memory.
 */
struct store_whole { uint8_t *p; size_t len, cap; };
int store_get_whole(struct store *s, enum store_kind k, const struct object_id *id, struct store_whole *b, struct err *e) MUST_CHECK;
void store_whole_dispose(struct store_whole *b);
/*
 * Re-reads an object (past the page cache where possible) and compares it with its id: 0, ERR_INTEGRITY (damaged or
 * missing), or ERR_UNVERIFIED when the medium could not be read.
 */
int store_check(struct store *s, enum store_kind k, const struct object_id *id, struct err *e) MUST_CHECK;

/*
 * Sweeping.  Every open store holds a shared lock on objects/.  store_alone takes it for this handle alone if nobody else has the store
 * open (else *alone is false and nothing changes); store_share gives that up.  While alone, store_sweep counts packs, slices, recipes and
 * attrs for which named says false, and removes them too when told so; documents are left alone.
 */
struct store_sweep { bool (*named)(void *ctx, enum store_kind k, const struct object_id *id); void *ctx; bool remove; };
int store_alone(struct store *s, bool *alone, struct err *e) MUST_CHECK;
int store_share(struct store *s, struct err *e) MUST_CHECK;
int store_sweep(struct store *s, const struct store_sweep *w, uint64_t *objects, uint64_t *bytes, struct err *e) MUST_CHECK;

/* ---- state.db: passes in progress, and the ledger's head as last seen ---- */

/*
 * One connection; SQLite WAL, synchronous=FULL; usable from one thread at a time, several handles may be open.
 * A damaged file is moved aside as PATH.damaged-N with a warning and made afresh: at open, or, when the damage shows
 * later (ERR_TEMPORARY), at the next open.
 */
struct state;
int state_open(struct state **out, const char *path, struct err *e) MUST_CHECK;
void state_close(struct state *s);
static inline void state_closep(struct state **s) { state_close(*s); }

/*
 * Acknowledged entries of the pass in progress of plan/dataset: written once the objects they rest on are durable at
 * every place that needs them.  row = opaque bytes (an encoded msg_entry with object ids); key = path_sort_key.
 * Every row carries a checksum; a row that does not match it is dropped and counted (its entry is sent again).
 */
int state_begin(struct state *s, struct err *e) MUST_CHECK;
int state_commit(struct state *s, struct err *e) MUST_CHECK;
void state_rollback(struct state *s);		/* after a failure between the two; without a transaction nothing */
/* Rows dropped so far by this handle because their checksum was wrong. */
uint64_t state_dropped(const struct state *s);
int state_ack_put(struct state *s, const char *plan, const char *dataset, uint64_t pass, const void *key, size_t klen,
    const void *row, size_t rlen, struct err *e) MUST_CHECK;
struct state_iter;
/* Rows in key order (walk order). */
int state_ack_iter(struct state *s, const char *plan, const char *dataset, uint64_t pass, struct state_iter **out, struct err *e) MUST_CHECK;
/* 1 = a row (borrowed until the next call), 0 = end, -1 */
int state_iter_next(struct state_iter *it, const void **key, size_t *klen, const void **row, size_t *rlen, struct err *e) MUST_CHECK;
void state_iter_free(struct state_iter *it);
/* Is an entry of any pass of any plan acknowledged? */
int state_ack_any(struct state *s, bool *any, struct err *e) MUST_CHECK;
/* Forget the rows of a pass (after its version stands in the ledger, or when its source changed identity). */
int state_ack_clear(struct state *s, const char *plan, const char *dataset, struct err *e) MUST_CHECK;

/* Small values by name ("head/PLAN", "epoch/PLAN"): 1 = found (appended to b), 0 = not, -1. */
int state_get(struct state *s, const char *name, struct buf *b, struct err *e) MUST_CHECK;
int state_set(struct state *s, const char *name, const void *p, size_t n, struct err *e) MUST_CHECK;
/* Calls fn for each name that begins with prefix, sorted; non-zero from fn stops. */
int state_names(struct state *s, const char *prefix, int (*fn)(void *ctx, const char *name), void *ctx, struct err *e) MUST_CHECK;

#endif
