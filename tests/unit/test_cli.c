/* rooms: cli */
/* The command line: one table behind help, manual and options; the workspace; who acts; tables, bars and estimates. */
#include "buf.h"
#include "command.h"
#include "esc.h"
#include "eta.h"
#include "io.h"
#include "output.h"
#include "plan.h"
#include "progress.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

static char top[] = "/tmp/waybill-test-cli-XXXXXX";
static int home = -1;

static int make_dir(void **state)
{
	(void)state;
	home = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	(void)unsetenv("WAYBILL_AS");
	(void)unsetenv("WAYBILL_KEY");
	return home < 0 || !mkdtemp(top) ? -1 : 0;
}

static int drop_dir(void **state)
{
	char cmd[256];

	(void)state;
	if (fchdir(home) < 0)
		return -1;
	(void)close(home);
	(void)snprintf(cmd, sizeof(cmd), "rm -rf -- %s", top);
	return system(cmd);
}

/* Runs the whole program's cli_main in a child: its exit code; what it says in out. */
static int waybill(struct buf *out, ...)
{
	char *argv[24] = { strdup("waybill") };
	int argc = 1, fds[2], status;
	char chunk[4096];
	va_list ap;
	ssize_t n;
	pid_t pid;

	va_start(ap, out);
	for (const char *a; (a = va_arg(ap, const char *)) && argc < 23;)
		argv[argc++] = strdup(a);
	va_end(ap);
	assert_int_equal(pipe(fds), 0);
	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		(void)dup2(fds[1], 1);
		(void)dup2(fds[1], 2);
		(void)close(fds[0]);
		(void)close(fds[1]);
		status = cli_main(argc, argv);
		fflush(NULL);
		_exit(status);
	}
	(void)close(fds[1]);
	while ((n = read(fds[0], chunk, sizeof(chunk))) > 0)
		buf_put(out, chunk, (size_t)n);
	(void)close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	for (int i = 0; i < argc; i++)
		free(argv[i]);
	if (!out->data)
		buf_puts(out, "");
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

#define SAYS(code, words, ...) do { \
	OWN_BUF struct buf said_ = BUF_INIT; \
	int code_ = waybill(&said_, __VA_ARGS__, NULL); \
	if (code_ != (code) || !strstr(said_.data, (words))) \
		fail_msg("exit %d, expected %d and \"%s\":\n%s", code_, (code), (words), said_.data); \
} while (0)

static void every_command_line_fault_is_2_and_says_what_to_do(void **state)
{
	OWN_BUF struct buf none = BUF_INIT;

	(void)state;
	assert_int_equal(waybill(&none, NULL), 2);
	SAYS(2, "did you mean \"check\"?", "chekc");
	SAYS(2, "waybill help lists them", "qqqqqqqq");
	SAYS(2, "usage: waybill check PLAN [--connect]", "check");
	SAYS(2, "too many arguments", "check", "a", "b");
	SAYS(2, "did you mean --connect?", "check", "--conect", "x");
	SAYS(2, "unknown option -z", "-z", "check");
	SAYS(2, "needs a value", "new", "migration", "--from");
	SAYS(2, "there is en and zh", "--lang", "fr", "help");
	SAYS(2, "needs --from", "new", "migration");
	SAYS(2, "there is no kind", "new", "moving", "--from", "local:/a");
	SAYS(2, "expected NAME:PARTY:PUBKEYFILE", "new", "migration", "--from", "local:/a", "--person", "x");
	SAYS(2, "No such file", "check", "/nonexistent.yaml");
	SAYS(2, "there is no command moon", "help", "moon");
}

static void known_commands_that_are_not_built_say_so_with_1(void **state)
{
	(void)state;
	for (const struct command *c = commands; c->name; c++)
		if (!c->run)
			SAYS(1, "not built yet", c->name, "--whatever");
}

static void help_covers_every_command_and_option(void **state)
{
	OWN_BUF struct buf all = BUF_INIT;

	(void)state;
	assert_int_equal(waybill(&all, "help", NULL), 0);
	for (const struct command *c = commands; c->name; c++) {
		OWN_BUF struct buf page = BUF_INIT;
		size_t n = 0;

		assert_non_null(strstr(all.data, c->summary));
		assert_int_equal(waybill(&page, "help", c->name, NULL), 0);
		assert_non_null(strstr(page.data, c->synopsis));
		for (const struct cli_option *o = c->options; o && o->name; o++, n++)
			assert_non_null(strstr(page.data, o->help));
		assert_true(n <= CLI_OPTIONS_MAX);
	}
	SAYS(0, "usage: waybill new", "new", "--help");
	SAYS(0, "waybill " WAYBILL_VERSION, "--version");
}

