/* rooms: plan */
/* The plan language: what is accepted, what is refused, and where the finger points. */
#include "io.h"
#include "plan.h"
#include "plan_sha256.h"
#include "plan_template.h"
#include "scalar.h"
#include "sshkey.h"
#include "suggest.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#define K1 "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMbKqUQEy3d4u92r63VNN5i5C1+lCoq3xSvBpINMZNuP"
#define K2 "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIIM/25jy6b8+EtuoC8IfIliXU0XbXkxFkbIelttuOs3"
#define K3 "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILdQ8vLT2al8Vgt/ZFUgZOtJN3iiuLifYkiIka5zxbDh"

/* Three lines, so that what a case adds begins in line 4. */
#define HEAD "waybill: 1\nname: p\nkind: migration\n"
#define DATA "datasets: {d: {files: {from: \"local:/a\", to: \"local:/b\"}}}\n"
#define FILES(more) HEAD "datasets:\n  d:\n    files:\n      from: local:/a\n      " more "\n"
#define HOST(more) HEAD DATA "hosts:\n  h: {" more "}\n"
#define RETIRE "waybill: 1\nname: p\nkind: retirement\ndatasets: {d: {files: {from: \"local:/a\"}}}\n"
#define TWO "parties: {department: {}}\npeople:\n  a: {party: department, key: \"" K1 "\"}\n" \
	"  b: {party: department, key: \"" K2 "\"}\n"
#define CLEARGATE "gates: {clear: {approve: [department, department]}}\n"

static char dir[] = "/tmp/waybill-test-plan-XXXXXX";

static void put_file(const char *name, const char *text, unsigned mode)
{
	char path[512];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, strlen(text), f), strlen(text));
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, (mode_t)mode), 0);
}

static void remove_file(const char *name)
{
	char path[512];

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	(void)unlink(path);
}

static int make_dir(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	put_file("hook.sh", "#!/bin/sh\n", 0755);
	put_file("plain.txt", "text\n", 0644);
	put_file("owners.map", "# old new\nuser www nginx\ngroup 1001 2001\n", 0644);
	put_file("bad.map", "user www nginx\nuser www\n", 0644);
	return setenv("WAYBILL_SHARE", "/nonexistent", 1);
}

static int drop_dir(void **state)
{
	(void)state;
	remove_file("hook.sh");
	remove_file("plain.txt");
	remove_file("owners.map");
	remove_file("bad.map");
	return rmdir(dir);
}

static struct plan *parse(const char *text, struct plan_faults *f)
{
	struct plan *p = NULL;

	if (plan_parse("p.yaml", dir, text, strlen(text), &p, f) < 0)
		assert_null(p);
	return p;
}

static struct plan *must_parse(const char *text)
{
	OWN_PLAN_FAULTS struct plan_faults f = PLAN_FAULTS_INIT;
	struct plan *p = parse(text, &f);

	if (!p)
		plan_faults_print(&f, stderr, false);
	assert_non_null(p);
	return p;
}

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

static void defaults_are_filled_in(void **state)
{
	OWN_PLAN struct plan *p = must_parse(HEAD DATA);
	const struct plan_files *f = &p->datasets[0].files;

	(void)state;
	assert_string_equal(p->title, "p");
	assert_string_equal(p->timezone, "Asia/Shanghai");
	assert_int_equal(p->nhosts, 1);
	assert_string_equal(p->hosts[0].name, "local");
	assert_true(f->delete && f->one_file_system && f->flags);
	assert_int_equal(f->size_max, UINT64_MAX);
	assert_int_equal(f->activate, ACTIVATE_IN_PLACE);
	assert_int_equal(p->passes.max, 3);
	assert_int_equal(p->passes.until_s, 60);
	assert_true(p->passes.verify);
	assert_int_equal(p->limits.deletes_percent, 10);
	assert_int_equal(p->limits.memory, 256 << 20);
	assert_true(p->archive.level_auto && p->archive.keep);
	assert_int_equal(p->package.part, 1 << 30);
	assert_int_equal(p->nstages, 7);
	assert_int_equal(p->stages[6], STAGE_SMOKE);
	assert_false(p->clear.given);
	assert_false(plan_takes_over(p));
}

