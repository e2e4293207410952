/* loss_survey - which attributes of a tree are lost at a place: of what is at the source now, of a version, of one entry. */
#ifndef LOSS_SURVEY_H
#define LOSS_SURVEY_H

#include "loss.h"
#include "run.h"
#include "u64set.h"

/* What attribute blobs hold, by digest; none: those that hold nothing of interest. */
struct loss_blobs { struct { uint64_t key; unsigned kinds; } *v; size_t n; struct u64set none; };
#define OWN_LOSS_BLOBS OWN(loss_blobs_dispose)
void loss_blobs_dispose(struct loss_blobs *b);
/* Kinds of en's xattrs, read from the archive when they are not known yet; a blob that cannot be read is -1. */
int loss_blob_kinds(struct run *r, struct loss_blobs *b, const struct entry *en, unsigned *kinds, struct err *e) MUST_CHECK;
/*
 * Digest of the xattrs of en without those of some kinds: 1 = sha256 set, 0 = none are left, -1.
 */
int loss_reduced(struct run *r, const struct entry *en, unsigned kinds, uint8_t sha256[DIGEST_LEN], struct err *e) MUST_CHECK;

struct loss_forecast {
	struct loss_counts lost;	/* at the target */
	uint64_t unreadable;		/* entries at the source */
	char *first;			/* escaped, owned: the first of them */
	bool unseen;			/* trusted.* attributes are not shown to the agent at the source */
};
void loss_forecast_dispose(struct loss_forecast *f);
#define OWN_FORECAST OWN(loss_forecast_dispose)
/*
 * Walks the source, attributes only, when from or to (facts of the two places; to NULL: archive only) have an agent that may not
 * do everything; else f stays empty.  f: loss_forecast_dispose.
 */
int loss_survey(struct run *r, const struct plan_dataset *d, const json_t *from, const json_t *to, struct loss_forecast *f, struct err *e) MUST_CHECK;
bool loss_forecast_any(const struct loss_forecast *f);
/* {"target": counts, "unreadable": {entries, first}, "unseen": ["trusted.* ..."]} */
json_t *loss_forecast_json(const struct loss_forecast *f);

#endif
