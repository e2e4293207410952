/*
 * witness_set - the witnesses of some datasets, taken out of their archived contents.
 *
 *   witness_set_new -> (witness_set_file -> witness_take_* | witness_set_name)* -> witness_set_exclude* -> witness_set_finish
 *   -> set->v -> witness_set_free
 *
 * Bounded: at most max witnesses are kept.  When more come, every second one is given up by a bit of its own hash, again and
 * again (shift); what that costs is witness_miss_kept.  After finish the order is fixed: the index of a witness is its number on
 * the wire.  One thread.
 */
#ifndef WITNESS_SET_H
#define WITNESS_SET_H

#include "witness.h"

struct witness {
	uint64_t hash;
	uint32_t tag;		/* unaligned ones: witness_tag at the anchor */
	uint32_t file;		/* index in files; of several the first */
	uint8_t cls;		/* enum witness_class */
	uint8_t len, off;	/* unaligned ones: bytes, and where among them the anchor is */
	uint8_t form;		/* names: 0 as stored, else another encoding of it */
};

struct witness_file {		/* where a witness comes from */
	uint32_t dataset;	/* the caller's number */
	uint32_t version;
	uint32_t entry;		/* ordinal of the entry in that version */
	uint8_t old;		/* of a version that the source no longer holds: searched for, not expected */
	uint8_t storage;	/* enum msg_storage, once known */
};

/* A hash that lies in more contents than this proves nothing about any of them. */
#define WITNESS_COMMON 8u

struct witness_set {
	struct witness_key key;
	struct witness *v;			/* owned */
	size_t n, cap, max;
	struct witness_file *files;		/* owned */
	size_t nfiles, files_cap;
	unsigned shift;				/* one in 2^shift was kept */
	bool finished;
	/* by class, for the record */
	uint64_t taken[WITNESS_CLASSES];	/* before anything was dropped */
	uint64_t weak[WITNESS_CLASSES];		/* dropped: too few byte values, or no anchor */
	uint64_t common[WITNESS_CLASSES];	/* dropped: in more than WITNESS_COMMON contents */
	uint64_t stays[WITNESS_CLASSES];	/* dropped: in what stays at the place */
	uint64_t contents, too_short;		/* contents seen; of them those too short for any witness */
};

/* memory: bytes that the set may use; at least 1 MiB. */
int witness_set_new(struct witness_set **out, const uint8_t key[WITNESS_KEY], uint64_t memory, struct err *e) MUST_CHECK;
void witness_set_free(struct witness_set *s);
static inline void witness_set_freep(struct witness_set **s) { witness_set_free(*s); }
#define OWN_WITNESS_SET OWN(witness_set_freep)

/* The witnesses added from now on belong to this file. */
int witness_set_file(struct witness_set *s, const struct witness_file *f, struct err *e) MUST_CHECK;
int witness_set_sector(struct witness_set *s, enum witness_class c, const void *p, struct err *e) MUST_CHECK;
/* Unaligned bytes of 12 to 255 (longer: the first 255); weak ones are counted and left out. */
int witness_set_text(struct witness_set *s, enum witness_class c, const void *p, size_t n, unsigned form, struct err *e) MUST_CHECK;
/* The last component of a path in all its forms (witness_names.c). */
int witness_set_name(struct witness_set *s, const char *path, size_t n, struct err *e) MUST_CHECK;

/* Drops what stays also holds (made with the same key, finished or not; it is sorted by this). */
void witness_set_exclude(struct witness_set *s, struct witness_set *stays);
/* Each hash once, the common ones dropped, in the order of their files. */
void witness_set_finish(struct witness_set *s);
/* Witnesses of a class; old: those of versions that are no longer at the source. */
uint64_t witness_set_count(const struct witness_set *s, enum witness_class c, bool old);
static inline bool witness_old(const struct witness_set *s, const struct witness *w) { return s->files[w->file].old; }

/* ---- taking a content ---- */

struct witness_taker {
	struct witness_set *s;
	uint64_t size, content;		/* content: number that its sectors are chosen by */
	uint64_t block;			/* the one in data */
	size_t have;			/* bytes of it, from its start; a gap makes it void */
	bool any, full;
	uint8_t data[WITNESS_BLOCK];
};
/* sha256: of the content. */
void witness_take_begin(struct witness_taker *t, struct witness_set *s, const uint8_t sha256[32], uint64_t size);
/* Ascending offsets; what is left out is a hole. */
int witness_take_data(struct witness_taker *t, uint64_t offset, const void *p, size_t n, struct err *e) MUST_CHECK;
int witness_take_end(struct witness_taker *t, struct err *e) MUST_CHECK;

#endif
