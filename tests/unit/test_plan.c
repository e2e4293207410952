/* rooms: plan */
/* The plan language: what is refused, and where the finger points. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "plan_text.h"

/* One plan that breaks one rule, where the finger must point, and words of the message and the hint. */
struct broken { const char *text; int line, column; const char *message, *hint; };

static const struct broken broken[] = {
	/* YAML itself */
	{ HEAD "title: \"open\nnext: 1\n", 4, 8, "", NULL },
	{ HEAD "archive: {digests: [sha256\n", 4, 27, "closing bracket", NULL },
	{ HEAD "title:\n\t- x\n", 5, 1, "tab", NULL },
	{ HEAD "titel: x\nkind: \"open\n", 4, 1, "unknown key \"titel\"", NULL },
	{ HEAD DATA "title: &a x\n", 5, 9, "anchors are not allowed", "write the value out" },
	{ HEAD DATA "title: *a\n", 5, 8, "aliases are not allowed", NULL },
	{ HEAD DATA "title: !!str x\n", 5, 8, "tags are not allowed", NULL },
	{ HEAD DATA "limits: {<<: {deletes: 5%}}\n", 5, 10, "merge keys", NULL },
	{ HEAD DATA "title: a\ntitle: b\n", 6, 1, "\"title\" stands twice", NULL },
	{ HEAD DATA "title: \"a\\0b\"\n", 5, 8, "NUL", NULL },
	{ HEAD DATA "title: \x01\n", 5, 8, "control byte 0x01", NULL },
	{ HEAD DATA "title: \xff\n", 5, 8, "not UTF-8", "UTF-8" },
	{ HEAD DATA "---\nwaybill: 1\n", 0, 0, "more than one YAML document", NULL },
	{ "", 0, 0, "the file is empty", "waybill new" },
	{ "# only a comment\n", 0, 0, "the file is empty", NULL },
	{ "[]\n", 1, 1, "expected a plan, found a list", NULL },
	{ HEAD DATA "title: {a: {b: {c: {d: {e: {f: {g: {h: {i: {j: {k: {l: {m: {n: {o: {p: 1}}}}}}}}}}}}}}}}\n", 5, 68,
	  "nested more than", NULL },
	/* keys and types */
	{ HEAD DATA "titel: x\n", 5, 1, "unknown key \"titel\" in a plan", "did you mean \"title\"?" },
	{ HEAD DATA "zzzzzzzzz: x\n", 5, 1, "unknown key", "a plan may have: waybill, name" },
	{ "name: p\nkind: migration\n" DATA, 1, 1, "needs the key \"waybill\"", NULL },
	{ "waybill: 2\nname: p\nkind: migration\n" DATA, 1, 10, "unknown version \"2\"", NULL },
	{ "waybill: 1\nkind: migration\n" DATA, 1, 1, "needs the key \"name\"", NULL },
	{ "waybill: 1\nname: Big\nkind: migration\n" DATA, 2, 7, "\"Big\" cannot be a name", "small letters" },
	{ "waybill: 1\nname: p\nkind: migraton\n" DATA, 3, 7, "found \"migraton\"", "did you mean \"migration\"?" },
	{ HEAD, 1, 1, "needs the key \"datasets\"", NULL },
	{ HEAD "datasets: {}\n", 4, 11, "at least one dataset", NULL },
	{ HEAD DATA "title: [a]\n", 5, 8, "expected text, found a list", NULL },
	{ HEAD DATA "title:\n", 5, 6, "expected text, found nothing", NULL },
	{ HEAD DATA "passes: {max: many}\n", 5, 15, "expected a whole number, found \"many\"", NULL },
	{ HEAD DATA "passes: {max: 0}\n", 5, 15, "from 1 to 1000", NULL },
	{ HEAD DATA "passes: {until: 60}\n", 5, 17, "not a duration", "60s, 5m" },
	{ HEAD DATA "passes: {verify: on}\n", 5, 18, "expected yes or no, found \"on\"", "" },
	{ HEAD DATA "passes: {verify: Yes}\n", 5, 18, "found \"Yes\"", "did you mean \"yes\"?" },
	{ HEAD DATA "state_secret: yes\n", 5, 15, "state secrets", NULL },
	{ HEAD DATA "timezone: Asia/Nowhere\n", 5, 11, "not a known time zone", NULL },
	{ HEAD DATA "contract: {ends: 2026-02-30}\n", 5, 18, "not a time", "YYYY-MM-DD" },
	{ HEAD DATA "rules: nosuch\n", 5, 8, "no rule profile", NULL },
	/* people */
	{ HEAD DATA "parties: {housing: {name: x}}\n", 5, 11, "\"housing\" has no role", "role:" },
	{ HEAD DATA "parties: {h: {role: depatment}}\n", 5, 21, "expected department", "did you mean \"department\"?" },
	{ HEAD DATA "people: {a: {party: department, key: \"" K1 "\"}}\n", 5, 21, "no party \"department\"", "parties:" },
	{ HEAD DATA "parties: {bureau: {}}\npeople: {a: {party: bureau, key: \"ssh-ed25519 AAAA\"}}\n", 6, 34,
	  "not a public key", ".pub" },
	{ HEAD DATA "parties: {bureau: {}}\npeople: {a: {party: bureau, key: \"-----BEGIN OPENSSH PRIVATE KEY-----\"}}\n",
	  6, 34, "private key, which must never", NULL },
	{ HEAD DATA "parties: {bureau: {}}\npeople: {a: {party: bureau}}\n", 6, 10, "needs the key \"key\"", NULL },
	{ HEAD DATA "operators: [nobody]\n", 5, 13, "no person \"nobody\"", NULL },
	{ HEAD DATA "documents: [{role: letter, file: missing.pdf}]\n", 5, 34, "cannot be read", "relative to the plan" },
	/* hosts and secrets */
	{ HOST(""), 6, 3, "needs the key \"ssh\"", NULL },
	{ HOST("ssh: a, port: 70000"), 6, 21, "from 1 to 65535", NULL },
	{ HOST("ssh: -oProxyCommand=x"), 6, 12, "not an address", NULL },
	{ HOST("ssh: \"user:pw@host\""), 6, 12, "password stands here in clear", "key" },
	{ HOST("ssh: a, host_key: \"SHA256:short\""), 6, 25, "43 characters", NULL },
	{ HOST("ssh: a, host_key: nonsense"), 6, 25, "not a host key", NULL },
	{ HOST("ssh: a, client: putty"), 6, 23, "expected auto, libssh2 or openssh", NULL },
	{ HOST("ssh: a, become: su"), 6, 23, "expected sudo", NULL },
	{ HOST("ssh: a, via: nowhere"), 6, 20, "no host \"nowhere\"", "hosts:" },
	{ HOST("ssh: a, via: h"), 6, 20, "leads through itself", NULL },
	{ HOST("ssh: a, agent: bin/agent"), 6, 22, "relative path", NULL },
	{ HEAD DATA "hosts: {local: {ssh: a}}\n", 5, 9, "\"local\" is this machine", NULL },
	{ HEAD DATA "hosts: {Old: {ssh: a}}\n", 5, 9, "\"Old\" cannot be a name", NULL },
	{ HEAD DATA "secrets: {db: {}}\n", 5, 11, "either \"file\" or \"env\"", NULL },
	{ HEAD DATA "secrets: {db: {file: a, env: B}}\n", 5, 11, "not both", NULL },
	/* datasets */
	{ HEAD "datasets: {d: {}}\n", 4, 12, "needs one of files", NULL },
	{ HEAD "datasets: {d: {files: {from: \"local:/a\"}, block: {from: \"local:/b\"}}}\n", 4, 43, "already files", NULL },
	{ HEAD "datasets: {d: {files: {from: \"srv:/a\"}}}\n", 4, 30, "no host \"srv\"", "hosts:" },
	{ HEAD "datasets: {d: {files: {from: /a}}}\n", 4, 30, "expected HOST:/PATH", "local:/PATH" },
	{ HEAD "datasets: {d: {files: {from: \"local:a/b\"}}}\n", 4, 30, "relative path; paths on hosts", "local:/..." },
	{ HEAD "datasets: {d: {files: {from: \"local:/a/../b\"}}}\n", 4, 30, "not a clean path", NULL },
	{ HEAD "datasets: {d: {files: {to: \"local:/a\"}}}\n", 4, 16, "needs the key \"from\"", NULL },
	{ FILES("activate: swap"), 8, 17, "nothing to swap", NULL },
	{ FILES("exclude: [../up]"), 8, 17, "beneath the dataset's root", "patterns are relative" },
	{ FILES("include: []"), 8, 16, "must not be empty", NULL },
	{ FILES("known_faults: [{path: ../x, reason: y}]"), 8, 29, "beneath the dataset's root", NULL },
	{ FILES("known_faults: [{path: x}]"), 8, 22, "needs the key \"reason\"", NULL },
	{ FILES("size: {min: 2MB, max: 1MB}"), 8, 7, "nothing would be copied", NULL },
	{ FILES("size: {min: 2 furlongs}"), 8, 19, "not a size", "MiB" },
	{ FILES("age: {min: soon}"), 8, 18, "not a duration", NULL },
	{ FILES("owners: {user: {a: b}}"), 8, 16, "unknown key \"user\"", "did you mean \"users\"?" },
	{ FILES("owners: bad.map"), 8, 15, "line 2", "user OLD NEW" },
	{ FILES("scan: quick"), 8, 13, "expected fast or strict", NULL },
	{ FILES("foreign: delete"), 8, 16, "keep, drop or carry", NULL },
	{ FILES("to: local:/a"), 8, 11, "also the source", "place of its own" },
	{ FILES("to: local:/a/sub"), 8, 11, "beneath local:/a, the source", NULL },
	{ FILES("to: local:/"), 8, 11, "above local:/a, the source", NULL },
	{ HEAD "datasets:\n  x: {files: {from: \"local:/a\", to: \"local:/t\"}}\n  y: {files: {from: \"local:/b\", to: \"local:/t/u\"}}\n",
	  6, 37, "beneath local:/t, the target of dataset \"x\"", NULL },
	{ HEAD "hosts: {h: {ssh: u@m}, i: {ssh: u@m}}\ndatasets:\n  x: {files: {from: \"local:/a\", to: \"h:/t\"}}\n"
	  "  y: {files: {from: \"local:/b\", to: \"i:/t\"}}\n", 7, 37, "also the target of dataset \"x\"", NULL },
	{ HEAD "datasets: {d: {command: {from: local, run: \"pg_dump x\"}}}\n", 4, 44, "expected a list", "write each word" },
	{ HEAD "datasets: {d: {command: {from: local, run: [x, --password=secret]}}}\n", 4, 48, "in clear", "secrets:" },
	{ HEAD "datasets: {d: {command: {from: local, run: [curl, \"http://u:pw@h/\"]}}}\n", 4, 51, "in clear", NULL },
	{ HEAD "datasets: {d: {command: {from: local, run: [x], env: {PGPASSWORD: hunter2}}}}\n", 4, 67, "in clear",
	  "secret:NAME" },
	{ HEAD "datasets: {d: {command: {from: local, run: [x], env: {PGPASSWORD: \"secret:db\"}}}}\n", 4, 67,
	  "no secret \"db\"", "secrets:" },
	{ HEAD "datasets: {d: {database: {driver: oracle, from: local, name: x}}}\n", 4, 35, "postgresql, mariadb or sqlite",
	  NULL },
	/* hooks, gates, stages */
	{ HEAD DATA "hooks: {freezes: []}\n", 5, 9, "no point \"freezes\"", "did you mean \"freeze\"?" },
	{ HEAD DATA "hooks: {freeze: [{run: nosuch}]}\n", 5, 24, "no hook \"nosuch\"", "beside the plan" },
	{ HEAD DATA "hooks: {freeze: [{run: plain.txt}]}\n", 5, 24, "chmod +x", NULL },
	{ HEAD DATA "hooks: {freeze: [{run: hook.sh, host: far}]}\n", 5, 39, "no host \"far\"", NULL },
	{ HEAD DATA "hooks: {freeze: [{run: hook.sh, with: {token: abc}}]}\n", 5, 47, "in clear", NULL },
	{ HEAD DATA "gates: {freezing: {approve: [department]}}\n", 5, 9, "no stage \"freezing\"", NULL },
	{ HEAD DATA "gates: {freeze: {approve: [department]}}\n", 5, 28, "no party", NULL },
	{ HEAD DATA "gates: {freeze: {approve: []}}\n", 5, 27, "must not be empty", NULL },
	{ HEAD DATA "parties: {department: {}}\ngates: {freeze: {approve: [department]}}\n", 6, 9, "can never open", "people:" },
	{ HEAD DATA "parties: {department: {}}\npeople:\n  a: {party: department, key: \"" K1 "\"}\n"
	  "  b: {party: department, key: \"" K1 "\"}\ngates: {freeze: {approve: [department, department]}}\n", 9, 9,
	  "wants 2 of \"department\" and 1 can sign", NULL },
	{ HEAD DATA TWO "operators: [b]\ngates: {freeze: {approve: [department, department]}}\n", 10, 9,
	  "can never open", "operators do not count" },
	{ HEAD DATA "parties: {department: {}, bureau: {}}\npeople:\n  a: {party: department, key: \"" K1 "\"}\n"
	  "  b: {party: bureau, key: \"" K1 "\"}\ngates: {freeze: {approve: [department, bureau]}}\n", 9, 9,
	  "sharing a key", NULL },
	{ HEAD DATA TWO "gates: {package: {approve: [department]}}\n", 9, 9, "no such stage", NULL },
	{ HEAD DATA "stages: [preflight, copy, verfy]\n", 5, 27, "no stage \"verfy\"", "did you mean \"verify\"?" },
	{ HEAD DATA "stages: [copy, preflight]\n", 5, 16, "preflight must be the first", NULL },
	{ HEAD DATA "stages: [preflight, copy, copy]\n", 5, 27, "stands twice", NULL },
	{ HEAD DATA "stages: [preflight, verify]\n", 5, 21, "needs \"copy\" before it", NULL },
	{ HEAD DATA "stages: [preflight, copy, verify, smoke, cutover]\n", 5, 35, "must come after \"cutover\"", NULL },
	{ RETIRE TWO CLEARGATE "stages: [preflight, copy, verify, clear]\n", 10, 35, "needs \"restore-test\" before it", NULL },
	/* kinds */
	{ RETIRE, 3, 1, "two approvals of the department", "department, department" },
	{ RETIRE TWO "gates: {clear: {approve: [department]}}\n", 9, 9, "two approvals of the department", NULL },
	{ "waybill: 1\nname: p\nkind: handover\n" DATA, 3, 1, "nobody can accept", "receiver" },
	{ "waybill: 1\nname: p\nkind: handover\n" DATA TWO, 6, 1, "nobody can accept", "receiver" },
	{ "waybill: 1\nname: p\nkind: handover\n" DATA "parties: {receiver: {}}\npeople: {a: {party: receiver, key: \"" K1
	  "\"}}\noperators: [a]\n", 6, 1, "operators do not count", NULL },
	/* cutover, rollback, rehearsal, limits, archive, package, clear */
	{ HEAD DATA "cutover: {window: \"2026-11-28 22:00\"}\n", 5, 19, "not a window", "\" / \"" },
	{ HEAD DATA "cutover: {window: \"2026-11-29 22:00 / 2026-11-28 22:00\"}\n", 5, 19, "ends before it begins", NULL },
	{ HEAD DATA "cutover: {window: \"2026-11-28 22:00 / 2026-11-29 04:00\", give_up: 2026-11-30}\n", 5, 67,
	  "inside the window", NULL },
	{ HEAD DATA "cutover: {require_rehearsal: yes}\n", 5, 30, "no place to rehearse", NULL },
	{ HEAD DATA "rollback: {save: [e]}\n", 5, 19, "no dataset \"e\"", NULL },
	{ HEAD DATA "rehearsal: {to: {d: \"local:/b/x\"}}\n", 5, 21, "beneath local:/b", NULL },
	{ HEAD DATA "limits: {bandwidth: 20MB}\n", 5, 21, "not a rate", "20MB/s" },
	{ HEAD DATA "limits: {window: \"22:00\"}\n", 5, 18, "not a time of day", NULL },
	{ HEAD DATA "limits: {deletes: 101%}\n", 5, 19, "not a share", NULL },
	{ HEAD DATA "limits: {memory: 1MiB}\n", 5, 18, "\"memory\" must be from", NULL },
	{ HEAD DATA "archive: {digests: [sm3]}\n", 5, 20, "sha256 is always", NULL },
	{ HEAD DATA "archive: {digests: [sha256, md5]}\n", 5, 29, "no digest \"md5\"", NULL },
	{ HEAD DATA "archive: {level: 99}\n", 5, 18, "from -5 to 19", NULL },
	{ HEAD DATA "package: {part: 2GiB}\n", 5, 17, "\"part\" must be from", NULL },
	{ HEAD DATA "package: {encrypt: [none.pem]}\n", 5, 21, "cannot be read", NULL },
	{ HEAD DATA "clear: {}\n", 5, 1, "a migration never clears", NULL },
	{ RETIRE TWO CLEARGATE "clear: {require: good}\n", 10, 18, "expected cleared-full", NULL },
	{ RETIRE TWO CLEARGATE "clear: {discard: [{dataset: e, path: x, reason: y}]}\n", 10, 29, "no dataset \"e\"", NULL },
	{ RETIRE TWO CLEARGATE "clear: {operator: a, verifier: a}\n", 10, 32, "must not be the operator", NULL },
	{ "waybill: 1\nname: p\nkind: retirement\n" TWO CLEARGATE "datasets:\n  c: {command: {from: local, run: [x]}}\n"
	  "clear: {datasets: [c]}\n", 11, 20, "only files and block", NULL },
};

