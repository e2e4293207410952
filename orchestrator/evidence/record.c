#include "record.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "clock.h"
#include "digest.h"
#include "esc.h"

/* A clock that is a little ahead elsewhere is no lie; more than this is. */
#define FUTURE_S 300

const char *const record_kinds[] = { "notice-received", "opinion", "opened", "went-live", "exit-applied", "exit-approved",
	"reclaimed", "statement", "incident", "note", NULL };

enum { NEEDS_NOTE = 1, NEEDS_OPINION = 2, NEEDS_COPY = 4, NEEDS_ATTACHMENT = 8 };

static unsigned needs_of(const char *kind)
{
	if (strcmp(kind, "opinion") == 0)
		return NEEDS_OPINION;
	if (strcmp(kind, "statement") == 0)
		return NEEDS_COPY | NEEDS_ATTACHMENT;
	return strcmp(kind, "incident") == 0 || strcmp(kind, "note") == 0 ? NEEDS_NOTE : 0;
}

static int check_kind(const char *kind, struct err *e)
{
	OWN_BUF struct buf all = BUF_INIT;

	for (size_t i = 0; record_kinds[i]; i++) {
		if (strcmp(kind, record_kinds[i]) == 0)
			return 0;
		buf_printf(&all, "%s%s", i ? ", " : "", record_kinds[i]);
	}
	return err_set(e, ERR_USAGE, "record %s: no such kind; there are %s", esc_s(kind), all.data ? all.data : "none");
}

static bool is_opinion(const char *s)
{
	return strcmp(s, "agree") == 0 || strcmp(s, "amend") == 0 || strcmp(s, "refuse") == 0;
}

static int check(const struct record_options *o, struct err *e)
{
	unsigned needs;
	uint8_t d[DIGEST_LEN];

	if (check_kind(o->kind, e) < 0)
		return -1;
	needs = needs_of(o->kind);
	if ((needs & NEEDS_NOTE) && (!o->note || !*o->note))
		return err_set(e, ERR_USAGE, "record %s: say what happened with --note", o->kind);
	if (needs & NEEDS_OPINION ? !o->opinion || !is_opinion(o->opinion) : o->opinion != NULL)
		return err_set(e, ERR_USAGE, "record %s: %s", o->kind,
		    needs & NEEDS_OPINION ? "--opinion must be agree, amend or refuse" : "--opinion belongs to kind opinion only");
	if (o->opinion && strcmp(o->opinion, "agree") != 0 && (!o->note || !*o->note))
		return err_set(e, ERR_USAGE, "record opinion: --opinion %s needs its reason in --note", o->opinion);
	if (needs & NEEDS_COPY ? !o->copy || !*o->copy : o->copy != NULL)
		return err_set(e, ERR_USAGE, "record %s: %s", o->kind,
		    needs & NEEDS_COPY ? "name the copy that it is about with --copy" : "--copy belongs to kind statement only");
	if ((needs & NEEDS_ATTACHMENT) && !o->attached_count)
		return err_set(e, ERR_USAGE, "record %s: attach what was stated with --attach", o->kind);
	for (size_t i = 0; i < o->attached_count; i++)
		if (!hex_parse(o->attached_sha256[i], d, DIGEST_LEN))
			return err_set(e, ERR_BUG, "record %s: attachment without digest", o->kind);
	return 0;
}

static int check_time(const struct record_options *o, int64_t now, int64_t *at, struct err *e)
{
	*at = now;
	if (!o->at)
		return 0;
	if (!clock_parse(o->at, o->zone, at))
		return err_set(e, ERR_USAGE, "record %s: --at %s is no time; write it as 2026-11-28 22:00", o->kind, esc_s(o->at));
	if (*at > now + FUTURE_S)
		return err_set(e, ERR_USAGE, "record %s: --at %s lies in the future; record it when it has happened", o->kind, esc_s(o->at));
	return 0;
}

/* Escaped, as every foreign text that reaches the ledger. */
static void set_text(json_t *j, const char *key, const char *s)
{
	OWN_FREE char *t = s ? esc_dup(s, strlen(s)) : NULL;

	if (t)
		(void)json_object_set_new(j, key, json_string(t));
}

static json_t *attached(const struct record_options *o)
{
	json_t *list = json_array();

	for (size_t i = 0; list && i < o->attached_count; i++) {
		json_t *a = json_pack("{s:s}", "sha256", o->attached_sha256[i]);

		set_text(a, "name", o->attached_name[i]);
		if (json_array_append_new(list, a) < 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

int record_build(const struct record_options *o, int64_t now, struct buf *data, struct buf *text, struct err *e)
{
	OWN_FREE char *out = NULL;
	char when[CLOCK_TEXT];
	int64_t at;
	json_t *j, *list;

	if (check(o, e) < 0 || check_time(o, now, &at, e) < 0)
		return -1;
	j = json_pack("{s:s,s:s}", "kind", o->kind, "happened", clock_text(at, o->zone, when));
	list = attached(o);
	if (j && list) {
		set_text(j, "note", o->note);
		set_text(j, "copy", o->copy);
		set_text(j, "opinion", o->opinion);
		(void)json_object_set(j, "attached", list);
		if (o->request_id) {
			(void)json_object_set_new(j, "grade", json_string("E2"));
			(void)json_object_set_new(j, "request_id", json_string(o->request_id));
		}
		out = json_dumps(j, JSON_COMPACT);
	}
	json_decref(list);
	json_decref(j);
	if (!out) {
		errno = ENOMEM;
		return err_sys(e, "record");
	}
	buf_puts(data, out);
	buf_printf(text, "%s%s%s%s%s", o->kind, o->opinion ? " " : "", o->opinion ? o->opinion : "", o->copy ? " about " : "",
	    o->copy ? esc_s(o->copy) : "");
	return buf_finish(data, e) < 0 ? -1 : buf_finish(text, e);
}
