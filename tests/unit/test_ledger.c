/* rooms: ledger */
/* What a ledger holds: events, trees and tags as its page says, and what is noticed when they were changed. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "io.h"
#include "ledger_repo.h"

static int count_plan(void *ctx, const char *plan)
{
	assert_string_equal(plan, "demo");
	++*(int *)ctx;
	return 0;
}

static void what_is_appended_is_replayed(void **state)
{
	OWN_LEDGER struct ledger *l = opened();
	struct ledger_event ev = event_of("preflight", "done", "all hosts \xe5\xa5\xbd");
	struct replayed r;
	struct err e = ERR_INIT;
	char oid[LEDGER_OID];
	int plans = 0;

	(void)state;
	assert_int_equal(ledger_head(l, "demo", oid, &e), 0);
	assert_int_equal(ledger_replay(l, "demo", note_event, &r, &e), 0);
	append(l, "plan", "recorded");
	committed(begun(l), &ev);
	assert_int_equal(ev.seq, 2);
	replayed(l, &r);
	assert_string_equal(r.words, "plan-recorded preflight-done ");
	assert_memory_equal(r.digest, ev.digest, DIGEST_LEN);
	assert_string_equal(r.commit, ev.commit);
	assert_int_equal(ledger_head(l, "demo", oid, &e), 1);
	assert_string_equal(oid, ev.commit);
	assert_int_equal(ledger_plans(l, count_plan, &plans, &e), 0);
	assert_int_equal(plans, 1);
	assert_fsck_silent();
}

static void an_event_file_reads_as_its_page_says(void **state)
{
	OWN_LEDGER struct ledger *l = opened();
	struct ledger_event ev = event_of("copy", "version", "a\nb \x1b[31m \\012 \xff");
	OWN_BUF struct buf b = BUF_INIT;
	OWN_PROC struct proc_result r = PROC_RESULT_INIT;
	struct err e = ERR_INIT;

	(void)state;
	committed(begun(l), &ev);
	assert_int_equal(ledger_read(l, "demo", NULL, "events/000001-copy-version.json", &b, &e), 1);
	assert_string_equal(b.data,
	    "{\n  \"at\": \"2026-11-28T22:00:00+08:00\",\n  \"by\": \"zhang\",\n"
	    "  \"data\": {\n    \"a\": [\n      \"x\"\n    ],\n    \"b\": 1\n  },\n  \"plan\": \"demo\",\n"
	    "  \"plan_digest\": \"" DIGEST_TEXT "\",\n"
	    "  \"prev\": \"0000000000000000000000000000000000000000000000000000000000000000\",\n"
	    "  \"seq\": 1,\n  \"stage\": \"copy\",\n  \"state\": \"version\",\n"
	    "  \"text\": \"a\\\\012b \\\\033[31m \\\\012 \\\\377\",\n  \"waybill\": 1\n}\n");
	run(&r, (const char *const[]){ "git", "-C", dir, "log", "-1", "--format=%an|%ae|%ad|%B%(trailers:key=By,valueonly)", "demo", NULL });
	assert_string_equal(r.out.data, "zhang|zhang@waybill|Sat Nov 28 22:00:00 2026 +0800|"
	    "000001 copy version: a\\012b \\033[31m \\012 \\377\n\nPlan-Digest: " DIGEST_TEXT
	    "\nBy: zhang\nAt: 2026-11-28T22:00:00+08:00\nzhang\n\n");
}

static void a_long_subject_is_cut_between_characters(void **state)
{
	OWN_LEDGER struct ledger *l = opened();
	OWN_BUF struct buf text = BUF_INIT;

	(void)state;
	for (size_t i = 0; i < 12; i++) {
		OWN_PROC struct proc_result r = PROC_RESULT_INIT;
		struct ledger_event ev = event_of("copy", "done", "");

		buf_reset(&text);
		for (size_t k = 0; k < 100; k++)
			buf_puts(&text, k < i ? "x" : k % 3 ? "\\377" : "\xe4\xb8\xad");
		ev.text = text.data;
		committed(begun(l), &ev);
		run(&r, (const char *const[]){ "git", "-C", dir, "log", "-1", "--format=%s", "demo", NULL });
		assert_in_range(r.out.len, 190, 201);
		assert_memory_equal(r.out.data + r.out.len - 4, "...\n", 4);
		assert_true(memcmp(r.out.data + r.out.len - 8, "\\377", 4) == 0 || memcmp(r.out.data + r.out.len - 7, "\xe4\xb8\xad", 3) == 0);
	}
}

static void changes_of_the_tree_arrive_and_are_read_by_revision(void **state)
{
	OWN_LEDGER struct ledger *l = opened();
	struct ledger_txn *t = begun(l);
	struct ledger_event ev = event_of("copy", "version", "1"), ev2 = event_of("copy", "version", "2");
	OWN_BUF struct buf b = BUF_INIT;
	struct err e = ERR_INIT;
	char oid[LEDGER_OID];

	(void)state;
	put(t, "datasets/www/manifest/ab/x.mtree", "one");
	put(t, "datasets/www/manifest-old", "file that sorts before the directory for git");
	put(t, "datasets/www/objects", "");
	assert_int_equal(ledger_txn_tag(t, "demo/www/1", &e), 0);
	committed(t, &ev);
	t = begun(l);
	assert_int_equal(ledger_txn_delete(t, "datasets/www/manifest", &e), 0);
	assert_int_equal(ledger_txn_delete(t, "datasets/none/at/all", &e), 0);
	put(t, "datasets/www/manifest/cd/y.mtree", "two");
	assert_int_equal(ledger_txn_tag(t, "demo/www/2", &e), 0);
	committed(t, &ev2);
	assert_int_equal(ledger_read(l, "demo", NULL, "datasets/www/manifest/ab/x.mtree", &b, &e), 0);
	assert_int_equal(ledger_read(l, "demo", "demo/www/1", "datasets/www/manifest/ab/x.mtree", &b, &e), 1);
	assert_int_equal(ledger_read(l, "demo", ev2.commit, "datasets/www/manifest/cd/y.mtree", &b, &e), 1);
	assert_string_equal(b.data, "onetwo");
	assert_int_equal(ledger_read(l, "demo", "demo/www/3", "plan.yaml", &b, &e), 0);
	assert_int_equal(ledger_read(l, "none", NULL, "plan.yaml", &b, &e), 0);
	assert_int_equal(ledger_tag(l, "demo/www/1", oid, &e), 1);
	assert_string_equal(oid, ev.commit);
	assert_fsck_silent();
}

static int note_name(void *ctx, const char *name, bool is_dir)
{
	buf_printf(ctx, "%s%s ", name, is_dir ? "/" : "");
	return 0;
}

static void a_directory_is_listed_in_byte_order(void **state)
{
	OWN_LEDGER struct ledger *l = opened();
	struct ledger_txn *t = begun(l);
	struct ledger_event ev = event_of("copy", "done", "");
	OWN_BUF struct buf b = BUF_INIT;
	struct err e = ERR_INIT;

	(void)state;
	put(t, "d/a/x", "1");
	put(t, "d/a-b", "2");
	put(t, "d/a.b/y", "3");
	put(t, "d/B", "4");
	committed(t, &ev);
	assert_int_equal(ledger_list(l, "demo", NULL, "d", note_name, &b, &e), 0);
	assert_string_equal(b.data, "B a/ a-b a.b/ ");
	buf_reset(&b);
	assert_int_equal(ledger_list(l, "demo", NULL, "none", note_name, &b, &e), 0);
	assert_int_equal(b.len, 0);
	assert_fsck_silent();
}

static void a_recorded_version_keeps_its_tag(void **state)
{
	OWN_LEDGER struct ledger *l = opened();
	struct ledger_event ev = event_of("copy", "version", "");
	struct ledger_txn *t = begun(l);
	OWN_PROC struct proc_result r = PROC_RESULT_INIT;
	struct err e = ERR_INIT;
	char oid[LEDGER_OID];

	(void)state;
	assert_int_equal(ledger_txn_tag(t, "demo/www/1", &e), 0);
	committed(t, &ev);
	append(l, "copy", "done");
	t = begun(l);
	assert_int_equal(ledger_txn_tag(t, "demo/www/1", &e), 0);
	assert_int_equal(ledger_txn_commit(t, &ev, NULL, NULL, &e), -1);
	assert_int_equal(ledger_tag(l, "demo/www/1", oid, &e), 1);
	/* One that an act cut short before it was recorded left behind does not stand in the way. */
	run(&r, (const char *const[]){ "sh", "-c", "cd \"$0\" && c=$(git -c user.name=x -c user.email=x commit-tree -m x demo^{tree}) && "
	    "git tag demo/www/2 $c", dir, NULL });
	assert_int_equal(r.status, 0);
	t = begun(l);
	assert_int_equal(ledger_txn_tag(t, "demo/www/2", &e), 0);
	committed(t, &ev);
	assert_int_equal(ledger_tag(l, "demo/www/2", oid, &e), 1);
	assert_string_equal(oid, ev.commit);
}

