/* rooms: evidence */
#include "evidence_keys.h"

#include <signal.h>
#include <sys/wait.h>

static const char text[] = "who signs, and what\n";

static int make_keys(void **state)
{
	if (make_keys_dir(state) < 0)
		return -1;
	make_key("ed", "ed25519", "");
	make_key("other", "ed25519", "");
	make_key("ec", "ecdsa", "");
	make_key("locked", "ed25519", "a passphrase");
	return 0;
}

static void sign_with(const char *name, struct buf *sig)
{
	char path[PATH_MAX];
	struct err e = ERR_INIT;

	key_path(path, name);
	if (sign_bytes(path, SIGN_NS_APPROVAL, text, strlen(text), sig, &e) < 0)
		fail_msg("%s", e.text);
}

static enum sign_result check(const char *signer_key, const char *person, const char *ns, const char *data, const struct buf *sig, char why[256])
{
	OWN_FREE char *line = key_line(signer_key);
	OWN_BUF struct buf signers = BUF_INIT;
	struct sign_check c = { .person = person, .name_space = ns, .data = data, .data_len = strlen(data), .sig = sig->data, .sig_len = sig->len };

	sign_put_signer(&signers, "zhang", line);
	c.signers = signers.data;
	return sign_verify(&c, why);
}

static void a_signature_verifies_for_the_person_the_namespace_and_the_bytes_it_was_made_for(void **state)
{
	static const char *const keys[] = { "ed", "ec" };
	char why[256];

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		OWN_BUF struct buf sig = BUF_INIT;

		sign_with(keys[i], &sig);
		assert_int_equal(check(keys[i], "zhang", SIGN_NS_APPROVAL, text, &sig, why), SIGN_GOOD);
		assert_int_equal(check(keys[i], "wang", SIGN_NS_APPROVAL, text, &sig, why), SIGN_BAD);
		assert_int_equal(check(keys[i], "zhang", SIGN_NS_CLEARANCE, text, &sig, why), SIGN_BAD);
		assert_int_equal(check(keys[i], "zhang", SIGN_NS_APPROVAL, "who signs, and what?\n", &sig, why), SIGN_BAD);
		assert_true(*why != '\0');
		assert_int_equal(check("other", "zhang", SIGN_NS_APPROVAL, text, &sig, why), SIGN_BAD);
	}
}

static void a_signature_that_is_not_there_or_no_signature_is_never_good(void **state)
{
	OWN_BUF struct buf none = BUF_INIT;
	OWN_BUF struct buf rubbish = BUF_INIT;
	char why[256];

	(void)state;
	buf_puts(&rubbish, "-----BEGIN SSH SIGNATURE-----\nrubbish\n-----END SSH SIGNATURE-----\n");
	assert_int_equal(check("ed", "zhang", SIGN_NS_APPROVAL, text, &none, why), SIGN_UNCHECKED);
	assert_int_equal(check("ed", "zhang", SIGN_NS_APPROVAL, text, &rubbish, why), SIGN_BAD);
}

static void without_ssh_keygen_a_signature_is_unchecked_and_signing_says_what_to_install(void **state)
{
	OWN_BUF struct buf sig = BUF_INIT;
	OWN_BUF struct buf none = BUF_INIT;
	OWN_FREE char *path = strdup(getenv("PATH")), *line = key_line("ed");
	OWN_BUF struct buf signers = BUF_INIT;
	struct sign_check c = { .person = "zhang", .name_space = SIGN_NS_APPROVAL, .data = text, .data_len = strlen(text) };
	struct err e = ERR_INIT;
	char key[PATH_MAX], why[256];

	(void)state;
	sign_with("ed", &sig);
	sign_put_signer(&signers, "zhang", line);
	c.signers = signers.data;
	c.sig = sig.data;
	c.sig_len = sig.len;
	key_path(key, "ed");
	assert_int_equal(setenv("PATH", keys_dir, 1), 0);
	assert_int_equal(sign_verify(&c, why), SIGN_UNCHECKED);
	assert_int_equal(sign_bytes(key, SIGN_NS_APPROVAL, text, strlen(text), &none, &e), -1);
	assert_int_equal(setenv("PATH", path, 1), 0);
	assert_non_null(strstr(e.text, "openssh-client"));
	assert_non_null(strstr(why, "openssh-client"));
}

static void a_locked_key_is_refused_at_once_instead_of_asking(void **state)
{
	OWN_BUF struct buf sig = BUF_INIT;
	struct err e = ERR_INIT;
	char key[PATH_MAX];

	(void)state;
	key_path(key, "locked");
	unsetenv("SSH_AUTH_SOCK");
	assert_int_equal(sign_bytes(key, SIGN_NS_APPROVAL, text, strlen(text), &sig, &e), -1);
	assert_int_equal(e.class, ERR_PERMANENT);
	assert_non_null(strstr(e.text, "agent"));
	assert_int_equal(sig.len, 0);
}

