/*
 * verdict - what a clearance may claim.
 *
 * The ladder stands best first, so that "worse" is a comparison of numbers.  A verdict comes from measurements only:
 * what was not finished or not seen is unknown, never better (clearing.md 5).
 */
#ifndef VERDICT_H
#define VERDICT_H

#include "messages.h"

enum verdict {			/* values stand in events and certificates; best first */
	VERDICT_CLEARED_FULL, VERDICT_CLEARED_SAMPLED, VERDICT_CLEARED_GUEST_LEVEL, VERDICT_CRYPTO_ERASED,
	VERDICT_PERFORMED_NOT_PROVABLE, VERDICT_RESIDUE_FOUND, VERDICT_BLIND, VERDICT_UNKNOWN
};

/* "cleared-full", ... (contract section 2); a literal. */
const char *verdict_name(enum verdict v);
/* False: no such word; *v is untouched. */
bool verdict_parse(const char *name, enum verdict *v);
enum verdict verdict_worst(enum verdict a, enum verdict b);
/* Exit code of a clearance: 0 when got is at least require, else 4 for residue-found, else 5. */
int verdict_exit(enum verdict got, enum verdict require);

/* What happened to one object, folded into numbers; start from TALLY_INIT. */
struct clear_tally {
	uint64_t objects;		/* results added */
	uint64_t done, absent, changed, refused, failed;	/* by state */
	uint64_t bytes;			/* allocated bytes overwritten */
	uint64_t read_raw, read_file;	/* files read back from the device; only through the file */
	uint64_t moved, shared, encoded, inlined, unmapped;	/* files with that bit */
	uint64_t vanished;		/* contents that were gone though this clearing had not unlinked them */
	uint64_t short_of;		/* objects that lack something performed-not-provable needs */
};
#define TALLY_INIT { .objects = 0 }

/*
 * Was everything done that performed-not-provable asks of one object?  A file with content: overwritten where it lay,
 * read back as far as rights allow, unlinked.  Anything else: gone, or a directory that stays as an empty mount point.  size is
 * that of the content, 0 for a further name of an inode (the first name answers for the content).  On false *why is a literal that says what is
 * missing (why may be NULL).
 */
bool clear_result_complete(enum entry_type type, uint64_t size, const struct msg_erased *r, const char **why);
void clear_tally_add(struct clear_tally *t, enum entry_type type, uint64_t size, const struct msg_erased *r);
/*
 * The honest verdict without witnesses and residue scan: performed-not-provable when all expected objects have a
 * result and each is complete, unknown otherwise.  An inventory of nothing is unknown: nothing was measured.
 */
enum verdict clear_tally_verdict(const struct clear_tally *t, uint64_t expected);
/* Every one of the expected objects is gone, by us or otherwise. */
bool clear_tally_gone(const struct clear_tally *t, uint64_t expected);

/* What the search of a medium showed (waybill-witness.5). */
struct clear_measure {
	bool raw;		/* it was searched to its end */
	bool direct;		/* past the page cache */
	bool full;		/* all of it; else random places */
	bool blind;		/* the content was not seen before, or nothing shows that it would have been */
	bool gone;		/* every object of the inventory is gone */
	bool vanished;		/* of contents not by us: they may lie on another medium now */
	bool guest;		/* the medium is what the host of a virtual machine lets it see */
	uint64_t bad;		/* bytes that could not be read */
	uint64_t hits;		/* known content that is readable, names and waybill's own copies apart */
};
/*
 * The verdict that this allows, raw being true; *why is a literal that says what decided.  Content that was found outranks what could not be
 * looked at; everything else that is not as it should be leaves it blind or unknown.
 */
enum verdict clear_measure_verdict(const struct clear_measure *m, const char **why);

#endif
