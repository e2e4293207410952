/* pass_internal - shared by the files of pass.h only. */
#ifndef PASS_INTERNAL_H
#define PASS_INTERNAL_H

#include <pthread.h>

#include "atomic_file.h"
#include "blocks.h"
#include "known.h"
#include "loss_survey.h"
#include "names.h"
#include "pack.h"
#include "pass.h"
#include "passfile.h"
#include "sent.h"
#include "target.h"
#include "u64set.h"

#define FLUSH_BYTES (64u << 20)		/* stored bytes between two acknowledgements */
#define FLUSH_ROWS 20000u		/* or entries, or */
#define FLUSH_NS 3000000000LL		/* time */

/* What a number of the found file holds beside the place. */
#define FOUND_CHANGED 1u		/* differs from the last version, or from nothing */
#define FOUND_WHOLE 2u			/* an object of this session makes it at the target, attributes and all */
#define FOUND_PATCH 4u			/* its recipe uses slices of the version before */
#define FOUND_MARKS 3			/* bits */

/* An object on its way from the source, by ordinal (ordinal - 1 is the index). */
struct pass_object {
	struct store_put *put;		/* open or held, else NULL */
	bool ended;			/* all its bytes have come, and it stands in the archive under its id */
	bool held;			/* a slice whose bytes have all come, and whose content may still turn out to be void */
	uint64_t large_id, announced;	/* slices: of which content; once held: stored bytes as announced */
	uint64_t raw;			/* once all its bytes have come: as announced */
	enum store_kind kind;
	struct object_id id;		/* once ended */
	uint64_t place;			/* packs: index + 1 into places */
};

struct pass_place {
	struct location at;		/* kind and id as far as known */
	bool ready;			/* the object is in the archive under its id */
};

struct pass_large {			/* a large content whose slices have not all ended */
	struct msg_entry m;		/* owned */
	uint64_t place;
	struct location base;		/* of a patch */
};

struct pass_hashes { uint64_t large_id; struct buf b; };	/* of a content that is coming */

struct pass_base { struct recipe rc; size_t i; uint64_t at; };	/* i: the part that begins at at */

struct pass_row {			/* an entry that will be acknowledged */
	struct entry *entry;		/* owned */
	uint64_t place;			/* 0 = rests on no object */
};

struct pass_batch {			/* rows waiting for the target's acknowledgement of a token */
	uint64_t token;
	struct pass_row *rows;		/* owned */
	size_t count;
	struct pass_batch *next;
};

struct pass_sync {			/* guarded by lock, but thread and running */
	pthread_t thread;
	bool running;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	uint64_t asked, done;		/* tokens: up to asked objects are to be made durable, up to done they are */
	bool ending, failed;
	struct err why;
};

#define PASS_DIR 96

struct pass_output {			/* of a version, while it is written */
	struct ledger_txn *txn;
	struct manifest_writer *manifest;
	struct objects_writer *objects;
	struct scan_writer *scan;
	struct atomic_file scan_file;
	char dir[PASS_DIR];		/* "datasets/D" */
	struct manifest_root root;	/* it and totals: once all entries are in the manifest */
	struct manifest_totals totals;
	int64_t took;			/* ns, to write it */
};
#define PASS_OUTPUT_INIT { .scan_file = ATOMIC_FILE_INIT }
void pass_output_dispose(struct pass_output *o);

struct known_sender;
struct pass_builder;

struct pass {
	struct run *r;
	const struct plan_dataset *d;
	const char *stage;
	uint64_t last, version;		/* last complete version, and the one being made */
	bool frozen;
	int64_t started;		/* monotonic ns */
	struct session *source;
	struct known *known;		/* merge side */
	struct known_item head;		/* its current item */
	bool have_head;
	struct known_sender *sender;
	struct passfile *found, *gone;
	struct names names;		/* of found */
	struct pass_builder *builder;	/* owned: the version is being written beside us */
	struct pass_place *places;	/* owned; place - 1 is the index */
	size_t place_count;
	struct pass_object *objects;	/* owned */
	size_t object_count, open_count;	/* open: data may still come */
	size_t held_first, held_count;	/* no held one stands before held_first */
	struct pass_large *large;	/* owned, unordered */
	size_t large_count, large_segments;	/* segments of all of them */
	struct blocks *blocks;		/* owned */
	struct pass_hashes *hashes;	/* owned */
	size_t hashes_count, hashes_bytes;
	bool patched;			/* a content came as a patch */
	bool patches_checked;		/* every content with FOUND_PATCH was decoded */
	uint64_t large_max;		/* highest id of the source */
	struct u64set contents;		/* u64set_key of the digests of large contents of the version */
	struct pass_row *rows;		/* owned: not yet flushed */
	size_t row_count;
	struct pass_batch *batches, **batches_end;
	uint64_t token, stored_since;
	struct pass_sync sync;
	int64_t flushed_at;
	struct target target;
	struct u64set touched;		/* directories whose attributes must be set again */
	char *prev;			/* path of the last ENTRY, for prefix coding */
	uint64_t gone_count, last_entries, last_bytes;
	uint64_t source_problems;	/* told by the source's agent */
	struct run_progress progress;
	int64_t shown;
	struct sent *sent;		/* NULL: archive only */
	struct loss_counts lost;
	struct loss_blobs blobs;
	struct owners owners;		/* while the version is written */
	json_t *said;			/* what commands said on standard error, without secrets; NULL: none did */
	struct pass_result result;
};

