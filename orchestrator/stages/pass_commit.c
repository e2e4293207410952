/* The end of a pass: manifest, objects list, scan file, and one commit that makes it a version. */
#include "pass_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include "archive.h"
#include "atomic_file.h"
#include "block_place.h"
#include "clock.h"
#include "esc.h"
#include "foreign.h"
#include "log.h"
#include "names.h"
#include "path.h"
#include "resend.h"
#include "sys.h"

struct output {
	struct ledger_txn *txn;
	struct manifest_writer *manifest;
	struct objects_writer *objects;
	struct scan_writer *scan;
	struct atomic_file scan_file;
	char dir[96];		/* "datasets/D" */
};

static void output_dispose(struct output *o)
{
	ledger_txn_abandon(o->txn);
	manifest_writer_free(o->manifest);
	objects_writer_free(o->objects);
	scan_writer_free(o->scan);
	atomic_file_abandon(&o->scan_file);
}

static int put_chunk(void *ctx, const char *name, const void *text, size_t n, struct err *e)
{
	struct output *o = ctx;
	char path[200];

	(void)snprintf(path, sizeof(path), "%s/manifest/%s", o->dir, name);
	return ledger_txn_put(o->txn, path, text, n, e);
}

static int open_output(struct pass *p, struct output *o, struct err *e)
{
	char path[128], name[VERSION_REV];

	(void)snprintf(o->dir, sizeof(o->dir), "datasets/%s", p->d->name);
	(void)snprintf(path, sizeof(path), "%s/manifest", o->dir);
	version_scan_name(p->r->plan->name, p->d->name, p->version, name);
	if (ledger_txn_begin(p->r->w->ledger, p->r->plan->name, &o->txn, e) < 0 ||
	    ledger_txn_delete(o->txn, path, e) < 0 ||
	    manifest_writer_new(&o->manifest, put_chunk, o, e) < 0 || objects_writer_new(&o->objects, e) < 0 ||
	    atomic_file_open(&o->scan_file, p->r->w->scanfd, name, 0600, e) < 0 ||
	    scan_writer_new(&o->scan, o->scan_file.fd, e) < 0)
		return -1;
	return 0;
}

static bool fault_known(const struct plan_dataset *d, const char *path)
{
	for (size_t i = 0; i < d->files.nknown_faults; i++) {
		const char *known = d->files.known_faults[i].path;

		while (*known == '/')
			known++;
		if (path_is_beneath(path, known))
			return true;
	}
	return false;
}

const struct loss_rights *pass_rights(const struct pass *p)
{
	static const struct loss_rights all = { .denied = 0 };
	const struct standing_dataset *s = standing_dataset(&p->r->standing, p->d->name);

	return s && p->d->to.host ? &s->rights : &all;
}

static int count_losses(struct pass *p, const struct entry *en, struct err *e)
{
	struct entry there = *en;	/* strings stay en's */
	unsigned kinds;

	if (!pass_rights(p)->denied || !entry_is_present(en) || (en->note && strncmp(en->note, "list_only", 9) == 0))
		return 0;
	if (loss_blob_kinds(p->r, &p->blobs, en, &kinds, e) < 0)
		return -1;
	owners_expect(p->d, &p->owners, en, &there.uid, &there.gid);
	loss_count(&p->lost, loss_of(pass_rights(p), &there, kinds), en->path);
	return 0;
}

static int write_entry(struct pass *p, struct output *o, const struct names *names, struct entry *en, uint64_t place, struct err *e)
{
	const struct location none = { .kind = LOCATION_NONE };

	if (en->type != ENTRY_DIR)
		en->nlink = names_count(names, en->link_to ? en->link_to : en->path);
	if (en->outcome == ENTRY_FAILED && !fault_known(p->d, en->path))
		p->result.blocked++;
	if (count_losses(p, en, e) < 0 || manifest_writer_add(o->manifest, en, e) < 0 || scan_writer_add(o->scan, en, e) < 0)
		return -1;
	if (en->outcome == ENTRY_SKIPPED || en->outcome == ENTRY_FAILED)
		return 0;
	if (place && p->places[place - 1].at.kind == LOCATION_RECIPE && u64set_add(&p->contents, u64set_key(en->sha256, DIGEST_LEN)) < 0)
		return err_sys(e, "pass");
	if (objects_has_content(en) && objects_writer_add(o->objects, place ? &p->places[place - 1].at : &none, e) < 0)
		return -1;
	if (((en->has & ENTRY_HAS_XATTR) && objects_writer_attr(o->objects, en->xattr, e) < 0) ||
	    ((en->has & ENTRY_HAS_ACL) && objects_writer_attr(o->objects, en->acl, e) < 0))
		return -1;
	return 0;
}