static void a_broken_chain_is_noticed(void **state)
{
	OWN_LEDGER struct ledger *l = opened();
	struct ledger_event ev = event_of("copy", "done", "");
	struct ledger_txn *t;
	OWN_BUF struct buf b = BUF_INIT;
	struct err e = ERR_INIT;

	(void)state;
	append(l, "plan", "recorded");
	append(l, "preflight", "done");
	assert_int_equal(ledger_read(l, "demo", NULL, "events/000002-preflight-done.json", &b, &e), 1);
	memcpy(strstr(b.data, "something"), "Something", 9);
	t = begun(l);
	put(t, "events/000002-preflight-done.json", b.data);
	committed(t, &ev);			/* chained to the altered one, but that was not in its own place: */
	append(l, "verify", "done");
	{
		struct replayed r;

		replayed(l, &r);		/* a rewritten last event is consistent; only anchors outside tell */
		assert_int_equal(r.n, 4);
	}
	memcpy(strstr(b.data, "Something"), "Anything.", 9);
	t = begun(l);
	put(t, "events/000002-preflight-done.json", b.data);
	committed(t, &ev);
	assert_broken(l, "event 000003: the chain is broken");
}

static void a_missing_or_foreign_event_is_noticed(void **state)
{
	OWN_LEDGER struct ledger *l = opened();
	struct ledger_event ev = event_of("copy", "done", "");
	struct ledger_txn *t;
	struct err e = ERR_INIT;

	(void)state;
	append(l, "plan", "recorded");
	append(l, "preflight", "done");
	t = begun(l);
	assert_int_equal(ledger_txn_delete(t, "events/000001-plan-recorded.json", &e), 0);
	committed(t, &ev);
	assert_broken(l, "event");
	t = begun(l);
	put(t, "events/README", "x");
	committed(t, &ev);
	assert_broken(l, "README is no event");
}

