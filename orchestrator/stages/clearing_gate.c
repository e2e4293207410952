/* What must hold before anything is destroyed. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "clearing.h"
#include "clock.h"
#include "gates.h"
#include "verify.h"

static int64_t now_s(void) { return clock_now_ns() / 1000000000; }

int clearing_people(struct run *r, struct err *e)
{
	const struct plan_clear *c = &r->plan->clear;

	if (c->oper && (!r->o->as || strcmp(r->o->as, c->oper) != 0)) {
		err_set(e, ERR_REFUSED, "plan %s: clearing is for %s alone, not for %s", r->plan->name, c->oper, r->o->as ? r->o->as : "somebody unnamed");
		return err_hint(e, "run it with --as %s", c->oper);
	}
	if (c->verifier && r->o->as && strcmp(r->o->as, c->verifier) == 0)
		return err_set(e, ERR_REFUSED, "plan %s: %s verifies the clearing and cannot carry it out", r->plan->name, c->verifier);
	if (c->oper && c->verifier && strcmp(c->oper, c->verifier) == 0)
		return err_set(e, ERR_REFUSED, "plan %s: operator and verifier of the clearing must be two people", r->plan->name);
	return 0;
}

static int check_retention(struct run *r, struct err *e)
{
	char at[CLOCK_TEXT];

	if (!r->plan->clear.retain_until || now_s() >= r->plan->clear.retain_until)
		return 0;
	return err_set(e, ERR_REFUSED, "plan %s: the data must be retained until %s", r->plan->name,
	    clock_text(r->plan->clear.retain_until, r->plan->timezone, at));
}

static int check_restore_test(struct run *r, const struct standing_dataset *s, struct err *e)
{
	if (s->restore.version == s->version && strcmp(s->restore.verdict, "match") == 0)
		return 0;
	err_set(e, ERR_REFUSED, "dataset %s: version %" PRIu64 " has not passed a restore test", s->name, s->version);
	return err_hint(e, "stages of plan %s must include restore-test before clear", r->plan->name);
}

/* The archive copy is decoded again when its last full check is older than clear.fresh; taking witnesses decodes it in any case. */
static int check_archive(struct run *r, const struct plan_dataset *d, struct err *e)
{
	const struct standing_dataset *s = standing_dataset(&r->standing, d->name);
	OWN_VERIFY struct verify_result v = VERIFY_RESULT_INIT;
	struct verify_options o = { .side = VERIFY_ARCHIVE, .full = true };

	if (s->archive.version == s->version && s->archive.medium && strcmp(s->archive.verdict, "match") == 0 &&
	    now_s() - s->archive.at <= r->plan->clear.fresh_s && now_s() >= s->archive.at)
		return 0;
	if (verify_run(r, d, &o, &v, e) < 0 || verify_record(r, "verify", &v, e) < 0)
		return -1;
	if (verify_exit_code(&v) == 0)
		return 0;
	err_set(e, v.difference_total ? ERR_INTEGRITY : ERR_UNVERIFIED, "dataset %s: the archive copy is not whole: %s", d->name,
	    v.difference_count ? v.differences[0].path : v.unverified[0].path);
	return err_hint(e, "nothing is destroyed while this is the only copy; repair the archive, or copy again");
}

int clearing_gate(struct clearing *x, struct err *e)
{
	struct run *r = x->r;
	const struct plan_clear *c = &r->plan->clear;

	for (size_t i = 0; i < c->datasets.n; i++) {
		const struct plan_dataset *d = plan_dataset(r->plan, c->datasets.v[i]);
		const struct standing_dataset *s = standing_dataset(&r->standing, c->datasets.v[i]);

		if (!d || !s || !s->version)
			return err_set(e, ERR_REFUSED, "dataset %s has no version in the archive", c->datasets.v[i]);
		if (!clearing_searches(x) && check_archive(r, d, e) < 0)
			return -1;
	}
	if (clearing_searches(x) && clearing_witnesses(x, e) < 0)
		return -1;
	for (size_t i = 0; i < c->datasets.n; i++)
		if (check_restore_test(r, standing_dataset(&r->standing, c->datasets.v[i]), e) < 0)
			return -1;
	return 0;
}

int clearing_may_begin(struct run *r, struct err *e)
{
	return check_retention(r, e) < 0 ? -1 : clearing_people(r, e);
}

int clearing_basis(struct run *r, char hex[DIGEST_HEX], struct err *e)
{
	OWN_GATE_FACTS struct gate_facts f = GATE_FACTS_INIT;
	OWN_BUF struct buf b = BUF_INIT;
	uint8_t digest[DIGEST_LEN];

	if (gate_facts(r, "clear", &f, e) < 0 || statement_basis(&f.facts.f, &b, e) < 0 || digest_sha256(b.data, b.len, digest, e) < 0)
		return -1;
	hex_of(digest, DIGEST_LEN, hex);
	return 0;
}

/* Of those that stand, the first: every one of them has the same basis, and so the same scope. */
int clearing_scope(struct run *r, char **text, struct err *e)
{
	OWN_GATE struct gate g = GATE_INIT;
	OWN_APPROVAL_FILES struct approval_files files = APPROVAL_FILES_INIT;

	*text = NULL;
	if (gate_now(r, "clear", &g, e) < 0 || approval_files_read(r->w->ledger, r->plan->name, NULL, "clear", &files, e) < 0)
		return -1;
	for (size_t i = 0; i < g.approval_count && !*text; i++)
		for (size_t k = 0; g.approvals[i].state == APPROVAL_STANDS && k < files.n && !*text; k++)
			if (files.v[k].number == g.approvals[i].number)
				*text = strndup(files.v[k].txt.data, files.v[k].txt.len);
	return *text ? 0 : err_set(e, ERR_REFUSED, "plan %s: no authorization to clear stands", r->plan->name);
}
