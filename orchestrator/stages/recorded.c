#include "recorded.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include "approval.h"
#include "esc.h"
#include "foreign.h"
#include "gates.h"
#include "io.h"
#include "sent.h"

int recorded_text(struct workspace *w, const char *plan, struct buf *b, struct err *e)
{
	return ledger_read(w->ledger, plan, NULL, "plan.yaml", b, e);
}

/* Documents, hooks and maps: bytes into the archive, digests into the ledger. */
static int store_files(struct run *r, const struct plan_sum *sum, struct ledger_txn *t, struct err *e)
{
	OWN_BUF struct buf list = BUF_INIT;
	struct object_id id;

	for (size_t i = 0; i < sum->nfiles; i++) {
		const struct plan_file *f = &sum->files[i];
		char hex[DIGEST_HEX];

		if (f->kind == PLAN_FILE_PLAN)
			continue;
		if (store_put_bytes(r->w->store, STORE_DOC, f->bytes.data ? f->bytes.data : "", f->bytes.len, &id, e) < 0)
			return -1;
		hex_of(id.sha256, DIGEST_LEN, hex);
		buf_printf(&list, "%s  ", hex);
		esc_put(&list, f->name, strlen(f->name));
		buf_putc(&list, '\n');
	}
	if (buf_finish(&list, e) < 0)
		return -1;
	return list.len ? ledger_txn_put(t, "documents/SHA256SUMS", list.data, list.len, e) : 0;
}

/* retargeted: array of names, taken; NULL: none. */
static int record(struct run *r, const struct plan_sum *sum, bool amended, json_t *retargeted, struct err *e)
{
	OWN_BUF struct buf signers = BUF_INIT;
	struct ledger_txn *t;
	uint64_t version = r->standing.plan_version + 1;
	json_t *data;

	plan_signers(r->plan, &signers);
	if (buf_finish(&signers, e) < 0 || ledger_txn_begin(r->w->ledger, r->plan->name, &t, e) < 0) {
		json_decref(retargeted);
		return -1;
	}
	if (ledger_txn_put(t, "plan.yaml", r->plan->text, r->plan->text_len, e) < 0 ||
	    ledger_txn_put(t, "plan.sha256", sum->text.data, sum->text.len, e) < 0 ||
	    ledger_txn_put(t, "signers", signers.data ? signers.data : "", signers.len, e) < 0 ||
	    store_files(r, sum, t, e) < 0) {
		ledger_txn_abandon(t);
		json_decref(retargeted);
		return -1;
	}
	data = json_pack("{s:I,s:s}", "version", (json_int_t)version, "kind", plan_kind_name(r->plan->kind));
	if (json_array_size(retargeted))
		(void)json_object_set(data, "retargeted", retargeted);
	json_decref(retargeted);
	if (amended && r->o->amend) {
		OWN_FREE char *reason = esc_dup(r->o->amend, strlen(r->o->amend));

		(void)json_object_set_new(data, "reason", json_string(reason ? reason : ""));
	}
	return run_event(r, t, "plan", amended ? "amended" : "recorded", data, e, "plan %s version %" PRIu64, r->plan->name, version);
}

/* Unified difference by stock diff; empty when diff is not there. */
static int difference(const struct plan *old, const struct plan *now, struct buf *out, struct err *e)
{
	char a[] = "/tmp/waybill-plan-XXXXXX";
	OWN_FD int fd = mkstemp(a);
	OWN_PROC struct proc_result res = PROC_RESULT_INIT;
	const char *argv[] = { "diff", "-u", "--label", "recorded plan", "--label", "edited plan", a, "-", NULL };
	struct proc_options o = { .argv = argv, .input = now->text, .input_len = now->text_len };
	int r;

	if (fd < 0)
		return err_sys(e, "temporary file");
	r = io_write_all("plan", fd, old->text, old->text_len, a, e) < 0 || proc_run(&o, &res, e) < 0 ? -1 : 0;
	(void)unlink(a);
	if (r == 0 && res.status == 1)
		buf_put(out, res.out.data, res.out.len);
	return r;
}

/* The names of the files whose line in plan.sha256 is another one now, or not there. */
static int changed_files(struct run *r, const struct plan_sum *sum, struct buf *out, struct err *e)
{
	OWN_BUF struct buf old = BUF_INIT, now = BUF_INIT;

	if (ledger_read(r->w->ledger, r->plan->name, NULL, "plan.sha256", &old, e) < 0)
		return -1;
	buf_put(&now, sum->text.data, sum->text.len);
	if (buf_finish(&now, e) < 0 || buf_finish(&old, e) < 0)
		return -1;
	for (const char *line = now.data; *line; line += strcspn(line, "\n"), line += *line == '\n') {
		size_t n = strcspn(line, "\n");
		const char *hit = memmem(old.data, old.len, line, n);

		if (hit || n <= DIGEST_HEX + 1)
			continue;
		if (out->len)
			buf_puts(out, ", ");
		esc_put(out, line + DIGEST_HEX + 1, n - DIGEST_HEX - 1);
	}
	return buf_finish(out, e);
}

static bool same_place(const struct plan_place *a, const struct plan_place *b)
{
	const char *ah = a->host ? a->host : "", *bh = b->host ? b->host : "";
	const char *ap = a->path ? a->path : "", *bp = b->path ? b->path : "";

	return strcmp(ah, bh) == 0 && strcmp(ap, bp) == 0;
}

