/* A ledger in a throw-away directory, acts on it and its replay, for the tests of ledger/; include after cmocka.h. */
#ifndef LEDGER_REPO_H
#define LEDGER_REPO_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ledger.h"
#include "proc.h"

static char top[64], dir[96];

static inline int make_ledger(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	(void)snprintf(top, sizeof(top), "/tmp/ledger-test-XXXXXX");
	if (!mkdtemp(top))
		return -1;
	(void)snprintf(dir, sizeof(dir), "%s/ledger.git", top);
	return ledger_create(dir, &e);
}

static inline void run(struct proc_result *r, const char *const *argv)
{
	static const char *const env[] = { "LC_ALL=C", "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "HOME=/nonexistent", NULL };
	const struct proc_options o = { .argv = argv, .env = env, .timeout_ms = 60000 };
	struct err e = ERR_INIT;

	if (proc_run(&o, r, &e) < 0)
		fail_msg("%s", e.text);
}

static inline int remove_ledger(void **state)
{
	OWN_PROC struct proc_result r = PROC_RESULT_INIT;

	(void)state;
	run(&r, (const char *const[]){ "rm", "-rf", top, NULL });
	return r.status;
}

/* Status 0 and not a word, neither of danglings nor of HEAD. */
static inline void assert_fsck_silent(void)
{
	OWN_PROC struct proc_result r = PROC_RESULT_INIT;

	run(&r, (const char *const[]){ "git", "-C", dir, "fsck", "--strict", "--full", "--no-progress", NULL });
	if (r.status != 0 || r.out.len || r.err.len)
		fail_msg("git fsck: %d\n%s%s", r.status, r.out.len ? r.out.data : "", r.err.len ? r.err.data : "");
}

#define DIGEST_TEXT "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static inline struct ledger_event event_of(const char *stage, const char *state, const char *text)
{
	return (struct ledger_event){ .stage = stage, .state = state, .text = text, .by = "zhang",
		.at = "2026-11-28T22:00:00+08:00", .plan_digest = DIGEST_TEXT, .data = "{\"b\":1,\"a\":[\"x\"]}" };
}

static inline struct ledger *opened(void)
{
	struct ledger *l = NULL;
	struct err e = ERR_INIT;

	if (ledger_open(&l, dir, &e) < 0)
		fail_msg("%s", e.text);
	return l;
}
#define OWN_LEDGER OWN(ledger_closep)

static inline struct ledger_txn *begun(struct ledger *l)
{
	struct ledger_txn *t = NULL;
	struct err e = ERR_INIT;

	assert_int_equal(ledger_txn_begin(l, "demo", &t, &e), 0);
	return t;
}

static inline void put(struct ledger_txn *t, const char *path, const char *text)
{
	struct err e = ERR_INIT;

	if (ledger_txn_put(t, path, text, strlen(text), &e) < 0)
		fail_msg("%s", e.text);
}

static inline void committed(struct ledger_txn *t, struct ledger_event *ev)
{
	struct err e = ERR_INIT;

	if (ledger_txn_commit(t, ev, NULL, NULL, &e) < 0)
		fail_msg("%s", e.text);
}

static inline void append(struct ledger *l, const char *stage, const char *state)
{
	struct ledger_event ev = event_of(stage, state, "something happened");

	committed(begun(l), &ev);
}

struct replayed { char words[4096]; uint64_t n; uint8_t digest[DIGEST_LEN]; char commit[LEDGER_OID]; };

static inline int note_event(void *ctx, const struct ledger_event *ev)
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

static inline void replayed(struct ledger *l, struct replayed *r)
{
	struct err e = ERR_INIT;

	*r = (struct replayed){ .n = 0 };
	if (ledger_replay(l, "demo", note_event, r, &e) < 0)
		fail_msg("%s", e.text);
}

static inline void assert_broken(struct ledger *l, const char *says)
{
	struct replayed r = { .n = 0 };
	struct err e = ERR_INIT;

	assert_int_equal(ledger_replay(l, "demo", note_event, &r, &e), -1);
	assert_int_equal(e.class, ERR_INTEGRITY);
	if (!strstr(e.text, says))
		fail_msg("%s", e.text);
}

#define T(name) cmocka_unit_test_setup_teardown(name, make_ledger, remove_ledger)

#endif