static void a_commit_that_is_no_event_is_noticed(void **state)
{
	OWN_LEDGER struct ledger *l = opened();
	OWN_PROC struct proc_result r = PROC_RESULT_INIT;

	(void)state;
	append(l, "plan", "recorded");
	run(&r, (const char *const[]){ "sh", "-c", "cd \"$0\" && c=$(git -c user.name=x -c user.email=x commit-tree -p demo -m hello "
	    "demo^{tree}) && git update-ref refs/heads/demo $c", dir, NULL });
	assert_int_equal(r.status, 0);
	assert_broken(l, "its commit is none of an event");
}

static void damaged_objects_are_noticed(void **state)
{
	OWN_PROC struct proc_result r = PROC_RESULT_INIT;

	(void)state;
	{
		OWN_LEDGER struct ledger *l = opened();

		append(l, "plan", "recorded");
		append(l, "preflight", "done");
	}
	/* The first event's object, replaced by that of another content. */
	run(&r, (const char *const[]){ "sh", "-c", "cd \"$0\" && a=$(git rev-parse demo:events/000001-plan-recorded.json) && "
	    "b=$(echo other | git hash-object -w --stdin) && "
	    "f() { echo objects/$(echo $1 | cut -c1-2)/$(echo $1 | cut -c3-); } && cp -f $(f $b) $(f $a)", dir, NULL });
	assert_int_equal(r.status, 0);
	{
		OWN_LEDGER struct ledger *l = opened();

		assert_broken(l, "event 000001");
	}
}

static void no_ledger_is_said_and_none_is_made_twice(void **state)
{
	struct ledger *l = NULL;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(ledger_open(&l, top, &e), -1);
	assert_int_equal(e.class, ERR_USAGE);
	assert_int_equal(ledger_create(dir, &e), -1);
	assert_int_equal(e.class, ERR_USAGE);
}

static void a_second_runner_is_told_who_holds_the_lock(void **state)
{
	char file[96];
	OWN_FD int first = -1;
	OWN_FD int second = -1;
	struct err e = ERR_INIT;

	(void)state;
	(void)snprintf(file, sizeof(file), "%s/run-demo.lock", top);
	assert_int_equal(runner_lock(file, "zhang on host old, process 7\n", &first, &e), 0);
	assert_int_equal(runner_lock(file, "wang", &second, &e), -1);
	assert_int_equal(e.class, ERR_TEMPORARY);
	assert_non_null(strstr(e.text, "zhang on host old, process 7 ("));
	assert_int_equal(close(take_fd(&first)), 0);
	assert_int_equal(runner_lock(file, "wang", &second, &e), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(what_is_appended_is_replayed),
		T(an_event_file_reads_as_its_page_says),
		T(a_long_subject_is_cut_between_characters),
		T(changes_of_the_tree_arrive_and_are_read_by_revision),
		T(a_directory_is_listed_in_byte_order),
		T(a_recorded_version_keeps_its_tag),
		T(a_broken_chain_is_noticed),
		T(a_missing_or_foreign_event_is_noticed),
		T(a_commit_that_is_no_event_is_noticed),
		T(damaged_objects_are_noticed),
		T(no_ledger_is_said_and_none_is_made_twice),
		T(a_second_runner_is_told_who_holds_the_lock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
