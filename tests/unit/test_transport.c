/* rooms: transport */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <fcntl.h>
#include <sys/socket.h>

#include "clock.h"
#include "digest.h"
#include "io.h"
#include "ssh_lab.h"
#include "transport.h"

#ifdef __SANITIZE_ADDRESS__
/* libssh2's own leaks (ssh2_io.c names them) are told apart only by whole stacks. */
const char *__asan_default_options(void);
const char *__asan_default_options(void) { return "fast_unwind_on_malloc=0"; }
#endif

static char agent_file[96];		/* a script that stands in for waybill-agent */
static char client_key[96];

/* Starts once per name; later calls find it running. */
static void need(const char *name, const char *options)
{
	lab_do("[ -n \"${SSHD_PID[%s]:-}\" ] || { sshd_start %s %s && sshd_known %s; }", name, name, options, name);
}

struct target { struct host_spec spec; char ssh[128]; };

static struct target *to(const char *name)
{
	static struct target t;

	memset(&t, 0, sizeof(t));
	snprintf(t.ssh, sizeof(t.ssh), "%s", lab_do("echo ${SSHD_LOGIN[%s]}@127.0.0.1", name));
	t.spec = (struct host_spec){ .name = name, .ssh = t.ssh, .port = atoi(lab_do("echo ${SSHD_PORT[%s]}", name)), .client = HOST_LIBSSH2,
		.agent_binary = agent_file, .connect_timeout_s = 60 };
	return &t;
}

static struct host *must_open(const struct host_spec *s)
{
	struct host *h = NULL;
	struct err e = ERR_INIT;

	if (host_open(&h, s, &e) < 0)
		fail_msg("%s", e.text);
	return h;
}

/* Refused with exit code 7, and the text says all of these. */
static void must_refuse(const struct host_spec *s, const char *a, const char *b)
{
	struct host *h = NULL;
	struct err e = ERR_INIT;

	if (host_open(&h, s, &e) == 0) {
		host_close(h);
		fail_msg("%s was opened", s->name);
	}
	if (e.class != ERR_UNREACHABLE || !strstr(e.text, a) || !strstr(e.text, b))
		fail_msg("class %s, wanted \"%s\" and \"%s\" in: %s", err_class_name(e.class), a, b, e.text);
}

static char *run_text(struct host *h, const char *shell, int want_status)
{
	static char text[4096];
	const char *argv[] = { "sh", "-c", shell, NULL };
	OWN_PROC struct proc_result r = PROC_RESULT_INIT;
	struct err e = ERR_INIT;

	if (host_run(h, argv, NULL, 0, 20000, &r, &e) < 0)
		fail_msg("%s", e.text);
	assert_int_equal(r.status, want_status);
	snprintf(text, sizeof(text), "%s", r.out.data ? r.out.data : "");
	return text;
}

static struct channel *start_shell(struct host *h, const char *shell)
{
	const char *argv[] = { "sh", "-c", shell, NULL };
	struct channel *c = NULL;
	struct err e = ERR_INIT;

	if (channel_exec(h, argv, &c, &e) < 0)
		fail_msg("%s", e.text);
	return c;
}

/* A stream of numbers through `cat` and back: writer thread and reader check that every byte comes, in order, once. */
struct stream { struct channel *c; uint64_t bytes; bool good; };

static void *write_numbers(void *arg)
{
	struct stream *s = arg;
	struct err e = ERR_INIT;
	uint64_t block[8192], next = 0;

	s->good = true;
	for (uint64_t done = 0; s->good && done < s->bytes; done += sizeof(block)) {
		for (size_t i = 0; i < 8192; i++)
			block[i] = next++ * 0x9e3779b97f4a7c15u;
		s->good = io_write_all("test", channel_in(s->c), block, sizeof(block), "channel", &e) == 0;
	}
	return NULL;
}

static bool read_numbers(struct channel *c, uint64_t bytes, uint64_t *next)
{
	uint64_t block[8192];
	struct err e = ERR_INIT;

	for (uint64_t done = 0; done < bytes; done += sizeof(block)) {
		if (io_read_full("test", channel_out(c), block, sizeof(block), "channel", &e) != sizeof(block))
			return false;
		for (size_t i = 0; i < 8192; i++)
			if (block[i] != (*next)++ * 0x9e3779b97f4a7c15u)
				return false;
	}
	return true;
}

