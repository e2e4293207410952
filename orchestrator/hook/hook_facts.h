/*
 * hook_facts - what a hook is told: the same facts as variables and as JSON (hooks/README.md).
 */
#ifndef HOOK_FACTS_H
#define HOOK_FACTS_H

#include <jansson.h>

#include "buf.h"

struct hook_pair { const char *name, *value; };		/* value: secrets are in clear here */

struct hook_facts {		/* all borrowed; NULL = "" */
	const char *plan, *title, *kind, *digest, *point, *hook, *host;
	const char *why;	/* thaw, rollback: what for */
	const char *dataset;	/* before-copy, after-copy */
	const char *outcome;	/* after-copy: done or failed */
	unsigned pass;		/* before-copy, after-copy: 1 is the first of this run; else 0 */
	unsigned round;
	int attempt, tries;
	bool rehearsal;
	const struct hook_pair *with;
	size_t nwith;
	json_t *datasets;	/* [{name, kind, from, to}] */
};

/* "NAME=value" strings, NULL-terminated; free with hook_env_free.  NULL = out of memory. */
char **hook_facts_env(const struct hook_facts *f);
void hook_env_free(char **env);
static inline void hook_env_freep(char ***env) { hook_env_free(*env); }
/* One JSON object and a line end; owned.  NULL = out of memory. */
char *hook_facts_json(const struct hook_facts *f);

/*
 * What a hook said on standard output, already redacted: a JSON object as it is (new reference), its strings escaped; anything else as
 * {"text": escaped}; NULL when it said nothing.  At most keep bytes of text.
 */
json_t *hook_answer(const char *p, size_t n, size_t keep);

#endif
