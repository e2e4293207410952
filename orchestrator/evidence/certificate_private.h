/*
 * certificate_private - how the paper comes about: records of the ledger -> one JSON object -> a face for people.
 *
 * certificate_records.c  events as records, from the ledger (certificate) or from its history (audit)
 * certificate.c          the paper: a pure function of records and of files in the ledger's tree
 * certificate_copies.c   its table of copies, and what they make of the verdict
 * certificate_layout.c   the order of what people read; certificate_face.c how a text and a page put it
 * certificate_words.c    the Chinese of known words, keys and sentences
 */
#ifndef CERTIFICATE_PRIVATE_H
#define CERTIFICATE_PRIVATE_H

#include <jansson.h>

#include "certificate.h"

#define NOT_MEASURED "not measured"
#define NOT_STATED "not stated"
#define CERTIFICATE_FORM "waybill-certificate 1"

struct record {			/* one event */
	uint64_t seq;
	char *stage, *state, *by, *at, *plan_digest;	/* owned */
	char commit[LEDGER_OID], digest[DIGEST_HEX];
	json_t *data;		/* owned */
};
struct records { struct record *v; size_t n; };
#define RECORDS_INIT { NULL, 0 }
void records_dispose(struct records *r);
#define OWN_RECORDS OWN(records_dispose)
/* Copies what it is given; takes a reference of data.  ERR_INTEGRITY when that is no object. */
int records_add(struct records *r, const struct ledger_event *ev, json_t *data, struct err *e) MUST_CHECK;
bool record_is(const struct record *r, const char *stage, const char *state);
const char *record_text(const json_t *j, const char *key);	/* "" when absent */

/* What a paper is made of. */
struct paper_source {
	const char *plan;
	const struct records *records;	/* borrowed; up to the event that the paper may know of */
	/* A file of the tree at a commit: 1 (appended to b), 0 absent, -1. */
	int (*read)(void *ctx, const char *commit, const char *path, struct buf *b, struct err *e);
	void *ctx;
};
/* The whole paper; NULL with e filled in (ERR_REFUSED: nothing was cleared yet). */
json_t *certificate_paper(const struct paper_source *s, struct err *e);
/* As people, or programs, read it; appended to out. */
int certificate_render(const json_t *paper, const struct certificate_options *o, struct buf *out, struct err *e) MUST_CHECK;
/* By the end of a file's name; *any_language: it does not say which.  False: not the name of a paper. */
bool certificate_name_parse(const char *name, struct certificate_options *o, bool *any_language);

/* The rows of what the clearing said, with what was stated about each copy since, in the order of the record. */
json_t *certificate_copies(const struct records *r, const struct record *done);
/* The worst verdict that the grade of a row leaves possible: rank; 0 for what stays on purpose or was measured. */
int certificate_grade_rank(const char *grade);
/* The last event after done that says something about a copy, or about access; else done. */
const struct record *certificate_basis(const struct records *r, const struct record *done);

/* ---- for people ---- */

struct face {
	struct buf *b;
	bool zh, html;
	bool table;		/* a table of lines is open */
};
void face_begin(struct face *f, const json_t *paper);
void face_end(struct face *f);
void face_heading(struct face *f, const char *zh, const char *en);
void face_line(struct face *f, const char *zh, const char *en, const json_t *v);
void face_paragraph(struct face *f, const char *s);
/* A list under its heading; objects become the rows of a table where there are such. */
void face_list(struct face *f, const char *zh, const char *en, const json_t *list);
/* Empty lines to be signed by hand. */
void face_signatures(struct face *f);

void certificate_layout(struct face *f, const json_t *paper);
/* The Chinese of a word, a key or a sentence that waybill itself writes; NULL when there is none. */
const char *certificate_chinese(const char *s);
const char *certificate_key_chinese(const char *key);

/* A string out of the ledger for output: escapes what esc.h escapes, but leaves the backslashes of escapes made before. */
void certificate_put_safe(struct buf *b, const char *s);

#endif
