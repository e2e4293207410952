/* The plan in force, as an auditor reads it: what it asks for is what events are judged by, not what they say of it themselves. */
#include <string.h>

#include "approval.h"
#include "audit_private.h"
#include "esc.h"

/* Every key of the plan is in signers, and no other. */
static void check_signers(struct audit *a, const struct plan *p, const char *where, const char *signers)
{
	char name[128];

	for (size_t i = 0; i < p->npeople; i++) {
		const struct plan_person *who = &p->people[i];
		OWN_FREE char *key = who->key_line ? sign_signer_key(signers, who->key) : NULL;

		if (who->key_line && (!key || !sign_same_key(key, who->key_line)))
			audit_say(a, AUDIT_ALTERED, key ? "%s: signers has another key for %s than plan.yaml" : "%s: signers has no key for %s, plan.yaml has", where, who->key);
	}
	for (const char *line = signers; *line; line += strcspn(line, "\n"), line += *line == '\n') {
		size_t n = strcspn(line, " \t\n");

		(void)snprintf(name, sizeof(name), "%.*s", (int)n, line);
		if (n && *line != '#' && (n >= sizeof(name) || !plan_person(p, name)))
			audit_say(a, AUDIT_ALTERED, "%s: signers names %s, who is no person of plan.yaml", where, esc_s(name));
	}
}

void audit_plan(struct audit *a, struct audit_order *o, const char *where, const char *name, const struct buf *yaml, const char *signers)
{
	OWN_PLAN_FAULTS struct plan_faults f = PLAN_FAULTS_INIT;
	struct err e = ERR_INIT;

	plan_free(take_ptr(&o->plan));
	if (plan_parse_recorded("plan.yaml", NULL, yaml->data ? yaml->data : "", yaml->len, &o->plan, &f) < 0) {
		(void)plan_faults_err(&f, &e);
		audit_say(a, AUDIT_UNVERIFIED, "%s: the plan is not understood, so what it asks for is not known: %s", where, e.text);
		return;
	}
	if (*name && strcmp(o->plan->name, name) != 0)
		audit_say(a, AUDIT_ALTERED, "%s: plan.yaml is the plan %s", where, o->plan->name);
	if (signers)
		check_signers(a, o->plan, where, signers);
}

bool audit_plan_lists(const char *list, const char *name, const uint8_t digest[DIGEST_LEN])
{
	OWN_BUF struct buf line = BUF_INIT;
	char hex[DIGEST_HEX];
	const char *at;

	hex_of(digest, DIGEST_LEN, hex);
	buf_printf(&line, "%s  %s\n", hex, name);
	at = line.failed || !list ? NULL : strstr(list, line.data);
	return at && (at == list || at[-1] == '\n');
}

void audit_plan_files(struct audit *a, struct audit_objects *o, const char *where, const char *list, const char *documents)
{
	for (const char *line = list; *line; line += strcspn(line, "\n"), line += *line == '\n') {
		size_t n = strcspn(line, "\n");
		char hex[DIGEST_HEX];
		uint8_t d[DIGEST_LEN];
		const char *at;

		if (n <= DIGEST_HEX + 1 || line[DIGEST_HEX - 1] != ' ' || line[DIGEST_HEX] != ' ') {
			audit_say(a, AUDIT_ALTERED, "%s: plan.sha256 is no list of sha256sum", where);
			return;
		}
		if (n == DIGEST_HEX + 10 && memcmp(line + DIGEST_HEX + 1, "plan.yaml", 9) == 0)
			continue;
		memcpy(hex, line, DIGEST_HEX - 1);
		hex[DIGEST_HEX - 1] = '\0';
		at = strstr(documents, hex);
		if (!hex_parse(hex, d, DIGEST_LEN) || !at || (at != documents && at[-1] != '\n')) {
			OWN_FREE char *name = esc_dup(line + DIGEST_HEX + 1, n - DIGEST_HEX - 1);

			audit_say(a, AUDIT_ALTERED, "%s: plan.sha256 lists %s, documents/SHA256SUMS does not", where, name ? name : "a file");
		} else if (!audit_objects_add(o, 'd', d)) {
			a->nomem = true;
		}
	}
}
