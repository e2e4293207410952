/* ledger_private - what the files of this room share. */
#ifndef LEDGER_PRIVATE_H
#define LEDGER_PRIVATE_H

#include <git2.h>
#if __has_include(<git2/sys/errors.h>)	/* where git_error_clear went after 1.5 */
#include <git2/sys/errors.h>
#endif

#include "ledger.h"

#define LEDGER_EVENT_MAX (16u << 20)	/* bytes of an event file */
#define LEDGER_BLOB_MAX (512u << 20)	/* bytes of any file that is read */
#define LEDGER_PATH_MAX 400
#define LEDGER_DEPTH_MAX 12
#define LEDGER_SUBJECT_MAX 200

struct ledger {
	git_repository *repo;
	git_odb *odb;
	char *dir;		/* as given */
};

static inline void git_repository_freep(git_repository **p) { git_repository_free(*p); }
static inline void git_commit_freep(git_commit **p) { git_commit_free(*p); }
static inline void git_tree_freep(git_tree **p) { git_tree_free(*p); }
static inline void git_tree_entry_freep(git_tree_entry **p) { git_tree_entry_free(*p); }
static inline void git_blob_freep(git_blob **p) { git_blob_free(*p); }
static inline void git_reference_freep(git_reference **p) { git_reference_free(*p); }

/* libgit2 with our options: no configuration but the repository's, any owner, everything synced. */
int ledger_start(struct err *e) MUST_CHECK;
/* Error of libgit2 into e, with its class; always -1. */
int git_fail(struct err *e, int rc, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/*
 * The name that git gives to an object, as git_odb_hash does; that one searches for collisions as well, which takes longer.
 * Nothing is lost by it: libgit2 does so for whatever is stored, and an object that was stored has no second text.
 */
int git_name(git_oid *id, git_object_t type, const void *p, size_t n, struct err *e) MUST_CHECK;

/* Words of our grammars (waybill-events.5). */
bool ledger_plan_ok(const char *plan);
bool ledger_path_ok(const char *path);
bool ledger_word_ok(const char *word);

/* Head of a plan's branch: 1, 0, -1. */
int ledger_head_id(struct ledger *l, const char *plan, git_oid *id, struct err *e) MUST_CHECK;
int ledger_commit_tree(struct ledger *l, const git_oid *commit, git_tree **out, struct err *e) MUST_CHECK;
/* A blob appended to b. */
int ledger_read_blob(struct ledger *l, const git_oid *id, size_t limit, struct buf *b, struct err *e) MUST_CHECK;

/* Receives objects as they are made; n bytes borrowed. */
typedef int (*object_fn)(void *ctx, git_object_t type, const void *p, size_t n, const git_oid *id, unsigned depth,
    struct err *e);

/* A tree in memory, loaded from git as far as it is touched. */
struct tree;
/* base may be NULL: empty. */
int tree_new(struct ledger *l, const git_oid *base, struct tree **out, struct err *e) MUST_CHECK;
void tree_free(struct tree *t);
static inline void tree_freep(struct tree **t) { tree_free(*t); }
int tree_put(struct tree *t, const char *path, const git_oid *blob, struct err *e) MUST_CHECK;
int tree_delete(struct tree *t, const char *path, struct err *e) MUST_CHECK;
/* Hand every new tree object to fn, children first; *root is the new root.  Empty directories vanish. */
int tree_write(struct tree *t, object_fn fn, void *ctx, git_oid *root, struct err *e) MUST_CHECK;
/* The event with the highest number: its name and blob.  1, 0 = there are none, -1. */
int tree_last_event(struct tree *t, char name[LEDGER_PATH_MAX], git_oid *blob, uint64_t *seq, struct err *e) MUST_CHECK;

/* Many new objects as one pack: collected deflated in an unnamed file, indexed and synced by commit. */
struct pack_stream;
int pack_stream_new(struct ledger *l, struct pack_stream **out, struct err *e) MUST_CHECK;
/* An object that is there already is left out. */
int pack_stream_add(struct pack_stream *s, git_object_t type, const void *p, size_t n, const git_oid *id, struct err *e) MUST_CHECK;
int pack_stream_commit(struct pack_stream *s, struct err *e) MUST_CHECK;
void pack_stream_free(struct pack_stream *s);
static inline void pack_stream_freep(struct pack_stream **s) { pack_stream_free(*s); }

/* "000012-copy-version.json": number of an event file's name; 0 if it is none. */
uint64_t event_name_seq(const char *name);
int event_name(const struct ledger_event *ev, struct buf *b, struct err *e) MUST_CHECK;
/* The event file; prev NULL for the first. */
int event_encode(const struct ledger_event *ev, const char *plan, const uint8_t *prev, struct buf *b, struct err *e) MUST_CHECK;
/* A decoded event and what its strings live in. */
struct event_held { struct ledger_event ev; uint8_t prev[DIGEST_LEN]; void *json; char *data; };
#define EVENT_HELD_INIT { .json = NULL }
void event_held_dispose(struct event_held *h);
int event_decode(const void *p, size_t n, const char *plan, struct event_held *h, struct err *e) MUST_CHECK;
/* Message of the commit. */
void event_message(const struct ledger_event *ev, struct buf *b);
/* One line: control bytes, invalid UTF-8 and the like escaped; backslashes stay, for callers have escaped names before. */
void event_put_line(struct buf *b, const char *s);

#endif
