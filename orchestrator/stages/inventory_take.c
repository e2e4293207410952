/* The source as it is now, held against the newest version: what may be destroyed must be accounted for. */
#include <inttypes.h>
#include <string.h>

#include "answers.h"
#include "esc.h"
#include "inventory.h"
#include "path.h"
#include "verify.h"
#include "version.h"

struct take {
	struct run *r;
	const struct plan_dataset *d;
	struct passfile *found;
	struct verify_result result;	/* differences and unverified, for the message */
	char *without_copy;		/* a directory of the manifest that was skipped or failed: all beneath it is accounted for */
	const char *path;		/* of the entry being compared */
	struct run_progress progress;
};

static void on_difference(void *ctx, const char *what, const char *expected, const char *found)
{
	struct take *t = ctx;

	if (verify_add_difference(&t->result, t->path, what, expected, found) < 0)
		t->result.unverified_total++;
}

static bool discarded(const struct take *t, const char *path)
{
	const struct plan_clear *c = &t->r->plan->clear;

	for (size_t i = 0; i < c->ndiscard; i++) {
		const char *p = c->discard[i].path;

		while (*p == '/')
			p++;
		if (strcmp(c->discard[i].dataset, t->d->name) == 0 && path_is_beneath(path, *p ? p : "."))
			return true;
	}
	return false;
}

static bool never_taken(const struct entry *want)
{
	return want->outcome == ENTRY_SKIPPED || want->outcome == ENTRY_FAILED;
}

/* Not in the manifest as a copied entry: accounted for by a skipped directory above it, or by the plan. */
static int unlisted(struct take *t, const struct entry *got, struct err *e)
{
	if (t->without_copy && path_is_beneath(got->path, t->without_copy))
		return 0;
	if (discarded(t, got->path))
		return 0;
	return verify_add_difference(&t->result, got->path, "unaccounted", "in the manifest or in clear.discard", entry_type_name(got->type)) < 0 ?
	    err_sys(e, "inventory") : 0;
}

static int listed(struct take *t, const struct entry *want, const struct entry *got, struct err *e)
{
	unsigned mask = ENTRY_CMP_NO_NLINK | ENTRY_CMP_NO_LAYOUT | (got->type == ENTRY_DIR ? ENTRY_CMP_NO_TIMES : 0);

	t->path = got->path;
	if (never_taken(want)) {
		free(t->without_copy);
		if (!(t->without_copy = strdup(want->path)))
			return err_sys(e, "inventory");
		return 0;
	}
	if (got->outcome == ENTRY_FAILED || got->outcome == ENTRY_UNSETTLED) {
		t->result.unverified_total++;
		on_difference(t, "unreadable", "as in the manifest", got->note ? got->note : "could not be read");
		return 0;
	}
	/* Compared without a digest it would pass unread. */
	if (want->type == ENTRY_FILE && got->type == ENTRY_FILE && (want->has & ENTRY_HAS_SHA256) && !(got->has & ENTRY_HAS_SHA256)) {
		t->result.unverified_total++;
		on_difference(t, "unread", "its digest", "none");
	} else {
		(void)entry_compare(want, got, mask, on_difference, t);
	}
	return 0;
}

static bool other_file_system(const struct entry *got)
{
	return got->outcome == ENTRY_SKIPPED && got->type != ENTRY_SOCKET;
}

static int compare_one(void *ctx, const struct entry *want, const struct entry *got, struct err *e)
{
	struct take *t = ctx;
	int r;

	if (run_check(t->r, e) < 0)
		return -1;
	if (!got) {
		if (never_taken(want))
			return 0;
		return verify_add_difference(&t->result, want->path, "missing", entry_type_name(want->type), "absent") < 0 ? err_sys(e, "inventory") : 0;
	}
	if (++t->progress.entries % 1024 == 0)
		run_show_progress(t->r, &t->progress);
	if (other_file_system(got))
		r = verify_add_difference(&t->result, got->path, "mount", "nothing mounted beneath", got->note ? got->note : "another file system");
	else
		r = want ? listed(t, want, got, e) : unlisted(t, got, e);
	return r < 0 ? -1 : passfile_add(t->found, got, 0, e);
}

static int next_found(void *ctx, struct entry *en, struct err *e) { return answers_next(ctx, en, e); }

static int judge(const struct take *t, struct err *e)
{
	const struct verify_difference *first = t->result.differences;
	char place[PLACE_NAME];
	bool state;

	if (!t->result.difference_total)
		return 0;
	place_name(t->d->from.host, t->d->from.path, place);
	if (t->result.unverified_total) {
		err_set(e, ERR_UNVERIFIED, "%s: %s %s (%s)", place, first->path, first->what, first->found);
		return err_hint(e, "clearing needs every entry compared with the archive");
	}
	state = strcmp(first->what, "unaccounted") == 0 || strcmp(first->what, "missing") == 0;
	err_set(e, ERR_REFUSED, "%s: %s %s %s (expected %s, found %s); entries that differ: %" PRIu64, place, first->path,
	    state ? "is" : "differs in its", first->what, first->expected, first->found, t->result.difference_total);
	if (strcmp(first->what, "unaccounted") == 0)
		return err_hint(e, "move it to where it belongs, or name it in clear.discard with a reason (then run with --amend REASON); nothing was destroyed");
	return err_hint(e, "put it right and run again; nothing was destroyed");
}

static void name_all(const struct take *t)
{
	for (size_t i = 1; i < t->result.difference_count && i < 20; i++)
		run_show_stage(t->r, "clear", "refused", t->result.differences[i].path);
}

int inventory_take(struct run *r, const struct plan_dataset *d, const char *mount, struct passfile *found, struct err *e)
{
	OWN(version_closep) struct version_reader *v = NULL;
	OWN(answers_closep) struct answers *a = NULL;
	const struct standing_dataset *s = standing_dataset(&r->standing, d->name);
	struct take t = { .r = r, .d = d, .found = found, .result = VERIFY_RESULT_INIT };
	char known[VERSION_REV];
	struct answers_options o = { .host = d->from.host, .path = d->from.path, .flags = MSG_F_HASH_ONLY | MSG_F_MEDIUM | MSG_F_ONE_FS,
		.known = known, .unfiltered = true, .mount = mount,
		.is_place = d->kind == DATASET_BLOCK, .source = true };
	int res;

	if (!s || !s->version)
		return err_set(e, ERR_BUG, "dataset %s has no version", d->name);
	version_scan_name(r->plan->name, d->name, s->version, known);
	t.progress = (struct run_progress){ .stage = "clear", .dataset = d->name, .total_entries = s->entries };
	if (version_open(r->w, r->plan->name, d->name, s->version, VERSION_MANIFEST, &v, e) < 0 || answers_open(r, d, &o, &a, e) < 0)
		return -1;
	res = entry_merge(version_next_entry, v, next_found, a, compare_one, &t, e);
	if (res == 0 && (res = judge(&t, e)) < 0)
		name_all(&t);
	verify_result_dispose(&t.result);
	free(t.without_copy);
	return res;
}