static void echo_through(struct host *h, const char *shell, uint64_t bytes, bool slow_reader)
{
	struct stream s = { .c = start_shell(h, shell), .bytes = bytes };
	struct err e = ERR_INIT;
	uint64_t next = 0;
	pthread_t t;
	bool got;
	int status;

	assert_int_equal(pthread_create(&t, NULL, write_numbers, &s), 0);
	if (slow_reader)
		usleep(700000);		/* both directions are full by now */
	got = read_numbers(s.c, bytes, &next);
	if (!got)
		(void)shutdown(channel_in(s.c), SHUT_RDWR);	/* so that the writer ends */
	pthread_join(t, NULL);
	if (channel_close(s.c, &status, NULL, &e) < 0 || !got || !s.good || status != 0)
		fail_msg("after %llu of %llu bytes, status %d: %s", (unsigned long long)next * 8, (unsigned long long)bytes, status, e.text);
}

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

static void a_wrong_or_unknown_host_key_is_refused(void **state)
{
	static const enum host_client clients[] = { HOST_LIBSSH2, HOST_OPENSSH, HOST_AUTO };

	(void)state;
	need("keys", "--hostkey ed25519 --hostkey ecdsa");
	need("a", "");
	for (size_t i = 0; i < 3; i++) {
		struct target *t = to("keys");
		const char *right = lab_do("echo ${SSHD_HOSTKEY[keys]}"), *wrong = lab_do("echo ${SSHD_HOSTKEY[a]}");
		const char *fp = lab_do("echo ${SSHD_FP[keys]}"), *wrong_fp = lab_do("echo ${SSHD_FP[a]}");
		const char *ecdsa_fp = lab_do("ssh-keygen -l -f ${SSHD_DIR[keys]}/host_ecdsa.pub | cut -d' ' -f2");

		t->spec.client = clients[i];
		t->spec.host_key = wrong;
		must_refuse(&t->spec, "wrong host key", fp);
		t->spec.host_key = wrong_fp;
		must_refuse(&t->spec, wrong_fp, "someone may be in between");
		t->spec.host_key = right;
		host_close(must_open(&t->spec));
		t->spec.host_key = fp;
		host_close(must_open(&t->spec));
		t->spec.host_key = ecdsa_fp;		/* not the kind that would be negotiated first */
		host_close(must_open(&t->spec));
		t->spec.host_key = NULL;
		lab_do("cp $SSHD_LAB/known_hosts $SSHD_LAB/known_hosts.all; : > $SSHD_LAB/known_hosts");
		must_refuse(&t->spec, "host key unknown", right);
		lab_do("echo \"[127.0.0.1]:${SSHD_PORT[keys]} ${SSHD_HOSTKEY[a]}\" > $SSHD_LAB/known_hosts");
		must_refuse(&t->spec, "wrong host key", fp);
		lab_do("{ echo \"[127.0.0.1]:${SSHD_PORT[keys]} ${SSHD_HOSTKEY[keys]}\"; echo \"@revoked * ${SSHD_HOSTKEY[keys]}\"; } > $SSHD_LAB/known_hosts");
		must_refuse(&t->spec, clients[i] == HOST_OPENSSH ? "" : "revoked", "host key");
		lab_do("echo \"[127.0.0.1]:${SSHD_PORT[keys]} $(cut -d' ' -f1,2 ${SSHD_DIR[keys]}/host_ecdsa.pub)\" > $SSHD_LAB/known_hosts; "
		    "ssh-keygen -q -H -f $SSHD_LAB/known_hosts; rm -f $SSHD_LAB/known_hosts.old");
		host_close(must_open(&t->spec));	/* known by ecdsa alone, and hashed */
		lab_do("mv $SSHD_LAB/known_hosts.all $SSHD_LAB/known_hosts");
	}
}

