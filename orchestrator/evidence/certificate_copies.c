/* Copies that lie elsewhere: what is known of each, and what that allows the whole to say. */
#include <string.h>

#include "certificate_private.h"
#include "plan.h"

static const struct { const char *grade; enum plan_verdict best; } grades[] = {
	{ "kept", PLAN_VERDICT_CLEARED_FULL }, { "E1", PLAN_VERDICT_CLEARED_FULL },
	/* Somebody else's word, with its digest: as good as what a guest can see. */
	{ "E2", PLAN_VERDICT_CLEARED_GUEST_LEVEL }, { "E3", PLAN_VERDICT_CLEARED_GUEST_LEVEL },
	{ "E4", PLAN_VERDICT_PERFORMED_NOT_PROVABLE } };

int certificate_grade_rank(const char *grade)
{
	for (size_t i = 0; i < sizeof(grades) / sizeof(grades[0]); i++)
		if (strcmp(grades[i].grade, grade) == 0)
			return (int)grades[i].best;
	return (int)PLAN_VERDICT_UNKNOWN;
}

static bool is_statement(const struct record *v, const char *what)
{
	return record_is(v, "record", "recorded") && strcmp(record_text(v->data, "kind"), "statement") == 0 &&
	    strcmp(record_text(v->data, "copy"), what) == 0 && json_array_size(json_object_get(v->data, "attached")) > 0;
}

static json_t *find_row(const json_t *copies, const struct record *v)
{
	json_t *row;
	size_t i;

	json_array_foreach(copies, i, row)
		if (is_statement(v, record_text(row, "what")))
			return row;
	return NULL;
}

/* What was attached is the evidence; the event says when, and who brought it. */
static void state(json_t *row, const struct record *v)
{
	json_t *note = json_object_get(v->data, "note");
	const char *request = record_text(v->data, "request_id");

	if (strcmp(record_text(row, "grade"), "E4") != 0)
		return;
	(void)json_object_set_new(row, "grade", json_string(*request ? "E2" : "E3"));
	if (*request)
		(void)json_object_set_new(row, "request_id", json_string(request));
	(void)json_object_set_new(row, "stated", json_string(record_text(v->data, "happened")));
	(void)json_object_set_new(row, "recorded_by", json_string(v->by));
	(void)json_object_set_new(row, "event", json_integer((json_int_t)v->seq));
	(void)json_object_set(row, "evidence", json_object_get(v->data, "attached"));
	if (note)
		(void)json_object_set(row, "note", note);
}

json_t *certificate_copies(const struct records *r, const struct record *done)
{
	json_t *copies = json_deep_copy(json_object_get(done->data, "copies"));

	if (!json_is_array(copies)) {
		json_decref(copies);
		return json_array();
	}
	/* The newest statement is the one that counts. */
	for (size_t i = r->n; i-- > 0; ) {
		json_t *row = find_row(copies, &r->v[i]);

		if (row)
			state(row, &r->v[i]);
	}
	return copies;
}

const struct record *certificate_basis(const struct records *r, const struct record *done)
{
	const struct record *basis = done;

	for (const struct record *v = done + 1; v < r->v + r->n; v++)
		if (record_is(v, "certify", "access") || find_row(json_object_get(done->data, "copies"), v))
			basis = v;
	return basis;
}
