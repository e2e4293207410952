/* The events of a plan, as the certificate reads them. */
#include <inttypes.h>
#include <string.h>

#include "certificate_private.h"

void records_dispose(struct records *r)
{
	for (size_t i = 0; i < r->n; i++) {
		free(r->v[i].stage);
		free(r->v[i].state);
		free(r->v[i].by);
		free(r->v[i].at);
		free(r->v[i].plan_digest);
		json_decref(r->v[i].data);
	}
	free(r->v);
	*r = (struct records)RECORDS_INIT;
}

int records_add(struct records *r, const struct ledger_event *ev, json_t *data, struct err *e)
{
	struct record *v = realloc(r->v, (r->n + 1) * sizeof(*v));

	if (!v)
		return err_sys(e, "certificate");
	r->v = v;
	v += r->n++;
	*v = (struct record){ .seq = ev->seq, .stage = strdup(ev->stage), .state = strdup(ev->state), .by = strdup(ev->by),
		.at = strdup(ev->at), .plan_digest = strdup(ev->plan_digest), .data = json_incref(data) };
	memcpy(v->commit, ev->commit, sizeof(v->commit));
	hex_of(ev->digest, DIGEST_LEN, v->digest);
	if (!v->stage || !v->state || !v->by || !v->at || !v->plan_digest)
		return err_sys(e, "certificate");
	return json_is_object(data) ? 0 : err_set(e, ERR_INTEGRITY, "event %06" PRIu64 ": its data is no object", ev->seq);
}

bool record_is(const struct record *r, const char *stage, const char *state)
{
	return strcmp(r->stage, stage) == 0 && strcmp(r->state, state) == 0;
}

const char *record_text(const json_t *j, const char *key)
{
	const char *s = json_string_value(json_object_get(j, key));

	return s ? s : "";
}
