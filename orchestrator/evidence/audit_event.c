/* One event file of a ledger or package, read without the code that writes them. */
#include <string.h>

#include "audit_private.h"
#include "esc.h"

void audit_event_dispose(struct audit_event *ev)
{
	char *own[] = { ev->stage, ev->state, ev->text, ev->by, ev->at, ev->plan_digest, ev->prev, ev->plan };

	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		free(own[i]);
	json_decref(ev->data);
	memset(ev, 0, sizeof(*ev));
}

static bool word(const char *s)
{
	size_t n = strlen(s);

	return n >= 1 && n <= 64 && strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == n && *s != '-';
}

static int fields(json_t *j, struct audit_event *ev, struct err *e)
{
	static const char *const keys[] = { "stage", "state", "text", "by", "at", "plan_digest", "prev" };
	char **into[] = { &ev->stage, &ev->state, &ev->text, &ev->by, &ev->at, &ev->plan_digest, &ev->prev };

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		const char *s = json_string_value(json_object_get(j, keys[i]));

		if (!s)
			return err_set(e, ERR_INTEGRITY, "%s is missing or no text", keys[i]);
		if (!(*into[i] = strdup(s)))
			return err_sys(e, "event");
	}
	if (audit_number(j, "waybill") != 1)
		return err_set(e, ERR_INTEGRITY, "not an event of version 1");
	if (*audit_text(j, "plan") && !(ev->plan = strdup(audit_text(j, "plan"))))
		return err_sys(e, "event");
	ev->seq = audit_number(j, "seq");
	ev->data = json_incref(json_object_get(j, "data"));
	if (!ev->seq || !json_is_object(ev->data))
		return err_set(e, ERR_INTEGRITY, "seq or data is missing");
	if (!word(ev->stage) || !word(ev->state))
		return err_set(e, ERR_INTEGRITY, "stage or state is no word");
	return 0;
}

int audit_event_parse(const char *text, size_t n, struct audit_event *ev, struct err *e)
{
	json_error_t je;
	json_t *j = json_loadb(text ? text : "", n, JSON_REJECT_DUPLICATES, &je);
	int rc;

	memset(ev, 0, sizeof(*ev));
	if (!j || !json_is_object(j)) {
		json_decref(j);
		return err_set(e, ERR_INTEGRITY, "no JSON object (%s)", j ? "" : esc_s(je.text));
	}
	rc = fields(j, ev, e);
	json_decref(j);
	if (rc < 0 || digest_sha256(text, n, ev->digest, e) < 0) {
		audit_event_dispose(ev);
		return -1;
	}
	return 0;
}

void audit_event_name(const struct audit_event *ev, char out[256])
{
	(void)snprintf(out, 256, "events/%06llu-%s-%s.json", (unsigned long long)ev->seq, ev->stage, ev->state);
}

void audit_chain_step(struct audit *a, struct audit_chain *c, const struct audit_event *ev, const char *where)
{
	static const char none[] = "0000000000000000000000000000000000000000000000000000000000000000";

	if (c->gap && ev->seq > c->seq) {
		c->gap = false;
		c->seq = ev->seq;
		hex_of(ev->digest, DIGEST_LEN, c->prev);
		return;
	}
	if (ev->seq != c->seq + 1)
		audit_say(a, AUDIT_ALTERED, "%s: sequence number %llu follows %llu", where, (unsigned long long)ev->seq, (unsigned long long)c->seq);
	if (c->seq == 0 ? strcmp(ev->prev, none) != 0 : strcmp(ev->prev, c->prev) != 0)
		audit_say(a, AUDIT_ALTERED, "%s: prev is not the digest of the event before it", where);
	c->seq = ev->seq;
	hex_of(ev->digest, DIGEST_LEN, c->prev);
}
