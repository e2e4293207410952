/* restore: out of the archive alone. */
#include <inttypes.h>
#include <limits.h>
#include <string.h>

#include "esc.h"
#include "job.h"
#include "output.h"
#include "path.h"
#include "restore.h"

/* "./a/b/" as people type it -> "a/b". */
static char *clean_path(const char *arg)
{
	char *p;
	size_t n;

	while (arg[0] == '.' && arg[1] == '/')
		arg += 2;
	if (!(p = strdup(*arg ? arg : ".")))
		return NULL;
	n = strlen(p);
	while (n > 1 && p[n - 1] == '/')
		p[--n] = '\0';
	return p;
}

static void free_paths(char ***v)
{
	for (char **p = *v; p && *p; p++)
		free(*p);
	free(*v);
}

static int take_paths(int argc, char **argv, char ***out, struct err *e)
{
	char **v = calloc((size_t)argc + 1, sizeof(*v));

	*out = v;
	for (int i = 0; v && i < argc; i++) {
		if (!(v[i] = clean_path(argv[i])))
			return err_sys(e, "restore");
		if (!path_is_safe(v[i], strlen(v[i])))
			return err_set(e, ERR_USAGE, "%s: paths are relative to the dataset, without . and ..", esc_s(argv[i]));
	}
	return v ? 0 : err_sys(e, "restore");
}

/* The agent wants absolute and clean; the directory need not exist yet. */
static int absolute(const char *arg, char **out, struct err *e)
{
	OWN_FREE char *copy = strdup(arg), *parent = NULL;
	char *slash;

	if (!copy)
		return err_sys(e, "restore");
	for (size_t n = strlen(copy); n > 1 && copy[n - 1] == '/'; )
		copy[--n] = '\0';
	if ((*out = realpath(copy, NULL)))
		return 0;
	slash = strrchr(copy, '/');
	if (slash && slash != copy)
		*slash = '\0';
	parent = realpath(!slash ? "." : slash == copy ? "/" : copy, NULL);
	if (!parent)
		return err_sys(e, "the folder above %s", esc_s(arg));
	return asprintf(out, "%s/%s", strcmp(parent, "/") == 0 ? "" : parent, slash ? slash + 1 : copy) < 0 ? err_sys(e, "restore") : 0;
}

static int to_stdout(struct job *j, const struct plan_dataset *d, uint64_t version, char **paths, struct err *e)
{
	if (!paths[0] || paths[1])
		return err_set(e, ERR_USAGE, "--to - takes exactly one PATH");
	return restore_content(&j->run, d, version, paths[0], STDOUT_FILENO, e);
}

static int to_directory(struct job *j, const struct plan_dataset *d, uint64_t version, char **paths, const char *to, struct err *e)
{
	OWN_FREE char *dir = NULL;
	struct restore_result res;
	struct restore_options o = { .version = version, .paths = (const char *const *)paths, .overwrite = cli_flag(j->c, "overwrite") };
	struct err out = ERR_INIT;
	char bytes[OUT_SIZE];
	int r;

	if (absolute(to, &dir, e) < 0)
		return -1;
	o.to = dir;
	r = restore_run(&j->run, d, &o, &res, e);
	progress_clear(j->progress);
	if (j->c->json && out_json(j->c, json_pack("{s:s,s:I,s:s,s:I,s:I,s:I,s:I,s:I,s:I}", "dataset", d->name, "version", (json_int_t)res.version,
	    "to", dir, "entries", (json_int_t)res.entries, "files", (json_int_t)res.files, "bytes", (json_int_t)res.bytes,
	    "left_out", (json_int_t)res.left_out, "damaged", (json_int_t)res.damaged, "problems", (json_int_t)res.problems), r < 0 ? &out : e) < 0)
		return -1;
	if (r < 0)
		return -1;
	out_text(j->c, "restored %s version %" PRIu64 " to %s: %" PRIu64 " entries, %" PRIu64 " files, %s\n", d->name, res.version, esc_s(dir),
	    res.entries, res.files, out_size(res.bytes, bytes));
	if (res.left_out)
		out_text(j->c, "%" PRIu64 " entries were never archived (skipped, unreadable or list_only): waybill show %s %s --skipped\n", res.left_out,
		    j->plan->name, d->name);
	if (res.problems)
		out_text(j->c, "%" PRIu64 " entries could not get all their attributes (restore as root to keep owners and devices)\n", res.problems);
	return out_finish(e);
}

int cmd_restore(struct cli_context *c, int argc, char **argv, struct err *e)
{
	OWN_JOB struct job j = JOB_INIT;
	OWN(free_paths) char **paths = NULL;
	OWN_FREE char *name = NULL;
	const struct plan_dataset *d;
	const char *to = cli_value(c, "to");
	uint64_t version;

	if (!to)
		return err_set(e, ERR_USAGE, "restore needs --to DIR, or --to - for one file");
	if (cli_dataset_version(argv[1], &name, &version, e) < 0 || take_paths(argc - 2, argv + 2, &paths, e) < 0 ||
	    job_watch_signals(&j, e) < 0 || job_open(&j, c, argv[0], e) < 0 || job_dataset(&j, name, &d, e) < 0)
		return -1;
	if (strcmp(to, "-") == 0)
		return to_stdout(&j, d, version, paths, e);
	return to_directory(&j, d, version, paths, to, e);
}