/*
 * Without a target nothing has decoded the new objects yet: every new content is read back out of the archive and
 * compared with the digest taken at the source, before the version counts (design.md 3).  And so is one whose recipe mixes
 * slices of two versions, wherever it goes: no target has decoded that.
 */
static int check_content(struct pass *p, struct archive *a, const struct entry *en, uint64_t place, uint64_t marks, struct err *e)
{
	if ((p->d->to.host && (!(marks & FOUND_PATCH) || p->patches_checked)) || !(marks & FOUND_CHANGED) || !place || !objects_has_content(en))
		return 0;
	return archive_content(a, en, &p->places[place - 1].at, NULL, NULL, e);
}

static int write_entries(struct pass *p, struct output *o, struct err *e)
{
	OWN(names_dispose) struct names names = NAMES_INIT;
	OWN(archive_closep) struct archive *a = NULL;
	uint64_t place;
	int got;

	if (p->d->to.host && pass_rights(p)->denied && owners_new(p->r, p->d, p->d->to.host, &p->owners, e) < 0)
		return -1;
	if (names_from(&names, p->found, e) < 0 || archive_open(p->r->w, &a, e) < 0 || passfile_rewind(p->found, e) < 0)
		return -1;
	for (;;) {
		OWN_ENTRY struct entry en = ENTRY_INIT;

		if ((got = passfile_next(p->found, &en, &place, e)) != 1)
			return got;
		if (check_content(p, a, &en, place >> FOUND_MARKS, place, e) < 0 || run_check(p->r, e) < 0 ||
		    write_entry(p, o, &names, &en, place >> FOUND_MARKS, e) < 0)
			return -1;
	}
}

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

static int put_texts(struct output *o, const struct buf *index, json_t *facts, struct err *e)
{
	OWN_BUF struct buf objects = BUF_INIT;
	OWN_FREE char *summary = json_dumps(facts, JSON_INDENT(2) | JSON_SORT_KEYS);
	char path[160];

	if (!summary || objects_writer_finish(o->objects, &objects, e) < 0)
		return err_sys(e, "summary");
	(void)snprintf(path, sizeof(path), "%s/manifest/INDEX", o->dir);
	if (ledger_txn_put(o->txn, path, index->data, index->len, e) < 0)
		return -1;
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

static int record(struct pass *p, struct output *o, json_t *facts, struct err *e)
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
	OWN(output_dispose) struct output o = { .scan_file = ATOMIC_FILE_INIT };
	OWN_BUF struct buf index = BUF_INIT;
	int64_t began = clock_mono_ns();
	json_t *facts;

	if (open_output(p, &o, e) < 0 || write_entries(p, &o, e) < 0 ||
	    manifest_writer_finish(o.manifest, &index, &p->result.root, &p->result.totals, e) < 0 ||
	    scan_writer_finish(o.scan, e) < 0)
		return -1;
	p->result.version = p->version;
	p->result.seconds = (double)(clock_mono_ns() - p->started) / 1e9;
	if (!(facts = version_json(p)))
		return err_set(e, ERR_BUG, "facts of version %" PRIu64, p->version);
	if (p->said)
		(void)json_object_set(facts, "said", p->said);
	/* The scan file goes first: without its version it is only unused, the other way round it would be missed. */
	if (put_texts(&o, &index, facts, e) < 0 || atomic_file_commit(&o.scan_file, e) < 0) {
		json_decref(facts);
		return -1;
	}
	if (record(p, &o, facts, e) < 0)
		return -1;
	log_debug("%s: manifest of %" PRIu64 " entries written and committed in %.2f s", p->d->name, p->result.totals.entries,
	    (double)(clock_mono_ns() - began) / 1e9);
	drop_old_scan(p);
	if (resend_healed(p->r, p->d->name, e) < 0)
		return -1;
	if (p->sent)
		sent_clear(p->sent);
	if (block_pass_done(p->r, p->d, e) < 0 || (p->blocks && blocks_prune(p->blocks, &p->contents, e) < 0))
		return -1;
	return state_ack_clear(p->r->w->state, p->r->plan->name, p->d->name, e);
}