static void the_stages_follow_the_kind(void **state)
{
	OWN_PLAN struct plan *r = must_parse(RETIRE TWO CLEARGATE);
	OWN_PLAN struct plan *h = must_parse("waybill: 1\nname: p\nkind: handover\n" DATA
	    "parties: {department: {}, receiver: {}}\npeople:\n  a: {party: department, key: \"" K1 "\"}\n  b: {party: department, key: \""
	    K2 "\"}\n  c: {party: receiver, key: \"" K3 "\"}\nclear: {}\n" CLEARGATE);
	static const enum plan_stage all[] = { STAGE_PREFLIGHT, STAGE_COPY, STAGE_FREEZE, STAGE_FINAL, STAGE_VERIFY,
		STAGE_CUTOVER, STAGE_SMOKE, STAGE_PACKAGE, STAGE_ACCEPT, STAGE_RESTORE_TEST, STAGE_CLEAR, STAGE_CERTIFY };

	(void)state;
	assert_int_equal(r->nstages, 8);
	assert_int_equal(r->stages[5], STAGE_RESTORE_TEST);
	assert_int_equal(r->stages[7], STAGE_CERTIFY);
	assert_true(r->clear.given);
	assert_int_equal(r->clear.require, PLAN_VERDICT_CLEARED_SAMPLED);
	assert_int_equal(r->clear.datasets.n, 1);
	assert_int_equal(h->nstages, STAGE_COUNT);
	assert_memory_equal(h->stages, all, sizeof(all));
}

static void values_are_read_as_they_are_meant(void **state)
{
	OWN_PLAN struct plan *p = must_parse(HEAD "timezone: UTC\n" TWO
	    "hosts:\n  old: {ssh: deploy@old@10.1.0.5, port: 2222, keepalive: 2m, become: sudo}\n"
	    "datasets:\n  d:\n    files: {from: \"old:/srv/www/\", to: \"local:/b\", delete: no, exclude: cache/**,\n"
	    "      size: {max: 2MiB}, age: {min: 1h}, owners: owners.map, scan: strict,\n"
	    "      known_faults: [{path: a/b/, reason: r}]}\n"
	    "hooks: {freeze: [{run: ./hook.sh, host: [old, local], timeout: 1m, tries: 3, with: {a: b}}]}\n"
	    "gates: {freeze: {approve: [department, department]}}\n"
	    "cutover: {window: \"2026-11-28 22:00 / 2026-11-29 04:00\", give_up: \"2026-11-29T03:30+01:00\"}\n"
	    "limits: {bandwidth: 20MB/s, window: \"22:00-06:00\", deletes: 5 %}\n"
	    "archive: {digests: [sha256, sm3], level: -3}\n");
	const struct plan_dataset *d = plan_dataset(p, "d");
	const struct plan_hook *h = &p->hooks[POINT_FREEZE].v[0];

	(void)state;
	assert_string_equal(plan_host(p, "old")->ssh, "deploy@old@10.1.0.5");
	assert_int_equal(plan_host(p, "old")->keepalive_s, 120);
	assert_true(plan_host(p, "old")->become_sudo);
	assert_string_equal(d->from.host, "old");
	assert_string_equal(d->from.path, "/srv/www");
	assert_false(d->files.delete);
	assert_int_equal(d->files.exclude.n, 1);
	assert_string_equal(d->files.exclude.v[0], "cache/**");
	assert_int_equal(d->files.size_max, 2 << 20);
	assert_int_equal(d->files.age_min_s, 3600);
	assert_int_equal(d->files.nowners, 2);
	assert_true(d->files.owners[1].group);
	assert_string_equal(d->files.owners[1].to, "2001");
	assert_string_equal(d->files.known_faults[0].path, "a/b");
	assert_int_equal(d->files.scan, SCAN_STRICT);
	assert_int_equal(h->hosts.n, 2);
	assert_int_equal(h->timeout_s, 60);
	assert_int_equal(h->tries, 3);
	assert_string_equal(h->with.v[0].value, "b");
	assert_int_equal(p->gates[STAGE_FREEZE].approve.n, 2);
	assert_int_equal(p->cutover.window.start, 1795903200);	/* date -ud '2026-11-28 22:00' +%s */
	assert_int_equal(p->cutover.give_up, 1795919400);	/* date -ud '2026-11-29 02:30' +%s */
	assert_int_equal(p->limits.bandwidth, 20000000);
	assert_int_equal(p->limits.window_from, 22 * 60);
	assert_int_equal(p->limits.deletes_percent, 5);
	assert_true(p->archive.sm3);
	assert_int_equal(p->archive.level, -3);
	assert_true(plan_takes_over(p));
	assert_string_equal(plan_person(p, "a")->fingerprint, "SHA256:8j2NdvUMF457AN4PLpWyJDPLnStRBFtqJzXzYXrOy+c");
}

