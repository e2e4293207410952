/* The end of a pass: one commit that makes it a version. */
#include "pass_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include "atomic_file.h"
#include "block_place.h"
#include "clock.h"
#include "esc.h"
#include "foreign.h"
#include "log.h"
#include "resend.h"
#include "sys.h"

static json_t *balance_json(const struct msg_done *b)
{
	return json_pack("{s:I,s:I,s:I,s:I,s:I,s:I}", "scanned", (json_int_t)b->scanned, "copied", (json_int_t)b->copied,
	    "unchanged", (json_int_t)b->unchanged, "skipped", (json_int_t)b->skipped,
	    "unsettled", (json_int_t)b->unsettled, "failed", (json_int_t)b->failed);
}

static json_t *problems_json(const struct target *t)
{
	json_t *a = json_array();

	for (size_t i = 0; i < t->problem_count; i++) {
		OWN_FREE char *path = esc_dup(t->problems[i].path, strlen(t->problems[i].path));
		OWN_FREE char *text = esc_dup(t->problems[i].text, strlen(t->problems[i].text));

		(void)json_array_append_new(a, json_pack("{s:s,s:s}", "path", path ? path : "?", "text", text ? text : "?"));
	}
	return a;
}

/* Facts of the version, alike in summary.json and in the event. */
static json_t *version_json(struct pass *p)
{
	const struct pass_result *r = &p->result;
	const struct manifest_totals *t = &r->totals;
	char root[DIGEST_HEX], sm3[DIGEST_HEX], at[CLOCK_TEXT];

	hex_of(r->root.sha256, DIGEST_LEN, root);
	hex_of(r->root.sm3, DIGEST_LEN, sm3);
	return json_pack("{s:s,s:I,s:I,s:s,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:s,s:s,s:s,s:s,s:o,s:I,s:I,s:I,s:I,s:I,s:f}",
	    "dataset", p->d->name, "version", (json_int_t)p->version, "pass", (json_int_t)p->version, "stage", p->stage,
	    "entries", (json_int_t)t->entries, "files", (json_int_t)t->files, "dirs", (json_int_t)t->dirs,
	    "bytes", (json_int_t)t->bytes, "skipped", (json_int_t)t->skipped, "unsettled", (json_int_t)t->unsettled,
	    "failed", (json_int_t)t->failed, "root", root, "root_sm3", sm3,
	    "identity", p->source ? p->source->ready.identity : "", "at", clock_text(clock_now_ns() / 1000000000, p->r->plan->timezone, at),
	    "balance", balance_json(&r->balance), "objects", (json_int_t)r->objects, "stored", (json_int_t)r->stored,
	    "added", (json_int_t)r->added, "changed", (json_int_t)r->changed, "removed", (json_int_t)r->gone, "seconds", r->seconds);
}

static int put_texts(struct pass_output *o, json_t *facts, struct err *e)
{
	OWN_BUF struct buf objects = BUF_INIT;
	OWN_FREE char *summary = json_dumps(facts, JSON_INDENT(2) | JSON_SORT_KEYS);
	char path[160];

	if (!summary || objects_writer_finish(o->objects, &objects, e) < 0)
		return err_sys(e, "summary");
	(void)snprintf(path, sizeof(path), "%s/objects", o->dir);
	if (ledger_txn_put(o->txn, path, objects.data, objects.len, e) < 0)
		return -1;
	(void)snprintf(path, sizeof(path), "%s/summary.json", o->dir);
	return ledger_txn_put(o->txn, path, summary, strlen(summary), e);
}

/* Only the newest scan file is of use: the next pass compares with it. */
static void drop_old_scan(struct pass *p)
{
	char name[VERSION_REV];

	if (p->last)
		(void)unlinkat(p->r->w->scanfd, version_scan_name(p->r->plan->name, p->d->name, p->last, name), 0);
}

static int record(struct pass *p, struct pass_output *o, json_t *facts, struct err *e)
{
	const struct pass_result *r = &p->result;
	char tag[VERSION_REV];

	if (ledger_txn_tag(o->txn, version_rev(p->r->plan->name, p->d->name, p->version, tag), e) < 0) {
		json_decref(facts);
		return -1;
	}
	if (p->version == 1 && p->d->to.host && p->d->kind == DATASET_FILES && foreign_facts(p->r, p->d, facts, e) < 0) {
		json_decref(facts);
		return -1;
	}
	if (pass_rights(p)->denied) {
		json_t *lost = loss_counts_json(&p->lost);

		loss_counts_text(lost, p->result.losses, sizeof(p->result.losses));
		(void)json_object_set_new(facts, "rights", loss_rights_json(pass_rights(p)));
		(void)json_object_set_new(facts, "losses", lost);
	}
	if (p->target.problem_total) {
		(void)json_object_set_new(facts, "problems", problems_json(&p->target));
		(void)json_object_set_new(facts, "problem_count", json_integer((json_int_t)p->target.problem_total));
	}
	sys_point("pass-commit");
	return run_event(p->r, take_ptr(&o->txn), p->stage, "version", facts, e,
	    "%s version %" PRIu64 ": %" PRIu64 " entries, %" PRIu64 " copied, %" PRIu64 " unchanged, %" PRIu64 " failed",
	    p->d->name, p->version, r->totals.entries, r->balance.copied, r->balance.unchanged, r->balance.failed);
}

int pass_commit(struct pass *p, struct err *e)
{
	OWN(pass_output_dispose) struct pass_output o = PASS_OUTPUT_INIT;
	int64_t began;
	json_t *facts;

	if (pass_version_take(p, &o, e) < 0)
		return -1;
	began = clock_mono_ns();
	p->result.root = o.root;
	p->result.totals = o.totals;
	p->result.version = p->version;
	p->result.seconds = (double)(clock_mono_ns() - p->started) / 1e9;
	if (!(facts = version_json(p)))
		return err_set(e, ERR_BUG, "facts of version %" PRIu64, p->version);
	if (p->said)
		(void)json_object_set(facts, "said", p->said);
	/* The scan file goes first: without its version it is only unused, the other way round it would be missed. */
	if (put_texts(&o, facts, e) < 0 || atomic_file_commit(&o.scan_file, e) < 0) {
		json_decref(facts);
		return -1;
	}
	if (record(p, &o, facts, e) < 0)
		return -1;
	log_debug("%s: manifest of %" PRIu64 " entries written and committed in %.2f s", p->d->name, p->result.totals.entries,
	    (double)(clock_mono_ns() - began + o.took) / 1e9);
	drop_old_scan(p);
	if (resend_healed(p->r, p->d->name, e) < 0)
		return -1;
	if (p->sent)
		sent_clear(p->sent);
	if (block_pass_done(p->r, p->d, e) < 0 || (p->blocks && blocks_prune(p->blocks, &p->contents, e) < 0))
		return -1;
	return state_ack_clear(p->r->w->state, p->r->plan->name, p->d->name, e);
}
