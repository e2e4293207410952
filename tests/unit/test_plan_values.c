/* rooms: plan */
/* The plan language: what an accepted plan means, its digest, and the templates it is written from. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "plan_sha256.h"
#include "plan_template.h"
#include "plan_text.h"
#include "scalar.h"
#include "sshkey.h"
#include "suggest.h"

static void defaults_are_filled_in(void **state)
{
	OWN_PLAN struct plan *p = must_parse(HEAD DATA);
	const struct plan_files *f = &p->datasets[0].files;

	(void)state;
	assert_string_equal(p->title, "p");
	assert_string_equal(p->timezone, "Asia/Shanghai");
	assert_int_equal(p->nhosts, 1);
	assert_string_equal(p->hosts[0].name, "local");
	assert_true(f->delete && f->one_file_system && f->flags);
	assert_int_equal(f->size_max, UINT64_MAX);
	assert_int_equal(f->activate, ACTIVATE_IN_PLACE);
	assert_int_equal(p->passes.max, 3);
	assert_int_equal(p->passes.until_s, 60);
	assert_true(p->passes.verify);
	assert_int_equal(p->limits.deletes_percent, 10);
	assert_int_equal(p->limits.memory, 256 << 20);
	assert_true(p->archive.level_auto && p->archive.keep);
	assert_int_equal(p->package.part, 1 << 30);
	assert_int_equal(p->nstages, 7);
	assert_int_equal(p->stages[6], STAGE_SMOKE);
	assert_false(p->clear.given);
	assert_false(plan_takes_over(p));
}

static void the_stages_follow_the_kind(void **state)
{
	OWN_PLAN struct plan *r = must_parse(RETIRE TWO CLEARGATE);
	OWN_PLAN struct plan *h = must_parse("waybill: 1\nname: p\nkind: handover\n" DATA
	    "parties: {department: {}, receiver: {}}\npeople:\n  a: {party: department, key: \"" K1 "\"}\n  b: {party: department, key: \""
	    K2 "\"}\n  c: {party: receiver, key: \"" K3 "\"}\nclear: {}\n" CLEARGATE);
	static const enum plan_stage all[] = { STAGE_PREFLIGHT, STAGE_COPY, STAGE_FREEZE, STAGE_FINAL, STAGE_VERIFY,
		STAGE_CUTOVER, STAGE_SMOKE, STAGE_PACKAGE, STAGE_ACCEPT, STAGE_RESTORE_TEST, STAGE_CLEAR, STAGE_CERTIFY };

	(void)state;
	assert_int_equal(r->nstages, 8);
	assert_int_equal(r->stages[5], STAGE_RESTORE_TEST);
	assert_int_equal(r->stages[7], STAGE_CERTIFY);
	assert_true(r->clear.given);
	assert_int_equal(r->clear.require, PLAN_VERDICT_CLEARED_SAMPLED);
	assert_int_equal(r->clear.datasets.n, 1);
	assert_int_equal(h->nstages, STAGE_COUNT);
	assert_memory_equal(h->stages, all, sizeof(all));
}

static void values_are_read_as_they_are_meant(void **state)
{
	OWN_PLAN struct plan *p = must_parse(HEAD "timezone: UTC\n" TWO
	    "hosts:\n  old: {ssh: deploy@old@10.1.0.5, port: 2222, keepalive: 2m, become: sudo}\n"
	    "datasets:\n  d:\n    files: {from: \"old:/srv/www/\", to: \"local:/b\", delete: no, exclude: cache/**,\n"
	    "      size: {max: 2MiB}, age: {min: 1h}, owners: owners.map, scan: strict,\n"
	    "      known_faults: [{path: a/b/, reason: r}]}\n"
	    "hooks: {freeze: [{run: ./hook.sh, host: [old, local], timeout: 1m, tries: 3, with: {a: b}}]}\n"
	    "gates: {freeze: {approve: [department, department]}}\n"
	    "cutover: {window: \"2026-11-28 22:00 / 2026-11-29 04:00\", give_up: \"2026-11-29T03:30+01:00\"}\n"
	    "limits: {bandwidth: 20MB/s, window: \"22:00-06:00\", deletes: 5 %}\n"
	    "archive: {digests: [sha256, sm3], level: -3}\n");
	const struct plan_dataset *d = plan_dataset(p, "d");
	const struct plan_hook *h = &p->hooks[POINT_FREEZE].v[0];

	(void)state;
	assert_string_equal(plan_host(p, "old")->ssh, "deploy@old@10.1.0.5");
	assert_int_equal(plan_host(p, "old")->keepalive_s, 120);
	assert_true(plan_host(p, "old")->become_sudo);
	assert_string_equal(d->from.host, "old");
	assert_string_equal(d->from.path, "/srv/www");
	assert_false(d->files.delete);
	assert_int_equal(d->files.exclude.n, 1);
	assert_string_equal(d->files.exclude.v[0], "cache/**");
	assert_int_equal(d->files.size_max, 2 << 20);
	assert_int_equal(d->files.age_min_s, 3600);
	assert_int_equal(d->files.nowners, 2);
	assert_true(d->files.owners[1].group);
	assert_string_equal(d->files.owners[1].to, "2001");
	assert_string_equal(d->files.known_faults[0].path, "a/b");
	assert_int_equal(d->files.scan, SCAN_STRICT);
	assert_int_equal(h->hosts.n, 2);
	assert_int_equal(h->timeout_s, 60);
	assert_int_equal(h->tries, 3);
	assert_string_equal(h->with.v[0].value, "b");
	assert_int_equal(p->gates[STAGE_FREEZE].approve.n, 2);
	assert_int_equal(p->cutover.window.start, 1795903200);	/* date -ud '2026-11-28 22:00' +%s */
	assert_int_equal(p->cutover.give_up, 1795919400);	/* date -ud '2026-11-29 02:30' +%s */
	assert_int_equal(p->limits.bandwidth, 20000000);
	assert_int_equal(p->limits.window_from, 22 * 60);
	assert_int_equal(p->limits.deletes_percent, 5);
	assert_true(p->archive.sm3);
	assert_int_equal(p->archive.level, -3);
	assert_true(plan_takes_over(p));
	assert_string_equal(plan_person(p, "a")->fingerprint, "SHA256:8j2NdvUMF457AN4PLpWyJDPLnStRBFtqJzXzYXrOy+c");
}

