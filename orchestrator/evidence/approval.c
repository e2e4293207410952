#include "approval.h"

#include <string.h>

#include "esc.h"

#define CLEAR_VALID_S (30 * 24 * 3600)		/* contract section 3: 30 days from signing */

void approval_files_dispose(struct approval_files *f)
{
	for (size_t i = 0; i < f->n; i++) {
		free(f->v[i].stage);
		free(f->v[i].person);
		buf_dispose(&f->v[i].txt);
		buf_dispose(&f->v[i].sig);
	}
	free(f->v);
	*f = (struct approval_files)APPROVAL_FILES_INIT;
}

static bool name_word(const char *s)
{
	size_t n = strlen(s);

	return n >= 1 && n <= 64 && *s != '-' && strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == n;
}

bool approval_name_parse(const char *name, unsigned *number, char **stage, char **person)
{
	size_t digits = strspn(name, "0123456789");
	const char *rest = name + digits + 1;

	if (digits < 4 || digits > 9 || name[digits] != '-')
		return false;
	for (int s = 0; s < STAGE_COUNT; s++) {
		const char *word = plan_stage_name((enum plan_stage)s);
		size_t n = strlen(word);

		if (strncmp(rest, word, n) != 0 || rest[n] != '-' || !name_word(rest + n + 1))
			continue;
		*number = (unsigned)strtoul(name, NULL, 10);
		*stage = strdup(word);
		*person = strdup(rest + n + 1);
		if (*stage && *person && *number)
			return true;
		free(*stage);
		free(*person);
		return false;
	}
	return false;
}

int approval_head(const struct plan *p, const char *person, const char *stage, enum statement_says says, int64_t now,
    struct statement_head *h, struct err *e)
{
	const struct plan_person *who = plan_person(p, person);

	if (!who || !who->key_line)
		return err_set(e, ERR_REFUSED, "%s is no person of plan %s with a key; add them to people: and approve anew",
		    esc_s(person), p->name);
	if (plan_is_operator(p, person))
		return err_set(e, ERR_REFUSED, "%s is an operator of plan %s and can open none of its gates; somebody else must approve",
		    esc_s(person), p->name);
	*h = (struct statement_head){ .person = who->key, .name = who->name, .party = who->party, .says = says, .at = now,
		.zone = p->timezone };
	if (strcmp(stage, "clear") == 0 && says == SAYS_APPROVE) {
		h->not_before = p->clear.valid.given ? p->clear.valid.start : 0;
		h->not_after = p->clear.valid.given ? p->clear.valid.end : now + CLEAR_VALID_S;
	}
	return 0;
}
