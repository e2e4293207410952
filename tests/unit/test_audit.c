/* rooms: evidence */
#include "evidence_ledger.h"

#include <dirent.h>
#include <fts.h>

#include "audit.h"

static struct house whole;

static int make_whole(void **state)
{
	static char key[PATH_MAX];

	if (make_keys_dir(state) < 0)
		return -1;
	make_key("zhang", "ed25519", "");
	make_key("li", "ed25519", "");
	make_key("wang", "ed25519", "");
	house_whole(&whole, "whole");
	(void)key;
	return 0;
}

static int drop_whole(void **state)
{
	house_close(&whole);
	return drop_keys_dir(state);
}

/* ---- helpers ---- */

static void audit_with(const struct audit_options *o, struct audit_report *r)
{
	OK(audit_run(o, r, &e));
}

static void show(const struct audit_report *r)
{
	for (size_t i = 0; i < r->finding_count; i++)
		print_message("%s: %s\n", audit_severity_name(r->findings[i].severity), r->findings[i].what);
}

static bool finds(const struct audit_report *r, enum audit_severity s, const char *what)
{
	for (size_t i = 0; i < r->finding_count; i++)
		if (r->findings[i].severity == s && strstr(r->findings[i].what, what))
			return true;
	return false;
}

static void expect(const struct audit_options *o, const char *verdict, const char *what)
{
	OWN_AUDIT_REPORT struct audit_report r = AUDIT_REPORT_INIT;

	audit_with(o, &r);
	if (strcmp(audit_verdict(&r), verdict) != 0 || (what && !finds(&r, r.worst, what))) {
		show(&r);
		fail_msg("expected %s (%s), got %s", verdict, what ? what : "-", audit_verdict(&r));
	}
}

static void git(const char *repo, const char *const *args, struct buf *out, const void *in, size_t n)
{
	const char *argv[16] = { "git", "-C", repo };
	OWN_PROC struct proc_result p = PROC_RESULT_INIT;
	struct proc_options o = { .argv = argv, .input = in, .input_len = n, .limit = 64 << 20 };

	for (size_t i = 0; args[i]; i++)
		argv[3 + i] = args[i];
	OK(proc_run(&o, &p, &e));
	if (p.status != 0)
		fail_msg("git %s: %s", args[0], p.err.data);
	if (out)
		buf_put(out, p.out.data, p.out.len);
}

/* A copy of the ledger in which every occurrence of was reads now; both equally long, so that git itself stays content. */
static void rewritten(char repo[PATH_MAX], const char *was, const char *now)
{
	static int number;
	static const char *const exp[] = { "fast-export", "--all", "--reencode=no", NULL }, *const init[] = { "init", "-q", "--bare", NULL };
	static const char *const imp[] = { "fast-import", "--quiet", "--force", NULL };
	OWN_BUF struct buf stream = BUF_INIT;
	size_t n = strlen(was), hits = 0;
	char *at;

	assert_int_equal(n, strlen(now));
	git(whole.repo, exp, &stream, NULL, 0);
	for (at = stream.data; (at = memmem(at, stream.len - (size_t)(at - stream.data), was, n)); hits++, at += n)
		memcpy(at, now, n);
	assert_true(hits > 0);
	(void)snprintf(repo, PATH_MAX, "%s/rewritten-%d.git", keys_dir, number++);
	OK(io_mkdirs(AT_FDCWD, repo, 0700, &e));
	git(repo, init, NULL, NULL, 0);
	git(repo, imp, NULL, stream.data, stream.len);
}

static void rewriting_is_noticed(const char *was, const char *now, const char *what)
{
	char repo[PATH_MAX];

	rewritten(repo, was, now);
	expect(&(struct audit_options){ .path = repo }, "altered", what);
}

/* ---- promises: what is as it should be ---- */

