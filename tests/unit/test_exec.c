/* rooms: agent */
/* The exec role: what goes in, what comes out, how it ends - and that nothing survives it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "../lib/agent_child.h"
#include "clock.h"
#include "messages_exec.h"

struct told {
	struct buf out;
	struct msg_exec_end end;
	int code;	/* of the agent */
};
#define TOLD_INIT { .out = BUF_INIT }

static void told_dispose(struct told *t)
{
	buf_dispose(&t->out);
	msg_exec_end_dispose(&t->end);
}

static void start(struct child *c, const struct msg_exec *m)
{
	struct buf b = BUF_INIT;

	child_start(c, "exec", "/", 1, "", 0);
	msg_exec_encode(&b, m);
	child_send(c, (enum msg_type)MSG_EXEC, &b);
}

static void end_stream(struct child *c, enum wire_stream s)
{
	struct err e = ERR_INIT;

	if (wire_end(c->wire, s, &e) < 0)
		fail_msg("%s", e.text);
}

/* Everything up to the end message. */
static void collect(struct child *c, struct told *t)
{
	struct err e = ERR_INIT;

	for (;;) {
		OWN_FRAME struct wire_frame f = WIRE_FRAME_INIT;

		if (wire_recv(c->wire, WIRE_DATA, &f, &e) != 1)
			fail_msg("no end message: %s", e.text);
		if (f.type == MSG_EXEC_OUT) {
			buf_put(&t->out, f.data, f.len);
			continue;
		}
		assert_int_equal(f.type, MSG_EXEC_END);
		assert_int_equal(msg_exec_end_decode(f.data, f.len, &t->end, &e), 0);
		return;
	}
}

static void hang_up(struct child *c, struct told *t)
{
	end_stream(c, WIRE_KNOWN);
	for (;;) {
		OWN_FRAME struct wire_frame f = WIRE_FRAME_INIT;
		struct err e = ERR_INIT;

		if (wire_recv(c->wire, WIRE_CONTROL, &f, &e) != 1)
			fail_msg("no end record: %s", e.text);
		if (f.type == MSG_DONE)
			break;
	}
	t->code = child_reap(c);
}

static void run(const struct msg_exec *m, const void *input, size_t n, struct told *t)
{
	struct buf b = BUF_INIT;
	struct child c;

	start(&c, m);
	if (n) {
		buf_put(&b, input, n);
		child_send(&c, (enum msg_type)MSG_EXEC_IN, &b);
	}
	end_stream(&c, WIRE_DATA);
	collect(&c, t);
	hang_up(&c, t);
}

static char **sh(const char *script)
{
	static char *v[4];

	v[0] = (char *)(uintptr_t)"sh";
	v[1] = (char *)(uintptr_t)"-c";
	v[2] = (char *)(uintptr_t)script;
	return v;
}

static char *no_env[] = { NULL };

static void test_input_output_and_status(void **state)
{
	OWN(told_dispose) struct told t = TOLD_INIT;
	struct msg_exec m = { .argv = sh("cat; echo $GREETING; echo wrong >&2; pwd; exit 3"),
		.env = (char *[]){ (char[]){ "GREETING=hello" }, NULL } };

	(void)state;
	run(&m, "in\n", 3, &t);
	assert_string_equal(t.out.data, "in\nhello\n/\n");
	assert_int_equal(t.end.how, MSG_EXEC_EXITED);
	assert_int_equal(t.end.code, 3);
	assert_false(t.end.timed_out);
	assert_int_equal(t.end.out_bytes, t.out.len);
	assert_string_equal(t.end.tail, "wrong\n");
	assert_int_equal(t.code, 0);
}

/* More than every window and pipe, in both directions at once. */
static void test_a_stream_through_it(void **state)
{
	enum { PIECES = 200, PIECE = 65536 };
	static uint8_t piece[PIECE];
	OWN(told_dispose) struct told t = TOLD_INIT;
	struct msg_exec m = { .argv = sh("cat"), .env = no_env, .flags = MSG_EXEC_TO_EOF };
	struct child c;

	(void)state;
	start(&c, &m);
	for (int i = 0; i < PIECES; i++) {
		struct buf b = BUF_INIT;
		OWN_FRAME struct wire_frame f = WIRE_FRAME_INIT;
		struct err e = ERR_INIT;

		memset(piece, i, PIECE);
		buf_put(&b, piece, PIECE);
		child_send(&c, (enum msg_type)MSG_EXEC_IN, &b);
		assert_int_equal(wire_recv(c.wire, WIRE_DATA, &f, &e), 1);
		buf_put(&t.out, f.data, f.len);
	}
	end_stream(&c, WIRE_DATA);
	collect(&c, &t);
	hang_up(&c, &t);
	assert_int_equal(t.out.len, PIECES * PIECE);
	for (int i = 0; i < PIECES; i++)
		assert_int_equal((uint8_t)t.out.data[(size_t)i * PIECE + 17], (uint8_t)i);
	assert_int_equal(t.end.code, 0);
}