static void the_signers_are_allowed_signers_lines(void **state)
{
	OWN_PLAN struct plan *p = must_parse(RETIRE TWO CLEARGATE);
	OWN_BUF struct buf b = BUF_INIT;

	(void)state;
	plan_signers(p, &b);
	assert_string_equal(b.data,
	    "a namespaces=\"approval@waybill,acceptance@waybill,clearance@waybill,certificate@waybill,git\" " K1 "\n"
	    "b namespaces=\"approval@waybill,acceptance@waybill,clearance@waybill,certificate@waybill,git\" " K2 "\n");
}

static void unbuilt_features_are_named_with_their_place(void **state)
{
	OWN_PLAN struct plan *good = must_parse(HEAD DATA);
	OWN_PLAN struct plan *swap = must_parse(FILES("to: local:/b\n      activate: swap"));
	OWN_PLAN struct plan *keep = must_parse(HEAD DATA "archive: {keep: no}\n");
	OWN_PLAN struct plan *done = must_parse(HEAD DATA "hooks: {done: [{run: hook.sh}]}\n");
	OWN_PLAN struct plan *hook = must_parse(HEAD DATA "hooks: {freeze: [{run: hook.sh}]}\n");
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(plan_not_built(good, &e), 0);
	assert_int_equal(plan_not_built(done, &e), 0);
	assert_int_equal(plan_not_built(swap, &e), 0);
	assert_int_equal(plan_not_built(keep, &e), -1);
	assert_int_equal(err_exit_code(e.class), 1);
	assert_string_equal(e.text, "p.yaml: archive.keep: no: not built yet");
	assert_int_equal(plan_not_built(hook, &e), 0);
}

static struct plan *with_files(void)
{
	return must_parse(HEAD "datasets: {d: {files: {from: \"local:/a\", to: \"local:/b\", owners: owners.map}}}\n"
	    "documents: [{role: letter, file: plain.txt}]\n"
	    "hooks: {done: [{run: hook.sh}, {run: ./hook.sh}], smoke: [{run: hook.sh}]}\n");
}

static void the_digest_covers_every_file_under_a_stable_name(void **state)
{
	OWN_PLAN struct plan *p = with_files();
	OWN_PLAN_SUM struct plan_sum a = PLAN_SUM_INIT, b = PLAN_SUM_INIT, c = PLAN_SUM_INIT;
	struct err e = ERR_INIT;
	uint8_t sum[DIGEST_LEN];

	(void)state;
	assert_int_equal(plan_sum_make(p, &a, &e), 0);
	assert_int_equal(a.nfiles, 4);
	assert_string_equal(a.files[0].name, "documents/plain.txt");
	assert_string_equal(a.files[1].name, "hooks/hook.sh");
	assert_string_equal(a.files[2].name, "owners/owners.map");
	assert_string_equal(a.files[3].name, "plan.yaml");
	assert_string_equal(plan_sum_file(&a, "documents/plain.txt")->bytes.data, "text\n");
	assert_int_equal(digest_sha256(a.text.data, a.text.len, sum, &e), 0);
	assert_memory_equal(sum, a.digest, DIGEST_LEN);
	assert_non_null(strstr(a.text.data, "  plan.yaml\n"));
	put_file("hook.sh", "#!/bin/sh\nexit 1\n", 0755);
	assert_int_equal(plan_sum_make(p, &b, &e), 0);
	assert_string_not_equal(a.hex, b.hex);
	put_file("hook.sh", "#!/bin/sh\n", 0755);
	assert_int_equal(plan_sum_make(p, &c, &e), 0);
	assert_string_equal(a.hex, c.hex);
}