static void a_whole_story_is_intact_however_it_is_looked_at(void **state)
{
	OWN_AUDIT_REPORT struct audit_report r = AUDIT_REPORT_INIT;
	char repo[PATH_MAX];

	(void)state;
	audit_with(&(struct audit_options){ .path = whole.dir, .full = true }, &r);
	if (r.worst != AUDIT_NOTE)
		show(&r);
	assert_string_equal(audit_verdict(&r), "intact");
	assert_int_equal(audit_exit_code(&r), 0);
	assert_int_equal(r.commits, 10);
	assert_int_equal(r.versions, 2);
	assert_int_equal(r.signatures, 4);	/* two approvals, two certificates */
	assert_int_equal(r.objects, 1);
	assert_true(finds(&r, AUDIT_NOTE, "no --signers"));
	assert_true(finds(&r, AUDIT_NOTE, "no --expect"));
	assert_true(finds(&r, AUDIT_NOTE, "carry no signature"));
	expect(&(struct audit_options){ .path = whole.repo }, "intact", NULL);
	rewritten(repo, "so it is", "so it is");		/* the way the other tests make their copies changes nothing */
	expect(&(struct audit_options){ .path = repo }, "intact", NULL);
}

static void json_has_verdict_commits_and_findings(void **state)
{
	OWN_AUDIT_REPORT struct audit_report r = AUDIT_REPORT_INIT;
	OWN_BUF struct buf b = BUF_INIT;

	(void)state;
	audit_with(&(struct audit_options){ .path = whole.repo }, &r);
	OK(audit_json(&r, &b, &e));
	assert_non_null(strstr(b.data, "{\"verdict\":\"intact\",\"commits\":10,"));
	assert_non_null(strstr(b.data, "\"findings\":[{\"severity\":\"note\",\"what\":"));
}

static void signers_from_elsewhere_are_the_anchor(void **state)
{
	OWN_BUF struct buf good = BUF_INIT;
	OWN_BUF struct buf bad = BUF_INIT;
	OWN_BUF struct buf few = BUF_INIT;
	OWN_FREE char *zhang = key_line("zhang"), *li = key_line("li"), *wang = key_line("wang");
	char path[PATH_MAX];
	struct audit_options o = { .path = whole.repo, .signers = path };

	(void)state;
	key_path(path, "allowed");
	sign_put_signer(&good, "zhang", zhang);
	sign_put_signer(&few, "zhang", zhang);
	sign_put_signer(&bad, "zhang", wang);
	sign_put_signer(&good, "li", li);
	sign_put_signer(&bad, "li", li);
	OK(io_mkdirs(AT_FDCWD, keys_dir, 0700, &e));
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	fputs(good.data, f);
	fclose(f);
	expect(&o, "intact", NULL);
	f = fopen(path, "w");
	fputs(bad.data, f);
	fclose(f);
	expect(&o, "altered", "the key of zhang is another");
	f = fopen(path, "w");
	fputs(few.data, f);
	fclose(f);
	expect(&o, "unverified", "li is not in the list given with --signers");
}

/* ---- what must be noticed ---- */

static void an_edited_event_is_altered(void **state)
{
	char repo[PATH_MAX];

	(void)state;
	rewriting_is_noticed("\"checked\": 41", "\"checked\": 42", "prev is not the digest");
	rewriting_is_noticed("\"verdict\": \"performed-not-provable\"", "\"verdict\": \"cleared-full\"          ", NULL);
	rewriting_is_noticed("\"seq\": 4,", "\"seq\": 5,", "sequence number 5 follows 3");
	rewritten(repo, "restore-test checked: so it is", "restore-test checked: so it Is");
	expect(&(struct audit_options){ .path = repo }, "altered", "subject does not agree");
	rewritten(repo, "\nBy: li\n", "\nBy: wu\n");
	expect(&(struct audit_options){ .path = repo }, "altered", "trailers do not agree");
}

static void an_edited_chunk_is_altered(void **state)
{
	(void)state;
	rewriting_is_noticed("./file-0007 ", "./file-0070 ", "is not what INDEX says");
}

static void an_edited_statement_or_signature_is_altered(void **state)
{
	(void)state;
	rewriting_is_noticed("姓名 name: 李四", "姓名 name: 李五", "signature of li");
	rewriting_is_noticed("path: old:/srv/www\n", "path: old:/srv/ww2\n", "what stands below the separator");
	/* one letter inside the armor of every signature */
	rewriting_is_noticed("U1NIU0lHAAAAA", "U1NIU0lHAAAAB", "signature");
}

