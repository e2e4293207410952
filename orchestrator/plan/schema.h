/*
 * schema - the keys of a plan as tables, and the one walker that reads a tree by them into plain structs.
 *
 * A table says for each key of a map: its type, where its value goes, its limits.  The walker reports unknown keys,
 * wrong types, missing keys and bad values, each where it stands, and goes on.  Names that refer to other parts of the
 * plan are noted as references and resolved once everything is read.
 */
#ifndef PLAN_SCHEMA_H
#define PLAN_SCHEMA_H

#include "arena.h"
#include "faults.h"
#include "yaml.h"

enum ref_kind { REF_HOST, REF_PARTY, REF_PERSON, REF_DATASET, REF_SECRET, REF_KINDS };

struct ref { enum ref_kind kind; const char *name; const struct ynode *node; };

/* Which piece of text a field came from, for checks that compare several of them. */
struct mark { const void *field; const struct ynode *node; };

struct reader {
	struct arena *arena;
	struct plan *plan;		/* being filled */
	struct fault_source src;
	const char *zone;		/* of times; NULL = default */
	bool recorded;			/* files that are not there are no faults */
	bool alone;			/* no file is looked at */
	bool partial;			/* a syntax fault cut the text short: nothing can be said about what is missing */
	struct ref *refs;
	size_t nrefs, refs_cap;
	struct mark *marks;
	size_t nmarks, marks_cap;
};

enum field_type {
	F_TEXT,			/* const char * */
	F_NAME,			/* const char *, of the form of names */
	F_BOOL,			/* bool */
	F_INT,			/* int, min..max */
	F_SECONDS,		/* int, from a duration, min..max */
	F_DURATION,		/* int64_t seconds, min..max */
	F_SIZE,			/* uint64_t bytes, min..max */
	F_RATE,			/* uint64_t bytes a second */
	F_PERCENT,		/* int */
	F_TIME,			/* int64_t seconds since the epoch */
	F_WINDOW,		/* struct plan_window, "T1 / T2" */
	F_WORD,			/* an enum; arg = NULL-terminated words in its order */
	F_STRINGS,		/* struct plan_strings; one word stands for a list of one */
	F_GLOBS,		/* the same, each beneath the dataset's root */
	F_ARGV,			/* the same, a list, not empty, without passwords */
	F_REF,			/* const char *; arg2 = enum ref_kind */
	F_REFS,			/* struct plan_strings of references */
	F_PLACE,		/* struct plan_place, "HOST:/PATH" */
	F_HOSTPLACE,		/* struct plan_place, a host's name only */
	F_BENEATH,		/* const char *, a path beneath the dataset's root */
	F_ABSOLUTE,		/* const char *, a clean absolute path */
	F_FILE,			/* const char *, a readable file relative to the plan */
	F_PAIRS,		/* struct plan_pairs; values may be secret:NAME */
	F_STRUCT,		/* arg = schema of the map */
	F_MAP,			/* arg = schema of each NAME: {...}; pointer and count */
	F_LIST,			/* arg = schema of each item; pointer and count */
	F_CUSTOM		/* arg unused; custom reads it */
};

struct field {
	const char *key;
	enum field_type type;
	size_t at;		/* offset in the struct; for pointer-and-count types the pointer's, the count follows it */
	bool required;
	int64_t min, max;
	const void *arg;
	int arg2;
	void (*custom)(struct reader *r, void *obj, const struct ynode *value);
};

#define NOWHERE SIZE_MAX
struct schema {
	const char *what;	/* "a host" */
	const struct field *fields;
	size_t nfields;
	size_t size;		/* of the struct */
	size_t name_at;		/* where F_MAP puts the name, or NOWHERE */
	size_t pos_at;		/* where the struct plan_pos is, or NOWHERE */
	void (*defaults)(void *obj);
	/* After the fields; node is the map. */
	void (*check)(struct reader *r, void *obj, const struct ynode *node);
};

/* Read a map into obj (size bytes, zeroed by the caller). */
void schema_read(struct reader *r, const struct schema *s, void *obj, const struct ynode *map);
/* Read one value as field f says. */
void schema_read_value(struct reader *r, const struct field *f, void *obj, const struct ynode *value);

/* value.c: one value of the simple types into *at. */
void value_read(struct reader *r, const struct field *f, void *at, const struct ynode *value);
/* "HOST:/PATH" as a place; with the reference to the host noted.  False and a fault if it is none. */
bool value_place(struct reader *r, const struct ynode *n, struct plan_place *out);

/* Helpers for custom readers and checks. */
void node_fault(struct reader *r, const struct ynode *n, const char *hint, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* At the key of n where it has one. */
void key_fault(struct reader *r, const struct ynode *n, const char *hint, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void *reader_alloc(struct reader *r, size_t n);		/* NULL: noted as out of memory */
const char *reader_strndup(struct reader *r, const char *s, size_t n);	/* never NULL ("" when out of memory, noted) */
void reader_ref(struct reader *r, enum ref_kind kind, const char *name, const struct ynode *node);
void reader_mark(struct reader *r, const void *field, const struct ynode *node);
/* The text a field came from, or NULL. */
const struct ynode *reader_mark_of(const struct reader *r, const void *field);
bool node_scalar(struct reader *r, const struct ynode *n, const char *expected);	/* else a fault */
bool node_map(struct reader *r, const struct ynode *n, const char *expected);
const char *node_found(const struct ynode *n);		/* "a list", "a map", "nothing", "\"many\"" as words */
/* A password in a value: `://user:word@`, "--password=...": a fault and false. */
bool node_no_password(struct reader *r, const struct ynode *n);
/* "did you mean X?" in out, or NULL. */
const char *hint_for_word(const char *word, const char *const *words, char out[128]);
struct plan_pos node_pos(struct reader *r, const struct ynode *n);

/* reference.c: resolves all refs of r against the plan. */
void references_check(struct reader *r);

#endif