static void unreachable_hosts_say_why(void **state)
{
	struct target *t;

	(void)state;
	need("a", "");
	t = to("a");
	t->spec.ssh = "nobody-here.invalid";
	must_refuse(&t->spec, "nobody-here.invalid", "not found");
	t->spec.ssh = "127.0.0.1";
	t->spec.port = atoi(lab_do("sshd_start gone; p=${SSHD_PORT[gone]}; sshd_stop gone; echo $p"));
	must_refuse(&t->spec, "refused", "sshd");
	t->spec.client = HOST_OPENSSH;
	must_refuse(&t->spec, "refused", "127.0.0.1");
}

static void a_silent_server_is_given_up_in_time(void **state)
{
	struct target *t;
	int64_t start = clock_mono_ns();
	int port;

	(void)state;
	need("a", "");
	port = atoi(lab_do("sshd_start mute; kill -STOP ${SSHD_PID[mute]}; echo ${SSHD_PORT[mute]}"));
	t = to("a");
	t->spec.port = port;
	t->spec.connect_timeout_s = 2;
	must_refuse(&t->spec, "handshake", "2 s");
	assert_true(clock_mono_ns() - start < 60000000000LL);
	lab_do("kill -CONT ${SSHD_PID[mute]}; sshd_stop mute");
}

static void a_refused_login_says_what_was_tried(void **state)
{
	struct target *t;
	char other[128], ssh[128];

	(void)state;
	need("a", "");
	lab_do("sshd_keygen ed25519 $SSHD_LAB/other; sshd_keygen ed25519 $SSHD_LAB/locked secret; sshd_keygen ed25519 $SSHD_LAB/open; "
	    "chmod 644 $SSHD_LAB/open");
	t = to("a");
	snprintf(other, sizeof(other), "%s/other", lab.dir);
	t->spec.identity = other;
	must_refuse(&t->spec, other, "refused by the server");
	lab_do("cp $SSHD_LAB/ssh_config $SSHD_LAB/ssh_config.all; sed -i 's,^IdentityFile.*,IdentityFile /nonexistent,' $SSHD_LAB/ssh_config");
	t->spec.client = HOST_OPENSSH;
	must_refuse(&t->spec, other, "log-in refused");
	lab_do("mv $SSHD_LAB/ssh_config.all $SSHD_LAB/ssh_config");
	t->spec.client = HOST_AUTO;
	snprintf(other, sizeof(other), "%s/locked", lab.dir);
	must_refuse(&t->spec, other, "passphrase");
	snprintf(other, sizeof(other), "%s/open", lab.dir);
	must_refuse(&t->spec, other, "chmod 600");
	snprintf(other, sizeof(other), "%s/missing", lab.dir);
	must_refuse(&t->spec, other, "no such file");
	t->spec.identity = NULL;
	snprintf(ssh, sizeof(ssh), "no-such-user@127.0.0.1");
	t->spec.ssh = ssh;
	must_refuse(&t->spec, "user no-such-user", client_key);
}

static void every_kind_of_key_logs_in(void **state)
{
	struct target *t;
	char path[128];
	static const char *const kinds[] = { "rsa", "ecdsa", "rsapem" };

	(void)state;
	lab_do("sshd_keygen rsa $SSHD_LAB/rsa; sshd_keygen ecdsa $SSHD_LAB/ecdsa; sshd_keygen rsa $SSHD_LAB/rsapem; "
	    "ssh-keygen -q -p -m PEM -N '' -P '' -f $SSHD_LAB/rsapem");
	need("kinds", "--authorize $SSHD_LAB/rsa.pub --authorize $SSHD_LAB/ecdsa.pub --authorize $SSHD_LAB/rsapem.pub");
	t = to("kinds");
	for (size_t i = 0; i < 3; i++) {
		struct host *h;

		snprintf(path, sizeof(path), "%s/%s", lab.dir, kinds[i]);
		t->spec.identity = path;
		h = must_open(&t->spec);
		assert_non_null(strstr(host_route(h), i == 1 ? "ecdsa-sha2-nistp256" : "ssh-rsa"));
		assert_string_equal(run_text(h, "echo in", 0), "in\n");
		host_close(h);
	}
}