static void an_edited_plan_or_summary_or_certificate_is_altered(void **state)
{
	(void)state;
	rewriting_is_noticed("level: 三级", "level: 二级", "plan.sha256 does not list plan.yaml");
	rewriting_is_noticed("\"bytes\":280", "\"bytes\":281", "summary.json has another bytes");
	rewriting_is_noticed("== 由谁测量 /", "== 由誰测量 /", "certificate");
}

static void a_damaged_object_of_git_is_altered(void **state)
{
	char repo[PATH_MAX], path[2 * PATH_MAX];
	const char *copy[] = { "cp", "-r", whole.repo, repo, NULL };
	OWN_BUF struct buf id = BUF_INIT;
	static const char *const rev[] = { "rev-parse", PLAN ":events/000004-verify-checked.json", NULL };
	FILE *f;
	int c;

	(void)state;
	key_path(repo, "damaged.git");
	assert_int_equal(run_quiet(copy), 0);
	git(repo, rev, &id, NULL, 0);
	(void)snprintf(path, sizeof(path), "%s/objects/%.2s/%.38s", repo, id.data, id.data + 2);
	assert_int_equal(chmod(path, 0600), 0);
	assert_non_null(f = fopen(path, "r+"));
	assert_int_equal(fseek(f, 40, SEEK_SET), 0);
	c = fgetc(f);
	assert_int_equal(fseek(f, 40, SEEK_SET), 0);
	fputc(c ^ 0x10, f);
	assert_int_equal(fclose(f), 0);
	expect(&(struct audit_options){ .path = repo }, "altered", "000004");
	for (int n = 30; n >= 0; n -= 10) {	/* cut off, as by a power loss */
		assert_int_equal(truncate(path, n), 0);
		expect(&(struct audit_options){ .path = repo }, "altered", "000004");
	}
	assert_int_equal(unlink(path), 0);
	expect(&(struct audit_options){ .path = repo }, "unverified", "000004");
}

static void copy_of(char repo[PATH_MAX], const char *name)
{
	const char *copy[] = { "cp", "-r", whole.repo, repo, NULL };

	key_path(repo, name);
	assert_int_equal(run_quiet(copy), 0);
}

static void a_cut_tail_shows_against_a_head_known_from_before(void **state)
{
	static const char *const cut[] = { "update-ref", "refs/heads/" PLAN, "refs/heads/" PLAN "~1", NULL };
	char repo[PATH_MAX], few[16];

	(void)state;
	copy_of(repo, "cut.git");
	expect(&(struct audit_options){ .path = repo, .expect = whole.head }, "intact", NULL);
	(void)snprintf(few, sizeof(few), "%.12s", whole.head);
	expect(&(struct audit_options){ .path = repo, .expect = few }, "intact", NULL);
	git(repo, cut, NULL, NULL, 0);
	expect(&(struct audit_options){ .path = repo, .expect = few }, "altered", "its tail cut");
	expect(&(struct audit_options){ .path = repo }, "intact", NULL);		/* nothing in it can show it */
	expect(&(struct audit_options){ .path = repo, .expect = whole.head }, "altered", "its tail cut");
}

static void commits_that_were_folded_together_are_altered(void **state)
{
	static const char *const tree[] = { "rev-parse", PLAN "~3^{tree}", NULL }, *const parent[] = { "rev-parse", PLAN "~5", NULL };
	OWN_BUF struct buf t = BUF_INIT;
	OWN_BUF struct buf p = BUF_INIT;
	OWN_BUF struct buf c = BUF_INIT;
	char repo[PATH_MAX];

	(void)state;
	copy_of(repo, "folded.git");
	git(repo, tree, &t, NULL, 0);
	git(repo, parent, &p, NULL, 0);
	t.data[40] = p.data[40] = '\0';
	const char *make[] = { "-c", "user.name=x", "-c", "user.email=x@x", "commit-tree", t.data, "-p", p.data, "-m", "folded", NULL };
	git(repo, make, &c, NULL, 0);
	c.data[40] = '\0';
	const char *set[] = { "update-ref", "refs/heads/" PLAN, c.data, NULL };
	git(repo, set, NULL, NULL, 0);
	expect(&(struct audit_options){ .path = repo }, "altered", "adds 2 event files");
}

