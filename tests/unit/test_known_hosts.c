/* rooms: transport */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base64.h"
#include "hostkey.h"
#include "kexinit.h"
#include "known_hosts.h"
#include "proc.h"
#include "route.h"
#include "sshkey_blob.h"

static char dir[64];
static char key_a[512], key_b[512];	/* "ssh-ed25519 AAAA..." */

static void make_key(const char *name, char out[512])
{
	char path[128];
	const char *argv[] = { "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", path, NULL };
	OWN_PROC struct proc_result r = PROC_RESULT_INIT;
	struct err e = ERR_INIT;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	assert_int_equal(proc_run(&(struct proc_options){ .argv = argv }, &r, &e), 0);
	snprintf(path, sizeof(path), "%s/%s.pub", dir, name);
	f = fopen(path, "r");
	assert_non_null(f);
	assert_non_null(fgets(out, 512, f));
	fclose(f);
	out[strcspn(out, "\n")] = '\0';
	while (*out && out[strlen(out) - 1] == ' ')
		out[strlen(out) - 1] = '\0';
}

static int setup(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/wb-known-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	make_key("a", key_a);
	make_key("b", key_b);
	return 0;
}

static int teardown(void **state)
{
	const char *argv[] = { "rm", "-rf", dir, NULL };
	OWN_PROC struct proc_result r = PROC_RESULT_INIT;
	struct err e = ERR_INIT;

	(void)state;
	return proc_run(&(struct proc_options){ .argv = argv }, &r, &e);
}

static const char *write_known(const char *text)
{
	static char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/known_hosts", dir);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	return path;
}

static struct known_hosts look(const char *text, const char *name)
{
	struct known_hosts k = KNOWN_HOSTS_INIT;
	struct err e = ERR_INIT;

	assert_int_equal(known_hosts_read(&k, write_known(text), name, &e), 0);
	return k;
}

static size_t count(const char *names, const char *name)
{
	char text[2048];
	struct known_hosts k;
	size_t n;

	snprintf(text, sizeof(text), "%s %s\n", names, key_a);
	k = look(text, name);
	n = k.n;
	known_hosts_dispose(&k);
	return n;
}

static void names_are_matched_as_openssh_does(void **state)
{
	(void)state;
	assert_int_equal(count("old.example", "old.example"), 1);
	assert_int_equal(count("OLD.example", "old.EXAMPLE"), 1);
	assert_int_equal(count("new.example,old.example", "old.example"), 1);
	assert_int_equal(count("old.example", "old.example.com"), 0);
	assert_int_equal(count("old.example", "[old.example]:2222"), 0);
	assert_int_equal(count("[old.example]:2222", "[old.example]:2222"), 1);
	assert_int_equal(count("*.example", "old.example"), 1);
	assert_int_equal(count("ol?.example", "old.example"), 1);
	assert_int_equal(count("ol?.example", "ol.example"), 0);
	assert_int_equal(count("*.example,!old.example", "old.example"), 0);
	assert_int_equal(count("*.example,!old.example", "new.example"), 1);
	assert_int_equal(count("!new.example", "old.example"), 0);
	assert_int_equal(count("a*a*a*a*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"), 0);
}

static void hashed_names_are_found(void **state)
{
	char text[2048], path[128];
	const char *argv[] = { "ssh-keygen", "-q", "-H", "-f", path, NULL };
	OWN_PROC struct proc_result r = PROC_RESULT_INIT;
	struct known_hosts k = KNOWN_HOSTS_INIT;
	struct err e = ERR_INIT;

	(void)state;
	snprintf(text, sizeof(text), "[127.0.0.1]:2222 %s\nother %s\n", key_a, key_b);
	snprintf(path, sizeof(path), "%s", write_known(text));
	assert_int_equal(proc_run(&(struct proc_options){ .argv = argv }, &r, &e), 0);
	assert_int_equal(r.status, 0);
	assert_int_equal(known_hosts_read(&k, path, "[127.0.0.1]:2222", &e), 0);
	assert_int_equal(k.n, 1);
	known_hosts_dispose(&k);
	assert_int_equal(known_hosts_read(&k, path, "127.0.0.1", &e), 0);
	assert_int_equal(k.n, 0);
	known_hosts_dispose(&k);
}

