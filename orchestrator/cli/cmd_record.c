/* record: a fact from outside goes into the ledger; abandon: the end of a plan. */
#include <fcntl.h>
#include <string.h>

#include "clock.h"
#include "esc.h"
#include "io.h"
#include "job.h"
#include "output.h"
#include "record.h"
#include "transcript.h"

#define FILES_MAX 64
#define FILE_BYTES (64u << 20)

struct attached { char hex[FILES_MAX][DIGEST_HEX]; const char *sha256[FILES_MAX], *name[FILES_MAX]; size_t n; char *request_id; };

static void attached_dispose(struct attached *a) { free(a->request_id); }

/* Each of them is looked at: one that shows the contrary does not go along with one that shows it. */
static int look(struct attached *a, const struct buf *b, struct err *e)
{
	OWN_FREE char *id = NULL;

	if (b->data && transcript_read(b->data, b->len, &id, e) < 0)
		return -1;
	if (!a->request_id)
		a->request_id = take_ptr(&id);
	return 0;
}

static int attach(struct job *j, bool statement, struct attached *a, struct err *e)
{
	size_t given = cli_count(j->c, "attach");

	if (given > FILES_MAX)
		return err_set(e, ERR_USAGE, "at most %d attachments", FILES_MAX);
	for (; a->n < given; a->n++) {
		OWN_BUF struct buf b = BUF_INIT;
		const char *file = cli_value_at(j->c, "attach", a->n), *slash = strrchr(file, '/');
		struct object_id id;

		if (io_read_file(AT_FDCWD, file, FILE_BYTES, &b, e) < 0) {
			e->class = ERR_USAGE;
			return -1;
		}
		if (statement && look(a, &b, e) < 0)
			return err_at(e, "%s", file);
		if (store_put_bytes(j->w->store, STORE_DOC, b.data ? b.data : "", b.len, &id, e) < 0)
			return -1;
		hex_of(id.sha256, DIGEST_LEN, a->hex[a->n]);
		a->sha256[a->n] = a->hex[a->n];
		a->name[a->n] = slash ? slash + 1 : file;
	}
	return 0;
}

int cmd_record(struct cli_context *c, int argc, char **argv, struct err *e)
{
	OWN_JOB struct job j = JOB_INIT;
	OWN_BUF struct buf data = BUF_INIT, text = BUF_INIT;
	OWN(attached_dispose) struct attached a = { .n = 0 };
	struct record_options o = { .kind = argv[1], .at = cli_value(c, "at"), .note = cli_value(c, "note"), .copy = cli_value(c, "copy"),
		.opinion = cli_value(c, "opinion") };
	json_t *facts;

	(void)argc;
	if (job_open(&j, c, argv[0], e) < 0 || attach(&j, strcmp(argv[1], "statement") == 0, &a, e) < 0)
		return -1;
	o.zone = j.plan->timezone;
	o.attached_sha256 = a.sha256;
	o.attached_name = a.name;
	o.attached_count = a.n;
	o.request_id = a.request_id;
	if (record_build(&o, clock_now_ns() / 1000000000, &data, &text, e) < 0)
		return -1;
	if (!(facts = json_loads(data.data, 0, NULL)))
		return err_set(e, ERR_BUG, "facts of a record");
	if (run_event(&j.run, NULL, "record", "recorded", facts, e, "%s", text.data ? text.data : "") < 0)
		return -1;
	out_text(c, "recorded: %s\n", text.data ? text.data : "");
	if (c->json)
		return out_json(c, json_pack("{s:s,s:s,s:s}", "plan", j.plan->name, "kind", o.kind, "head", j.run.standing.head), e);
	return out_finish(e);
}

int cmd_abandon(struct cli_context *c, int argc, char **argv, struct err *e)
{
	OWN_JOB struct job j = JOB_INIT;
	const char *reason = cli_value(c, "reason");

	(void)argc;
	if (!reason || !*reason)
		return err_set(e, ERR_USAGE, "abandon needs --reason TEXT");
	if (job_open(&j, c, argv[0], e) < 0)
		return -1;
	if (j.run.standing.clearing)
		return err_set(e, ERR_REFUSED, "plan %s is clearing; finish that first with: waybill run %s", j.plan->name, j.plan->name);
	if (j.run.standing.abandoned) {
		out_text(c, "plan %s was abandoned before\n", j.plan->name);
		return out_finish(e);
	}
	if (run_event(&j.run, NULL, "plan", "abandoned", json_pack("{s:o}", "reason", out_json_text(reason)), e, "abandoned: %s", esc_s(reason)) < 0)
		return -1;
	out_text(c, "plan %s is abandoned; its versions stay in the archive\n", j.plan->name);
	if (c->json)
		return out_json(c, json_pack("{s:s,s:s}", "plan", j.plan->name, "state", "abandoned"), e);
	return out_finish(e);
}