static void a_tag_moved_to_another_commit_is_altered(void **state)
{
	static const char *const move[] = { "update-ref", "refs/tags/" PLAN "/www/2", "refs/tags/" PLAN "/www/1", NULL };
	static const char *const drop[] = { "update-ref", "-d", "refs/tags/" PLAN "/www/2", NULL };
	char repo[PATH_MAX];

	(void)state;
	copy_of(repo, "tag.git");
	git(repo, move, NULL, NULL, 0);
	expect(&(struct audit_options){ .path = repo }, "altered", "www/2: names commit");
	git(repo, drop, NULL, NULL, 0);
	expect(&(struct audit_options){ .path = repo }, "unverified", "www/2 is missing");
}

static void a_lost_or_damaged_object_of_the_archive_is_told_apart(void **state)
{
	char path[2 * PATH_MAX], away[PATH_MAX];
	FILE *f;

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/objects/%.2s/%s.tar.zst", whole.store, whole.object_hex, whole.object_hex);
	key_path(away, "object-away");
	assert_int_equal(rename(path, away), 0);
	expect(&(struct audit_options){ .path = whole.dir }, "unverified", whole.object_hex);
	assert_non_null(f = fopen(path, "w"));
	fputs("something else", f);
	fclose(f);
	expect(&(struct audit_options){ .path = whole.dir }, "intact", NULL);
	expect(&(struct audit_options){ .path = whole.dir, .full = true }, "altered", "is not what its name says");
	assert_int_equal(rename(away, path), 0);
}

/* ---- stories that cannot have happened so ---- */

static void clearing_without_its_ground_is_altered(void **state)
{
	struct house h;

	(void)state;
	house_open(&h, "one-voice");
	house_version(&h, 1);
	house_checked(&h, "verify", 1);
	house_checked(&h, "restore-test", 1);
	house_approve(&h, "zhang", "zhang", 1);
	house_approve(&h, "zhang", "zhang", 1);
	house_clear_started(&h);
	expect(&(struct audit_options){ .path = h.repo }, "altered", "without the valid approval of department");
	house_close(&h);

	house_open(&h, "no-test");
	house_version(&h, 1);
	house_checked(&h, "verify", 1);
	house_approve(&h, "zhang", "zhang", 1);
	house_approve(&h, "li", "li", 1);
	house_clear_started(&h);
	expect(&(struct audit_options){ .path = h.repo }, "altered", "no good restore test");
	house_close(&h);

	house_open(&h, "older");
	house_version(&h, 1);
	house_checked(&h, "verify", 1);
	house_checked(&h, "restore-test", 1);
	house_approve(&h, "zhang", "zhang", 1);
	house_approve(&h, "li", "li", 1);
	house_version(&h, 2);
	house_clear_started(&h);
	expect(&(struct audit_options){ .path = h.repo }, "altered", "was not the newest version");
	house_close(&h);
}

static void an_approval_signed_by_another_is_altered_and_opens_nothing(void **state)
{
	struct house h;
	OWN_AUDIT_REPORT struct audit_report r = AUDIT_REPORT_INIT;

	(void)state;
	house_open(&h, "forged");
	house_version(&h, 1);
	house_checked(&h, "verify", 1);
	house_checked(&h, "restore-test", 1);
	house_approve(&h, "zhang", "zhang", 1);
	house_approve(&h, "li", "zhang", 1);
	house_clear_started(&h);
	audit_with(&(struct audit_options){ .path = h.repo }, &r);
	assert_true(finds(&r, AUDIT_ALTERED, "signature of li"));
	assert_true(finds(&r, AUDIT_ALTERED, "without the valid approval"));
	house_close(&h);
}

static void certifying_what_was_not_done_is_altered(void **state)
{
	struct house h;

	(void)state;
	house_open(&h, "early");
	house_event(&h, NULL, "certify", "done", "zhang", "{}");
	expect(&(struct audit_options){ .path = h.repo }, "altered", "not recorded as done");
	house_close(&h);
}

