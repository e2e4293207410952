/*
 * apply - inside of the role that writes a tree; shared by apply*.c only.
 *
 * apply.c        messages in
 * apply_inbox.c  messages that have come and wait
 * apply_sync.c   acknowledgements out, from a thread of their own
 * apply_object.c objects gathered from their messages, large contents, attribute blobs
 * apply_work.c   complete objects to workers, and what must wait for them
 * apply_pack.c   one pack, one slice: what a worker does
 * apply_block.c  a device or an image in the place of a tree
 * apply_patch.c  a large content as changes of what stands there
 * apply_undo.c   what such changes overwrite, until they are durable
 * apply_lock.c   inode flags that bar a change
 * apply_tree.c   names: parents, putting in place, links, removal
 * apply_final.c  directory attributes when their contents are done
 *
 * Everything is made in STAGING beneath the root, complete with its attributes, and then renamed into place; what
 * stands there before stays whole until that moment.
 */
#ifndef APPLY_H
#define APPLY_H

#include <pthread.h>

#include "agent.h"
#include "attrs.h"
#include "entry.h"
#include "fence.h"
#include "out.h"
#include "path.h"

#define SITE "apply"			/* of the fault seam */
#define STAGING ".waybill.part"		/* beneath the root; only files, all ours; dropped at start and end */
#define ASIDE_PREFIX ".waybill-old."	/* a directory in whose place something else has come; beside that */
#define COPY_BYTES (4u << 20)		/* a whole frame, so that it is decoded in place */
#define TMP_NAME 32

struct object {				/* between OBJ_BEGIN and OBJ_END */
	struct msg_obj_begin is;
	struct buf stored;
	struct msg_ranges ranges;	/* of a slice of a patch; count 0: it lies in one piece at is.offset */
};

struct large {				/* between LARGE_BEGIN and LARGE_END or LARGE_ABORT */
	uint64_t id;
	int fd;				/* -1: could not be staged, already reported */
	int direct;			/* the same file past the page cache; -1 = not taken */
	unsigned slices;		/* given to workers; guarded by the pool's lock */
	bool failed;			/* could not be written, already reported; atomic */
	char *path;			/* owned */
	char tmp[TMP_NAME];
	bool in_place;			/* fd is the file itself, in a tree that is not live */
	struct base { uint64_t ino, size; int64_t mtime_s; uint32_t mtime_ns; } base;	/* what it was then */
	unsigned undos;			/* files of apply_undo.c begun; atomic */
};

struct undone { uint64_t large_id; unsigned files; };	/* patched, not yet known to be durable */

/*
 * Where a new inode is being made: under its final name when its directory was made in this session (nobody else looks there
 * yet, its mode is 0700), else in the staging directory.
 */
struct spot {
	int dir;			/* borrowed until the next parent is looked up */
	const char *name;		/* into the path, or tmp */
	char tmp[TMP_NAME];
	bool in_place;
	bool plain;			/* the directory gives new entries no attributes of its own */
};

/* Directories made in this session, by hash of their path: a hint, as a name that is there already is noticed. */
struct fresh { uint64_t *v; size_t n, cap; };	/* open-addressed; 0 = free */

struct syncer {				/* guarded by lock, but thread and running */
	pthread_t thread;
	bool running;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct flush { uint64_t token, after; } *tokens;	/* owned: flushes not yet answered, in order; after: job that must be done */
	size_t count;
	bool ending, failed;
	struct err why;
};

struct split { char *first, *now; };	/* owned: names of first are linked to now, which is a copy of it */

struct inbox_frame;
struct inbox {				/* guarded by lock, but thread, running and wire */
	struct wire *wire;
	pthread_t thread;
	bool running;
	pthread_mutex_t lock;
	pthread_cond_t came, taken;
	struct inbox_frame *first, **last;
	size_t bytes;
	bool stop, ended, failed;
	struct err why;
};

/*
 * Complete objects go to workers, at most POOL_WAITING of them ahead.  Any two packs, and slices, may be written at the same time: a path
 * comes once, directories are made where they are first needed, and a pack's links point into it.  All other messages wait
 * until the objects they build on are done; a sync begins when all that came before its FLUSH is.
 */