/* The synopsis mentions every option of the table, so neither can go without the other. */
static void every_option_stands_in_its_synopsis(void **state)
{
	(void)state;
	for (const struct command *c = commands; c->name; c++)
		for (const struct cli_option *o = c->options; o && o->name; o++) {
			char lng[80], sht[4];

			(void)snprintf(lng, sizeof(lng), "--%s", o->name);
			(void)snprintf(sht, sizeof(sht), "-%c", o->letter);
			if (!strstr(c->synopsis, lng) && !(o->letter && strstr(c->synopsis, sht)))
				fail_msg("%s: --%s is not in the synopsis", c->name, o->name);
		}
}

/* Roff text with its escapes for '-', '.' and '&' taken back. */
static void read_manual(struct buf *out)
{
	const char *source = getenv("WAYBILL_SOURCE");
	OWN_BUF struct buf raw = BUF_INIT;
	struct err e = ERR_INIT;
	char path[4096];

	if (!source)
		skip();
	(void)snprintf(path, sizeof(path), "%s/orchestrator/man/waybill.1", source);
	assert_int_equal(io_read_file(AT_FDCWD, path, 1 << 20, &raw, &e), 0);
	for (size_t i = 0; i < raw.len; i++)
		if (raw.data[i] != '\\')
			buf_putc(out, raw.data[i]);
}

static void the_manual_has_the_table_s_synopsis_and_options(void **state)
{
	OWN_BUF struct buf man = BUF_INIT;

	(void)state;
	read_manual(&man);
	for (const struct command *c = commands; c->name; c++) {
		char line[512];

		(void)snprintf(line, sizeof(line), "\n.It Sy \"%s%s%s\"\n", c->name, *c->synopsis ? " " : "", c->synopsis);
		if (!strstr(man.data, line))
			fail_msg("waybill.1 lacks: %s", line);
		for (const struct cli_option *o = c->options; o && o->name; o++) {
			(void)snprintf(line, sizeof(line), "\n.It Sy --%s", o->name);
			if (!strstr(man.data, line))
				fail_msg("waybill.1 lacks --%s of %s", o->name, c->name);
		}
	}
	for (const struct cli_option *o = cli_global_options; o->name || o->letter; o++)
		if (o->name) {
			char word[64];

			(void)snprintf(word, sizeof(word), "Sy --%s", o->name);
			assert_non_null(strstr(man.data, word));
		}
}

static void global_options_stand_before_or_behind_the_command(void **state)
{
	static const struct cli_option opts[] = {
		{ "to", 0, "DIR", "" }, { "yes", 'y', NULL, "" }, { NULL, 0, NULL, NULL } };
	char *argv[] = { strdup("x"), strdup("a"), strdup("--to=1"), strdup("-y"), strdup("--as"), strdup("zhang"),
		strdup("--to"), strdup("2"), strdup("-vv"), strdup("--"), strdup("-b"), NULL };
	struct cli_context c = { .lang = "en" };
	bool help = false, version = false;
	struct err e = ERR_INIT;
	int rest = 0;

	(void)state;
	assert_int_equal(cli_parse(&c, opts, 11, argv, false, &rest, &help, &version, &e), 0);
	assert_int_equal(rest, 9);
	assert_string_equal(argv[9], "a");
	assert_string_equal(argv[10], "-b");
	assert_string_equal(c.as_given, "zhang");
	assert_int_equal(c.verbose, 2);
	assert_true(cli_flag(&c, "yes"));
	assert_false(cli_flag(&c, "no"));
	assert_int_equal(cli_count(&c, "to"), 2);
	assert_string_equal(cli_value(&c, "to"), "2");
	assert_string_equal(cli_value_at(&c, "to", 0), "1");
	assert_null(cli_value_at(&c, "to", 2));
	free(c.found);
	for (int i = 0; i < 11; i++)
		free(argv[i]);
}

static void failures_are_objects_too_with_json(void **state)
{
	OWN_BUF struct buf out = BUF_INIT;

	(void)state;
	assert_int_equal(waybill(&out, "--json", "report", "x", NULL), 1);
	assert_non_null(strstr(out.data, "{\"exit\":1,\"class\":\"permanent\",\"reason\":\"report: not built yet\"}\n"));
}