static void a_signed_commit_is_held_against_the_signers(void **state)
{
	struct house h;
	char key[PATH_MAX];
	OWN_AUDIT_REPORT struct audit_report r = AUDIT_REPORT_INIT;

	(void)state;
	house_open(&h, "signed");
	key_path(key, "zhang");
	h.commit_key = key;
	house_event(&h, NULL, "preflight", "done", "zhang", "{}");
	audit_with(&(struct audit_options){ .path = h.repo }, &r);
	if (r.worst != AUDIT_NOTE)
		show(&r);
	assert_string_equal(audit_verdict(&r), "intact");
	assert_int_equal(r.signatures, 1);
	house_event(&h, NULL, "copy", "started", "li", "{}");		/* by li, with zhang's key */
	expect(&(struct audit_options){ .path = h.repo }, "altered", "signature of li");
	house_close(&h);
}

/* ---- certificate and other things ---- */

static void put_file(const char *name, const struct buf *b)
{
	char path[PATH_MAX];
	FILE *f;

	key_path(path, name);
	assert_non_null(f = fopen(path, "w"));
	assert_int_equal(fwrite(b->data, b->len, 1, f), 1);
	assert_int_equal(fclose(f), 0);
}

/* Signed by the right person, but not what the record gives. */
static void a_paper_that_the_ledger_does_not_give_is_altered_however_well_signed(void **state)
{
	static const struct { const char *name; struct certificate_options o; const char *was, *now; } lies[] = {
		{ "certificates/lie.en.txt", { CERTIFICATE_TXT, false }, "performed-not-provable", "cleared-full          " },
		{ "certificates/lie.zh.html", { CERTIFICATE_HTML, true }, "张三", "李三" },
		{ "certificates/lie.json", { CERTIFICATE_JSON, false }, "\"proof\": false", "\"proof\": true " } };

	(void)state;
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		OWN_BUF struct buf paper = BUF_INIT;
		OWN_BUF struct buf sig = BUF_INIT;
		OWN_BUF struct buf files = BUF_INIT;
		struct ledger_txn *t = NULL;
		struct house h;
		char path[PATH_MAX], name[100];

		(void)snprintf(name, sizeof(name), "lie-%zu", i);
		house_whole(&h, name);
		OK(certificate_build(h.ledger, PLAN, &lies[i].o, &paper, &e));
		memcpy(strstr(paper.data, lies[i].was), lies[i].now, strlen(lies[i].now));
		key_path(path, "zhang");
		OK(certificate_sign(path, paper.data, paper.len, &sig, &e));
		OK(ledger_txn_begin(h.ledger, PLAN, &t, &e));
		OK(ledger_txn_put(t, lies[i].name, paper.data, paper.len, &e));
		(void)snprintf(name, sizeof(name), "%s.sig", lies[i].name);
		OK(ledger_txn_put(t, name, sig.data, sig.len, &e));
		house_paper(&files, lies[i].name + strlen("certificates/"), &paper);
		house_certified(&h, t, &files);
		expect(&(struct audit_options){ .path = h.repo }, "altered", "the certificate is not what the ledger says");
		house_close(&h);
	}
}

static void evidence_that_was_swapped_is_named(void **state)
{
	static const char letter[] = "nothing of it is left", data[] = "{\"kind\":\"statement\",\"copy\":\"backup\",\"attached\":[{\"sha256\":\"%s\",\"name\":\"l\"}]}";
	char hex[DIGEST_HEX], path[2 * PATH_MAX], event[300];
	uint8_t d[DIGEST_LEN];
	struct house h;
	FILE *f;

	(void)state;
	house_whole(&h, "evidence");
	OK(digest_sha256(letter, strlen(letter), d, &e));
	hex_of(d, DIGEST_LEN, hex);
	(void)snprintf(event, sizeof(event), data, hex);
	house_event(&h, NULL, "record", "recorded", "zhang", event);
	expect(&(struct audit_options){ .path = h.dir, .full = true }, "unverified", hex);
	(void)snprintf(path, sizeof(path), "%s/objects/%.2s", h.store, hex);
	OK(io_mkdirs(AT_FDCWD, path, 0700, &e));
	(void)snprintf(path, sizeof(path), "%s/objects/%.2s/%s.doc", h.store, hex, hex);
	assert_non_null(f = fopen(path, "w"));
	assert_true(fputs(letter, f) >= 0);
	assert_int_equal(fclose(f), 0);
	expect(&(struct audit_options){ .path = h.dir, .full = true }, "intact", NULL);
	assert_non_null(f = fopen(path, "w"));
	assert_true(fputs("all of it is left!!!!", f) >= 0);
	assert_int_equal(fclose(f), 0);
	expect(&(struct audit_options){ .path = h.dir, .full = true }, "altered", "is not what its name says");
	house_close(&h);
}