static void test_program_from_memory(void **state)
{
	static const char script[] = "#!/bin/sh\necho \"$1 $#\"; cat\n", bare[] = "echo no first line $1\n";
	OWN(told_dispose) struct told t = TOLD_INIT, u = TOLD_INIT;
	char *argv[] = { (char[]){ "hook" }, (char[]){ "an argument" }, NULL };
	struct msg_exec m = { .argv = argv, .env = no_env, .program = (uint8_t *)(uintptr_t)script, .program_len = sizeof(script) - 1 };

	(void)state;
	run(&m, "{}", 2, &t);
	assert_string_equal(t.out.data, "an argument 1\n{}");
	assert_int_equal(t.end.code, 0);
	m.program = (uint8_t *)(uintptr_t)bare;
	m.program_len = sizeof(bare) - 1;
	run(&m, NULL, 0, &u);
	assert_string_equal(u.out.data, "no first line an argument\n");
}

static void test_not_found(void **state)
{
	OWN(told_dispose) struct told t = TOLD_INIT;
	char *argv[] = { (char[]){ "no-such-program" }, NULL };
	struct msg_exec m = { .argv = argv, .env = no_env };

	(void)state;
	run(&m, NULL, 0, &t);
	assert_int_equal(t.end.how, MSG_EXEC_NOT_RUN);
	assert_int_equal(t.end.code, 2);
}

/* A number of seconds that only this process sleeps: the same test runs under ASan at the same time. */
static int nap(void) { return 97000000 + (int)getpid(); }

/* Nobody sleeps so long any more; who was killed a moment ago may take a moment to die. */
static bool all_awake(void)
{
	const struct timespec moment = { 0, 100000000 };
	char line[100];

	(void)snprintf(line, sizeof(line), "pgrep -f '[s]leep %d' >/dev/null", nap());
	for (int i = 0; i < 300; i++) {
		if (system(line) != 0)
			return true;
		(void)nanosleep(&moment, NULL);
	}
	return false;
}

static void test_time_is_up_for_the_whole_group(void **state)
{
	OWN(told_dispose) struct told t = TOLD_INIT;
	struct msg_exec m = { .env = no_env, .timeout_ms = 200 };
	int64_t began = clock_mono_ns();
	char script[120];

	(void)state;
	(void)snprintf(script, sizeof(script), "trap '' TERM; (trap '' TERM; sleep %d) & sleep %d; sleep %d", nap(), nap(), nap());
	m.argv = sh(script);
	run(&m, NULL, 0, &t);
	assert_true(t.end.timed_out);
	assert_int_equal(t.end.how, MSG_EXEC_SIGNAL);
	assert_int_equal(t.end.code, 9);
	assert_true(clock_mono_ns() - began > 5000000000LL);
	assert_true(all_awake());
}

static void test_told_to_end(void **state)
{
	OWN(told_dispose) struct told t = TOLD_INIT;
	struct msg_exec m = { .argv = sh("sleep 97532"), .env = no_env };
	struct err e = ERR_INIT;
	struct child c;

	(void)state;
	start(&c, &m);
	assert_int_equal(wire_send(c.wire, WIRE_KNOWN, MSG_EXEC_KILL, "", 0, &e), 0);
	end_stream(&c, WIRE_DATA);
	collect(&c, &t);
	hang_up(&c, &t);
	assert_true(t.end.timed_out);
	assert_int_equal(t.end.code, 15);
}