static void in_top(const char *name, char out[512]) { (void)snprintf(out, 512, "%s/%s", top, name); }

static void put_file(const char *name, const char *text)
{
	char path[512];
	FILE *f;

	in_top(name, path);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void init_makes_a_private_workspace_once(void **state)
{
	char ws[512], path[600];
	struct stat st;

	(void)state;
	in_top("one", ws);
	SAYS(0, "made the workspace", "init", ws);
	(void)snprintf(path, sizeof(path), "%s/.waybill", ws);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	for (size_t i = 0; i < 5; i++) {
		static const char *const parts[] = { "ledger.git/HEAD", "store", "scan", "log", "state.db" };

		(void)snprintf(path, sizeof(path), "%s/.waybill/%s", ws, parts[i]);
		assert_int_equal(stat(path, &st), 0);
	}
	SAYS(0, "already", "init", ws);
	(void)snprintf(path, sizeof(path), "%s/elsewhere", top);
	SAYS(6, "is a workspace already, with its archive in", "init", ws, "--store", path);
}

static void init_puts_the_store_where_it_is_told(void **state)
{
	OWN_BUF struct buf config = BUF_INIT;
	char ws[512], store[512], path[600], want[600];
	struct err e = ERR_INIT;
	struct stat st;

	(void)state;
	in_top("two", ws);
	in_top("archive", store);
	SAYS(0, store, "init", ws, "--store", store);
	assert_int_equal(stat(store, &st), 0);
	(void)snprintf(path, sizeof(path), "%s/.waybill/config.yaml", ws);
	assert_int_equal(io_read_file(AT_FDCWD, path, 4096, &config, &e), 0);
	(void)snprintf(want, sizeof(want), "store: \"%s\"\n", store);
	assert_non_null(strstr(config.data, want));
	(void)snprintf(path, sizeof(path), "%s/.waybill/store", ws);
	assert_int_not_equal(stat(path, &st), 0);
	SAYS(0, "already", "init", ws, "--store", store);
}

static void the_workspace_is_found_above_here_and_above_the_plan(void **state)
{
	struct cli_context c = { .lang = "en" };
	struct err e = ERR_INIT;
	char ws[512], path[600];
	const char *root = NULL;

	(void)state;
	in_top("three", ws);
	SAYS(0, "made", "init", ws);
	(void)snprintf(path, sizeof(path), "%s/deep/er", ws);
	assert_int_equal(io_mkdirs(AT_FDCWD, path, 0755, &e), 0);
	put_file("three/deep/p.yaml", "waybill: 1\n");
	assert_int_equal(chdir(path), 0);
	assert_int_equal(cli_workspace(&c, NULL, &root, &e), 0);
	assert_string_equal(root, ws);
	free(c.root);
	c.root = NULL;
	assert_int_equal(chdir("/"), 0);
	(void)snprintf(path, sizeof(path), "%s/deep/p.yaml", ws);
	assert_int_equal(cli_workspace(&c, path, &root, &e), 0);
	assert_string_equal(root, ws);
	free(c.root);
	c.root = NULL;
	assert_int_equal(cli_workspace(&c, "/etc/passwd", &root, &e), -1);
	assert_int_equal(err_exit_code(e.class), 2);
	c.dir = "/etc";
	assert_int_equal(cli_workspace(&c, path, &root, &e), -1);
	assert_non_null(strstr(e.text, "waybill init /etc"));
	assert_int_equal(fchdir(home), 0);
}

static void who_acts_comes_from_options_then_environment_then_config(void **state)
{
	char ws[512], key[600];
	struct err e = ERR_INIT;

	(void)state;
	in_top("four", ws);
	SAYS(0, "made", "init", ws);
	put_file("four/k1", "");
	put_file("four/.waybill/config.yaml", "as: li\nkey: k1\n");
	(void)snprintf(key, sizeof(key), "%s/k1", ws);
	for (int i = 0; i < 3; i++) {
		struct cli_context c = { .lang = "en", .dir = ws };
		const char *root;

		assert_int_equal(cli_workspace(&c, NULL, &root, &e), 0);
		if (i >= 1)
			(void)setenv("WAYBILL_AS", "wang", 1);
		if (i == 2)
			c.as_given = "zhang";
		assert_int_equal(cli_who(&c, &e), 0);
		assert_string_equal(c.as, i == 0 ? "li" : i == 1 ? "wang" : "zhang");
		/* The key of the configuration is li's, nobody else's. */
		if (i == 0)
			assert_string_equal(c.key, key);
		else
			assert_null(c.key);
		free(c.root);
		free(c.as);
		free(c.key);
	}
	(void)unsetenv("WAYBILL_AS");
	struct cli_context c = { .lang = "en", .key_given = "/nonexistent/key" };

	assert_int_equal(cli_who(&c, &e), -1);
	assert_int_equal(err_exit_code(e.class), 2);
	free(c.key);
}

static void check_names_all_faults_as_text_and_as_an_object(void **state)
{
	OWN_BUF struct buf out = BUF_INIT, text = BUF_INIT;
	char plan[512];

	(void)state;
	put_file("bad.yaml", "waybill: 1\nname: p\nkind: migration\ntitel: x\nlimts: {}\ndatasets: {d: {files: {from: \"local:/a\"}}}\n");
	in_top("bad.yaml", plan);
	assert_int_equal(waybill(&text, "check", plan, NULL), 2);
	assert_non_null(strstr(text.data, "bad.yaml:4:1: unknown key \"titel\" in a plan\n"));
	assert_non_null(strstr(text.data, "hint: did you mean \"limits\"?\n"));
	assert_non_null(strstr(text.data, "bad.yaml: 2 faults\n"));
	assert_int_equal(waybill(&out, "check", "--json", plan, NULL), 2);
	assert_non_null(strstr(out.data, "\"faults\":[{\"line\":4,\"column\":1,"));
	assert_null(strstr(out.data, "\"exit\""));
}

static void new_prints_a_plan_that_check_takes(void **state)
{
	OWN_BUF struct buf out = BUF_INIT;
	char plan[512], person[600];

	(void)state;
	put_file("z.pub", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMbKqUQEy3d4u92r63VNN5i5C1+lCoq3xSvBpINMZNuP zhang@desk\n");
	(void)snprintf(person, sizeof(person), "zhao:receiver:%s/z.pub", top);
	assert_int_equal(waybill(&out, "new", "handover", "--from", "old:/srv/www", "--person", person, NULL), 0);
	put_file("new.yaml", out.data);
	in_top("new.yaml", plan);
	SAYS(0, "no faults", "check", plan);
	(void)snprintf(person, sizeof(person), "zhao:receiver:%s/nothing.pub", top);
	SAYS(2, "nothing.pub", "new", "handover", "--from", "old:/srv/www", "--person", person);
}

static void standard_output_that_takes_nothing_is_a_failure(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		char *argv[] = { strdup("waybill"), strdup("help"), NULL };
		int full = open("/dev/full", O_WRONLY), null = open("/dev/null", O_WRONLY);

		(void)dup2(full, 1);
		(void)dup2(null, 2);
		_exit(cli_main(2, argv));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), 8);	/* no space: a passing fault */
}

