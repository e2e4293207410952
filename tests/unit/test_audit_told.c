/* rooms: evidence */
/* Ledgers whose chain, digests and signatures agree, and whose events say what the plan, the tree or the manifest do not. */
#include "evidence_ledger.h"

#include "audit.h"

static int make_keys(void **state)
{
	if (make_keys_dir(state) < 0)
		return -1;
	make_key("zhang", "ed25519", "");
	make_key("li", "ed25519", "");
	make_key("wang", "ed25519", "");
	return 0;
}

static bool finds(const struct audit_report *r, enum audit_severity s, const char *what)
{
	for (size_t i = 0; i < r->finding_count; i++)
		if (r->findings[i].severity == s && (!what || strstr(r->findings[i].what, what)))
			return true;
	return false;
}

/* what NULL: intact */
static void expect_of(const struct audit_options *o, const char *what)
{
	OWN_AUDIT_REPORT struct audit_report r = AUDIT_REPORT_INIT;

	OK(audit_run(o, &r, &e));
	if (what ? finds(&r, AUDIT_ALTERED, what) : r.worst == AUDIT_NOTE)
		return;
	for (size_t i = 0; i < r.finding_count; i++)
		print_message("%s: %s\n", audit_severity_name(r.findings[i].severity), r.findings[i].what);
	fail_msg("expected %s, got %s", what ? what : "intact", audit_verdict(&r));
}

static void expect(const struct house *h, const char *what)
{
	expect_of(&(struct audit_options){ .path = h->repo }, what);
}

/* As far as the two voices. */
static void approved(struct house *h, const char *name, const char *second)
{
	house_open(h, name);
	house_version(h, 1);
	house_checked(h, "verify", 1);
	house_checked(h, "restore-test", 1);
	house_approve(h, "zhang", "zhang", 1);
	if (second)
		house_approve(h, second, second, 1);
}

static void the_gate_is_the_plan_s_whatever_the_event_says(void **state)
{
	struct house h;

	(void)state;
	approved(&h, "shortened", NULL);
	h.gate = "[\"department\"]";
	house_clear_started(&h);
	expect(&h, "names another gate than the plan asks for");
	expect(&h, "without the valid approval of department");
	house_close(&h);

	house_open(&h, "gate-elsewhere");
	house_plan_with(&h, "  copy: {approve: [department]}\n", "", "li");
	expect(&h, NULL);
	house_event(&h, NULL, "copy", "done", "zhang", "{}");
	expect(&h, "copy done: passed without the approval of department");
	house_close(&h);
}

static void only_the_archive_counts_before_a_clearing(void **state)
{
	struct house h;

	(void)state;
	house_open(&h, "source");
	house_version(&h, 1);
	h.side = "source";
	house_checked(&h, "verify", 1);
	h.side = NULL;
	house_checked(&h, "restore-test", 1);
	house_approve(&h, "zhang", "zhang", 1);
	house_approve(&h, "li", "li", 1);
	house_clear_started(&h);
	expect(&h, "www@1 had no good verification of its archive");
	house_close(&h);
}

static void verify_is_done_when_the_newest_version_was_compared(void **state)
{
	struct house h;

	(void)state;
	house_open(&h, "newest");
	house_version(&h, 1);
	house_checked(&h, "verify", 1);
	house_event(&h, NULL, "verify", "done", "zhang", "{}");
	expect(&h, NULL);
	house_version(&h, 2);
	house_event(&h, NULL, "verify", "done", "zhang", "{}");
	expect(&h, "verify done: www@2 had no good verification before");
	house_close(&h);
}

static void keys_and_files_are_those_of_the_plan(void **state)
{
	struct house h;

	(void)state;
	house_open(&h, "other-key");
	expect(&h, NULL);
	house_plan_with(&h, "", "", "wang");
	expect(&h, "signers has another key for li");
	house_close(&h);

	house_open(&h, "listed");
	house_plan_with(&h, "", "ca1f33d9590683b1e2154c2ff8e23763e507f9f805f185196bc912b606460245  hooks/stop\n", "li");
	expect(&h, "plan.sha256 lists hooks/stop, documents/SHA256SUMS does not");
	house_close(&h);
}

