/* rooms: ledger */
#include "clock.h"
#include "io.h"
#include "ledger.h"
#include "proc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cmocka.h>

/* libgit2's syncs come through here, so that durability can be asserted. */
static uint64_t syncs;
int fsync(int fd)
{
	syncs++;
	return (int)syscall(SYS_fsync, fd);
}

static char top[64], dir[96];

static int make_ledger(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	(void)snprintf(top, sizeof(top), "/tmp/ledger-test-XXXXXX");
	if (!mkdtemp(top))
		return -1;
	(void)snprintf(dir, sizeof(dir), "%s/ledger.git", top);
	return ledger_create(dir, &e);
}

static void run(struct proc_result *r, const char *const *argv)
{
	static const char *const env[] = { "LC_ALL=C", "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "HOME=/nonexistent", NULL };
	const struct proc_options o = { .argv = argv, .env = env, .timeout_ms = 60000 };
	struct err e = ERR_INIT;

	if (proc_run(&o, r, &e) < 0)
		fail_msg("%s", e.text);
}

static int remove_ledger(void **state)
{
	OWN_PROC struct proc_result r = PROC_RESULT_INIT;

	(void)state;
	run(&r, (const char *const[]){ "rm", "-rf", top, NULL });
	return r.status;
}

/* Status 0 and not a word, neither of danglings nor of HEAD. */
static void assert_fsck_silent(void)
{
	OWN_PROC struct proc_result r = PROC_RESULT_INIT;

	run(&r, (const char *const[]){ "git", "-C", dir, "fsck", "--strict", "--full", "--no-progress", NULL });
	if (r.status != 0 || r.out.len || r.err.len)
		fail_msg("git fsck: %d\n%s%s", r.status, r.out.len ? r.out.data : "", r.err.len ? r.err.data : "");
}

#define DIGEST_TEXT "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static struct ledger_event event_of(const char *stage, const char *state, const char *text)
{
	return (struct ledger_event){ .stage = stage, .state = state, .text = text, .by = "zhang",
		.at = "2026-11-28T22:00:00+08:00", .plan_digest = DIGEST_TEXT, .data = "{\"b\":1,\"a\":[\"x\"]}" };
}

static struct ledger *opened(void)
{
	struct ledger *l = NULL;
	struct err e = ERR_INIT;

	if (ledger_open(&l, dir, &e) < 0)
		fail_msg("%s", e.text);
	return l;
}
#define OWN_LEDGER OWN(ledger_closep)

static struct ledger_txn *begun(struct ledger *l)
{
	struct ledger_txn *t = NULL;
	struct err e = ERR_INIT;

	assert_int_equal(ledger_txn_begin(l, "demo", &t, &e), 0);
	return t;
}

static void put(struct ledger_txn *t, const char *path, const char *text)
{
	struct err e = ERR_INIT;

	if (ledger_txn_put(t, path, text, strlen(text), &e) < 0)
		fail_msg("%s", e.text);
}

static void committed(struct ledger_txn *t, struct ledger_event *ev)
{
	struct err e = ERR_INIT;

	if (ledger_txn_commit(t, ev, NULL, NULL, &e) < 0)
		fail_msg("%s", e.text);
}

static void append(struct ledger *l, const char *stage, const char *state)
{
	struct ledger_event ev = event_of(stage, state, "something happened");

	committed(begun(l), &ev);
}

struct replayed { char words[4096]; uint64_t n; uint8_t digest[DIGEST_LEN]; char commit[LEDGER_OID]; };

static int note_event(void *ctx, const struct ledger_event *ev)
{
	struct replayed *r = ctx;
	size_t len = strlen(r->words);

	assert_int_equal(ev->seq, ++r->n);
	if (len < sizeof(r->words) - 64)
		(void)snprintf(r->words + len, sizeof(r->words) - len, "%s-%s ", ev->stage, ev->state);
	memcpy(r->digest, ev->digest, DIGEST_LEN);
	memcpy(r->commit, ev->commit, LEDGER_OID);
	return 0;
}

static void replayed(struct ledger *l, struct replayed *r)
{
	struct err e = ERR_INIT;

	*r = (struct replayed){ .n = 0 };
	if (ledger_replay(l, "demo", note_event, r, &e) < 0)
		fail_msg("%s", e.text);
}

static void assert_broken(struct ledger *l, const char *says)
{
	struct replayed r = { .n = 0 };
	struct err e = ERR_INIT;

	assert_int_equal(ledger_replay(l, "demo", note_event, &r, &e), -1);
	assert_int_equal(e.class, ERR_INTEGRITY);
	if (!strstr(e.text, says))
		fail_msg("%s", e.text);
}

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

static void appenders_at_once_all_land(void **state)
{
	enum { PROCESSES = 4, EACH = 12 };
	pid_t pids[PROCESSES];
	struct replayed r;

	(void)state;
	for (size_t p = 0; p < PROCESSES; p++) {
		assert_true((pids[p] = fork()) >= 0);
		if (pids[p] == 0) {
			struct ledger *l = NULL;
			struct err e = ERR_INIT;
			int bad = ledger_open(&l, dir, &e) < 0;

			for (size_t i = 0; i < EACH && !bad; i++) {
				struct ledger_txn *t = NULL;
				struct ledger_event ev = event_of("record", "recorded", "x");
				char path[64];

				(void)snprintf(path, sizeof(path), "approvals/%zu-%zu", p, i);
				bad = ledger_txn_begin(l, "demo", &t, &e) < 0 || ledger_txn_put(t, path, path, strlen(path), &e) < 0 ||
				    ledger_txn_commit(t, &ev, NULL, NULL, &e) < 0;
			}
			if (bad)
				(void)fprintf(stderr, "%s\n", e.text);
			_exit(bad);
		}
	}
	for (size_t p = 0; p < PROCESSES; p++) {
		int status;

		assert_int_equal(waitpid(pids[p], &status, 0), pids[p]);
		assert_int_equal(status, 0);
	}
	{
		OWN_LEDGER struct ledger *l = opened();
		OWN_BUF struct buf b = BUF_INIT;
		struct err e = ERR_INIT;

		replayed(l, &r);
		assert_int_equal(r.n, PROCESSES * EACH);
		assert_int_equal(ledger_read(l, "demo", NULL, "approvals/0-0", &b, &e), 1);
		assert_int_equal(ledger_read(l, "demo", NULL, "approvals/3-11", &b, &e), 1);
	}
	assert_fsck_silent();
}

struct intruder { unsigned calls; const char *kind; };

/* Between what was built and what is published: somebody else appends, or stock git holds the branch. */
static int intrude(void *ctx, const void *p, size_t n, struct buf *sig, struct err *e)
{
	struct intruder *i = ctx;
	char lock[160];

	(void)e;
	assert_non_null(memmem(p, n, "\nauthor zhang", 13));
	(void)snprintf(lock, sizeof(lock), "%s/refs/heads/demo.lock", dir);
	if (strcmp(i->kind, "append") == 0 && i->calls < 2) {
		OWN_LEDGER struct ledger *other = opened();

		append(other, "record", "recorded");
	} else if (strcmp(i->kind, "lock") == 0) {
		if (i->calls == 0)
			assert_true(close(open(lock, O_CREAT | O_EXCL | O_WRONLY, 0600)) == 0);
		else
			(void)unlink(lock);
	}
	i->calls++;
	buf_puts(sig, "-----BEGIN SSH SIGNATURE-----\nx\n-----END SSH SIGNATURE-----\n");
	return 0;
}

static void a_lost_race_is_run_again(void **state)
{
	OWN_LEDGER struct ledger *l = opened();
	struct intruder appending = { 0, "append" }, locking = { 0, "lock" };
	struct ledger_event ev = event_of("copy", "done", "");
	struct ledger_txn *t = begun(l);
	OWN_BUF struct buf b = BUF_INIT;
	struct replayed r;
	struct err e = ERR_INIT;

	(void)state;
	put(t, "plan.yaml", "x");
	assert_int_equal(ledger_txn_commit(t, &ev, intrude, &appending, &e), 0);
	assert_int_equal(appending.calls, 3);
	assert_int_equal(ev.seq, 3);
	assert_int_equal(ledger_txn_commit(begun(l), &ev, intrude, &locking, &e), 0);
	assert_int_equal(locking.calls, 2);
	replayed(l, &r);
	assert_string_equal(r.words, "record-recorded record-recorded copy-done copy-done ");
	assert_int_equal(ledger_read(l, "demo", NULL, "plan.yaml", &b, &e), 1);
}

/* Signs as ssh-keygen does, with the key TOP/key. */
static int sign_with_ssh_keygen(void *ctx, const void *p, size_t n, struct buf *sig, struct err *e)
{
	char key[96];
	const char *const argv[] = { "ssh-keygen", "-q", "-Y", "sign", "-n", "git", "-f", key, NULL };
	const struct proc_options o = { .argv = argv, .input = p, .input_len = n, .timeout_ms = 20000 };
	OWN_PROC struct proc_result r = PROC_RESULT_INIT;

	(void)ctx;
	(void)snprintf(key, sizeof(key), "%s/key", top);
	if (proc_run(&o, &r, e) < 0)
		return -1;
	assert_int_equal(r.status, 0);
	buf_put(sig, r.out.data, r.out.len);
	return 0;
}

static void a_signed_commit_verifies_with_stock_git(void **state)
{
	OWN_LEDGER struct ledger *l = opened();
	struct ledger_event ev = event_of("plan", "recorded", "signed");
	char key[96], option[160];
	OWN_PROC struct proc_result made = PROC_RESULT_INIT;
	OWN_PROC struct proc_result good = PROC_RESULT_INIT;
	OWN_PROC struct proc_result list = PROC_RESULT_INIT;
	struct err e = ERR_INIT;

	(void)state;
	(void)snprintf(key, sizeof(key), "%s/key", top);
	run(&made, (const char *const[]){ "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", key, NULL });
	assert_int_equal(made.status, 0);
	run(&list, (const char *const[]){ "sh", "-c", "printf 'zhang@waybill %s\\n' \"$(cat \"$0/key.pub\")\" >\"$0/signers\"", top, NULL });
	assert_int_equal(list.status, 0);
	if (ledger_txn_commit(begun(l), &ev, sign_with_ssh_keygen, NULL, &e) < 0)
		fail_msg("%s", e.text);
	(void)snprintf(option, sizeof(option), "gpg.ssh.allowedSignersFile=%s/signers", top);
	run(&good, (const char *const[]){ "git", "-C", dir, "-c", option, "verify-commit", "demo", NULL });
	if (good.status != 0 || !strstr(good.err.data, "Good \"git\" signature for zhang@waybill"))
		fail_msg("git verify-commit: %d %s", good.status, good.err.len ? good.err.data : "");
	assert_fsck_silent();
}

static unsigned packs(void)
{
	char path[160];
	OWN_DIR DIR *d = NULL;
	struct dirent *en;
	unsigned n = 0;

	(void)snprintf(path, sizeof(path), "%s/objects/pack", dir);
	assert_non_null(d = opendir(path));
	while ((en = readdir(d)))
		n += strstr(en->d_name, ".pack") != NULL;
	return n;
}

static void many_files_go_out_as_one_pack(void **state)
{
	OWN_LEDGER struct ledger *l = opened();
	struct ledger_event ev = event_of("copy", "version", "20000 chunks");
	struct ledger_txn *t;
	OWN_BUF struct buf b = BUF_INIT;
	OWN_BUF struct buf big = BUF_INIT;
	struct err e = ERR_INIT;
	int64_t start = clock_mono_ns();

	(void)state;
	append(l, "plan", "recorded");
	assert_int_equal(packs(), 0);
	t = begun(l);
	for (unsigned i = 0; i < 20000; i++) {
		char path[64], text[200];

		(void)snprintf(path, sizeof(path), "datasets/www/manifest/%02x/%016x.mtree", i % 256, i);
		(void)snprintf(text, sizeof(text), "%0140u", i / 2);	/* each content twice */
		put(t, path, text);
	}
	for (size_t i = 0; i < 5u << 20; i++)
		buf_putc(&big, (char)(i * i >> 7));
	assert_int_equal(ledger_txn_put(t, "documents/big", big.data, big.len, &e), 0);
	committed(t, &ev);
	print_message("20 000 files in one act: %.2f s\n", (double)(clock_mono_ns() - start) / 1e9);
	assert_int_equal(packs(), 1);
	assert_int_equal(ledger_read(l, "demo", NULL, "datasets/www/manifest/1f/0000000000004e1f.mtree", &b, &e), 1);
	assert_int_equal(b.len, 140);
	buf_reset(&b);
	assert_int_equal(ledger_read(l, "demo", NULL, "documents/big", &b, &e), 1);
	assert_int_equal(b.len, big.len);
	assert_memory_equal(b.data, big.data, big.len);
	assert_fsck_silent();
}

static void what_was_stored_early_belongs_to_the_act(void **state)
{
	OWN_LEDGER struct ledger *l = opened();
	struct ledger_event ev = event_of("copy", "version", "early");
	OWN_BUF struct buf b = BUF_INIT;
	struct ledger_txn *t;
	struct err e = ERR_INIT;
	char path[64];

	(void)state;
	append(l, "plan", "recorded");
	t = begun(l);
	for (unsigned i = 0; i < 300; i++) {
		(void)snprintf(path, sizeof(path), "datasets/www/manifest/%02x/%016x.mtree", i % 256, i);
		put(t, path, path);
	}
	assert_int_equal(ledger_txn_store(t, "datasets/www/manifest", &e), 0);
	assert_int_equal(packs(), 1);
	/* somebody else's act comes between */
	append(l, "check", "done");
	put(t, "datasets/www/summary.json", "{}");
	assert_int_equal(ledger_txn_store(t, "datasets/www", &e), 0);	/* too little for a pack */
	assert_int_equal(packs(), 1);
	committed(t, &ev);
	assert_int_equal(packs(), 1);
	assert_int_equal(ledger_read(l, "demo", NULL, "datasets/www/manifest/05/0000000000000105.mtree", &b, &e), 1);
	assert_int_equal(b.len, strlen(path));
	buf_reset(&b);
	assert_int_equal(ledger_read(l, "demo", NULL, "datasets/www/summary.json", &b, &e), 1);
	assert_fsck_silent();
}

static void an_act_is_synced_before_it_counts(void **state)
{
	OWN_LEDGER struct ledger *l = opened();
	struct ledger_event ev = event_of("copy", "version", "x");
	struct ledger_txn *t = begun(l);
	struct err e = ERR_INIT;
	uint64_t before;

	(void)state;
	put(t, "datasets/www/summary.json", "{}");
	assert_int_equal(ledger_txn_tag(t, "demo/www/1", &e), 0);
	before = syncs;
	committed(t, &ev);
	/* Blob, event, 4 trees, commit, tag, branch: each file and its directory, besides objects and the tag's parents. */
	assert_true(syncs - before >= 2 * 9 + 4);
}

static void paths_and_words_out_of_grammar_are_refused(void **state)
{
	static const char *const wrong[] = { "", "/a", "a/", "a//b", ".", "..", "a/../b", ".git", "a/.GIT/x", ".gitmodules", "a b", "a\nb",
		"\xe4\xb8\xad", "a\\b" };
	OWN_LEDGER struct ledger *l = opened();
	struct ledger_txn *t = begun(l);
	struct ledger_event ev = event_of("Copy", "done", "");
	struct err e = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_int_equal(ledger_txn_put(t, wrong[i], "", 0, &e), -1);
		assert_int_equal(ledger_txn_delete(t, wrong[i], &e), -1);
		assert_int_equal(ledger_txn_tag(t, wrong[i], &e), -1);
	}
	assert_int_equal(ledger_txn_commit(t, &ev, NULL, NULL, &e), -1);
	ev = event_of("copy", "done", "");
	ev.data = "[]";
	assert_int_equal(ledger_txn_commit(begun(l), &ev, NULL, NULL, &e), -1);
	ev.data = NULL;
	ev.by = "a <b>\n";
	assert_int_equal(ledger_txn_commit(begun(l), &ev, NULL, NULL, &e), -1);
	assert_int_equal(ledger_txn_begin(l, "_none", &t, &e), -1);
	assert_int_equal(ledger_txn_begin(l, "../x", &t, &e), -1);
}