#define WORKERS_MAX 8
#define POOL_WAITING 2
#define POOL_BYTES (128u << 20)		/* stored bytes of all that were given and are not written */
struct job;
struct pool {				/* guarded by lock, but threads, count and hands */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	pthread_t threads[WORKERS_MAX];
	struct apply *hands[WORKERS_MAX];	/* owned */
	unsigned count;			/* of threads running; 0: nothing was started */
	struct job *first, **last;	/* waiting */
	unsigned waiting;
	size_t bytes;
	uint64_t given;			/* jobs so far, numbered from 1 */
	uint64_t running[WORKERS_MAX];	/* number of the job of each thread; 0 = none */
	bool stop, failed;
	struct err why;			/* the first failure */
};

/* What all hands share. */
struct common {
	pthread_mutex_t lock;		/* over the rest, but euid, egid */
	uint64_t next_tmp;
	struct fresh fresh;
	struct split *splits;		/* owned */
	size_t split_count;
	char **asides;			/* paths whose former directory was set aside; owned */
	size_t aside_count;
	struct undone *undone;		/* owned */
	size_t undone_count;
	uid_t euid;
	gid_t egid;
};

/* The role itself; and each worker has one of its own, whose fields up to copy are filled. */
struct apply {
	struct agent *a;
	bool block;			/* a->root is a device or an image: contents are written into it (apply_block.c) */
	struct common *common;		/* shared of the role itself */
	int staging;			/* borrowed by workers */
	bool staging_plain;
	bool fsync_each;		/* syncfs does not tell of write errors before Linux 5.8 */
	char *parent;			/* path of the directory that parent_fd is; owned; NULL = none */
	int parent_fd;			/* O_PATH, or O_RDONLY for a fresh one */
	bool parent_fresh, parent_plain;
	uint8_t *copy;			/* COPY_BYTES, aligned for out.h; owned */

	struct common shared;
	struct pool pool;
	struct inbox inbox;
	struct syncer syncer;
	struct fence fence;
	struct object *objects;
	size_t object_count, object_bytes;
	struct large **larges;		/* owned, and each of them */
	size_t large_count;
	uint64_t large_max;		/* highest id begun */
	struct entry **stack;		/* directories whose contents are being finished, outermost first; owned */
	size_t depth;
	struct err torn;		/* a patch that was given up could not be taken back: the staging directory must stay */
	struct attr_set root_attrs;	/* of the root, taken out of the staging directory before that goes */
};
#define APPLY_INIT(agent) { .a = (agent), .torn = ERR_INIT, .fence = FENCE_INIT, .staging = -1, .parent_fd = -1, \
	.shared = { .lock = PTHREAD_MUTEX_INITIALIZER }, \
	.pool = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER } }
int apply_prepare(struct apply *ap, struct err *e) MUST_CHECK;	/* the rest of what a role begins with */

/*
 * The outcome of one entry: counted when rc is 0; otherwise reported as a problem of path, save when the file system itself is in
 * trouble: then -1 with *e (temporary) and the role ends.
 */
int apply_receive(struct apply *ap, struct err *e) MUST_CHECK;	/* every message until the stream ends */
void apply_dispose(struct apply *ap);
int apply_settle(struct apply *ap, const char *path, int rc, const struct err *why, struct err *e) MUST_CHECK;

/* The role's counters are added to by all workers. */
static inline void count_to(uint64_t *counter, uint64_t n) { (void)__atomic_fetch_add(counter, n, __ATOMIC_RELAXED); }

/* ---- apply_inbox.c ---- */

int inbox_start(struct inbox *in, struct wire *w, struct err *e) MUST_CHECK;
int inbox_next(struct inbox *in, struct wire_frame *f, struct err *e) MUST_CHECK;	/* as wire_recv */
void inbox_stop(struct inbox *in);	/* before the end of the stream: cancels the connection */

/* ---- apply_sync.c ---- */

int apply_durable(struct apply *ap, struct err *e) MUST_CHECK;		/* here and now */
int apply_sync_start(struct apply *ap, struct err *e) MUST_CHECK;
/* ACK token once all that is written by now is durable. */
int apply_sync_ask(struct apply *ap, uint64_t token, struct err *e) MUST_CHECK;
int apply_sync_state(struct apply *ap, struct err *e) MUST_CHECK;	/* -1: a sync has failed */
int apply_sync_stop(struct apply *ap, struct err *e) MUST_CHECK;	/* answers what was asked, ends the thread; -1 as above */

/* ---- apply_work.c ---- */