static void one_bad_line_does_not_end_the_file(void **state)
{
	char text[16384], junk[6000];
	struct known_hosts k;

	(void)state;
	memset(junk, 'A', sizeof(junk));
	junk[sizeof(junk) - 1] = '\0';
	snprintf(text, sizeof(text), "# comment\n\n  \nnonsense\nold ssh-ed25519 AA!A\nold ssh-rsa %s\n@strange old %s\n%s\nold %s comment here\r\n",
	    key_a + 12, key_a, junk, key_a);
	k = look(text, "old");
	assert_int_equal(k.n, 1);
	assert_int_equal(k.bad, 5);
	assert_string_equal(k.keys[0].type, "ssh-ed25519");
	known_hosts_dispose(&k);
}

static void authorities_are_no_host_keys_and_revoked_is_kept(void **state)
{
	char text[2048];
	struct known_hosts k;

	(void)state;
	snprintf(text, sizeof(text), "@cert-authority * %s\n@revoked * %s\nold %s\n", key_a, key_b, key_b);
	k = look(text, "old");
	assert_int_equal(k.n, 2);
	assert_true(k.keys[0].revoked);
	assert_false(k.keys[1].revoked);
	known_hosts_dispose(&k);
}

static void a_missing_file_is_empty(void **state)
{
	struct known_hosts k = KNOWN_HOSTS_INIT;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(known_hosts_read(&k, "/nonexistent/known_hosts", "old", &e), 0);
	assert_int_equal(k.n, 0);
}

static struct ssh_config fake_config(char **file)
{
	return (struct ssh_config){ .target = (char *)(uintptr_t)"old", .user = (char *)(uintptr_t)"me", .hostname = (char *)(uintptr_t)"old",
		.port = 22, .known_hosts = { file, 1 } };
}

static int verdict(const char *pin, const char *known, const char *shown, struct err *e)
{
	char *file = (char *)(uintptr_t)write_known(known);
	struct ssh_config c = fake_config(&file);
	struct hostkey_policy p;
	OWN_BUF struct buf blob = BUF_INIT;
	int rc;

	assert_true(key_line_parse(shown, strlen(shown), &blob));
	rc = hostkey_policy_load(&p, pin, &c, e);
	if (rc == 0)
		rc = hostkey_judge(&p, "host old", blob.data, blob.len, e);
	hostkey_policy_dispose(&p);
	return rc;
}

static void the_plan_decides_before_known_hosts(void **state)
{
	struct err e = ERR_INIT;
	char known[2048], fp[FINGERPRINT_MAX];
	OWN_BUF struct buf blob = BUF_INIT;

	(void)state;
	snprintf(known, sizeof(known), "old %s\n", key_b);
	assert_int_equal(verdict(key_a, known, key_a, &e), 0);
	assert_int_equal(verdict(key_a, known, key_b, &e), -1);
	assert_int_equal(e.class, ERR_UNREACHABLE);
	assert_non_null(strstr(e.text, "wrong host key"));
	assert_true(key_line_parse(key_a, strlen(key_a), &blob));
	key_fingerprint(blob.data, blob.len, fp);
	assert_int_equal(verdict(fp, known, key_a, &e), 0);
	assert_int_equal(verdict(fp, known, key_b, &e), -1);
	assert_non_null(strstr(e.text, fp));
	assert_int_equal(verdict("SHA256:short", known, key_a, &e), -1);
	assert_int_equal(e.class, ERR_USAGE);
}

static void known_hosts_decides_without_a_pin(void **state)
{
	struct err e = ERR_INIT;
	char known[2048];

	(void)state;
	snprintf(known, sizeof(known), "old %s\n", key_a);
	assert_int_equal(verdict(NULL, known, key_a, &e), 0);
	assert_int_equal(verdict(NULL, known, key_b, &e), -1);
	assert_non_null(strstr(e.text, "wrong host key"));
	assert_int_equal(verdict(NULL, "", key_b, &e), -1);
	assert_non_null(strstr(e.text, "host key unknown"));
	assert_non_null(strstr(e.text, key_b));
	snprintf(known, sizeof(known), "old %s\n@revoked old %s\n", key_a, key_a);
	assert_int_equal(verdict(NULL, known, key_a, &e), -1);
	assert_non_null(strstr(e.text, "revoked"));
	assert_int_equal(verdict(key_a, known, key_a, &e), -1);
}

