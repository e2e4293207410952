/* rooms: transport */
/* Channels to a host, and the helper at their far end. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "transport_lab.h"

static void sixty_four_mib_go_both_ways_at_once_with_rekeys(void **state)
{
	struct target *t;
	struct host *h;

	(void)state;
	need("rekey", "--config 'RekeyLimit 4M'");
	t = to("rekey");
	h = must_open(&t->spec);
	echo_through(h, "exec cat", 64u << 20, true);
	host_close(h);
	need("rekey2", "--config 'RekeyLimit 256K'");
	t = to("rekey2");
	h = must_open(&t->spec);
	echo_through(h, "exec cat", 8u << 20, true);
	host_close(h);
}

static void exit_status_and_signal_arrive(void **state)
{
	struct target *t;
	struct host *h;
	struct channel *c;
	struct err e = ERR_INIT;
	OWN_BUF struct buf tail = BUF_INIT;
	int status;

	(void)state;
	need("a", "");
	t = to("a");
	h = must_open(&t->spec);
	c = start_shell(h, "echo noise >&2; exit 37");
	assert_int_equal(channel_close(c, &status, &tail, &e), 0);
	assert_int_equal(status, 37);
	assert_string_equal(tail.data, "noise\n");
	c = start_shell(h, "kill -KILL $$");
	assert_int_equal(channel_close(c, &status, NULL, &e), 0);
	assert_int_equal(status, 128 + 9);
	assert_string_equal(run_text(h, "printf hello; exit 3", 3), "hello");
	host_close(h);
}

static void input_that_nobody_reads_is_an_error_not_a_hang(void **state)
{
	struct target *t;
	struct host *h;
	struct channel *c;
	struct err e = ERR_INIT;
	static char block[1 << 20];
	int status, rc = 0;

	(void)state;
	need("a", "");
	t = to("a");
	h = must_open(&t->spec);
	c = start_shell(h, "exec <&-; exit 5");
	for (int i = 0; rc == 0 && i < 64; i++)
		rc = io_write_all("test", channel_in(c), block, sizeof(block), "channel", &e);
	assert_int_equal(rc, -1);
	assert_int_equal(channel_close(c, &status, NULL, &e), 0);
	assert_int_equal(status, 5);
	host_close(h);
}

static void a_cut_connection_is_no_success(void **state)
{
	static const enum host_client clients[] = { HOST_LIBSSH2, HOST_OPENSSH };

	(void)state;
	need("cut", "");
	for (size_t i = 0; i < 2; i++) {
		struct target *t = to("cut");
		struct host *h;
		struct channel *c;
		struct err e = ERR_INIT;
		char block[512];
		int status = 0;

		t->spec.client = clients[i];
		h = must_open(&t->spec);
		c = start_shell(h, "echo on; exec sleep 60");
		assert_int_equal(read(channel_out(c), block, sizeof(block)), 3);
		lab_do("sshd_cut cut");
		assert_int_equal(read(channel_out(c), block, sizeof(block)), 0);
		assert_int_equal(channel_close(c, &status, NULL, &e), -1);
		assert_int_equal(status, -1);
		assert_int_equal(e.class, ERR_TEMPORARY);
		assert_non_null(strstr(e.text, "cut"));
		assert_int_equal(channel_exec(h, (const char *[]){ "true", NULL }, &c, &e) == 0 ? channel_close(c, &status, NULL, &e) : -1, -1);
		host_close(h);
	}
}

static void several_channels_run_side_by_side_with_noise_on_stderr(void **state)
{
	struct target *t;
	struct host *h;
	struct stream s[3];
	pthread_t writer[3];
	struct err e = ERR_INIT;
	uint64_t next[3] = { 0 };
	int status;

	(void)state;
	need("a", "");
	t = to("a");
	h = must_open(&t->spec);
	for (int i = 0; i < 3; i++) {
		s[i] = (struct stream){ .c = start_shell(h, "{ head -c 4000000 /dev/zero | tr '\\0' n; echo the end; } >&2 & cat; wait"), .bytes = 4u << 20 };
		assert_int_equal(pthread_create(&writer[i], NULL, write_numbers, &s[i]), 0);
	}
	for (int i = 2; i >= 0; i--) {		/* not in the order of opening: the others stand still meanwhile */
		OWN_BUF struct buf tail = BUF_INIT;

		assert_true(read_numbers(s[i].c, s[i].bytes, &next[i]));
		pthread_join(writer[i], NULL);
		assert_int_equal(channel_close(s[i].c, &status, &tail, &e), 0);
		assert_int_equal(status, 0);
		assert_int_equal(tail.len, 4096);
		assert_string_equal(tail.data + tail.len - 8, "the end\n");
	}
	host_close(h);
}

static void an_abandoned_channel_frees_the_session_for_others(void **state)
{
	struct target *t;
	struct host *h;

	(void)state;
	need("few", "--config 'MaxSessions 2'");
	t = to("few");
	h = must_open(&t->spec);
	for (int i = 0; i < 6; i++)
		channel_abandon(start_shell(h, "exec cat /dev/zero"));
	assert_string_equal(run_text(h, "echo still here", 0), "still here\n");
	for (int i = 0; i < 6; i++)
		assert_string_equal(run_text(h, "echo again", 0), "again\n");
	host_close(h);
}