int pool_start(struct apply *ap, struct err *e) MUST_CHECK;	/* once staging is open, where there is one */
/* A complete object of raw bytes to a worker; its stored bytes change hands, also on failure. */
int pool_give(struct apply *ap, struct object *o, uint64_t raw, struct err *e) MUST_CHECK;
int pool_drain(struct apply *ap, struct err *e) MUST_CHECK;	/* wait until all that was given is done */
int pool_drain_large(struct apply *ap, const struct large *l, struct err *e) MUST_CHECK;	/* the same for its slices */
/* Wait until that job and all before it are done; *done: the last of which that is true. */
int pool_drain_until(struct pool *p, uint64_t job, uint64_t *done, struct err *e) MUST_CHECK;
int pool_state(struct apply *ap, struct err *e) MUST_CHECK;	/* -1: a worker has failed */
void pool_stop(struct apply *ap);				/* drops what waits */

/* ---- apply_pack.c ---- */

int apply_pack(struct apply *ap, const struct object *o, struct err *e) MUST_CHECK;
int apply_slice(struct apply *ap, const struct object *o, struct large *l, uint64_t raw, struct err *e) MUST_CHECK;

/* ---- apply_undo.c: of contents that are patched in place; -1 with *e describes one entry but where said ---- */

/* First of all: as long as the name it makes is there, what the others keep is put back.  False: not possible, or dev is another device. */
bool undo_begin(struct apply *ap, const struct large *l, dev_t dev) MUST_CHECK;
/* Before these ranges are overwritten: what they hold becomes durable in the staging directory.  By any worker. */
int undo_keep(struct apply *ap, struct large *l, const struct msg_range *v, size_t n, struct err *e) MUST_CHECK;
/* The same for what becomes a hole, or is cut off: only the data there. */
int undo_keep_data(struct apply *ap, struct large *l, uint64_t from, uint64_t to, struct err *e) MUST_CHECK;
/* It is given up: the old content comes back.  Where that fails ap->torn says so and what is needed for it stays. */
void undo_now(struct apply *ap, struct large *l);
/* It is written whole; what was kept goes once it is durable: undo_count before the sync, undo_forget (-1: the role ends) after. */
int undo_done(struct apply *ap, const struct large *l, struct err *e) MUST_CHECK;
size_t undo_count(struct apply *ap);
int undo_forget(struct apply *ap, size_t n, struct err *e) MUST_CHECK;
/* What a session that died was patching, before anything else happens beneath the root.  1: some was kept; -1: the role ends. */
int undo_all(struct apply *ap, int staging, struct err *e) MUST_CHECK;

/* ---- apply_tree.c: -1 with *e describes one entry; apply_settle decides whether it is more ---- */

int tree_stage_open(struct apply *ap, struct err *e) MUST_CHECK;	/* drops left-overs, waits for a dying predecessor */
int tree_stage_close(struct apply *ap, struct err *e) MUST_CHECK;	/* removes it */
void tree_tmp_name(struct apply *ap, char tmp[TMP_NAME]);
/* New file in the staging directory, O_RDWR, mode 0600; -1. */
int tree_tmp_file(struct apply *ap, char tmp[TMP_NAME], struct err *e) MUST_CHECK;
/* New file for en, O_WRONLY; -1. */
int tree_new_file(struct apply *ap, const struct entry *en, struct spot *s, struct err *e) MUST_CHECK;
void tree_drop(const struct spot *s);					/* what was begun there goes again */
/* Finalise the new inode behind fd, close it (always) and rename it to path if it is not there; parents are made, another type gives way. */
unsigned tree_finalise_what(const struct apply *ap);	/* enum finalise_what, as START wants it */
int tree_finish(struct apply *ap, const struct entry *en, const struct attr_set *attrs, int fd, const struct spot *s, struct err *e) MUST_CHECK;
/* The spot of a file of tree_tmp_file. */
struct spot tree_staged(const struct apply *ap, const char tmp[TMP_NAME]);
void tree_dispose(struct apply *ap);
int tree_dir(struct apply *ap, const char *path, struct err *e) MUST_CHECK;		/* mkdir unless there */
int tree_special(struct apply *ap, const struct entry *en, const struct attr_set *attrs, struct err *e) MUST_CHECK;	/* symlink, fifo, device */
int tree_link(struct apply *ap, const struct entry *en, struct err *e) MUST_CHECK;	/* further name of link_to */
int tree_remove(struct apply *ap, const char *path, enum entry_type type, struct err *e) MUST_CHECK;
int tree_drop_asides(struct apply *ap, struct err *e) MUST_CHECK;	/* reports those with foreign entries */
void tree_forget_parent(struct apply *ap);
enum entry_type tree_type(uint32_t st_mode);				/* 0: none of ours */

