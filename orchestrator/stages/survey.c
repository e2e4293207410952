#include "survey.h"

#include <string.h>

#include "esc.h"
#include "ledger.h"
#include "survey_form.h"

/* SECTION/NAME -> value, into {SECTION: {NAME: value}}, all escaped. */
static int take_fact(json_t *host, const struct wire_frame *f, struct err *e)
{
	OWN(msg_fact_dispose) struct msg_fact m = { .key = NULL };
	OWN_FREE char *name = NULL, *value = NULL;
	char section[32];
	const char *slash;
	json_t *items;

	if (f->type != MSG_FACT)
		return 0;
	if (msg_fact_decode(f->data, f->len, &m, e) < 0)
		return -1;
	slash = strchr(m.key, '/');
	if (!slash || !survey_is_section(m.key, (size_t)(slash - m.key)))
		return err_set(e, ERR_INTEGRITY, "survey: unknown fact %s", esc_s(m.key));
	(void)snprintf(section, sizeof(section), "%.*s", (int)(slash - m.key), m.key);
	name = esc_dup(slash + 1, strlen(slash + 1));
	value = esc_dup(m.value, strlen(m.value));
	if (!name || !value)
		return err_set(e, ERR_TEMPORARY, "out of memory");
	if (!(items = json_object_get(host, section))) {
		items = json_object();
		(void)json_object_set_new(host, section, items);
	}
	return json_object_set_new(items, name, json_string(value)) < 0 ? err_set(e, ERR_TEMPORARY, "out of memory") : 0;
}

static int ask(struct run *r, const char *name, json_t *host, struct err *e)
{
	OWN(session_closep) struct session *s = NULL;
	struct msg_start start = { .identity = "", .scope = "" };
	int got = 1;

	if (session_open(r, name, "survey", "/", &start, &s, e) < 0)
		return -1;
	while (got == 1) {
		OWN_FRAME struct wire_frame f = WIRE_FRAME_INIT;

		got = wire_recv(s->wire, WIRE_DATA, &f, e);
		if (got == 1 && take_fact(host, &f, e) < 0)
			return -1;
	}
	return got < 0 ? -1 : session_finish(s, NULL, e);
}

static int ask_once(struct run *r, json_t *hosts, const char *name, struct err *e)
{
	json_t *host;

	if (!name || json_object_get(hosts, name))
		return 0;
	host = json_object();
	if (json_object_set_new(hosts, name, host) < 0)
		return err_set(e, ERR_TEMPORARY, "out of memory");
	return ask(r, name, host, e);
}

int survey_take(struct run *r, size_t *lacking, struct err *e)
{
	json_auto_t *hosts = json_object(), *before = NULL, *pairs = survey_pairs(r->plan);

	for (size_t i = 0; i < r->plan->ndatasets; i++)
		if (ask_once(r, hosts, r->plan->datasets[i].from.host, e) < 0 || ask_once(r, hosts, r->plan->datasets[i].to.host, e) < 0)
			return -1;
	*lacking = survey_lacking(hosts, pairs);
	if (survey_last(r->w->ledger, r->plan->name, &before, e) < 0)
		return -1;
	if (before && json_equal(json_object_get(before, "hosts"), hosts) && json_equal(json_object_get(before, "pairs"), pairs))
		return 0;
	return run_event(r, NULL, "survey", "recorded", json_pack("{s:O,s:O}", "hosts", hosts, "pairs", pairs), e,
	    "survey: %zu hosts, %zu items that targets lack", json_object_size(hosts), *lacking);
}