static void an_agent_signs_for_keys_it_holds(void **state)
{
	struct target *t;
	char path[128];
	static const char *const kinds[] = { "agent_rsa", "agent_ed", "agent_ec" };

	(void)state;
	lab_do("sshd_keygen rsa $SSHD_LAB/agent_rsa; sshd_keygen ed25519 $SSHD_LAB/agent_ed; sshd_keygen ecdsa $SSHD_LAB/agent_ec; "
	    "sshd_agent x $SSHD_LAB/agent_rsa $SSHD_LAB/agent_ed $SSHD_LAB/agent_ec; rm $SSHD_LAB/agent_rsa $SSHD_LAB/agent_ed $SSHD_LAB/agent_ec");
	need("agent", "--authorize $SSHD_LAB/agent_rsa.pub --authorize $SSHD_LAB/agent_ed.pub --authorize $SSHD_LAB/agent_ec.pub");
	t = to("agent");
	setenv("SSH_AUTH_SOCK", lab_do("echo ${SSHD_AGENT_SOCK[x]}"), 1);
	for (size_t i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%s/%s.pub", lab.dir, kinds[i]);
		t->spec.identity = path;
		host_close(must_open(&t->spec));
	}
	/* The file has a passphrase, the agent has the key. */
	lab_do("sshd_keygen ed25519 $SSHD_LAB/sealed; cat $SSHD_LAB/sealed.pub >> ${SSHD_DIR[agent]}/authorized_keys; "
	    "SSH_AUTH_SOCK=${SSHD_AGENT_SOCK[x]} ssh-add -q $SSHD_LAB/sealed; ssh-keygen -q -p -P '' -N secret -f $SSHD_LAB/sealed");
	snprintf(path, sizeof(path), "%s/sealed", lab.dir);
	host_close(must_open(&t->spec));
	/* No identity at all: ssh_config's file is not there, the agent's keys are. */
	t->spec.identity = NULL;
	lab_do("cp $SSHD_LAB/ssh_config $SSHD_LAB/ssh_config.all; sed -i 's,^IdentityFile.*,IdentityFile /nonexistent,' $SSHD_LAB/ssh_config");
	host_close(must_open(&t->spec));
	unsetenv("SSH_AUTH_SOCK");
	must_refuse(&t->spec, "log-in refused", "there is no key");
	lab_do("mv $SSHD_LAB/ssh_config.all $SSHD_LAB/ssh_config");
	snprintf(path, sizeof(path), "%s/agent_ed.pub", lab.dir);
	t->spec.identity = path;
	must_refuse(&t->spec, "no ssh-agent", path);
}

static void auto_turns_to_openssh_and_says_why(void **state)
{
	static const struct { const char *name, *options, *why; } rows[] = {
		{ "rsaonly", "--hostkey rsa", "RSA" },
		{ "gcm", "--config 'Ciphers aes256-gcm@openssh.com'", "cipher" },
	};
	struct target *t;
	struct host *h;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct host *old = NULL;
		struct err e = ERR_INIT;

		need(rows[i].name, rows[i].options);
		t = to(rows[i].name);
		if (host_open(&old, &t->spec, &e) == 0) {	/* libssh2 1.11 can */
			host_close(old);
			continue;
		}
		assert_non_null(strstr(e.text, "client: openssh"));
		t->spec.client = HOST_AUTO;
		h = must_open(&t->spec);
		assert_non_null(strstr(host_client_reason(h), rows[i].why));
		assert_non_null(strstr(host_route(h), "OpenSSH client"));
		assert_string_equal(run_text(h, "echo in", 0), "in\n");
		host_close(h);
		t->spec.host_key = lab_do("echo ${SSHD_FP[%s]}", rows[i].name);
		h = must_open(&t->spec);
		host_close(h);
		t->spec.host_key = lab_do("echo ${SSHD_FP[a]}");
		must_refuse(&t->spec, "wrong host key", t->spec.host_key);
	}
	need("a", "");
	t = to("a");
	t->spec.client = HOST_AUTO;
	h = must_open(&t->spec);
	assert_string_equal(host_client_reason(h), "");
	host_close(h);
	/* A ProxyCommand is beyond libssh2 from the start. */
	lab_do("cp $SSHD_LAB/ssh_config $SSHD_LAB/ssh_config.all; printf 'Host jump\\n HostName 127.0.0.1\\n HostKeyAlias [127.0.0.1]:%%s\\n "
	    "ProxyCommand bash -c \"exec 3<>/dev/tcp/127.0.0.1/%%s; cat <&3 & cat >&3; kill %%%%1\"\\n' ${SSHD_PORT[a]} ${SSHD_PORT[a]} >> $SSHD_LAB/ssh_config; "
	    "sed -i 's/kill %%1/kill %%%%1/' $SSHD_LAB/ssh_config");
	t->spec.ssh = "jump";
	t->spec.port = 0;
	h = must_open(&t->spec);
	assert_non_null(strstr(host_client_reason(h), "ProxyCommand"));
	host_close(h);
	t->spec.client = HOST_LIBSSH2;
	must_refuse(&t->spec, "ProxyCommand", "client: openssh");
	lab_do("mv $SSHD_LAB/ssh_config.all $SSHD_LAB/ssh_config");
}

