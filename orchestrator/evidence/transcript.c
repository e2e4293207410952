#include "transcript.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "esc.h"

/* Lists of names; anything else is no listing. */
static bool is_list(const json_t *list)
{
	json_t *v;
	size_t i;

	json_array_foreach(list, i, v)
		if (!json_is_string(v))
			return false;
	return json_is_array(list);
}

static bool lists(const json_t *list, const char *name)
{
	json_t *v;
	size_t i;

	json_array_foreach(list, i, v)
		if (strcmp(json_string_value(v), name) == 0)
			return true;
	return false;
}

static int judge(const json_t *j, struct err *e)
{
	const json_t *deleted = json_object_get(j, "deleted"), *before = json_object_get(j, "before"), *after = json_object_get(j, "after");
	json_t *v;
	size_t i;

	if (!is_list(deleted) || !is_list(before) || !is_list(after) || json_array_size(deleted) == 0)
		return err_set(e, ERR_USAGE, "a transcript has lists of names: deleted (not empty), before and after");
	json_array_foreach(deleted, i, v) {
		const char *name = json_string_value(v);

		if (!lists(before, name))
			return err_set(e, ERR_USAGE, "the transcript does not list %s before: that it was deleted is not shown", esc_s(name));
		if (lists(after, name))
			return err_set(e, ERR_USAGE, "the transcript lists %s afterwards still: it is not deleted", esc_s(name));
	}
	return 1;
}

int transcript_read(const void *p, size_t n, char **request_id, struct err *e)
{
	json_t *j = json_loadb(p, n, JSON_REJECT_DUPLICATES, NULL);
	const char *id = json_string_value(json_object_get(j, "request_id"));
	int r = id && *id ? judge(j, e) : 0;

	if (r == 1 && !(*request_id = esc_dup(id, strlen(id))))
		r = err_sys(e, "transcript");
	json_decref(j);
	return r;
}
