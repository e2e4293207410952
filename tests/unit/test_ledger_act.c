/* rooms: ledger */
/* One act of a ledger: whole, durable and on top of the others, or not there. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "ledger_repo.h"

/* libgit2's syncs come through here, so that durability can be asserted. */
static uint64_t syncs;
int fsync(int fd)
{
	syncs++;
	return (int)syscall(SYS_fsync, fd);
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

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		T(appenders_at_once_all_land),
		T(a_lost_race_is_run_again),
		T(a_signed_commit_verifies_with_stock_git),
		T(many_files_go_out_as_one_pack),
		T(what_was_stored_early_belongs_to_the_act),
		T(an_act_is_synced_before_it_counts),
		T(a_killed_act_is_not_recorded_and_can_be_repeated),
		T(paths_and_words_out_of_grammar_are_refused),
		T(an_abandoned_act_leaves_nothing),
	};

	if (argc == 3 && strcmp(argv[1], "append") == 0)
		return append_as_child(argv[2]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