static void each_rule_names_its_place(void **state)
{
	size_t bad = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		const struct broken *b = &broken[i];
		OWN_PLAN_FAULTS struct plan_faults f = PLAN_FAULTS_INIT;
		bool found = false;

		OWN_PLAN struct plan *p = parse(b->text, &f);

		for (size_t k = 0; k < f.n && !found; k++)
			found = f.v[k].line == b->line && f.v[k].column == b->column && strstr(f.v[k].message, b->message) &&
			    (!b->hint || (f.v[k].hint && strstr(f.v[k].hint, b->hint)));
		if (!found || f.n > 2) {
			fprintf(stderr, "case %zu: expected only %d:%d %s (%s); it was %s\n%s", i, b->line, b->column, b->message,
			    b->hint ? b->hint : "-", p ? "accepted:" : "", p ? b->text : "");
			plan_faults_print(&f, stderr, false);
			bad++;
		}
	}
	assert_int_equal(bad, 0);
}

static void six_faults_are_named_in_one_run(void **state)
{
	static const char text[] =
	    "waybill: 1\n"
	    "name: six\n"
	    "kind: migration\n"
	    "titel: 六处错误\n"				/* 4:1 unknown key */
	    "parties: {department: {name: 住建局}}\n"
	    "people:\n"
	    "  zhang: {party: departmnt, key: \"" K1 "\"}\n"	/* 7:18 dangling */
	    "hosts: {old: {ssh: u@h, port: many}}\n"		/* 8:31 type */
	    "datasets:\n"
	    "  www: {files: {from: \"old:srv/www\", to: \"local:/t\"}}\n"	/* 10:23 relative */
	    "  up: {files: {from: \"old:/up\", to: \"local:/t/up\"}}\n"	/* 11:37 overlap: */
	    "gates: {freeze: {approve: [department]}}\n";	/* 12:9 never opens */
	static const struct { int line, column; const char *words; } want[] = {
		{ 4, 1, "unknown key" }, { 7, 18, "no party \"departmnt\"" }, { 8, 31, "whole number" },
		{ 10, 23, "relative path" }, { 11, 37, "beneath local:/t" }, { 12, 9, "can never open" } };
	OWN_PLAN_FAULTS struct plan_faults f = PLAN_FAULTS_INIT;
	struct err e = ERR_INIT;

	(void)state;
	assert_null(parse(text, &f));
	if (f.n != 6)
		plan_faults_print(&f, stderr, false);
	assert_int_equal(f.n, 6);
	for (size_t i = 0; i < 6; i++) {
		assert_int_equal(f.v[i].line, want[i].line);
		assert_int_equal(f.v[i].column, want[i].column);
		assert_non_null(strstr(f.v[i].message, want[i].words));
	}
	assert_int_equal(plan_faults_err(&f, &e), -1);
	assert_int_equal(err_exit_code(e.class), 2);
	assert_non_null(strstr(e.text, "p.yaml:4:1: "));
	assert_non_null(strstr(e.text, "5 more faults"));
}

