/* residue: a medium is read raw; where is known content still readable? */
#include <inttypes.h>
#include <string.h>

#include "job.h"
#include "output.h"
#include "path.h"
#include "residue.h"

#define SHOWN 50

/* "[HOST:]/PATH"; without a host this machine. */
static int split(const char *on, char **host, const char **path, struct err *e)
{
	const char *colon = on[0] == '/' ? NULL : strchr(on, ':');

	*path = colon ? colon + 1 : on;
	*host = colon ? strndup(on, (size_t)(colon - on)) : strdup("local");
	if (!*host)
		return err_sys(e, "--on");
	if (!path_is_clean_absolute(*path))
		return err_set(e, ERR_USAGE, "--on takes [HOST:]DEVICE_OR_FILE with an absolute path");
	return 0;
}

/* argv: DATASET[@N]...; none means all files datasets. */
static int sources(struct job *j, int argc, char **argv, struct residue_source *v, size_t *n, struct err *e)
{
	for (int i = 1; i < argc; i++) {
		OWN_FREE char *name = NULL;

		if (cli_dataset_version(argv[i], &name, &v[*n].version, e) < 0 || job_dataset(j, name, &v[*n].d, e) < 0)
			return -1;
		(*n)++;
	}
	for (size_t i = 0; argc == 1 && i < j->plan->ndatasets; i++) {
		const struct standing_dataset *s = standing_dataset(&j->run.standing, j->plan->datasets[i].name);

		if (s && s->version)
			v[(*n)++] = (struct residue_source){ &j->plan->datasets[i], 0 };
	}
	if (*n == 0)
		return err_set(e, ERR_USAGE, "plan %s has no version yet: nothing is known that could be looked for", j->plan->name);
	return 0;
}

static const char *word(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

static json_int_t number(const json_t *o, const char *key) { return json_integer_value(json_object_get(o, key)); }

static void print_result(struct cli_context *c, const json_t *o)
{
	const json_t *hits = json_object_get(o, "hit_list"), *control = json_object_get(o, "control");
	char size[OUT_SIZE];
	json_t *h;
	size_t i;

	json_array_foreach(hits, i, h) {
		if (i == SHOWN) {
			out_text(c, "... %zu more places (--json lists them)\n", json_array_size(hits) - SHOWN);
			break;
		}
		out_text(c, "%" JSON_INTEGER_FORMAT " +%" JSON_INTEGER_FORMAT ": %s@%" JSON_INTEGER_FORMAT " %s (in: %s)\n", number(h, "offset"), number(h, "length"),
		    word(h, "dataset"), number(h, "version"), word(h, "path"), word(h, "owner"));
	}
	out_text(c, "%s:%s: %s: %s; %s read, %" JSON_INTEGER_FORMAT " of %" JSON_INTEGER_FORMAT " witnesses seen, %" JSON_INTEGER_FORMAT
	    " hits in contents, %" JSON_INTEGER_FORMAT " in names, %" JSON_INTEGER_FORMAT " bytes unreadable\n", word(o, "host"), word(o, "device"),
	    word(o, "verdict"), word(o, "reason"), out_size((uint64_t)number(o, "bytes_read"), size), number(control, "found"),
	    number(control, "expected"), number(o, "hits"), number(o, "names"), number(o, "unreadable_bytes"));
}

static int verdict_err(enum verdict v, const json_t *o, struct err *e)
{
	if (v <= VERDICT_CRYPTO_ERASED)
		return 0;
	err_set(e, v == VERDICT_RESIDUE_FOUND ? ERR_INTEGRITY : ERR_UNVERIFIED, "%s:%s: %s: %s", word(o, "host"), word(o, "device"),
	    verdict_name(v), word(o, "reason"));
	return v == VERDICT_BLIND ? err_hint(e, "only a clearing that saw it there first can say that it is gone") : -1;
}

int cmd_residue(struct cli_context *c, int argc, char **argv, struct err *e)
{
	OWN_JOB struct job j = JOB_INIT;
	OWN_FREE struct residue_source *v = NULL;
	OWN_FREE char *host = NULL;
	const char *on = cli_value(c, "on"), *path = NULL;
	enum verdict verdict = VERDICT_UNKNOWN;
	json_t *out = NULL;
	size_t n = 0;
	struct err late = ERR_INIT;
	int r;

	if (!on)
		return err_set(e, ERR_USAGE, "residue needs --on [HOST:]DEVICE_OR_FILE");
	if (split(on, &host, &path, e) < 0 || job_watch_signals(&j, e) < 0 || job_open(&j, c, argv[0], e) < 0)
		return -1;
	if (!(v = calloc((size_t)argc + j.plan->ndatasets, sizeof(*v))))
		return err_sys(e, "residue");
	if (!plan_host(j.plan, host))
		return err_set(e, ERR_USAGE, "plan %s has no host %s", j.plan->name, host);
	if (sources(&j, argc, argv, v, &n, e) < 0 || residue_run(&j.run, v, n, host, path, &verdict, &out, e) < 0)
		return -1;
	progress_clear(j.progress);
	print_result(c, out);
	r = verdict_err(verdict, out, e);
	if (c->json && out_json(c, json_incref(out), r < 0 ? &late : e) < 0)
		r = -1;
	json_decref(out);
	return r < 0 ? -1 : out_finish(e);
}