static void the_signers_are_allowed_signers_lines(void **state)
{
	OWN_PLAN struct plan *p = must_parse(RETIRE TWO CLEARGATE);
	OWN_BUF struct buf b = BUF_INIT;

	(void)state;
	plan_signers(p, &b);
	assert_string_equal(b.data,
	    "a namespaces=\"approval@waybill,acceptance@waybill,clearance@waybill,certificate@waybill,git\" " K1 "\n"
	    "b namespaces=\"approval@waybill,acceptance@waybill,clearance@waybill,certificate@waybill,git\" " K2 "\n");
}

static void unbuilt_features_are_named_with_their_place(void **state)
{
	OWN_PLAN struct plan *good = must_parse(HEAD DATA);
	OWN_PLAN struct plan *swap = must_parse(FILES("to: local:/b\n      activate: swap"));
	OWN_PLAN struct plan *keep = must_parse(HEAD DATA "archive: {keep: no}\n");
	OWN_PLAN struct plan *done = must_parse(HEAD DATA "hooks: {done: [{run: hook.sh}]}\n");
	OWN_PLAN struct plan *hook = must_parse(HEAD DATA "hooks: {freeze: [{run: hook.sh}]}\n");
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(plan_not_built(good, &e), 0);
	assert_int_equal(plan_not_built(done, &e), 0);
	assert_int_equal(plan_not_built(swap, &e), 0);
	assert_int_equal(plan_not_built(keep, &e), -1);
	assert_int_equal(err_exit_code(e.class), 1);
	assert_string_equal(e.text, "p.yaml: archive.keep: no: not built yet");
	assert_int_equal(plan_not_built(hook, &e), 0);
}

static struct plan *with_files(void)
{
	return must_parse(HEAD "datasets: {d: {files: {from: \"local:/a\", to: \"local:/b\", owners: owners.map}}}\n"
	    "documents: [{role: letter, file: plain.txt}]\n"
	    "hooks: {done: [{run: hook.sh}, {run: ./hook.sh}], smoke: [{run: hook.sh}]}\n");
}

static void the_digest_covers_every_file_under_a_stable_name(void **state)
{
	OWN_PLAN struct plan *p = with_files();
	OWN_PLAN_SUM struct plan_sum a = PLAN_SUM_INIT, b = PLAN_SUM_INIT, c = PLAN_SUM_INIT;
	struct err e = ERR_INIT;
	uint8_t sum[DIGEST_LEN];

	(void)state;
	assert_int_equal(plan_sum_make(p, &a, &e), 0);
	assert_int_equal(a.nfiles, 4);
	assert_string_equal(a.files[0].name, "documents/plain.txt");
	assert_string_equal(a.files[1].name, "hooks/hook.sh");
	assert_string_equal(a.files[2].name, "owners/owners.map");
	assert_string_equal(a.files[3].name, "plan.yaml");
	assert_string_equal(plan_sum_file(&a, "documents/plain.txt")->bytes.data, "text\n");
	assert_int_equal(digest_sha256(a.text.data, a.text.len, sum, &e), 0);
	assert_memory_equal(sum, a.digest, DIGEST_LEN);
	assert_non_null(strstr(a.text.data, "  plan.yaml\n"));
	put_file("hook.sh", "#!/bin/sh\nexit 1\n", 0755);
	assert_int_equal(plan_sum_make(p, &b, &e), 0);
	assert_string_not_equal(a.hex, b.hex);
	put_file("hook.sh", "#!/bin/sh\n", 0755);
	assert_int_equal(plan_sum_make(p, &c, &e), 0);
	assert_string_equal(a.hex, c.hex);
}