static void the_objects_of_a_version_are_those_of_its_manifest(void **state)
{
	struct house h;

	(void)state;
	house_open(&h, "hidden");
	house_version(&h, 1);
	expect(&h, NULL);
	h.hidden = 3;
	house_version(&h, 2);
	expect(&h, "names 38 contents, the manifest has 41");
	house_close(&h);
}

static void certifying_leaves_a_certificate(void **state)
{
	OWN_BUF struct buf none = BUF_INIT, absent = BUF_INIT;
	struct house h;

	(void)state;
	approved(&h, "no-paper", "li");
	house_clear_started(&h);
	house_clear_done(&h);
	expect(&h, NULL);
	house_certified(&h, NULL, &none);
	expect(&h, "there is no certificate");
	house_close(&h);

	approved(&h, "lost-paper", "li");
	house_clear_started(&h);
	house_clear_done(&h);
	house_certify(&h, "zhang");
	expect(&h, NULL);
	house_certified(&h, NULL, &none);	/* made already: that one rests on the first */
	expect(&h, NULL);
	house_paper(&absent, "paper.en.txt", &none);
	house_certified(&h, NULL, &absent);
	expect(&h, "names 1 certificates, the commit adds 0");
	house_close(&h);

	house_whole(&h, "other-commit");
	(void)snprintf(h.cleared, sizeof(h.cleared), "%s", h.head);
	house_certified(&h, NULL, &none);
	expect(&h, "the clearing was recorded by");
	house_close(&h);
}

static void remembers(void *ctx, int (*fn)(void *ctx2, const char *plan), void *ctx2)
{
	(void)fn(ctx2, ctx);
}

static void a_branch_that_was_taken_away_is_missed(void **state)
{
	struct house h;
	const char *branch[] = { "git", "--git-dir", h.repo, "update-ref", "-d", "refs/heads/" PLAN, NULL };
	const char *tag[] = { "git", "--git-dir", h.repo, "update-ref", "-d", "refs/tags/" PLAN "/www/1", NULL };
	const char *copy[] = { "git", "--git-dir", h.repo, "update-ref", "refs/heads/other", "refs/heads/" PLAN, NULL };
	struct audit_options o = { .path = h.repo, .each_remembered = remembers, .ctx = (void *)(uintptr_t)PLAN };

	(void)state;
	house_open(&h, "branch");
	house_version(&h, 1);
	expect_of(&o, NULL);
	assert_int_equal(run_quiet(copy), 0);	/* some branch stays */
	assert_int_equal(run_quiet(branch), 0);
	expect(&h, "its branch is gone");
	assert_int_equal(run_quiet(tag), 0);
	expect_of(&o, "the workspace remembers it, but its branch is gone");
	house_close(&h);
}

/* Tags are set before the branch moves: what was cut between the two is honest. */
static void a_version_that_was_cut_while_it_was_recorded_is_a_note(void **state)
{
	struct house h;
	const char *cut[] = { "git", "--git-dir", h.repo, "update-ref", "refs/heads/" PLAN, "refs/heads/" PLAN "~1", NULL };
	const char *more[] = { "git", "--git-dir", h.repo, "update-ref", "refs/tags/" PLAN "/www/3", "refs/tags/" PLAN "/www/2", NULL };

	(void)state;
	house_open(&h, "begun");
	house_version(&h, 1);
	house_version(&h, 2);
	assert_int_equal(run_quiet(cut), 0);
	expect(&h, NULL);
	assert_int_equal(run_quiet(more), 0);
	expect(&h, "www/3: no version of the plan is called so");
	house_close(&h);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_gate_is_the_plan_s_whatever_the_event_says),
		cmocka_unit_test(only_the_archive_counts_before_a_clearing),
		cmocka_unit_test(verify_is_done_when_the_newest_version_was_compared),
		cmocka_unit_test(keys_and_files_are_those_of_the_plan),
		cmocka_unit_test(the_objects_of_a_version_are_those_of_its_manifest),
		cmocka_unit_test(certifying_leaves_a_certificate),
		cmocka_unit_test(a_branch_that_was_taken_away_is_missed),
		cmocka_unit_test(a_version_that_was_cut_while_it_was_recorded_is_a_note),
	};

	return cmocka_run_group_tests(tests, make_keys, drop_keys_dir);
}
