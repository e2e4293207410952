/* rooms: transport */
/* Which host is believed, how a login is made, and which client carries it. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "transport_lab.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_wrong_or_unknown_host_key_is_refused),
		cmocka_unit_test(unreachable_hosts_say_why),
		cmocka_unit_test(a_silent_server_is_given_up_in_time),
		cmocka_unit_test(a_refused_login_says_what_was_tried),
		cmocka_unit_test(every_kind_of_key_logs_in),
		cmocka_unit_test(an_agent_signs_for_keys_it_holds),
		cmocka_unit_test(auto_turns_to_openssh_and_says_why),
		cmocka_unit_test(an_alias_of_ssh_config_resolves),
		cmocka_unit_test(the_openssh_client_carries_the_same),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