/* What it was being fed was cut: it must not take that for the end. */
static void test_lost_connection_is_no_end_of_input(void **state)
{
	char dir[] = "/tmp/waybill-exec-XXXXXX", script[200], mark[100];
	struct msg_exec m = { .argv = sh(script), .env = no_env };
	struct buf b = BUF_INIT;
	struct child c;

	(void)state;
	assert_non_null(mkdtemp(dir));
	(void)snprintf(mark, sizeof(mark), "%s/complete", dir);
	(void)snprintf(script, sizeof(script), "cat >/dev/null; touch %s; sleep %d", mark, nap());
	start(&c, &m);
	buf_puts(&b, "half");
	child_send(&c, (enum msg_type)MSG_EXEC_IN, &b);
	(void)shutdown(c.fd, SHUT_RDWR);
	assert_int_not_equal(child_reap(&c), 0);
	assert_int_equal(access(mark, F_OK), -1);
	assert_true(all_awake());
	(void)unlink(mark);
	assert_int_equal(rmdir(dir), 0);
}

/* A daemon that it started keeps running, and keeps nobody waiting. */
static void test_leftovers_hold_nobody_up(void **state)
{
	OWN(told_dispose) struct told t = TOLD_INIT;
	struct msg_exec m = { .argv = sh("sleep 60 & echo $!"), .env = no_env };
	long daemon;

	(void)state;
	run(&m, NULL, 0, &t);
	assert_int_equal(t.end.code, 0);
	assert_false(t.end.timed_out);
	daemon = strtol(t.out.data, NULL, 10);
	assert_true(daemon > 1);
	assert_int_equal(kill((pid_t)daemon, SIGKILL), 0);	/* which is there only while it has not been waited for */
}

static void test_another_user(void **state)
{
	OWN(told_dispose) struct told t = TOLD_INIT;
	static const char script[] = "#!/bin/sh\nid -un; echo $HOME; id -Gn\n";
	char *argv[] = { (char[]){ "hook" }, NULL };
	struct msg_exec m = { .argv = argv, .env = no_env, .user = (char[]){ "nobody" }, .program = (uint8_t *)(uintptr_t)script,
		.program_len = sizeof(script) - 1 };

	(void)state;
	if (geteuid() != 0)
		skip();
	run(&m, NULL, 0, &t);
	assert_string_equal(t.out.data, "nobody\n/nonexistent\nnogroup\n");
}

static void test_unknown_user_is_refused(void **state)
{
	struct msg_exec m = { .argv = sh("true"), .env = no_env, .user = (char[]){ "no-such-user" } };
	struct err e = ERR_INIT;
	struct wire_frame f = WIRE_FRAME_INIT;
	struct child c;

	(void)state;
	start(&c, &m);
	assert_int_equal(wire_recv(c.wire, WIRE_DATA, &f, &e), -1);
	assert_non_null(strstr(e.text, "no-such-user"));
	assert_int_not_equal(child_reap(&c), 0);
}

static void test_messages_say_what_they_said(void **state)
{
	struct msg_exec m = { .flags = MSG_EXEC_TO_EOF, .user = (char[]){ "postgres" }, .timeout_ms = 5, .argv = sh("x"),
		.env = (char *[]){ (char[]){ "A=b=c" }, NULL }, .program = (uint8_t[]){ 1, 0, 2 }, .program_len = 3 }, got;
	struct buf b = BUF_INIT;
	struct err e = ERR_INIT;

	(void)state;
	msg_exec_encode(&b, &m);
	assert_int_equal(msg_exec_decode(b.data, b.len, &got, &e), 0);
	assert_string_equal(got.user, "postgres");
	assert_string_equal(got.argv[2], "x");
	assert_null(got.argv[3]);
	assert_string_equal(got.env[0], "A=b=c");
	assert_memory_equal(got.program, m.program, 3);
	msg_exec_dispose(&got);
	for (size_t i = 0; i < b.len; i++)
		assert_int_equal(msg_exec_decode(b.data, i, &got, &e), -1);
	buf_dispose(&b);
	m.env = (char *[]){ (char[]){ "no value" }, NULL };
	msg_exec_encode(&b, &m);
	assert_int_equal(msg_exec_decode(b.data, b.len, &got, &e), -1);
	buf_dispose(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_messages_say_what_they_said),
		cmocka_unit_test(test_input_output_and_status),
		cmocka_unit_test(test_a_stream_through_it),
		cmocka_unit_test(test_program_from_memory),
		cmocka_unit_test(test_not_found),
		cmocka_unit_test(test_time_is_up_for_the_whole_group),
		cmocka_unit_test(test_told_to_end),
		cmocka_unit_test(test_lost_connection_is_no_end_of_input),
		cmocka_unit_test(test_leftovers_hold_nobody_up),
		cmocka_unit_test(test_another_user),
		cmocka_unit_test(test_unknown_user_is_refused),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
