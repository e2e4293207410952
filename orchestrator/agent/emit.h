/*
 * emit - objects onto the wire: small entries gathered in packs, large contents cut into slices.
 *
 * Any number of threads make objects at the same time (each packs of its own); an object is kept in memory until it is
 * complete and then sent in one go, so that its messages follow each other.  Ordinals count both kinds from 1, as they are sent.
 */
#ifndef EMIT_H
#define EMIT_H

#include <pthread.h>

#include "agent.h"
#include "crew.h"
#include "pack.h"

struct emit {			/* what all threads share */
	struct agent *a;
	struct crew *crew;		/* borrowed; helps with slices */
	pthread_mutex_t turn;		/* held while an object is sent; guards what follows */
	bool adaptive;
	int64_t since, waited;		/* mono ns: when the level was judged last, and how long sending has waited since */
	uint64_t sent;			/* stored bytes since then */
	uint64_t ordinals;		/* given so far */
	uint64_t large_ids;		/* the same */
	int level;			/* atomic */
};
void emit_init(struct emit *em, struct agent *a);
void emit_dispose(struct emit *em);

struct emit_block;
struct emit_object { struct emit *em; struct emit_block *first, *last; };	/* stored bytes of an object being made */

/* Packs of one thread, one open at a time. */
struct emit_packs { struct emit *em; struct pack_writer *pack; /* owned; NULL when none is open */ struct emit_object out; struct buf names; /* of MSG_NAMES */ };
void emit_packs_init(struct emit_packs *p, struct emit *em);
void emit_packs_dispose(struct emit_packs *p);
/*
 * Adds an entry to the open pack (or a new one); data: en->size bytes of a file.  *ended: the ordinal of the pack, when it was
 * full and went out; else 0 and the entry waits for a later emit_pack or emit_finish to say so.
 */
int emit_pack(struct emit_packs *p, const struct entry *en, const struct attr_set *attrs, const void *data, uint64_t *ended, struct err *e) MUST_CHECK;
/* Sends the open pack; *ended is its ordinal, 0 when none was open. */
int emit_finish(struct emit_packs *p, uint64_t *ended, struct err *e) MUST_CHECK;

/*
 * A large content: emit_large_init -> emit_large_data / emit_large_hole in ascending order without gaps -> emit_large_end ->
 * its segments can be taken, all slices have been sent.  emit_large_abort at any time; emit_large_dispose in the end.
 */
struct emit_slice;
struct emit_large {
	struct emit *em;		/* borrowed, once begun */
	uint64_t id;			/* 0 = not begun */
	uint64_t at;			/* logical offset of what comes next */
	uint64_t hole;			/* length of the run of holes before it, not yet passed on */
	uint64_t hole_min;		/* shorter ones travel as zeros within a slice */
	struct emit_slice *slice;	/* owned; being filled, or NULL */
	struct emit_slice *given;	/* owned; with the crew */
	struct msg_segment *segments;	/* owned; until emit_large_end their ordinals count the slices of this content, from 1 */
	size_t count, cap;
	uint64_t *ordinals;		/* owned: of those slices */
	size_t slices, ordinal_cap;
	bool tell_holes;		/* the target is none that a layout gives its holes */
	bool patch;			/* of a base: slices have gaps, which are told with their ranges */
	uint8_t base[DIGEST_LEN];	/* patch: SHA-256 of it */
};
#define EMIT_LARGE_INIT { .id = 0 }
int emit_large_begin(struct emit *em, struct emit_large *l, const char *path, uint64_t size, struct err *e) MUST_CHECK;
/* The same for what differs from a base: emit_large_keep goes with what does not. */
int emit_patch_begin(struct emit *em, struct emit_large *l, const char *path, uint64_t size, const struct entry *base, struct err *e) MUST_CHECK;
int emit_large_keep(struct emit *em, struct emit_large *l, uint64_t n, struct err *e) MUST_CHECK;
int emit_large_data(struct emit *em, struct emit_large *l, const void *p, size_t n, struct err *e) MUST_CHECK;
void emit_large_hole(struct emit_large *l, uint64_t n);
int emit_large_end(struct emit *em, struct emit_large *l, struct err *e) MUST_CHECK;
/* Its slices are void; l can be begun anew.  Nothing happens when it was not begun. */
int emit_large_abort(struct emit *em, struct emit_large *l, struct err *e) MUST_CHECK;
void emit_large_dispose(struct emit_large *l);

/* ---- emit.c for emit_large.c ---- */

int emit_object_sink(void *object, const void *p, size_t n, struct err *e) MUST_CHECK;	/* a pack_sink */
/* Sends what was gathered as one object and empties o.  is: all but the ordinal, which is set; ranges: of a slice of a patch, else NULL. */
int emit_object_send(struct emit_object *o, struct msg_obj_begin *is, struct msg_ranges *ranges, uint64_t raw, struct err *e) MUST_CHECK;
void emit_object_dispose(struct emit_object *o);
int emit_level(const struct emit *em);

#endif