static pid_t start_agent(char sock[PATH_MAX])
{
	const char *argv[] = { "ssh-agent", "-D", "-a", sock, NULL };
	struct err e = ERR_INIT;
	struct stat st;
	pid_t pid;

	key_path(sock, "agent.sock");
	pid = proc_start(argv, NULL, NULL, NULL, &e);
	assert_true(pid > 0);
	for (int i = 0; i < 6000 && stat(sock, &st) < 0; i++)
		usleep(20000);
	setenv("SSH_AUTH_SOCK", sock, 1);
	return pid;
}

static void a_public_key_file_signs_with_the_half_that_the_agent_holds(void **state)
{
	OWN_BUF struct buf sig = BUF_INIT;
	OWN_BUF struct buf none = BUF_INIT;
	struct err e = ERR_INIT;
	char sock[PATH_MAX], key[PATH_MAX], pub[PATH_MAX + 4], away[PATH_MAX], why[256];
	const char *add[] = { "ssh-add", "-q", key, NULL };
	pid_t pid = start_agent(sock);

	(void)state;
	make_key("held", "ed25519", "");
	key_path(key, "held");
	key_path(away, "away");
	(void)snprintf(pub, sizeof(pub), "%s.pub", key);
	assert_int_equal(run_quiet(add), 0);
	assert_int_equal(rename(key, away), 0);		/* only the agent has it now */
	assert_int_equal(sign_bytes(pub, SIGN_NS_APPROVAL, text, strlen(text), &sig, &e), 0);
	assert_int_equal(check("held.pub", "zhang", SIGN_NS_APPROVAL, text, &sig, why), SIGN_GOOD);
	assert_int_equal(kill(pid, SIGTERM), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	unsetenv("SSH_AUTH_SOCK");
	assert_int_equal(sign_bytes(pub, SIGN_NS_APPROVAL, text, strlen(text), &none, &e), -1);
}

static void keys_are_compared_by_their_bits_alone(void **state)
{
	OWN_FREE char *a = key_line("ed"), *b = key_line("ed.pub"), *c = key_line("other");
	char with_comment[2048];

	(void)state;
	(void)snprintf(with_comment, sizeof(with_comment), "  %s zhang@laptop", a);
	assert_string_equal(a, b);
	assert_true(sign_same_key(a, with_comment));
	assert_false(sign_same_key(a, c));
	assert_false(sign_same_key("", ""));
	assert_true(sign_key_plausible(with_comment));
	assert_false(sign_key_plausible("ssh-ed25519 AAAAB3NzaC1yc2E"));
	assert_false(sign_key_plausible("ssh-ed25519 !!!"));
	assert_false(sign_key_plausible("ssh-ed25519"));
}

static void the_public_half_of_a_locked_key_is_read_from_beside_it(void **state)
{
	OWN_FREE char *a = key_line("locked"), *b = key_line("locked.pub");

	(void)state;
	assert_true(sign_same_key(a, b));
}

static void a_commit_signer_uses_the_namespace_of_git(void **state)
{
	OWN_BUF struct buf sig = BUF_INIT;
	struct err e = ERR_INIT;
	char key[PATH_MAX], why[256];

	(void)state;
	key_path(key, "ed");
	assert_int_equal(sign_for_ledger(key, text, strlen(text), &sig, &e), 0);
	assert_int_equal(check("ed", "zhang", SIGN_NS_GIT, text, &sig, why), SIGN_GOOD);
	assert_int_equal(check("ed", "zhang", SIGN_NS_APPROVAL, text, &sig, why), SIGN_BAD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_signature_verifies_for_the_person_the_namespace_and_the_bytes_it_was_made_for),
		cmocka_unit_test(a_signature_that_is_not_there_or_no_signature_is_never_good),
		cmocka_unit_test(without_ssh_keygen_a_signature_is_unchecked_and_signing_says_what_to_install),
		cmocka_unit_test(a_locked_key_is_refused_at_once_instead_of_asking),
		cmocka_unit_test(a_public_key_file_signs_with_the_half_that_the_agent_holds),
		cmocka_unit_test(keys_are_compared_by_their_bits_alone),
		cmocka_unit_test(the_public_half_of_a_locked_key_is_read_from_beside_it),
		cmocka_unit_test(a_commit_signer_uses_the_namespace_of_git),
	};

	return cmocka_run_group_tests(tests, make_keys, drop_keys_dir);
}