static void a_recorded_plan_is_read_without_its_files(void **state)
{
	static const char text[] = HEAD DATA "documents: [{role: letter, file: gone.txt}]\nhooks: {done: [{run: gone.sh}]}\n";
	OWN_PLAN_FAULTS struct plan_faults f = PLAN_FAULTS_INIT, g = PLAN_FAULTS_INIT;
	OWN_PLAN_SUM struct plan_sum s = PLAN_SUM_INIT;
	OWN_PLAN struct plan *p = NULL, *q = NULL;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(plan_parse("p", dir, text, strlen(text), &q, &g), -1);
	assert_int_equal(g.n, 2);
	assert_int_equal(plan_parse_recorded("p", dir, text, strlen(text), &p, &f), 0);
	assert_null(p->hooks[POINT_DONE].v[0].file);
	assert_int_equal(plan_sum_make(p, &s, &e), -1);
	assert_int_equal(err_exit_code(e.class), 2);
	assert_non_null(strstr(e.text, "gone.sh"));
}

static void a_file_that_went_away_is_named(void **state)
{
	OWN_PLAN struct plan *p = with_files();
	OWN_PLAN_SUM struct plan_sum s = PLAN_SUM_INIT;
	struct err e = ERR_INIT;

	(void)state;
	remove_file("plain.txt");
	assert_int_equal(plan_sum_make(p, &s, &e), -1);
	assert_int_equal(err_exit_code(e.class), 2);
	assert_non_null(strstr(e.text, "plain.txt"));
	put_file("plain.txt", "text\n", 0644);
}

static void the_examples_are_valid(void **state)
{
	static const char *const names[] = { "migration", "handover", "retirement" };
	const char *source = getenv("WAYBILL_SOURCE");

	(void)state;
	if (!source)
		skip();
	for (int i = 0; i < 3; i++) {
		OWN_PLAN_FAULTS struct plan_faults f = PLAN_FAULTS_INIT;
		OWN_PLAN struct plan *p = NULL;
		struct err e = ERR_INIT;
		char path[4096];

		(void)snprintf(path, sizeof(path), "%s/plans/examples/%s.yaml", source, names[i]);
		if (plan_load(path, &p, &f) < 0)
			plan_faults_print(&f, stderr, false);
		assert_non_null(p);
		assert_int_equal(p->kind, i);
		assert_int_equal(plan_not_built(p, &e), 0);
	}
}

static size_t template_faults(const struct plan_template *t, struct buf *text)
{
	OWN_PLAN_FAULTS struct plan_faults f = PLAN_FAULTS_INIT;
	OWN_PLAN struct plan *p = NULL;
	struct err e = ERR_INIT;

	if (plan_template(t, text, &e) < 0)
		fail_msg("%s", e.text);
	p = parse(text->data, &f);
	if (p)
		assert_int_equal(p->kind, t->kind);
	for (size_t i = 0; i < f.n; i++)	/* every fault is a line that says FILL IN */
		assert_non_null(strstr(f.v[i].excerpt, "FILL IN"));
	return f.n;
}

static void a_template_with_its_people_is_a_valid_plan(void **state)
{
	static const struct plan_template_person people[] = {
		{ "zhang", "department", K1 " zhang@desk" }, { "li", "department", K2 }, { "zhao", "receiver", K3 } };
	static const char *const froms[] = { "local:/srv/My Data!/", "old:/srv/\"www\"", "deploy@10.1.0.5:/" };
	static const char *const tos[] = { NULL, "new:/x", "deploy@10.2.0.7:/x" };

	(void)state;
	for (int kind = 0; kind < 3; kind++)
		for (int i = 0; i < 3; i++)
			for (int k = 0; k < 3; k++) {
				OWN_BUF struct buf b = BUF_INIT;
				struct plan_template t = { (enum plan_kind)kind, froms[i], tos[k], people, 3 };

				assert_int_equal(template_faults(&t, &b), 0);
			}
}

static void a_template_without_people_marks_each_line_to_fill_in(void **state)
{
	static const struct plan_template_person one[] = { { "zhang", "department", K1 }, { "wu", "office", K2 } };
	static const size_t faults[] = { 0, 1, 2 };

	(void)state;
	for (int kind = 0; kind < 3; kind++) {
		OWN_BUF struct buf b = BUF_INIT;
		struct plan_template t = { (enum plan_kind)kind, "old:/srv", NULL, NULL, 0 };
		size_t n = template_faults(&t, &b);

		assert_int_equal(n, faults[kind]);
	}
	OWN_BUF struct buf b = BUF_INIT;
	struct plan_template t = { PLAN_MIGRATION, "old:/srv", NULL, one, 2 };

	assert_int_equal(template_faults(&t, &b), 1);
	assert_non_null(strstr(b.data, "office: {role: \"FILL IN\"}"));
}