static void a_dataset_may_name_its_version(void **state)
{
	static const char *const bad[] = { "d@", "d@0", "d@x", "d@-1", "D@1", "", "@1" };
	struct err e = ERR_INIT;
	uint64_t v = 9;
	char *d;

	(void)state;
	assert_int_equal(cli_dataset_version("www@12", &d, &v, &e), 0);
	assert_string_equal(d, "www");
	assert_int_equal(v, 12);
	free(d);
	assert_int_equal(cli_dataset_version("www", &d, &v, &e), 0);
	assert_int_equal(v, 0);
	free(d);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(cli_dataset_version(bad[i], &d, &v, &e), -1);
		assert_int_equal(err_exit_code(e.class), 2);
	}
}

static void an_estimate_tells_entries_from_bytes(void **state)
{
	struct eta m = ETA_INIT;
	uint64_t entries = 0, bytes = 0;
	double t = 100, s;

	(void)state;
	assert_true(eta_seconds(&m, 10, 10) < 0);
	/* An entry costs a millisecond, a byte ten nanoseconds; phases of small and of large files. */
	for (int i = 0; i < 40; i++) {
		uint64_t de = i / 5 % 2 ? 5 : 400, db = i / 5 % 2 ? 40000000 : 1000000;

		entries += de;
		bytes += db;
		t += (double)de * 1e-3 + (double)db * 1e-8;
		eta_sample(&m, t, entries, bytes);
		if (i == 1)
			assert_true(eta_seconds(&m, entries + 10, bytes) < 0);	/* too early to tell */
	}
	s = eta_seconds(&m, entries + 10000, bytes);			/* only small ones left: 10 s */
	assert_true(s > 9 && s < 11);
	s = eta_seconds(&m, entries + 1, bytes + 1000000000);		/* one large one left: 10 s */
	assert_true(s > 9 && s < 11);
	assert_true(eta_seconds(&m, entries, bytes) == 0);
	assert_true(eta_seconds(&m, 0, 0) < 0);
	/* A count that goes back is another act: nothing is known again. */
	eta_sample(&m, t + 1, 1, 1);
	assert_true(eta_seconds(&m, 100, 100) < 0);
}