static void silence_of_ours_answers_the_servers_keepalives(void **state)
{
	struct target *t;
	struct host *idle, *full;
	struct channel *c;
	struct err e = ERR_INIT;
	int status;

	(void)state;
	need("alive", "--config 'ClientAliveInterval 1' --config 'ClientAliveCountMax 1'");
	t = to("alive");
	idle = must_open(&t->spec);
	full = must_open(&t->spec);
	assert_string_equal(run_text(idle, "echo one", 0), "one\n");
	c = start_shell(full, "exec head -c 30000000 /dev/zero");
	sleep(7);				/* one has no channel, the other one whose output nobody reads */
	assert_string_equal(run_text(idle, "echo two", 0), "two\n");
	assert_int_equal(channel_close(c, &status, NULL, &e), 0);
	assert_int_equal(status, 0);
	host_close(idle);
	host_close(full);
}

static void what_one_channel_reads_for_another_is_not_left_lying(void **state)
{
	struct target *t;
	struct host *h;
	struct channel *busy, *idle;
	struct err e = ERR_INIT;
	int late = 0;
	char byte = 0;
	int status;

	(void)state;
	need("a", "");
	t = to("a");
	h = must_open(&t->spec);
	busy = start_shell(h, "exec cat");
	idle = start_shell(h, "exec cat");	/* stepped after busy: now and then it takes busy's answer from the socket */
	for (int i = 0; i < 4000; i++) {
		int64_t start = clock_mono_ns(), took;

		assert_int_equal(write(channel_in(busy), &byte, 1), 1);
		assert_int_equal(read(channel_out(busy), &byte, 1), 1);
		took = clock_mono_ns() - start;
		late += took > 2000000000LL;
	}
	assert_in_range(late, 0, 2);	/* a busy machine may hold up one of them */
	assert_int_equal(channel_close(busy, &status, NULL, &e), 0);
	channel_abandon(idle);
	host_close(h);
}

static void run_agent(struct host *h)
{
	struct channel *c = NULL;
	struct err e = ERR_INIT;
	char text[512] = "";
	int status;

	if (channel_agent(h, (const char *[]){ "exec", "two words", NULL }, &c, &e) < 0)
		fail_msg("%s", e.text);
	assert_int_equal(io_write_all("test", channel_in(c), "ping\n", 5, "channel", &e), 0);
	for (size_t n = 0; n < sizeof(text) - 1; ) {
		ssize_t r = read(channel_out(c), text + n, sizeof(text) - 1 - n);

		n += r > 0 ? (size_t)r : 0;
		text[n] = '\0';
		if (r <= 0 || strstr(text, "ping\n"))
			break;
	}
	assert_non_null(strstr(text, "exec/two words/ping\n"));
	assert_int_equal(channel_close(c, &status, NULL, &e), 0);
	assert_int_equal(status, 0);
}

static void the_helper_is_uploaded_once_and_found_again(void **state)
{
	struct target *t;
	struct host *h;
	struct err e = ERR_INIT;
	char first[256], inode[64];

	(void)state;
	need("up", "");
	t = to("up");
	h = must_open(&t->spec);
	if (host_agent(h, &e) < 0)
		fail_msg("%s", e.text);
	snprintf(first, sizeof(first), "%s", host_agent_path(h));
	assert_non_null(strstr(first, "/home/.cache/waybill/agent-"));
	snprintf(inode, sizeof(inode), "%s", lab_do("stat -c %%i:%%z %s", first));
	assert_string_equal(lab_do("stat -c %%a %s", first), "700");
	assert_string_equal(lab_do("cmp %s %s && stat -c %%a $(dirname %s)", first, agent_file, first), "700");
	run_agent(h);
	host_close(h);
	h = must_open(&t->spec);
	assert_int_equal(host_agent(h, &e), 0);
	assert_string_equal(host_agent_path(h), first);
	assert_string_equal(lab_do("stat -c %%i:%%z %s", first), inode);
	run_agent(h);
	/* Damaged on the host: it is replaced, never run. */
	lab_do("echo 'echo evil' >> %s", first);
	host_close(h);
	h = must_open(&t->spec);
	assert_int_equal(host_agent(h, &e), 0);
	lab_do("cmp %s %s", host_agent_path(h), agent_file);
	assert_int_equal(host_agent_remove(h, &e), 0);
	lab_do("[ ! -e $(dirname %s) ]", first);
	host_close(h);
}

static void a_place_that_others_can_write_is_passed_over(void **state)
{
	struct target *t;
	struct host *h;
	struct err e = ERR_INIT;

	(void)state;
	need("places", "");
	t = to("places");
	lab_do("mkdir -p ${SSHD_HOME[places]}/.cache/waybill; chmod 777 ${SSHD_HOME[places]}/.cache/waybill");
	h = must_open(&t->spec);
	if (host_agent(h, &e) < 0)
		fail_msg("%s", e.text);
	assert_null(strstr(host_agent_path(h), "/home/.cache/"));
	run_agent(h);
	assert_int_equal(host_agent_remove(h, &e), 0);
	host_close(h);
}

