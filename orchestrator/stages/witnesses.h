/*
 * witnesses - takes the witnesses of datasets out of the archive, and leads back from a witness to its file.
 *
 *   witnesses_new -> witnesses_newest, for each dataset -> witnesses_older, for each -> witnesses_close -> w->set -> witnesses_free
 *
 * The newest version is decoded by a full verification of the archive (the pass that a clearing asks for), earlier ones only as
 * far as they hold other contents.
 */
#ifndef WITNESSES_H
#define WITNESSES_H

#include "archive.h"
#include "u64set.h"
#include "verify.h"
#include "witness_set.h"

struct witnesses {
	struct run *r;				/* borrowed */
	struct witness_set *set;
	struct u64set seen;			/* contents that were taken, by 8 bytes of their digest */
	const struct plan_dataset **datasets;	/* owned array; witness_file.dataset counts in it */
	size_t n;
	struct witness_file at;			/* the entry being taken */
};

/* memory: bytes for the set. */
int witnesses_new(struct witnesses **out, struct run *r, const uint8_t key[WITNESS_KEY], struct err *e) MUST_CHECK;
void witnesses_free(struct witnesses *w);
static inline void witnesses_freep(struct witnesses **w) { witnesses_free(*w); }
#define OWN_WITNESSES OWN(witnesses_freep)

/*
 * Decodes and verifies version n (0 = newest) of the dataset out of the archive; the outcome of the verification goes into v.
 * A damaged content leaves no witnesses.
 */
int witnesses_newest(struct witnesses *w, const struct plan_dataset *d, uint64_t n, struct verify_result *v, struct err *e) MUST_CHECK;
/* The versions 1 to before - 1, marked as old. */
int witnesses_older(struct witnesses *w, const struct plan_dataset *d, uint64_t before, struct err *e) MUST_CHECK;
/* Leaves out what the dataset's newest version holds, for it stays where it is. */
int witnesses_exclude(struct witnesses *w, const struct plan_dataset *d, struct err *e) MUST_CHECK;
static inline void witnesses_close(struct witnesses *w) { witness_set_finish(w->set); }

/* ---- for verify.c ---- */
/* The next entry of the version begins (whatever it is). */
void witnesses_next(struct witnesses *w);
/* Its name and its content, a NULL: it has none. */
int witnesses_entry(struct witnesses *w, struct archive *a, const struct entry *en, const struct location *at, struct err *e) MUST_CHECK;

/* ---- back to the file ---- */
/*
 * Calls fn for the files number[0..n) of the set (ascending), with the path in their version.  fn's non-zero stops and is
 * returned.
 */
typedef int (*witnesses_path)(void *ctx, uint32_t file, const char *path, struct err *e);
int witnesses_paths(struct witnesses *w, const uint32_t *number, size_t n, witnesses_path fn, void *ctx, struct err *e) MUST_CHECK;

#endif