static void a_syntax_fault_is_not_followed_by_its_consequences(void **state)
{
	OWN_PLAN_FAULTS struct plan_faults f = PLAN_FAULTS_INIT;

	(void)state;
	/* Name, datasets and the party all stand behind the fault. */
	assert_null(parse("waybill: 1\nkind: migration\ngates: {freeze: {approve: [department]}}\ntitle: \"open\nname: p\n", &f));
	assert_int_equal(f.n, 1);
	assert_int_equal(f.v[0].line, 4);
}

/* The first choice for a mention need not be the right one: b's key is a's, so bureau must fall to c. */
static void a_gate_opens_if_any_choice_of_people_opens_it(void **state)
{
	OWN_PLAN struct plan *p = must_parse(HEAD DATA "parties: {department: {}, bureau: {}}\npeople:\n"
	    "  a: {party: department, key: \"" K1 "\"}\n  b: {party: bureau, key: \"" K1 "\"}\n"
	    "  c: {party: bureau, key: \"" K2 "\"}\ngates: {freeze: {approve: [bureau, department]}}\n");

	(void)state;
	assert_int_equal(p->gates[STAGE_FREEZE].approve.n, 2);
}

static void print_to(const struct plan_faults *f, struct buf *out)
{
	char *text = NULL;
	size_t n = 0;
	FILE *to = open_memstream(&text, &n);

	assert_non_null(to);
	plan_faults_print(f, to, false);
	assert_int_equal(fclose(to), 0);
	buf_put(out, text, n);
	free(text);
}