static void a_recorded_plan_is_read_without_its_files(void **state)
{
	static const char text[] = HEAD DATA "documents: [{role: letter, file: gone.txt}]\nhooks: {done: [{run: gone.sh}]}\n";
	OWN_PLAN_FAULTS struct plan_faults f = PLAN_FAULTS_INIT, g = PLAN_FAULTS_INIT;
	OWN_PLAN_SUM struct plan_sum s = PLAN_SUM_INIT;
	OWN_PLAN struct plan *p = NULL, *q = NULL;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(plan_parse("p", dir, text, strlen(text), &q, &g), -1);
	assert_int_equal(g.n, 2);
	assert_int_equal(plan_parse_recorded("p", dir, text, strlen(text), &p, &f), 0);
	assert_null(p->hooks[POINT_DONE].v[0].file);
	assert_int_equal(plan_sum_make(p, &s, &e), -1);
	assert_int_equal(err_exit_code(e.class), 2);
	assert_non_null(strstr(e.text, "gone.sh"));
}

static void a_file_that_went_away_is_named(void **state)
{
	OWN_PLAN struct plan *p = with_files();
	OWN_PLAN_SUM struct plan_sum s = PLAN_SUM_INIT;
	struct err e = ERR_INIT;

	(void)state;
	remove_file("plain.txt");
	assert_int_equal(plan_sum_make(p, &s, &e), -1);
	assert_int_equal(err_exit_code(e.class), 2);
	assert_non_null(strstr(e.text, "plain.txt"));
	put_file("plain.txt", "text\n", 0644);
}

static void the_examples_are_valid(void **state)
{
	static const char *const names[] = { "migration", "handover", "retirement" };
	const char *source = getenv("WAYBILL_SOURCE");

	(void)state;
	if (!source)
		skip();
	for (int i = 0; i < 3; i++) {
		OWN_PLAN_FAULTS struct plan_faults f = PLAN_FAULTS_INIT;
		OWN_PLAN struct plan *p = NULL;
		struct err e = ERR_INIT;
		char path[4096];

		(void)snprintf(path, sizeof(path), "%s/plans/examples/%s.yaml", source, names[i]);
		if (plan_load(path, &p, &f) < 0)
			plan_faults_print(&f, stderr, false);
		assert_non_null(p);
		assert_int_equal(p->kind, i);
		assert_int_equal(plan_not_built(p, &e), 0);
	}
}

static size_t template_faults(const struct plan_template *t, struct buf *text)
{
	OWN_PLAN_FAULTS struct plan_faults f = PLAN_FAULTS_INIT;
	OWN_PLAN struct plan *p = NULL;
	struct err e = ERR_INIT;

	if (plan_template(t, text, &e) < 0)
		fail_msg("%s", e.text);
	p = parse(text->data, &f);
	if (p)
		assert_int_equal(p->kind, t->kind);
	for (size_t i = 0; i < f.n; i++)	/* every fault is a line that says FILL IN */
		assert_non_null(strstr(f.v[i].excerpt, "FILL IN"));
	return f.n;
}

static void a_template_with_its_people_is_a_valid_plan(void **state)
{
	static const struct plan_template_person people[] = {
		{ "zhang", "department", K1 " zhang@desk" }, { "li", "department", K2 }, { "zhao", "receiver", K3 } };
	static const char *const froms[] = { "local:/srv/My Data!/", "old:/srv/\"www\"", "deploy@10.1.0.5:/" };
	static const char *const tos[] = { NULL, "new:/x", "deploy@10.2.0.7:/x" };

	(void)state;
	for (int kind = 0; kind < 3; kind++)
		for (int i = 0; i < 3; i++)
			for (int k = 0; k < 3; k++) {
				OWN_BUF struct buf b = BUF_INIT;
				struct plan_template t = { (enum plan_kind)kind, froms[i], tos[k], people, 3 };

				assert_int_equal(template_faults(&t, &b), 0);
			}
}