static void base64_is_strict(void **state)
{
	static const struct { const char *text; bool good; const char *bytes; } rows[] = {
		{ "", true, "" }, { "Zg==", true, "f" }, { "Zm8=", true, "fo" }, { "Zm9v", true, "foo" }, { "Zh==", false, "" },
		{ "Zm9", false, "" }, { "Z===", false, "" }, { "Zm=v", false, "" }, { "Zm8 ", false, "" }, { "Zm9vZg==", true, "foof" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		OWN_BUF struct buf b = BUF_INIT;
		OWN_BUF struct buf back = BUF_INIT;

		assert_int_equal(base64_get(&b, rows[i].text, strlen(rows[i].text)), rows[i].good);
		if (!rows[i].good)
			continue;
		assert_int_equal(b.len, strlen(rows[i].bytes));
		assert_memory_equal(b.len ? b.data : "", rows[i].bytes, b.len);
		base64_put(&back, b.data, b.len, true);
		assert_string_equal(back.data ? back.data : "", rows[i].text);
	}
}

static void quoted_words_survive_a_shell(void **state)
{
	const char *argv[] = { "printf", "%s|", "", "it's", "a b", "$HOME `x` \"q\"", "new\nline", "*", "x=y", "~", NULL };
	OWN_BUF struct buf line = BUF_INIT;
	OWN_PROC struct proc_result r = PROC_RESULT_INIT;
	struct err e = ERR_INIT;

	(void)state;
	shell_quote(&line, argv);
	assert_int_equal(proc_run(&(struct proc_options){ .argv = (const char *[]){ "sh", "-c", line.data, NULL } }, &r, &e), 0);
	assert_string_equal(r.out.data, "|it's|a b|$HOME `x` \"q\"|new\nline|*|x=y|~|");
}

static void a_cut_proposal_is_none(void **state)
{
	OWN_BUF struct buf b = BUF_INIT;
	OWN_BUF struct buf lists = BUF_INIT;
	struct kexinit k;

	(void)state;
	buf_puts(&b, "hello\r\nSSH-2.0-test\r\n");
	buf_putc(&lists, 4);
	buf_putc(&lists, 20);
	buf_put(&lists, "0123456789abcdef", 16);
	for (int i = 0; i < 10; i++)
		ssh_put_string(&lists, i == 1 ? "rsa-sha2-512" : "x", i == 1 ? 12 : 1);
	buf_put(&lists, "\0\0\0\0\0", 5);
	ssh_put_string(&b, lists.data, lists.len);
	for (size_t n = 0; n < b.len; n++)
		assert_false(kexinit_parse(&k, b.data, n));
	assert_true(kexinit_parse(&k, b.data, b.len));
	assert_string_equal(k.list[KEX_HOSTKEY], "rsa-sha2-512");
	kexinit_dispose(&k);
	assert_true(lists_meet("a,bc", "bc,d"));
	assert_false(lists_meet("a,b", "bc,d"));
	assert_false(lists_meet("", "bc,d"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_matched_as_openssh_does),
		cmocka_unit_test(hashed_names_are_found),
		cmocka_unit_test(one_bad_line_does_not_end_the_file),
		cmocka_unit_test(authorities_are_no_host_keys_and_revoked_is_kept),
		cmocka_unit_test(a_missing_file_is_empty),
		cmocka_unit_test(the_plan_decides_before_known_hosts),
		cmocka_unit_test(known_hosts_decides_without_a_pin),
		cmocka_unit_test(base64_is_strict),
		cmocka_unit_test(quoted_words_survive_a_shell),
		cmocka_unit_test(a_cut_proposal_is_none),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