static void a_fault_is_printed_with_line_caret_and_hint(void **state)
{
	OWN_PLAN_FAULTS struct plan_faults f = PLAN_FAULTS_INIT;
	OWN_BUF struct buf out = BUF_INIT;

	(void)state;
	/* Two CJK characters are two columns in the position but four on the terminal. */
	assert_null(parse(HEAD DATA "system: {id: \"数据\", levl: 3}\n", &f));
	print_to(&f, &out);
	assert_string_equal(out.data,
	    "p.yaml:5:20: unknown key \"levl\" in system\n"
	    "    5 | system: {id: \"数据\", levl: 3}\n"
	    "      |                      ^~~~\n"
	    "hint: did you mean \"level\"?\n");
}

static void hostile_text_is_escaped_in_messages(void **state)
{
	OWN_PLAN_FAULTS struct plan_faults f = PLAN_FAULTS_INIT;
	OWN_BUF struct buf out = BUF_INIT;

	(void)state;
	assert_null(parse(HEAD DATA "\"\\e[31mx\": 1\nt\xe2\x80\xaey: 2\n", &f));
	print_to(&f, &out);
	assert_int_equal(f.n, 2);
	assert_null(memchr(out.data, 0x1b, out.len));
	assert_null(strstr(out.data, "\xe2\x80\xae"));
	assert_non_null(strstr(out.data, "\\033[31mx"));
}

