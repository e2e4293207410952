/*
 * yaml - YAML text as a small tree that knows where each piece stands.  The only user of libfyaml, and of it only
 * the event parser: no documents, no aliases resolved, no tags honoured (libraries.md 6).
 */
#ifndef PLAN_YAML_H
#define PLAN_YAML_H

#include "arena.h"
#include "faults.h"

enum ykind { Y_SCALAR, Y_MAP, Y_LIST };

struct ynode {
	enum ykind kind;
	bool null;		/* a scalar that is not there: "key:" */
	bool plain;		/* written without quotes */
	const char *text;	/* of a scalar, NUL-terminated, without NUL inside; "" otherwise */
	size_t off, width;	/* in the source, quotes included */
	size_t count;
	struct ynode *first, *next;	/* children, in order */
	struct ynode *key;	/* of a child of a map */
};

/*
 * The one document of src as a tree in a, or NULL.  Syntax faults, anchors, aliases, tags, merge keys, duplicate keys,
 * a second document, invalid UTF-8 and control bytes are added to src->out; the tree may be there all the same (without
 * what was refused), so that the rest can be checked in the same run.  *whole: false when a syntax fault cut it short.
 */
struct ynode *yaml_parse(struct arena *a, struct fault_source *src, bool *whole);

/* Child of a map by key; NULL if there is none. */
const struct ynode *yaml_get(const struct ynode *map, const char *key);

#endif
