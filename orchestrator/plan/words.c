#include "words.h"

#include <string.h>

#include "plan.h"

const char *const kind_words[] = { "migration", "handover", "retirement", NULL };
const char *const stage_words[] = { "preflight", "copy", "freeze", "final", "verify", "cutover", "smoke", "package",
	"accept", "restore-test", "clear", "certify", NULL };
const char *const point_words[] = { "before-copy", "after-copy", "freeze", "thaw", "cutover", "rollback", "smoke",
	"done", NULL };
const char *const role_words[] = { "department", "bureau", "provider", "receiver", "contractor", "supervisor", NULL };
const char *const client_words[] = { "auto", "libssh2", "openssh", NULL };
const char *const dataset_words[] = { "files", "command", "database", "block", NULL };
const char *const activate_words[] = { "in-place", "swap", "merge", NULL };
const char *const foreign_words[] = { "keep", "drop", "carry", NULL };
const char *const scan_words[] = { "fast", "strict", NULL };
const char *const when_words[] = { "final", "every-pass", NULL };
const char *const driver_words[] = { "postgresql", "mariadb", "sqlite", NULL };
const char *const method_words[] = { "auto", "overwrite", "sanitize", "crypto", NULL };
const char *const verdict_words[] = { "cleared-full", "cleared-sampled", "cleared-guest-level", "crypto-erased",
	"performed-not-provable", "residue-found", "blind", "unknown", NULL };

_Static_assert(sizeof(stage_words) / sizeof(stage_words[0]) == STAGE_COUNT + 1, "a word a stage");
_Static_assert(sizeof(point_words) / sizeof(point_words[0]) == POINT_COUNT + 1, "a word a point");
_Static_assert(sizeof(verdict_words) / sizeof(verdict_words[0]) == PLAN_VERDICT_COUNT + 1, "a word a verdict");

int word_index(const char *const *words, const char *s)
{
	for (int i = 0; words[i]; i++)
		if (strcmp(words[i], s) == 0)
			return i;
	return -1;
}

const char *plan_kind_name(enum plan_kind k) { return kind_words[k]; }
const char *plan_stage_name(enum plan_stage s) { return stage_words[s]; }
const char *plan_point_name(enum plan_point p) { return point_words[p]; }
const char *plan_role_name(enum plan_role r) { return role_words[r]; }
const char *plan_dataset_kind_name(enum plan_dataset_kind k) { return dataset_words[k]; }
const char *plan_activate_name(enum plan_activate a) { return activate_words[a]; }
const char *plan_verdict_name(enum plan_verdict v) { return verdict_words[v]; }

bool plan_kind_parse(const char *s, enum plan_kind *k)
{
	int i = word_index(kind_words, s);

	if (i >= 0)
		*k = (enum plan_kind)i;
	return i >= 0;
}

bool plan_stage_parse(const char *s, enum plan_stage *stage)
{
	int i = word_index(stage_words, s);

	if (i >= 0)
		*stage = (enum plan_stage)i;
	return i >= 0;
}

bool plan_role_parse(const char *s, enum plan_role *r)
{
	int i = word_index(role_words, s);

	if (i >= 0)
		*r = (enum plan_role)i;
	return i >= 0;
}

bool plan_verdict_parse(const char *s, enum plan_verdict *v)
{
	int i = word_index(verdict_words, s);

	if (i >= 0)
		*v = (enum plan_verdict)i;
	return i >= 0;
}