static void the_list_of_faults_has_an_end(void **state)
{
	OWN_PLAN_FAULTS struct plan_faults f = PLAN_FAULTS_INIT;
	OWN_BUF struct buf text = BUF_INIT;

	(void)state;
	buf_puts(&text, HEAD DATA);
	for (int i = 0; i < 1000; i++)
		buf_printf(&text, "key%d: 1\n", i);
	assert_null(parse(text.data, &f));
	assert_int_equal(f.n, 200);
}

static void a_large_file_is_refused_before_it_is_parsed(void **state)
{
	OWN_PLAN_FAULTS struct plan_faults f = PLAN_FAULTS_INIT;
	OWN_BUF struct buf text = BUF_INIT;

	(void)state;
	buf_puts(&text, HEAD DATA "title: ");
	while (text.len <= PLAN_BYTES_MAX)
		buf_puts(&text, "aaaaaaaaaaaaaaaa");
	assert_null(parse(text.data, &f));
	assert_int_equal(f.n, 1);
	assert_non_null(strstr(f.v[0].message, "larger than 1048576"));
}

static void a_missing_plan_is_a_fault(void **state)
{
	OWN_PLAN_FAULTS struct plan_faults f = PLAN_FAULTS_INIT;
	struct plan *p = NULL;

	(void)state;
	assert_int_equal(plan_load("/nonexistent/p.yaml", &p, &f), -1);
	assert_int_equal(f.n, 1);
	assert_int_equal(f.v[0].line, 0);
	assert_non_null(strstr(f.v[0].message, "No such file"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_rule_names_its_place),
		cmocka_unit_test(six_faults_are_named_in_one_run),
		cmocka_unit_test(a_syntax_fault_is_not_followed_by_its_consequences),
		cmocka_unit_test(a_gate_opens_if_any_choice_of_people_opens_it),
		cmocka_unit_test(a_fault_is_printed_with_line_caret_and_hint),
		cmocka_unit_test(hostile_text_is_escaped_in_messages),
		cmocka_unit_test(the_list_of_faults_has_an_end),
		cmocka_unit_test(a_large_file_is_refused_before_it_is_parsed),
		cmocka_unit_test(a_missing_plan_is_a_fault),
	};

	return cmocka_run_group_tests(tests, make_dir, drop_dir);
}
