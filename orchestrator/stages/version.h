/*
 * version - reading one version of a dataset: its entries in walk order, with the place of each content.
 *
 * Entries come from the scan file when it is there and whole (it carries the source's state, for the next pass),
 * else from the manifest in the ledger.  Versions count from 1; 0 is "none yet" and reads as empty.
 */
#ifndef VERSION_H
#define VERSION_H

#include "manifest.h"
#include "objects.h"
#include "workspace.h"

struct version_summary {		/* datasets/D/summary.json */
	uint64_t version, pass;
	struct manifest_totals totals;
	struct manifest_root root;
	char *identity;			/* "fsid:inode" of the source root, owned */
	char *at;			/* owned */
	char commit[LEDGER_OID];	/* of the version */
};
#define VERSION_SUMMARY_INIT { .identity = NULL }
void version_summary_dispose(struct version_summary *s);
#define OWN_SUMMARY OWN(version_summary_dispose)
/* Summary of version n (0 = newest): 1, 0 = no such version, -1. */
int version_summary(const struct workspace *w, const char *plan, const char *dataset, uint64_t n,
    struct version_summary *s, struct err *e) MUST_CHECK;

enum version_want { VERSION_MANIFEST, VERSION_SCAN };	/* SCAN: with source state if it can be had */

struct version_reader;
int version_open(const struct workspace *w, const char *plan, const char *dataset, uint64_t n, enum version_want want,
    struct version_reader **out, struct err *e) MUST_CHECK;
/* Next entry and the place of its content (LOCATION_NONE without one; at may be NULL): 1, 0, -1. */
int version_next(struct version_reader *r, struct entry *en, struct location *at, struct err *e) MUST_CHECK;
const struct objects *version_objects(const struct version_reader *r);
void version_close(struct version_reader *r);
static inline void version_closep(struct version_reader **r) { version_close(*r); }

/* version_next without the place, as an entry_next_fn; ctx is the reader. */
int version_next_entry(void *ctx, struct entry *en, struct err *e);

/* Rev of a version for ledger_read: "PLAN/D/N". */
#define VERSION_REV 160
char *version_rev(const char *plan, const char *dataset, uint64_t n, char out[VERSION_REV]);
/* "PLAN.D@N" and the like for the scan directory. */
char *version_scan_name(const char *plan, const char *dataset, uint64_t n, char out[VERSION_REV]);

#endif