static void an_abandoned_act_leaves_nothing(void **state)
{
	OWN_LEDGER struct ledger *l = opened();
	struct ledger_txn *t = begun(l);
	char oid[LEDGER_OID];
	struct err e = ERR_INIT;

	(void)state;
	for (unsigned i = 0; i < 100; i++) {
		char path[32];

		(void)snprintf(path, sizeof(path), "x/%u", i);
		put(t, path, path);
	}
	ledger_txn_abandon(t);
	assert_int_equal(ledger_head(l, "demo", oid, &e), 0);
	assert_int_equal(packs(), 0);
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

/* In a process of its own, which a fault rule may end: an act with a tag. */
static int append_as_child(const char *where)
{
	struct ledger *l = NULL;
	struct ledger_txn *t = NULL;
	struct ledger_event ev = event_of("copy", "version", "x");
	struct err e = ERR_INIT;
	int bad = ledger_open(&l, where, &e) < 0 || ledger_txn_begin(l, "demo", &t, &e) < 0 ||
	    ledger_txn_tag(t, "demo/www/1", &e) < 0 || ledger_txn_commit(t, &ev, NULL, NULL, &e) < 0;

	if (bad)
		(void)fprintf(stderr, "%s\n", e.text);
	ledger_close(l);
	return bad;
}

static int child_with(const char *fault)
{
	const char *const env[] = { fault, NULL }, *const argv[] = { "/proc/self/exe", "append", dir, NULL };
	const struct proc_options o = { .argv = argv, .env = env, .timeout_ms = 60000 };
	OWN_PROC struct proc_result r = PROC_RESULT_INIT;
	struct err e = ERR_INIT;

	if (proc_run(&o, &r, &e) < 0)
		fail_msg("%s", e.text);
	return r.status;
}

static void a_killed_act_is_not_recorded_and_can_be_repeated(void **state)
{
	OWN_LEDGER struct ledger *l = opened();
	struct replayed r;
	struct err e = ERR_INIT;
	char oid[LEDGER_OID];

	(void)state;
	append(l, "plan", "recorded");
	assert_int_equal(child_with("WAYBILL_FAULT=point@ledger:1:kill"), 128 + SIGKILL);
	assert_int_equal(ledger_tag(l, "demo/www/1", oid, &e), 0);
	assert_int_equal(child_with("WAYBILL_FAULT=point@ledger:2:kill"), 128 + SIGKILL);
	assert_int_equal(ledger_tag(l, "demo/www/1", oid, &e), 1);
	replayed(l, &r);
	assert_int_equal(r.n, 1);
	assert_int_equal(child_with("WAYBILL_FAULT=fsync@ledger:1:EIO"), 1);
	replayed(l, &r);
	assert_int_equal(r.n, 1);
	assert_int_equal(child_with("WAYBILL_FAULT="), 0);
	replayed(l, &r);
	assert_string_equal(r.words, "plan-recorded copy-version ");
	assert_int_equal(ledger_tag(l, "demo/www/1", oid, &e), 1);
	assert_string_equal(oid, r.commit);
}

#define T(name) cmocka_unit_test_setup_teardown(name, make_ledger, remove_ledger)

int main(int argc, char **argv)
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
		T(appenders_at_once_all_land),
		T(a_lost_race_is_run_again),
		T(a_signed_commit_verifies_with_stock_git),
		T(many_files_go_out_as_one_pack),
		T(what_was_stored_early_belongs_to_the_act),
		T(an_act_is_synced_before_it_counts),
		T(a_killed_act_is_not_recorded_and_can_be_repeated),
		T(paths_and_words_out_of_grammar_are_refused),
		T(an_abandoned_act_leaves_nothing),
		T(no_ledger_is_said_and_none_is_made_twice),
		T(a_second_runner_is_told_who_holds_the_lock),
	};

	if (argc == 3 && strcmp(argv[1], "append") == 0)
		return append_as_child(argv[2]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
