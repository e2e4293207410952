/*
 * emit - objects onto the wire: small entries gathered in packs, large contents cut into slices.
 *
 * Ordinals count both kinds from 1.  One pack is open at a time; slices go out between its pieces.
 */
#ifndef EMIT_H
#define EMIT_H

#include "agent.h"
#include "pack.h"

struct emit;
struct emit_out { struct emit *em; uint64_t ordinal; struct buf b; };	/* gathers stored bytes into messages */

struct emit {
	struct agent *a;
	int level;
	bool adaptive;
	int64_t since, waited;		/* mono ns: when the level was judged last, and how long sending has waited since */
	uint64_t sent;			/* stored bytes since then */
	uint64_t ordinals;		/* given so far */
	uint64_t large_ids;
	struct pack_writer *pack;	/* owned; NULL when none is open */
	struct emit_out pack_out;
};
void emit_init(struct emit *em, struct agent *a);
void emit_dispose(struct emit *em);

/* Adds an entry to the open pack (or a new one) and says in which; data: en->size bytes of a file. */
int emit_pack(struct emit *em, const struct entry *en, const struct attr_set *attrs, const void *data, uint64_t *ordinal, struct err *e) MUST_CHECK;
/* Ends the open pack. */
int emit_finish(struct emit *em, struct err *e) MUST_CHECK;

/*
 * A large content: emit_large_init -> emit_large_data / emit_large_hole in ascending order without gaps -> emit_large_end ->
 * its segments can be taken.  emit_large_abort at any time; emit_large_dispose in the end.
 */
struct emit_large {
	uint64_t id;			/* 0 = not begun */
	uint64_t at;			/* logical offset of what comes next */
	uint64_t hole;			/* length of the run of holes before it, not yet passed on */
	uint64_t hole_min;		/* shorter ones travel as zeros within a slice */
	struct frame_writer *slice;	/* owned; NULL when none is open */
	uint64_t slice_len;
	struct emit_out out;
	struct msg_segment *segments;	/* owned */
	size_t count, cap;
	bool tell_holes;		/* the target is none that a layout gives its holes */
	bool patch;			/* of a base: slices have gaps, which are told with their ranges */
	uint8_t base[DIGEST_LEN];	/* patch: SHA-256 of it */
	struct msg_range *ranges;	/* owned: of the open slice of a patch */
	size_t range_count, range_cap;
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

#endif
