/*
 * residue - where is known content still readable?  A medium, versions of datasets, and what was found.
 */
#ifndef RESIDUE_H
#define RESIDUE_H

#include "scan_client.h"
#include "verdict.h"
#include "witnesses.h"

struct residue_source { const struct plan_dataset *d; uint64_t version; /* 0 = all of them */ };

#define RESIDUE_HITS 10000u	/* told one by one */

struct residue_hit {		/* neighbouring hits of one file are one */
	uint64_t offset, length;
	uint32_t file;		/* of the set */
	char *path;		/* owned, escaped: in that version of the dataset */
	const char *owner;	/* borrowed from the scan */
};
struct residue_hits { struct residue_hit *v; size_t n; };
void residue_hits_dispose(struct residue_hits *h);
/* Joins the hits of a medium (names apart) and finds their paths. */
int residue_hits(struct witnesses *w, const struct scan_result *x, struct residue_hits *out, struct err *e) MUST_CHECK;

/*
 * The whole of `waybill residue`: *verdict and *out (an object with the keys of contract section 2; owned by the caller).  0
 * when the scan was made; ERR_UNVERIFIED when the medium could not be read.
 */
int residue_run(struct run *r, const struct residue_source *v, size_t n, const char *host, const char *on, enum verdict *verdict,
    json_t **out, struct err *e) MUST_CHECK;

#endif