static void an_estimate_follows_a_slower_network(void **state)
{
	struct eta m = ETA_INIT;
	uint64_t entries = 0;
	double t = 0, s;

	(void)state;
	for (int i = 0; i < 200; i++, t += 0.5, entries += 50)
		eta_sample(&m, t, entries, entries * 500000);
	for (int i = 0; i < 600; i++, t += 0.5, entries += i % 2 ? 9 : 1)	/* in bursts */
		eta_sample(&m, t, entries, entries * 500000);
	s = eta_seconds(&m, m.entries + 2000, (m.entries + 2000) * 500000);	/* five entries in 0.5 s on average: 200 s */
	assert_true(s > 160 && s < 220);
}

static void the_bar_fits_its_line_and_says_what_is_known(void **state)
{
	struct run_progress now = { "copy", "www", 120, 3u << 30, 400, 6u * (1u << 30) };
	char line[1024];

	(void)state;
	now.total_bytes = (uint64_t)6 << 30;
	progress_line(&now, 2e6, 90, 120, line, sizeof(line));
	assert_non_null(strstr(line, "copy www  120/400 entries  3.0 GiB/6.0 GiB  1.9 MiB/s  90 s to go  ["));
	assert_true(strlen(line) <= 120);
	assert_non_null(strstr(line, "=>"));
	progress_line(&now, 2e6, 90, 30, line, sizeof(line));
	assert_int_equal(strlen(line), 30);
	now.total_bytes = now.total_entries = 0;
	progress_line(&now, 0, -1, 120, line, sizeof(line));
	assert_string_equal(line, "copy www  120 entries  3.0 GiB");
	now.dataset = "\x1b[31m";
	progress_line(&now, 0, -1, 120, line, sizeof(line));
	assert_null(strchr(line, 0x1b));
}

static void numbers_are_short_and_right(void **state)
{
	char s[OUT_SIZE];

	(void)state;
	assert_string_equal(out_size(0, s), "0 B");
	assert_string_equal(out_size(1023, s), "1023 B");
	assert_string_equal(out_size(1536, s), "1.5 KiB");
	assert_string_equal(out_size(UINT64_MAX, s), "16.0 EiB");
	assert_string_equal(out_duration(5.4, s), "5 s");
	assert_string_equal(out_duration(150, s), "3 min");
	assert_string_equal(out_duration(7500, s), "2 h 5 min");
	assert_int_equal(out_columns("数据x"), 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_command_line_fault_is_2_and_says_what_to_do),
		cmocka_unit_test(known_commands_that_are_not_built_say_so_with_1),
		cmocka_unit_test(help_covers_every_command_and_option),
		cmocka_unit_test(every_option_stands_in_its_synopsis),
		cmocka_unit_test(the_manual_has_the_table_s_synopsis_and_options),
		cmocka_unit_test(global_options_stand_before_or_behind_the_command),
		cmocka_unit_test(failures_are_objects_too_with_json),
		cmocka_unit_test(init_makes_a_private_workspace_once),
		cmocka_unit_test(init_puts_the_store_where_it_is_told),
		cmocka_unit_test(the_workspace_is_found_above_here_and_above_the_plan),
		cmocka_unit_test(who_acts_comes_from_options_then_environment_then_config),
		cmocka_unit_test(check_names_all_faults_as_text_and_as_an_object),
		cmocka_unit_test(new_prints_a_plan_that_check_takes),
		cmocka_unit_test(standard_output_that_takes_nothing_is_a_failure),
		cmocka_unit_test(a_dataset_may_name_its_version),
		cmocka_unit_test(an_estimate_tells_entries_from_bytes),
		cmocka_unit_test(an_estimate_follows_a_slower_network),
		cmocka_unit_test(the_bar_fits_its_line_and_says_what_is_known),
		cmocka_unit_test(numbers_are_short_and_right),
	};

	return cmocka_run_group_tests(tests, make_dir, drop_dir);
}
