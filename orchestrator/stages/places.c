#include "places.h"

#include <string.h>

#include "clock.h"
#include "esc.h"

const char *place_fact(const json_t *facts, const char *key)
{
	const char *s = json_string_value(json_object_get(facts, key));

	return s ? s : "";
}

uint64_t place_number(const json_t *facts, const char *key) { return strtoull(place_fact(facts, key), NULL, 10); }

int64_t place_skew(const json_t *facts)
{
	return ((int64_t)place_number(facts, "now") - clock_now_ns()) / 1000000000;
}

static int take_fact(json_t *facts, const struct wire_frame *f, struct err *e)
{
	struct msg_fact m = { .key = NULL };
	OWN_FREE char *value = NULL;
	const char *key;

	if (f->type != MSG_FACT)
		return 0;
	if (msg_fact_decode(f->data, f->len, &m, e) < 0)
		return -1;
	key = strncmp(m.key, "root.1.", 7) == 0 ? m.key + 7 : m.key;
	if (strncmp(key, "root.0.", 7) == 0) {
		msg_fact_dispose(&m);
		return 0;
	}
	value = esc_dup(m.value, strlen(m.value));
	(void)json_object_set_new(facts, key, json_string(value ? value : ""));
	msg_fact_dispose(&m);
	return 0;
}

int place_facts(struct run *r, const char *host, const char *path, json_t **out, struct err *e)
{
	/* The agent's own root must be a directory; what is asked about may be anything, or nothing. */
	const char *args[] = { "facts", "--root", "/", "--root", path, NULL };

	return place_ask(r, host, args, out, e);
}

int place_ask(struct run *r, const char *host, const char *const *args, json_t **out, struct err *e)
{
	OWN(session_closep) struct session *s = NULL;
	struct msg_start start = { .identity = "", .scope = "" };
	json_t *facts = json_object();
	int got = 1;

	if (session_open_args(r, host, args, &start, &s, e) < 0)
		got = -1;
	while (got == 1) {
		OWN_FRAME struct wire_frame f = WIRE_FRAME_INIT;

		got = wire_recv(s->wire, WIRE_DATA, &f, e);
		if (got == 1 && take_fact(facts, &f, e) < 0)
			got = -1;
	}
	if (got < 0 || session_finish(s, NULL, e) < 0) {
		json_decref(facts);
		return -1;
	}
	*out = facts;
	return 0;
}