static void an_alias_of_ssh_config_resolves(void **state)
{
	struct target *t;
	struct host *h;

	(void)state;
	need("a", "");
	lab_do("cp $SSHD_LAB/ssh_config $SSHD_LAB/ssh_config.all; printf 'Host archive\\n HostName 127.0.0.1\\n Port %%s\\n User %%s\\n' "
	    "${SSHD_PORT[a]} ${SSHD_LOGIN[a]} >> $SSHD_LAB/ssh_config");
	t = to("a");
	t->spec.ssh = "archive";
	t->spec.port = 0;
	h = must_open(&t->spec);
	assert_non_null(strstr(host_route(h), "127.0.0.1"));
	host_close(h);
	lab_do("mv $SSHD_LAB/ssh_config.all $SSHD_LAB/ssh_config");
}

static void the_openssh_client_carries_the_same(void **state)
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
	t->spec.client = HOST_OPENSSH;
	h = must_open(&t->spec);
	echo_through(h, "exec cat", 16u << 20, true);
	c = start_shell(h, "echo noise >&2; exit 37");
	assert_int_equal(channel_close(c, &status, &tail, &e), 0);
	assert_int_equal(status, 37);
	assert_non_null(strstr(tail.data, "noise"));
	assert_int_equal(atoi(lab_do("sshd_sessions a")), 1);	/* one connection carries all */
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

static int setup(void **state)
{
	(void)state;
	if (lab_start() < 0)
		return -1;
	snprintf(agent_file, sizeof(agent_file), "%s/agent", lab.dir);
	snprintf(client_key, sizeof(client_key), "%s", lab_do("echo $SSHD_KEY"));
	lab_do("printf '#!/bin/sh\\nif [ \"$1\" = --version ]; then echo waybill-agent build-1; exit 0; fi\\nprintf \"%%%%s/%%%%s/\" \"$1\" \"$2\"\\nexec cat\\n' "
	    "> %s; chmod 755 %s", agent_file, agent_file);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	return lab_stop();
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
		cmocka_unit_test(a_wrong_or_unknown_host_key_is_refused),
		cmocka_unit_test(unreachable_hosts_say_why),
		cmocka_unit_test(a_silent_server_is_given_up_in_time),
		cmocka_unit_test(a_refused_login_says_what_was_tried),
		cmocka_unit_test(every_kind_of_key_logs_in),
		cmocka_unit_test(an_agent_signs_for_keys_it_holds),
		cmocka_unit_test(auto_turns_to_openssh_and_says_why),
		cmocka_unit_test(an_alias_of_ssh_config_resolves),
		cmocka_unit_test(the_openssh_client_carries_the_same),
		cmocka_unit_test(the_helper_is_uploaded_once_and_found_again),
		cmocka_unit_test(a_place_that_others_can_write_is_passed_over),
		cmocka_unit_test(a_noisy_login_confuses_nothing),
		cmocka_unit_test(an_installed_helper_must_be_of_our_build),
		cmocka_unit_test(local_runs_children),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