static void a_template_refuses_what_is_no_place(void **state)
{
	static const char *const bad[] = { "old", "/srv", "old:srv", ":/srv", "old:/a/../b", "-o:/x" };
	struct err e = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		OWN_BUF struct buf b = BUF_INIT;
		struct plan_template t = { PLAN_MIGRATION, bad[i], NULL, NULL, 0 };

		assert_int_equal(plan_template(&t, &b, &e), -1);
		assert_int_equal(err_exit_code(e.class), 2);
	}
}

static void scalars_take_what_they_say_and_nothing_else(void **state)
{
	uint64_t u;
	int64_t i;
	int a, b;

	(void)state;
	assert_true(scalar_size("1GiB", &u) && u == 1u << 30);
	assert_true(scalar_size("20 MB", &u) && u == 20000000);
	assert_false(scalar_size("9999999999TiB", &u));
	assert_false(scalar_size("1GiBs", &u));
	assert_false(scalar_size("-1", &u));
	assert_true(scalar_rate("off", &u) && u == 0);
	assert_false(scalar_rate("0/s", &u));
	assert_true(scalar_duration("2h", &i) && i == 7200);
	assert_false(scalar_duration("2hh", &i));
	assert_false(scalar_duration("99999999999999999999s", &i));
	assert_true(scalar_int("-5", &i) && i == -5);
	assert_false(scalar_int("0x10", &i));
	assert_true(scalar_day_window("22:00-06:00", &a, &b) && a == 1320 && b == 360);
	assert_false(scalar_day_window("22:00-24:00", &a, &b));
	assert_false(scalar_day_window("22:00-22:60", &a, &b));
	assert_false(scalar_day_window("22:0", &a, &b));
	assert_false(scalar_day_window("22:00-22:00", &a, &b));
	assert_true(scalar_is_name("a-1"));
	assert_false(scalar_is_name("-a"));
	assert_false(scalar_is_name(""));
	assert_int_equal(suggest_distance("verfiy", "verify"), 1);
	assert_int_equal(suggest_distance("abc", "xyz"), 3);
}

static void keys_are_checked_to_the_last_bit(void **state)
{
	static const char *const bad[] = { "", "ssh-ed25519", "ssh-ed25519 ", "ssh-dss AAAA", "ssh-ed25519 AAAAC3NzaC1",
		"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMbKqUQEy3d4u92r63VNN5i5C1+lCoq3xSvBpINMZNu",
		"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAHwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=",	/* 31 bytes */
		"ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIMbKqUQEy3d4u92r63VNN5i5C1+lCoq3xSvBpINMZNuP" };
	OWN_BUF struct buf line = BUF_INIT;
	struct sshkey k;

	(void)state;
	assert_null(sshkey_parse(K1 " a comment", &k, &line));
	assert_string_equal(line.data, K1);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (!sshkey_parse(bad[i], &k, &line))
			fail_msg("\"%s\" was taken as a key", bad[i]);
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
		cmocka_unit_test(defaults_are_filled_in),
		cmocka_unit_test(the_stages_follow_the_kind),
		cmocka_unit_test(values_are_read_as_they_are_meant),
		cmocka_unit_test(the_signers_are_allowed_signers_lines),
		cmocka_unit_test(unbuilt_features_are_named_with_their_place),
		cmocka_unit_test(the_digest_covers_every_file_under_a_stable_name),
		cmocka_unit_test(a_recorded_plan_is_read_without_its_files),
		cmocka_unit_test(a_file_that_went_away_is_named),
		cmocka_unit_test(the_examples_are_valid),
		cmocka_unit_test(a_template_with_its_people_is_a_valid_plan),
		cmocka_unit_test(a_template_without_people_marks_each_line_to_fill_in),
		cmocka_unit_test(a_template_refuses_what_is_no_place),
		cmocka_unit_test(scalars_take_what_they_say_and_nothing_else),
		cmocka_unit_test(keys_are_checked_to_the_last_bit),
	};

	return cmocka_run_group_tests(tests, make_dir, drop_dir);
}
