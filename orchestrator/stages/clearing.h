/*
 * clearing - the parts of stage_clear: its gate, its record, and the work at one dataset's place.
 */
#ifndef CLEARING_H
#define CLEARING_H

#include "control.h"
#include "residue.h"
#include "run.h"
#include "verdict.h"
#include "witnesses.h"

struct clearing_dataset {
	const struct plan_dataset *d;	/* borrowed */
	struct clear_tally tally;
	uint64_t objects, bytes;	/* of the inventory */
	char inventory[DIGEST_HEX];
	char *mount;			/* owned: its file system is on that node, mounted by nobody, for its device is wiped; NULL: it is where it was */
	json_t *place;			/* facts of host and path before, owned */
	json_t *errors;			/* [{path, state, text}], owned; at most CLEARING_ERRORS */
	uint64_t error_count;
};
#define CLEARING_ERRORS 1000
#define CLEARING_RESIDUE (UINT64_C(1) << 20)	/* bytes of a leftover that p(miss) is told for */

/*
 * What datasets of one host lie on: the devices of one file system (none: no raw medium, and why).  Its facts go into `clear
 * started`, and come back from there when a clearing goes on.
 */
struct clearing_medium {
	const char *host;		/* borrowed */
	bool *datasets;			/* owned: by index of the dataset */
	char **device;			/* owned */
	size_t ndevices;
	uint64_t size;			/* bytes of all devices */
	bool guest, flash;
	bool covered;			/* its device is wiped as a whole: seen before, read back after */
	bool known_again;		/* not so where a clearing goes on and nothing tells it from another medium */
	bool beneath;			/* image files that are wiped lie on it */
	char fstype[32];
	char why_none[300];
	json_t *rows;			/* owned: the devices, for the record */
	/* before */
	json_t *control;		/* owned, as control_json */
	uint64_t planted, seen, spread;	/* canaries */
	uint64_t reads;			/* random ones of the search afterwards; 0 = all of it */
	bool blind, names_blind;
	char reason[300];		/* why blind */
	/* after */
	struct clear_measure measure;
	uint64_t names, own, listed;	/* hits in names; in waybill's own store; told one by one */
	json_t *hits, *bad;		/* owned rows */
	uint64_t bytes_read, ns;
	char settled[400];
};

struct clearing {
	struct run *r;
	struct clearing_dataset *v;	/* owned, one for each dataset to clear */
	size_t n;
	struct clearing_device *devices;	/* owned: clearing_device.h */
	size_t ndevices;
	struct clearing_medium *media;	/* owned */
	size_t nmedia;
	uint8_t key[WITNESS_KEY];
	struct witnesses *w;		/* owned; NULL while no medium can be searched */
	uint64_t extents;		/* of the files, and their digest, for the record */
	char extents_sha256[DIGEST_HEX];
	char *scope;			/* signed statement that the eraser obeys, owned */
	int64_t started;		/* seconds */
	int64_t gate_checked;		/* monotonic ns */
};
void clearing_dispose(struct clearing *c);
#define OWN_CLEARING OWN(clearing_dispose)

/*
 * What must hold before the first write, in the order of contract 4.7: the approvals (gate_pass), clearing_gate (archive,
 * restore test), inventory_take (the source), clearing_may_begin (retention over, the right people).
 */
int clearing_gate(struct clearing *c, struct err *e) MUST_CHECK;
int clearing_may_begin(struct run *r, struct err *e) MUST_CHECK;
/* The right people alone: they are asked for again whenever a clearing goes on. */
int clearing_people(struct run *r, struct err *e) MUST_CHECK;
/* The statement of the first standing approval. */
int clearing_scope(struct run *r, char **text, struct err *e) MUST_CHECK;
/* ---- the proof (waybill-witness.5) ---- */

/* Which media the datasets lie on. */
int clearing_media_find(struct clearing *c, struct err *e) MUST_CHECK;
bool clearing_searches(const struct clearing *c);	/* at least one medium can be read raw */
/* A new one, of no device yet. */
struct clearing_medium *clearing_medium_add(struct clearing *c, const char *host, struct err *e);
/* The media of what s has looked at become those of m. */
int clearing_medium_take(struct clearing *c, struct clearing_medium *m, const struct scan *s, struct err *e) MUST_CHECK;
struct clearing_medium *clearing_medium_like(const struct clearing *c, const char *host, const struct scan *s);	/* or NULL */
struct clearing_medium *clearing_medium_of(const struct clearing *c, size_t dataset);	/* never NULL once found */
void clearing_medium_dispose(struct clearing_medium *m);
/* Rows for `clear started`, and back. */
json_t *clearing_media_json(const struct clearing *c);
int clearing_media_load(struct clearing *c, const json_t *started, struct err *e) MUST_CHECK;

/* A new key, kept in the workspace; or the one that the clearing began with. */
int clearing_key_new(struct clearing *c, struct err *e) MUST_CHECK;
int clearing_key_load(struct clearing *c, struct err *e) MUST_CHECK;
/* Seed of random places, and its SHA-256. */
int clearing_seed(const struct clearing *c, uint8_t seed[DIGEST_LEN], uint8_t commitment[DIGEST_LEN], struct err *e) MUST_CHECK;
/* Takes the witnesses of all datasets; the archive is verified by this, and that is recorded. */
int clearing_witnesses(struct clearing *c, struct err *e) MUST_CHECK;

/* Removes what an earlier run planted. */
int clearing_canaries_remove(struct clearing *c, struct err *e) MUST_CHECK;
/* Are the contents seen?  Then `clear probing`, canaries, and are they seen? */
int clearing_control(struct clearing *c, struct err *e) MUST_CHECK;
/* Of a clearing that goes on: is each medium the one that it was?  ERR_REFUSED names one that is not. */
int clearing_media_again(struct clearing *c, struct err *e) MUST_CHECK;
/* Of "where" (messages_wipe.h): numbers of devices hold until the next boot, the inode of an image holds longer. */
bool clearing_same_place(const char *was, const char *now);
/* What is still seen; m->measure but for gone. */
int clearing_search(struct clearing *c, struct err *e) MUST_CHECK;
/* control, canaries, residue, coverage, p_miss, media: as the certificate names them, set in done. */
void clearing_search_record(const struct clearing *c, json_t *done);

/* Erases what the inventory of c->v[i] holds and the journal does not say is done. */
int clearing_erase(struct clearing *c, size_t i, struct err *e) MUST_CHECK;
/* Data of `clear started` and `clear done`. */
json_t *clearing_started(const struct clearing *c, const char *basis);
json_t *clearing_done(const struct clearing *c, enum verdict verdict);
/* What could not be measured at this dataset's place: sentences for the certificate. */
json_t *clearing_limits(const struct clearing *c, const struct clearing_dataset *d);
/* Those of them that come from what the medium is: its storage words (places.h), a guest's disk, flash. */
json_t *clearing_storage_limits(const char *storage, bool guest, bool flash);
/* Does what was approved still stand?  Looked at again once a minute. */
int clearing_still_approved(struct clearing *c, struct err *e) MUST_CHECK;
/* The overall verdict: the weakest dataset or device. */
enum verdict clearing_verdict(const struct clearing *c);
/* Hex digest of what the clear approvals sign. */
int clearing_basis(struct run *r, char hex[DIGEST_HEX], struct err *e) MUST_CHECK;

#endif
