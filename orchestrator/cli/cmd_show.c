/* show: a manifest in its canonical form, one entry of it, or what was skipped and why. */
#include <inttypes.h>
#include <string.h>

#include "esc.h"
#include "job.h"
#include "output.h"
#include "version.h"
#include "workspace.h"

struct showing { struct cli_context *c; const char *path; bool skipped, found; json_t *rows; struct buf text; };

static const char *outcome_word(const struct entry *en)
{
	switch (en->outcome) {
	case ENTRY_SKIPPED: return "skipped";
	case ENTRY_UNSETTLED: return "unsettled";
	case ENTRY_FAILED: return "failed";
	case ENTRY_COPIED: case ENTRY_UNCHANGED: break;
	}
	return en->note ? "list_only" : "copied";
}

static bool left_out(const struct entry *en)
{
	return en->outcome == ENTRY_SKIPPED || en->outcome == ENTRY_FAILED || en->outcome == ENTRY_UNSETTLED || en->note;
}

static void show_one(struct showing *s, const struct entry *en)
{
	OWN_FREE char *path = esc_dup(en->path, en->path_len), *note = en->note ? esc_dup(en->note, strlen(en->note)) : NULL;

	if (s->path && strcmp(en->path, s->path) != 0)
		return;
	s->found = true;
	if (s->skipped) {
		if (!left_out(en))
			return;
		out_text(s->c, "%s: %s: %s\n", path ? path : "?", outcome_word(en), note ? note : "");
		(void)json_array_append_new(s->rows, json_pack("{s:s,s:s,s:s}", "path", path ? path : "?", "outcome", outcome_word(en), "reason", note ? note : ""));
		return;
	}
	manifest_format(&s->text, en);
	if (s->c->json) {
		(void)json_array_append_new(s->rows, json_pack("{s:s,s:s,s:s}", "path", path ? path : "?", "type", entry_type_name(en->type),
		    "lines", s->text.data ? s->text.data : ""));
		buf_reset(&s->text);
	}
}

static int flush(struct showing *s, bool force, struct err *e)
{
	if (buf_finish(&s->text, e) < 0)
		return -1;
	if (!s->c->json && (force || s->text.len > 1 << 16)) {
		out_raw(s->text.data ? s->text.data : "", s->text.len);
		buf_reset(&s->text);
	}
	return 0;
}

static int walk(struct showing *s, struct version_reader *v, struct err *e)
{
	int got;

	/* The canonical form begins with this line: waybill show PLAN D@N | sha256sum is the root. */
	if (!s->path && !s->skipped && !s->c->json)
		buf_puts(&s->text, "#mtree\n");
	for (;;) {
		OWN_ENTRY struct entry en = ENTRY_INIT;

		if ((got = version_next(v, &en, NULL, e)) < 0)
			return -1;
		if (got == 0)
			return flush(s, true, e);
		show_one(s, &en);
		if (flush(s, false, e) < 0)
			return -1;
	}
}

static int finish(struct showing *s, const char *dataset, uint64_t version, struct err *e)
{
	if (s->path && !s->found) {
		json_decref(s->rows);
		return err_set(e, ERR_USAGE, "%s is not in version %" PRIu64 " of dataset %s", esc_s(s->path), version, dataset);
	}
	if (s->c->json)
		return out_json(s->c, json_pack("{s:s,s:I,s:o}", "dataset", dataset, "version", (json_int_t)version, s->skipped ? "skipped" : "entries", s->rows), e);
	json_decref(s->rows);
	return out_finish(e);
}

int cmd_show(struct cli_context *c, int argc, char **argv, struct err *e)
{
	OWN_JOB struct job j = JOB_INIT;
	OWN(version_closep) struct version_reader *v = NULL;
	OWN_FREE char *name = NULL;
	struct showing s = { .c = c, .path = argc > 2 ? argv[2] : NULL, .skipped = cli_flag(c, "skipped"), .text = BUF_INIT };
	const struct plan_dataset *d;
	const struct standing_dataset *st;
	uint64_t version;
	int r;

	if (cli_dataset_version(argv[1], &name, &version, e) < 0 || job_open(&j, c, argv[0], e) < 0 || job_dataset(&j, name, &d, e) < 0)
		return -1;
	st = standing_dataset(&j.run.standing, name);
	if (!st || !st->version || version > st->version)
		return err_set(e, ERR_USAGE, "dataset %s has no version %s", name, version ? argv[1] : "yet");
	version = version ? version : st->version;
	while (s.path && s.path[0] == '.' && s.path[1] == '/')
		s.path += 2;
	if (version_open(j.w, j.plan->name, name, version, VERSION_MANIFEST, &v, e) < 0)
		return -1;
	s.rows = json_array();
	r = walk(&s, v, e) < 0 ? -1 : finish(&s, name, version, e);
	buf_dispose(&s.text);
	return r;
}