/* ---- apply_lock.c: immutable and append-only, where the plan has flags (MSG_F_FLAGS) and we are root ---- */

/* EPERM came: lift what stands in the way of a change of name in dir, from dir itself and name (may be NULL).  True: try again.
   What was lifted comes back with the entry's and its directory's own MSG_FINAL; errno stays. */
bool tree_unlock(struct apply *ap, int dir, const char *name);
/* What is ours but closed to us: its owner may do with it what an owner may. */
bool tree_open_up(int fd);
int tree_unlock_inode(struct apply *ap, int dir, const char *name, int *had) MUST_CHECK;
int tree_relock(int fd, int had, struct err *e) MUST_CHECK;

/* ---- apply_split.c ---- */

const char *split_source(struct apply *ap, const char *first);	/* what a further name of first is linked to; borrowed */
/* EMLINK came: en becomes a copy of name in dir, to which further names are linked; reported. */
int split_copy(struct apply *ap, const struct entry *en, int dir, const char *name, struct err *e) MUST_CHECK;
void split_dispose(struct common *c);

/* ---- apply_block.c ---- */

int block_begin(struct apply *ap, struct large *l, uint64_t size, struct err *e) MUST_CHECK;	/* makes l->fd */
int block_end(struct apply *ap, const struct large *l, const struct entry *en, struct err *e) MUST_CHECK;

/* ---- apply_patch.c ---- */

int patch_begin(struct apply *ap, const struct wire_frame *f, struct err *e) MUST_CHECK;
int patch_ranges(struct apply *ap, const struct wire_frame *f, struct err *e) MUST_CHECK;
int patch_hole(struct apply *ap, const struct wire_frame *f, struct err *e) MUST_CHECK;
/* The end of one that was patched in place; as tree_finish, but on failure of the whole l->fd is left open. */
int patch_end(struct apply *ap, struct large *l, const struct entry *en, const struct attr_set *attrs, struct err *e) MUST_CHECK;
/* From here on zeros, as a hole where the file system has such. */
int patch_zero(struct apply *ap, int fd, uint64_t at, uint64_t n, const char *path, struct err *e) MUST_CHECK;

/* ---- apply_object.c ---- */

void object_dispose(struct object *o);
struct object *object_find(struct apply *ap, uint64_t ordinal);	/* NULL: not open */
struct large *large_find(struct apply *ap, uint64_t id);	/* NULL: not open */
/* A new one, fd -1; NULL: out of memory, or the id is used up or too many are open (*e). */
struct large *large_add(struct apply *ap, uint64_t id, const char *path, struct err *e) MUST_CHECK;
int large_fail(struct apply *ap, struct large *l, const struct err *why, struct err *e) MUST_CHECK;	/* reported; what still comes for it is dropped */
void large_unstage(struct apply *ap, struct large *l);		/* only dropped */
int object_begin(struct apply *ap, const struct wire_frame *f, struct err *e) MUST_CHECK;
int object_data(struct apply *ap, const struct wire_frame *f, struct err *e) MUST_CHECK;
int object_end(struct apply *ap, const struct wire_frame *f, struct err *e) MUST_CHECK;
int large_begin(struct apply *ap, const struct wire_frame *f, struct err *e) MUST_CHECK;
int large_abort(struct apply *ap, const struct wire_frame *f, struct err *e) MUST_CHECK;
int large_end(struct apply *ap, const struct wire_frame *f, struct err *e) MUST_CHECK;
int attr_keep(struct apply *ap, const void *p, size_t n, struct err *e) MUST_CHECK;
/* The attributes that en's digests name, from the blobs kept. */
int attr_load(struct apply *ap, const struct entry *en, struct attr_set *out, struct err *e) MUST_CHECK;
void objects_dispose(struct apply *ap);

/* ---- apply_final.c ---- */

int final_entry(struct apply *ap, const struct wire_frame *f, struct err *e) MUST_CHECK;
/* Finish directories on the stack that do not contain path (NULL: all but the root). */
int final_leave(struct apply *ap, const char *path, struct err *e) MUST_CHECK;
int final_root_attrs(struct apply *ap, struct err *e) MUST_CHECK;	/* before tree_stage_close */
int final_root(struct apply *ap, struct err *e) MUST_CHECK;		/* after it: the last change beneath the root */
void final_dispose(struct apply *ap);

#endif