void pass_free(struct pass *p);

/* pass_objects.c */
int pass_object_begin(struct pass *p, const struct wire_frame *f, struct err *e) MUST_CHECK;
int pass_object_data(struct pass *p, const struct wire_frame *f, struct err *e) MUST_CHECK;
int pass_object_end(struct pass *p, const struct wire_frame *f, struct err *e) MUST_CHECK;
/* A content's slices are void: those that the archive has not taken yet never get there. */
int pass_large_abort(struct pass *p, const struct wire_frame *f, struct err *e) MUST_CHECK;
/* Place of a known location (interned when it repeats the last one). */
int pass_place(struct pass *p, const struct location *at, uint64_t *place, struct err *e) MUST_CHECK;
int pass_pack_place(struct pass *p, uint64_t ordinal, uint64_t *place, struct err *e) MUST_CHECK;
/* Takes m over; the recipe is made as soon as the slices have ended.  base: where the base of a patch is. */
int pass_large_add(struct pass *p, struct msg_entry *m, const struct location *base, uint64_t *place, struct err *e) MUST_CHECK;
bool pass_place_ready(const struct pass *p, uint64_t place);
int pass_attr(struct pass *p, const struct wire_frame *f, struct err *e) MUST_CHECK;
void pass_objects_free(struct pass *p);

/* pass_patch.c */
int pass_blocks_open(struct pass *p, struct err *e) MUST_CHECK;	/* tells the source agent the key */
int pass_hashes(struct pass *p, const struct wire_frame *f, struct err *e) MUST_CHECK;
void pass_hashes_drop(struct pass *p, uint64_t large_id);
int pass_hashes_keep(struct pass *p, const struct pass_large *l, struct err *e) MUST_CHECK;	/* once its recipe is there */
int pass_ask(struct pass *p, const struct wire_frame *f, struct err *e) MUST_CHECK;
int pass_base_open(struct pass *p, const struct pass_large *l, struct pass_base *base, struct err *e) MUST_CHECK;
/* Appends what the base has there; ascending. */
int pass_base_cut(struct pass_base *base, uint64_t offset, uint64_t length, struct recipe *to, struct err *e) MUST_CHECK;
void pass_base_dispose(struct pass_base *base);
/* Decodes what patches made, while the target makes durable what it was told. */
int pass_check_patches(struct pass *p, struct err *e) MUST_CHECK;
/* Once everything was acknowledged: contents that the target had no base for. */
int pass_send_whole(struct pass *p, struct err *e) MUST_CHECK;
void pass_patch_free(struct pass *p);

/* pass_acks.c */
int pass_row(struct pass *p, const struct entry *en, uint64_t place, struct err *e) MUST_CHECK;
/* Flush when due (force: now); wait: until everything is acknowledged. */
int pass_flush(struct pass *p, bool force, bool wait, struct err *e) MUST_CHECK;
void pass_acks_free(struct pass *p);

/* pass_final.c: attributes, links, deletions, end record */
int pass_finish_target(struct pass *p, struct err *e) MUST_CHECK;

/* pass_version.c */
/* Of the target's agent, as announced; nothing denied where there is no target. */
const struct loss_rights *pass_rights(const struct pass *p);
/*
 * Begins to write the version on a thread of its own.  Until pass_version_take or _abandon nothing is found any more, and all places
 * stay as they are; losses, contents and blocked of the result are the thread's, and so is the ledger.
 */
int pass_version_start(struct pass *p, struct err *e) MUST_CHECK;
/* Waits for it, or writes it now.  o (PASS_OUTPUT_INIT) is filled as far as it went in any case. */
int pass_version_take(struct pass *p, struct pass_output *o, struct err *e) MUST_CHECK;
void pass_version_abandon(struct pass *p);

/* pass_commit.c */
int pass_commit(struct pass *p, struct err *e) MUST_CHECK;

#endif
