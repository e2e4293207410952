#include "hook_facts.h"

#include <ctype.h>
#include <string.h>

#include "esc.h"

#define FIXED 16

static const char *text(const char *s) { return s ? s : ""; }

void hook_env_free(char **env)
{
	for (char **p = env; p && *p; p++)
		free(*p);
	free(env);
}

static bool put(char **env, size_t *n, const char *name, const char *value)
{
	return asprintf(&env[*n], "WAYBILL_%s=%s", name, value) >= 0 ? ++*n, true : (env[*n] = NULL, false);
}

static bool put_number(char **env, size_t *n, const char *name, long value)
{
	char t[24];

	(void)snprintf(t, sizeof(t), "%ld", value);
	return put(env, n, name, t);
}

static bool put_with(char **env, size_t *n, const struct hook_pair *p)
{
	OWN_FREE char *name = NULL;

	if (asprintf(&name, "WITH_%s", p->name) < 0)
		return false;
	for (char *c = name; *c; c++)
		*c = isalnum((unsigned char)*c) ? (char)toupper((unsigned char)*c) : '_';
	return put(env, n, name, p->value);
}

char **hook_facts_env(const struct hook_facts *f)
{
	char **env = calloc(FIXED + f->nwith + 1, sizeof(*env));
	size_t n = 0;
	bool ok = env && put(env, &n, "PLAN", text(f->plan)) && put(env, &n, "TITLE", text(f->title)) && put(env, &n, "KIND", text(f->kind)) &&
	    put(env, &n, "PLAN_DIGEST", text(f->digest)) && put(env, &n, "POINT", text(f->point)) && put(env, &n, "HOOK", text(f->hook)) &&
	    put(env, &n, "HOST", text(f->host)) && put(env, &n, "WHY", text(f->why)) && put(env, &n, "DATASET", text(f->dataset)) &&
	    put(env, &n, "OUTCOME", text(f->outcome)) && put_number(env, &n, "PASS", f->pass) && put_number(env, &n, "ROUND", f->round) &&
	    put_number(env, &n, "TRY", f->attempt) && put_number(env, &n, "TRIES", f->tries) &&
	    put(env, &n, "REHEARSAL", f->rehearsal ? "yes" : "no");

	for (size_t i = 0; ok && i < f->nwith; i++)
		ok = put_with(env, &n, &f->with[i]);
	if (ok)
		return env;
	hook_env_free(env);
	return NULL;
}

char *hook_facts_json(const struct hook_facts *f)
{
	json_t *with = json_object(), *o;
	OWN_FREE char *s = NULL;
	char *line = NULL;

	for (size_t i = 0; i < f->nwith; i++)
		(void)json_object_set_new(with, f->with[i].name, json_string(f->with[i].value));
	o = json_pack("{s:i,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:i,s:i,s:i,s:i,s:b,s:o,s:O?}", "waybill", 1, "plan", text(f->plan),
	    "title", text(f->title), "kind", text(f->kind), "plan_digest", text(f->digest), "point", text(f->point), "hook", text(f->hook),
	    "host", text(f->host), "why", text(f->why), "dataset", text(f->dataset), "outcome", text(f->outcome), "pass", (int)f->pass,
	    "round", (int)f->round, "try", f->attempt, "tries", f->tries, "rehearsal", f->rehearsal, "with", with, "datasets", f->datasets);
	if (o)
		s = json_dumps(o, JSON_COMPACT | JSON_SORT_KEYS);
	json_decref(o);
	return s && asprintf(&line, "%s\n", s) >= 0 ? line : NULL;
}

static json_t *clean_text(const char *p, size_t n)
{
	OWN_FREE char *s = esc_dup(p, n);

	return s ? json_string(s) : NULL;
}

/* The strings of an answer are remote text like any other. */
static json_t *clean(const json_t *v, int depth)
{
	const char *key;
	json_t *one, *out;
	size_t i;

	if (depth > 16)
		return json_null();
	if (json_is_string(v))
		return clean_text(json_string_value(v), json_string_length(v));
	if (json_is_array(v)) {
		out = json_array();
		json_array_foreach(v, i, one)
			(void)json_array_append_new(out, clean(one, depth + 1));
		return out;
	}
	if (!json_is_object(v))
		return json_deep_copy(v);
	out = json_object();
	json_object_foreach((json_t *)(uintptr_t)v, key, one) {
		OWN_FREE char *k = esc_dup(key, strlen(key));

		if (k)
			(void)json_object_set_new(out, k, clean(one, depth + 1));
	}
	return out;
}

json_t *hook_answer(const char *p, size_t n, size_t keep)
{
	json_t *o, *out;

	while (n && isspace((unsigned char)p[n - 1]))
		n--;
	while (n && isspace((unsigned char)*p)) {
		p++;
		n--;
	}
	if (!n)
		return NULL;
	o = n <= keep ? json_loadb(p, n, JSON_REJECT_DUPLICATES, NULL) : NULL;
	if (json_is_object(o)) {
		out = clean(o, 0);
	} else {
		size_t from = n > keep ? n - keep : 0;

		out = json_pack("{s:o?}", "text", clean_text(p + from, n - from));
	}
	json_decref(o);
	return out;
}