static void a_certificate_alone_is_held_against_its_signature(void **state)
{
	OWN_BUF struct buf paper = BUF_INIT;
	OWN_BUF struct buf sig = BUF_INIT;
	OWN_BUF struct buf signers = BUF_INIT;
	OWN_FREE char *wang = key_line("wang");
	char path[PATH_MAX], list[PATH_MAX];
	char *at;

	(void)state;
	OK(ledger_read(whole.ledger, PLAN, NULL, "certificates/paper.json", &paper, &e));
	OK(ledger_read(whole.ledger, PLAN, NULL, "certificates/paper.json.sig", &sig, &e));
	put_file("c.json", &paper);
	key_path(path, "c.json");
	expect(&(struct audit_options){ .path = path }, "unverified", "without its signature");
	put_file("c.json.sig", &sig);
	expect(&(struct audit_options){ .path = path }, "intact", NULL);
	sign_put_signer(&signers, "wang", wang);
	put_file("others", &signers);
	key_path(list, "others");
	expect(&(struct audit_options){ .path = path, .signers = list }, "altered", "signed by nobody");
	at = strstr(paper.data, "performed-not-provable");
	memcpy(at, "cleared-full          ", 22);
	put_file("c.json", &paper);
	expect(&(struct audit_options){ .path = path }, "altered", "signature");
}

static void what_is_nothing_of_ours_is_refused(void **state)
{
	struct audit_report r = AUDIT_REPORT_INIT;
	struct err e = ERR_INIT;
	char path[PATH_MAX];

	(void)state;
	key_path(path, "nothing-here");
	assert_int_equal(audit_run(&(struct audit_options){ .path = path }, &r, &e), -1);
	assert_int_equal(e.class, ERR_USAGE);
	audit_report_dispose(&r);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(audit_run(&(struct audit_options){ .path = path }, &r, &e), -1);
	assert_int_equal(e.class, ERR_USAGE);
	audit_report_dispose(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_whole_story_is_intact_however_it_is_looked_at),
		cmocka_unit_test(json_has_verdict_commits_and_findings),
		cmocka_unit_test(signers_from_elsewhere_are_the_anchor),
		cmocka_unit_test(an_edited_event_is_altered),
		cmocka_unit_test(an_edited_chunk_is_altered),
		cmocka_unit_test(an_edited_statement_or_signature_is_altered),
		cmocka_unit_test(an_edited_plan_or_summary_or_certificate_is_altered),
		cmocka_unit_test(a_damaged_object_of_git_is_altered),
		cmocka_unit_test(a_cut_tail_shows_against_a_head_known_from_before),
		cmocka_unit_test(commits_that_were_folded_together_are_altered),
		cmocka_unit_test(a_tag_moved_to_another_commit_is_altered),
		cmocka_unit_test(a_lost_or_damaged_object_of_the_archive_is_told_apart),
		cmocka_unit_test(clearing_without_its_ground_is_altered),
		cmocka_unit_test(an_approval_signed_by_another_is_altered_and_opens_nothing),
		cmocka_unit_test(certifying_what_was_not_done_is_altered),
		cmocka_unit_test(a_signed_commit_is_held_against_the_signers),
		cmocka_unit_test(a_paper_that_the_ledger_does_not_give_is_altered_however_well_signed),
		cmocka_unit_test(evidence_that_was_swapped_is_named),
		cmocka_unit_test(a_certificate_alone_is_held_against_its_signature),
		cmocka_unit_test(what_is_nothing_of_ours_is_refused),
	};

	return cmocka_run_group_tests(tests, make_whole, drop_whole);
}
