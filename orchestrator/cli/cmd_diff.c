/* diff: what differs between two versions of a dataset. */
#include <inttypes.h>
#include <string.h>

#include "esc.h"
#include "job.h"
#include "output.h"
#include "version.h"
#include "workspace.h"

struct diffing { struct cli_context *c; json_t *rows; struct buf what; };

static void on_difference(void *ctx, const char *what, const char *expected, const char *found)
{
	struct diffing *d = ctx;

	buf_printf(&d->what, "%s%s %s -> %s", d->what.len ? ", " : "", what, expected, found);
}

static bool present(const struct entry *en)
{
	return en && en->outcome != ENTRY_SKIPPED && en->outcome != ENTRY_FAILED;
}

static int one(void *ctx, const struct entry *a, const struct entry *b, struct err *e)
{
	struct diffing *d = ctx;
	const struct entry *any = a ? a : b;
	OWN_FREE char *path = esc_dup(any->path, any->path_len);
	const char *mark = NULL;

	buf_reset(&d->what);
	if (!present(a) && present(b))
		mark = "A";
	else if (present(a) && !present(b))
		mark = "D";
	else if (present(a) && entry_compare(a, b, 0, on_difference, d) > 0)
		mark = "M";
	if (!mark)
		return 0;
	if (!path || buf_finish(&d->what, e) < 0)
		return err_set(e, ERR_TEMPORARY, "out of memory");
	out_text(d->c, "%s %s%s%s\n", mark, path, d->what.len ? ": " : "", d->what.len ? d->what.data : "");
	(void)json_array_append_new(d->rows, json_pack("{s:s,s:s,s:s}", "change", mark, "path", path, "what", d->what.len ? d->what.data : ""));
	return 0;
}

/* Without a second one: A against the newest, or the newest against the one before it. */
static void pick(uint64_t newest, uint64_t *a, uint64_t *b, bool second)
{
	if (!second && *a) {
		*b = newest;
	} else if (!second) {
		*b = newest;
		*a = newest > 1 ? newest - 1 : 0;
	} else if (!*b) {
		*b = newest;
	}
}

int cmd_diff(struct cli_context *c, int argc, char **argv, struct err *e)
{
	OWN_JOB struct job j = JOB_INIT;
	OWN(version_closep) struct version_reader *va = NULL, *vb = NULL;
	OWN_FREE char *name = NULL, *other = NULL;
	struct diffing d = { .c = c, .what = BUF_INIT };
	const struct plan_dataset *pd;
	const struct standing_dataset *s;
	uint64_t a, b = 0;
	int r;

	if (cli_dataset_version(argv[1], &name, &a, e) < 0 || (argc > 2 && cli_dataset_version(argv[2], &other, &b, e) < 0) ||
	    job_open(&j, c, argv[0], e) < 0 || job_dataset(&j, name, &pd, e) < 0)
		return -1;
	if (other && strcmp(other, name) != 0)
		return err_set(e, ERR_USAGE, "two versions of one dataset are compared, not %s with %s", name, esc_s(other));
	s = standing_dataset(&j.run.standing, name);
	pick(s ? s->version : 0, &a, &b, argc > 2);
	if (!s || !s->version || a > s->version || b > s->version)
		return err_set(e, ERR_USAGE, "dataset %s has no such version; the newest is %" PRIu64, name, s ? s->version : 0);
	if (version_open(j.w, j.plan->name, name, a, VERSION_MANIFEST, &va, e) < 0 || version_open(j.w, j.plan->name, name, b, VERSION_MANIFEST, &vb, e) < 0)
		return -1;
	d.rows = json_array();
	r = entry_merge(version_next_entry, va, version_next_entry, vb, one, &d, e);
	buf_dispose(&d.what);
	if (r == 0 && c->json)
		return out_json(c, json_pack("{s:s,s:I,s:I,s:o}", "dataset", name, "from", (json_int_t)a, "to", (json_int_t)b, "changes", d.rows), e);
	json_decref(d.rows);
	return r < 0 ? -1 : out_finish(e);
}