static int check_allowed(struct run *r, const struct plan *old, struct err *e)
{
	if (r->standing.clearing)
		return err_set(e, ERR_REFUSED, "plan %s is clearing: it cannot be edited until that is finished; put the recorded text back", r->plan->name);
	if (r->standing.cleared)
		return err_set(e, ERR_REFUSED, "plan %s has cleared its source: nothing of it can be run again; put the recorded text back", r->plan->name);
	if (r->standing.phase != PHASE_LIVE) {
		err_set(e, ERR_REFUSED, "plan %s has frozen or taken over production: it cannot be edited; put the recorded text back", r->plan->name);
		return err_hint(e, "or go back first: waybill rollback %s", r->plan->name);
	}
	if (old->kind != r->plan->kind)
		return err_set(e, ERR_REFUSED, "plan %s was recorded as a %s and cannot become a %s; give the new one another name",
		    r->plan->name, plan_kind_name(old->kind), plan_kind_name(r->plan->kind));
	for (size_t i = 0; i < old->ndatasets; i++) {
		const struct plan_dataset *was = &old->datasets[i], *is = plan_dataset(r->plan, was->name);
		const struct standing_dataset *s = standing_dataset(&r->standing, was->name);

		if (s && s->version && (!is || !same_place(&was->from, &is->from) || !same_place(&was->to, &is->to)))
			return err_set(e, ERR_REFUSED, "dataset %s has versions: its from and to cannot change; give the new place a dataset of its own", was->name);
	}
	return 0;
}

/*
 * What a cut first pass sent went to the target of the recorded plan: at another one the same names are somebody else's, and nothing there
 * is to be removed for them.  Before the plan is recorded: forgetting in vain only sends again.
 */
static int forget_targets(struct run *r, const struct plan *old, json_t *retargeted, struct err *e)
{
	for (size_t i = 0; i < r->plan->ndatasets; i++) {
		const struct plan_dataset *is = &r->plan->datasets[i], *was = plan_dataset(old, is->name);
		const struct standing_dataset *s = standing_dataset(&r->standing, is->name);

		if ((s && s->version) || (was && same_place(&was->to, &is->to)))
			continue;
		if (sent_forget(r, is->name, e) < 0 || state_ack_clear(r->w->state, r->plan->name, is->name, e) < 0 || foreign_forget(r, is, e) < 0)
			return -1;
		if (json_array_append_new(retargeted, json_string(is->name)) < 0)
			return err_sys(e, "plan");
	}
	return 0;
}

/* Is there an approval that still counts under the plan as recorded? */
static int approvals_stand(struct run *r, const struct plan *old, bool *stand, struct err *e)
{
	OWN_APPROVAL_FILES struct approval_files files = APPROVAL_FILES_INIT;

	*stand = false;
	(void)old;
	if (approval_files_read(r->w->ledger, r->plan->name, NULL, NULL, &files, e) < 0)
		return -1;
	for (size_t i = 0; i < files.n; i++) {
		OWN_STATEMENT struct statement s = STATEMENT_INIT;

		if (statement_parse(files.v[i].txt.data, files.v[i].txt.len, &s, e) < 0)
			return -1;
		if (s.says == SAYS_APPROVE && strcmp(s.plan_digest, r->standing.plan_digest) == 0)
			*stand = true;
	}
	return 0;
}

static int amend(struct run *r, const struct plan_sum *sum, void (*show)(const char *diff), struct err *e)
{
	OWN_BUF struct buf text = BUF_INIT, diff = BUF_INIT, files = BUF_INIT;
	OWN_PLAN_FAULTS struct plan_faults faults = PLAN_FAULTS_INIT;
	OWN_PLAN struct plan *old = NULL;
	json_t *retargeted;
	bool stand;

	if (recorded_text(r->w, r->plan->name, &text, e) != 1)
		return err_set(e, ERR_INTEGRITY, "ledger of plan %s: plan.yaml is missing", r->plan->name);
	if (plan_parse_recorded("the recorded plan", r->plan->dir, text.data, text.len, &old, &faults) < 0)
		return plan_faults_err(&faults, e);
	if (check_allowed(r, old, e) < 0 || approvals_stand(r, old, &stand, e) < 0 || difference(old, r->plan, &diff, e) < 0 ||
	    changed_files(r, sum, &files, e) < 0)
		return -1;
	if (show && !diff.len)
		buf_printf(&diff, "changed: %s\n", files.len ? files.data : "the list of its files");
	if (buf_finish(&diff, e) < 0)
		return -1;
	if (show)
		show(diff.data);
	if (stand && !r->o->amend) {
		err_set(e, ERR_REFUSED, "plan %s was edited after it was approved (changed: %s)", r->plan->name, files.len ? files.data : "the list of its files");
		return err_hint(e, "put it back, or run with --amend REASON: then its approvals fall");
	}
	retargeted = json_array();
	if (forget_targets(r, old, retargeted, e) < 0) {
		json_decref(retargeted);
		return -1;
	}
	return record(r, sum, true, retargeted, e);
}

int recorded_update(struct run *r, const struct plan_sum *sum, void (*show)(const char *diff), struct err *e)
{
	if (!r->standing.exists)
		return record(r, sum, false, NULL, e);
	/* What was abandoned is not recorded anew; the runner says so. */
	if (r->standing.abandoned || strcmp(r->standing.plan_digest, sum->hex) == 0)
		return 0;
	return amend(r, sum, show, e);
}