static void a_template_without_people_marks_each_line_to_fill_in(void **state)
{
	static const struct plan_template_person one[] = { { "zhang", "department", K1 }, { "wu", "office", K2 } };
	static const size_t faults[] = { 0, 1, 2 };

	(void)state;
	for (int kind = 0; kind < 3; kind++) {
		OWN_BUF struct buf b = BUF_INIT;
		struct plan_template t = { (enum plan_kind)kind, "old:/srv", NULL, NULL, 0 };
		size_t n = template_faults(&t, &b);

		assert_int_equal(n, faults[kind]);
	}
	OWN_BUF struct buf b = BUF_INIT;
	struct plan_template t = { PLAN_MIGRATION, "old:/srv", NULL, one, 2 };

	assert_int_equal(template_faults(&t, &b), 1);
	assert_non_null(strstr(b.data, "office: {role: \"FILL IN\"}"));
}

static void a_template_refuses_what_is_no_place(void **state)
{
	static const char *const bad[] = { "old", "/srv", "old:srv", ":/srv", "old:/a/../b", "-o:/x" };
	struct err e = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		OWN_BUF struct buf b = BUF_INIT;
		struct plan_template t = { PLAN_MIGRATION, bad[i], NULL, NULL, 0 };

		assert_int_equal(plan_template(&t, &b, &e), -1);
		assert_int_equal(err_exit_code(e.class), 2);
	}
}

static void scalars_take_what_they_say_and_nothing_else(void **state)
{
	uint64_t u;
	int64_t i;
	int a, b;

	(void)state;
	assert_true(scalar_size("1GiB", &u) && u == 1u << 30);
	assert_true(scalar_size("20 MB", &u) && u == 20000000);
	assert_false(scalar_size("9999999999TiB", &u));
	assert_false(scalar_size("1GiBs", &u));
	assert_false(scalar_size("-1", &u));
	assert_true(scalar_rate("off", &u) && u == 0);
	assert_false(scalar_rate("0/s", &u));
	assert_true(scalar_duration("2h", &i) && i == 7200);
	assert_false(scalar_duration("2hh", &i));
	assert_false(scalar_duration("99999999999999999999s", &i));
	assert_true(scalar_int("-5", &i) && i == -5);
	assert_false(scalar_int("0x10", &i));
	assert_true(scalar_day_window("22:00-06:00", &a, &b) && a == 1320 && b == 360);
	assert_false(scalar_day_window("22:00-24:00", &a, &b));
	assert_false(scalar_day_window("22:00-22:60", &a, &b));
	assert_false(scalar_day_window("22:0", &a, &b));
	assert_false(scalar_day_window("22:00-22:00", &a, &b));
	assert_true(scalar_is_name("a-1"));
	assert_false(scalar_is_name("-a"));
	assert_false(scalar_is_name(""));
	assert_int_equal(suggest_distance("verfiy", "verify"), 1);
	assert_int_equal(suggest_distance("abc", "xyz"), 3);
}

static void keys_are_checked_to_the_last_bit(void **state)
{
	static const char *const bad[] = { "", "ssh-ed25519", "ssh-ed25519 ", "ssh-dss AAAA", "ssh-ed25519 AAAAC3NzaC1",
		"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMbKqUQEy3d4u92r63VNN5i5C1+lCoq3xSvBpINMZNu",
		"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAHwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=",	/* 31 bytes */
		"ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIMbKqUQEy3d4u92r63VNN5i5C1+lCoq3xSvBpINMZNuP" };
	OWN_BUF struct buf line = BUF_INIT;
	struct sshkey k;

	(void)state;
	assert_null(sshkey_parse(K1 " a comment", &k, &line));
	assert_string_equal(line.data, K1);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (!sshkey_parse(bad[i], &k, &line))
			fail_msg("\"%s\" was taken as a key", bad[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_are_filled_in),
		cmocka_unit_test(the_stages_follow_the_kind),
		cmocka_unit_test(values_are_read_as_they_are_meant),
		cmocka_unit_test(the_signers_are_allowed_signers_lines),
		cmocka_unit_test(unbuilt_features_are_named_with_their_place),
		cmocka_unit_test(the_digest_covers_every_file_under_a_stable_name),
		cmocka_unit_test(a_recorded_plan_is_read_without_its_files),
		cmocka_unit_test(a_file_that_went_away_is_named),
		cmocka_unit_test(the_examples_are_valid),
		cmocka_unit_test(a_template_with_its_people_is_a_valid_plan),
		cmocka_unit_test(a_template_without_people_marks_each_line_to_fill_in),
		cmocka_unit_test(a_template_refuses_what_is_no_place),
		cmocka_unit_test(scalars_take_what_they_say_and_nothing_else),
		cmocka_unit_test(keys_are_checked_to_the_last_bit),
	};

	return cmocka_run_group_tests(tests, make_dir, drop_dir);
}