static void a_noisy_login_confuses_nothing(void **state)
{
	static const enum host_client clients[] = { HOST_LIBSSH2, HOST_OPENSSH };

	(void)state;
	lab_do("printf '#!/bin/sh\\necho Welcome to the old machine; echo have 1 /bin/true\\necho warning >&2\\nexec sh -c \"$SSH_ORIGINAL_COMMAND\"\\n' "
	    "> $SSHD_LAB/noisy; chmod 755 $SSHD_LAB/noisy; echo 'Authorized use only' > $SSHD_LAB/banner");
	need("noisy", "--config \"ForceCommand $SSHD_LAB/noisy\" --config \"Banner $SSHD_LAB/banner\"");
	for (size_t i = 0; i < 2; i++) {
		struct target *t = to("noisy");
		struct host *h;
		struct err e = ERR_INIT;

		t->spec.client = clients[i];
		h = must_open(&t->spec);
		assert_string_equal(run_text(h, "printf out; exit 4", 4), "out");
		if (host_agent(h, &e) < 0)
			fail_msg("%s", e.text);
		assert_non_null(strstr(host_agent_path(h), "waybill/agent-"));
		run_agent(h);
		host_close(h);
	}
}

static void an_installed_helper_must_be_of_our_build(void **state)
{
	struct target *t;
	struct host *h;
	struct err e = ERR_INIT;
	char path[128];

	(void)state;
	need("a", "");
	t = to("a");
	snprintf(path, sizeof(path), "%s/installed", lab.dir);
	lab_do("sed s/build-1/build-2/ %s > %s; chmod 755 %s", agent_file, path, path);
	t->spec.agent = path;
	h = must_open(&t->spec);
	assert_int_equal(host_agent(h, &e), -1);
	assert_int_equal(e.class, ERR_PERMANENT);
	assert_non_null(strstr(e.text, "build-2"));
	lab_do("cp %s %s", agent_file, path);
	assert_int_equal(host_agent(h, &e), 0);
	assert_string_equal(host_agent_path(h), path);
	run_agent(h);
	assert_int_equal(host_agent_remove(h, &e), 0);
	lab_do("[ -e %s ]", path);		/* not ours to remove */
	host_close(h);
}

static void local_runs_children(void **state)
{
	struct host_spec s = { .name = "local", .agent_binary = agent_file };
	struct host *h = must_open(&s);
	struct channel *c;
	struct err e = ERR_INIT;
	OWN_BUF struct buf tail = BUF_INIT;
	int status;

	(void)state;
	assert_int_equal(host_agent(h, &e), 0);
	assert_string_equal(host_agent_path(h), agent_file);
	run_agent(h);
	echo_through(h, "exec cat", 16u << 20, true);
	c = start_shell(h, "head -c 100000 /dev/zero | tr '\\0' n >&2; echo the end >&2; kill -TERM $$");
	assert_int_equal(channel_close(c, &status, &tail, &e), 0);
	assert_int_equal(status, 128 + 15);
	assert_int_equal(tail.len, 4096);
	channel_abandon(start_shell(h, "exec sleep 1000"));
	(void)start_shell(h, "exec sleep 1000");	/* host_close ends it */
	host_close(h);
}

static void a_command_that_takes_too_long_is_ended(void **state)
{
	struct target *t;
	struct host *h;
	struct err e = ERR_INIT;
	OWN_PROC struct proc_result r = PROC_RESULT_INIT;
	int64_t start = clock_mono_ns();

	(void)state;
	need("a", "");
	t = to("a");
	h = must_open(&t->spec);
	assert_int_equal(host_run(h, (const char *[]){ "sleep", "300", NULL }, NULL, 0, 1000, &r, &e), 0);
	assert_true(r.timed_out);
	assert_true(clock_mono_ns() - start < 200000000000LL);
	assert_string_equal(run_text(h, "echo on", 0), "on\n");
	host_close(h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exit_status_and_signal_arrive),
		cmocka_unit_test(input_that_nobody_reads_is_an_error_not_a_hang),
		cmocka_unit_test(sixty_four_mib_go_both_ways_at_once_with_rekeys),
		cmocka_unit_test(several_channels_run_side_by_side_with_noise_on_stderr),
		cmocka_unit_test(an_abandoned_channel_frees_the_session_for_others),
		cmocka_unit_test(silence_of_ours_answers_the_servers_keepalives),
		cmocka_unit_test(what_one_channel_reads_for_another_is_not_left_lying),
		cmocka_unit_test(a_cut_connection_is_no_success),
		cmocka_unit_test(a_command_that_takes_too_long_is_ended),
		cmocka_unit_test(the_helper_is_uploaded_once_and_found_again),
		cmocka_unit_test(a_place_that_others_can_write_is_passed_over),
		cmocka_unit_test(a_noisy_login_confuses_nothing),
		cmocka_unit_test(an_installed_helper_must_be_of_our_build),
		cmocka_unit_test(local_runs_children),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
