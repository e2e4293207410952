/* rooms: evidence */
#include "evidence_keys.h"

#include "approval.h"
#include "record.h"

#define NOW 1795874400
#define DIGEST "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"
#define ROOT "dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd"

static struct plan *plan;

static int make_plan(void **state)
{
	static const char *const names[] = { "zhang", "li", "wang", "zhao", "sun" };
	OWN_BUF struct buf b = BUF_INIT;
	OWN_PLAN_FAULTS struct plan_faults faults = PLAN_FAULTS_INIT;

	if (make_keys_dir(state) < 0)
		return -1;
	buf_puts(&b, "waybill: 1\nname: wxzj-end\nkind: retirement\n"
	    "parties:\n  department: {name: 住房和城乡建设局}\n  bureau: {name: 数据局}\n  receiver: {name: 档案馆}\npeople:\n");
	for (size_t i = 0; i < 5; i++) {
		make_key(names[i], "ed25519", "");
		OWN_FREE char *line = key_line(names[i]);

		buf_printf(&b, "  %s: {name: %s, party: %s, key: \"%s\"}\n", names[i], names[i], i == 2 ? "bureau" : "department", line);
		if (i == 0)
			buf_printf(&b, "  twin: {name: twin, party: department, key: \"%s\"}\n", line);
	}
	buf_puts(&b, "operators: [zhao]\nhosts:\n  old: {ssh: deploy@192.0.2.1}\n"
	    "datasets:\n  www:\n    files: {from: \"old:/srv/www\"}\n"
	    "gates:\n  clear: {approve: [department, department, bureau]}\n"
	    "clear: {operator: zhao, verifier: wang}\n");
	if (plan_parse("wxzj-end.yaml", ".", b.data, b.len, &plan, &faults) < 0) {
		plan_faults_print(&faults, stderr, false);
		return -1;
	}
	return 0;
}

static int drop_plan(void **state)
{
	plan_free(plan);
	return drop_keys_dir(state);
}

/* ---- a bench: facts of now, and files added to it ---- */

struct bench { struct facts facts; struct approval_files files; struct gate gate; };

static void bench_open(struct bench *b)
{
	struct err e = ERR_INIT;

	memset(b, 0, sizeof(*b));
	assert_int_equal(facts_from_plan(&b->facts, plan, "clear", DIGEST, 1, &e), 0);
	assert_int_equal(b->facts.f.dataset_count, 1);
	b->facts.datasets[0].version = 3;
	b->facts.datasets[0].root = ROOT;
	b->facts.datasets[0].entries = 10;
	b->facts.datasets[0].bytes = 1000;
}

static void bench_close(struct bench *b)
{
	facts_dispose(&b->facts);
	approval_files_dispose(&b->files);
	gate_dispose(&b->gate);
}

/* person's words, signed with the key file named, in the namespace named. */
static struct approval_file *say_with(struct bench *b, const char *person, enum statement_says says, const char *key, const char *ns, int64_t at, int64_t until)
{
	struct approval_file *f;
	const struct plan_person *who = plan_person(plan, person);
	struct statement_head h = { .person = person, .party = who ? who->party : "department", .says = says, .at = at, .not_after = until };
	char path[PATH_MAX];
	struct err e = ERR_INIT;

	b->files.v = realloc(b->files.v, (b->files.n + 1) * sizeof(*b->files.v));
	f = &b->files.v[b->files.n++];
	memset(f, 0, sizeof(*f));
	f->number = (unsigned)b->files.n;
	f->stage = strdup("clear");
	f->person = strdup(person);
	if (statement_build(&h, &b->facts.f, &f->txt, &e) < 0)
		fail_msg("%s", e.text);
	key_path(path, key);
	if (sign_bytes(path, ns, f->txt.data, f->txt.len, &f->sig, &e) < 0)
		fail_msg("%s", e.text);
	return f;
}

static struct approval_file *say(struct bench *b, const char *person, enum statement_says says)
{
	return say_with(b, person, says, strcmp(person, "twin") == 0 ? "zhang" : person, SIGN_NS_CLEARANCE, NOW - 60 + (int64_t)b->files.n, 0);
}

/* Somebody brings once more what was said before. */
static void say_again(struct bench *b, size_t i)
{
	struct approval_file *f;

	b->files.v = realloc(b->files.v, (b->files.n + 1) * sizeof(*b->files.v));
	f = &b->files.v[b->files.n++];
	memset(f, 0, sizeof(*f));
	f->number = (unsigned)b->files.n;
	f->stage = strdup(b->files.v[i].stage);
	f->person = strdup(b->files.v[i].person);
	buf_put(&f->txt, b->files.v[i].txt.data, b->files.v[i].txt.len);
	buf_put(&f->sig, b->files.v[i].sig.data, b->files.v[i].sig.len);
}

static const struct gate *judge(struct bench *b)
{
	struct err e = ERR_INIT;

	gate_dispose(&b->gate);
	if (gate_evaluate(plan, &b->facts.f, &b->files, NOW, &b->gate, &e) < 0)
		fail_msg("%s", e.text);
	return &b->gate;
}

static enum approval_state state_of(const struct bench *b, size_t i) { return b->gate.approvals[i].state; }

/* ---- promises ---- */

static void a_gate_opens_when_every_party_it_lists_has_spoken(void **state)
{
	struct bench b;
	OWN_BUF struct buf text = BUF_INIT;

	(void)state;
	bench_open(&b);
	assert_false(judge(&b)->open);
	assert_int_equal(b.gate.missing_count, 3);
	assert_non_null(strstr(b.gate.missing[0].command, "--as zhang"));
	assert_non_null(strstr(b.gate.missing[1].command, "--as li"));	/* another voice needs another key */
	assert_non_null(strstr(b.gate.missing[2].command, "--as wang"));
	say(&b, "zhang", SAYS_APPROVE);
	say(&b, "wang", SAYS_APPROVE);
	assert_false(judge(&b)->open);
	assert_int_equal(b.gate.missing_count, 1);
	assert_string_equal(b.gate.missing[0].party, "department");
	assert_string_equal(b.gate.missing[0].people, "li, sun");	/* twin has zhang's key, zhao is the operator */
	assert_non_null(strstr(b.gate.missing[0].command, "waybill approve wxzj-end clear --as li"));
	gate_text(&b.gate, &text);
	assert_non_null(strstr(text.data, "waits for department (li, sun)"));
	say(&b, "li", SAYS_APPROVE);
	assert_true(judge(&b)->open);
	assert_int_equal(b.gate.missing_count, 0);
	bench_close(&b);
}

static void one_person_twice_is_one_person(void **state)
{
	struct bench b;

	(void)state;
	bench_open(&b);
	say(&b, "zhang", SAYS_APPROVE);
	say(&b, "zhang", SAYS_APPROVE);
	say(&b, "wang", SAYS_APPROVE);
	assert_false(judge(&b)->open);
	assert_int_equal(state_of(&b, 0), APPROVAL_SUPERSEDED);
	assert_int_equal(state_of(&b, 1), APPROVAL_STANDS);
	bench_close(&b);
}

static void two_people_with_one_key_are_one_person(void **state)
{
	struct bench b;

	(void)state;
	bench_open(&b);
	say(&b, "zhang", SAYS_APPROVE);
	say(&b, "twin", SAYS_APPROVE);
	say(&b, "wang", SAYS_APPROVE);
	assert_false(judge(&b)->open);
	assert_int_equal(state_of(&b, 1), APPROVAL_BARRED);
	assert_non_null(strstr(b.gate.approvals[1].why, "same key as zhang"));
	bench_close(&b);
}

static void an_operator_opens_no_gate(void **state)
{
	struct bench b;
	struct statement_head h;
	struct err e = ERR_INIT;

	(void)state;
	bench_open(&b);
	say(&b, "zhang", SAYS_APPROVE);
	say(&b, "zhao", SAYS_APPROVE);
	say(&b, "wang", SAYS_APPROVE);
	assert_false(judge(&b)->open);
	assert_int_equal(state_of(&b, 1), APPROVAL_BARRED);
	assert_int_equal(approval_head(plan, "zhao", "clear", SAYS_APPROVE, NOW, &h, &e), -1);
	assert_int_equal(e.class, ERR_REFUSED);
	bench_close(&b);
}

static void open_gate(struct bench *b)
{
	bench_open(b);
	say(b, "zhang", SAYS_APPROVE);
	say(b, "li", SAYS_APPROVE);
	say(b, "wang", SAYS_APPROVE);
	assert_true(judge(b)->open);
}

static void withdrawing_and_refusing_shut_an_open_gate(void **state)
{
	struct bench b;

	(void)state;
	open_gate(&b);
	say(&b, "li", SAYS_WITHDRAW);
	assert_false(judge(&b)->open);
	assert_int_equal(state_of(&b, 3), APPROVAL_WITHDRAWN);
	assert_false(b.gate.refused);
	say(&b, "li", SAYS_APPROVE);
	assert_true(judge(&b)->open);
	say(&b, "wang", SAYS_REFUSE);
	assert_false(judge(&b)->open);
	assert_true(b.gate.refused);
	say(&b, "wang", SAYS_APPROVE);
	assert_true(judge(&b)->open);
	say(&b, "sun", SAYS_REFUSE);		/* enough have approved, but one who is asked says no */
	assert_false(judge(&b)->open);
	assert_int_equal(b.gate.missing_count, 0);
	say(&b, "sun", SAYS_WITHDRAW);
	assert_true(judge(&b)->open);
	say(&b, "zhao", SAYS_REFUSE);		/* an operator opens no gate, and shuts none */
	assert_true(judge(&b)->open);
	bench_close(&b);
}

static void what_was_taken_back_cannot_be_brought_again(void **state)
{
	struct bench b;

	(void)state;
	open_gate(&b);
	say_again(&b, 1);			/* the same twice is said once */
	assert_true(judge(&b)->open);
	say(&b, "li", SAYS_WITHDRAW);
	assert_false(judge(&b)->open);
	say_again(&b, 1);
	assert_false(judge(&b)->open);
	assert_true(b.gate.fallen);
	assert_int_equal(state_of(&b, 5), APPROVAL_FALLEN);
	say_with(&b, "li", SAYS_APPROVE, "li", SIGN_NS_CLEARANCE, NOW - 100, 0);	/* signed earlier, brought later */
	assert_false(judge(&b)->open);
	assert_int_equal(state_of(&b, 4), APPROVAL_WITHDRAWN);
	say_with(&b, "li", SAYS_APPROVE, "li", SIGN_NS_CLEARANCE, NOW, 0);
	assert_true(judge(&b)->open);
	bench_close(&b);
}

static void an_approval_falls_when_what_it_signs_changes(void **state)
{
	struct bench b;

	(void)state;
	open_gate(&b);
	b.facts.f.plan_digest = ROOT;
	assert_false(judge(&b)->open);
	assert_false(b.gate.fallen);		/* an amended plan was meant: new voices are waited for */
	assert_int_equal(state_of(&b, 0), APPROVAL_FALLEN);
	assert_non_null(strstr(b.gate.approvals[0].why, "plan-digest was"));
	b.facts.f.plan_digest = DIGEST;
	b.facts.datasets[0].root = DIGEST;
	assert_false(judge(&b)->open);
	assert_true(b.gate.fallen);
	b.facts.datasets[0].root = ROOT;
	b.facts.f.round = 2;
	assert_false(judge(&b)->open);
	b.facts.f.round = 1;
	assert_true(judge(&b)->open);
	bench_close(&b);
}

static void an_approval_ends_with_its_validity(void **state)
{
	struct bench b;
	struct statement_head h;
	struct err e = ERR_INIT;

	(void)state;
	bench_open(&b);
	say_with(&b, "zhang", SAYS_APPROVE, "zhang", SIGN_NS_CLEARANCE, NOW - 60, NOW - 1);
	say_with(&b, "li", SAYS_APPROVE, "li", SIGN_NS_CLEARANCE, NOW - 60, NOW + 1);
	judge(&b);
	assert_int_equal(state_of(&b, 0), APPROVAL_FALLEN);
	assert_non_null(strstr(b.gate.approvals[0].why, "good until"));
	assert_int_equal(state_of(&b, 1), APPROVAL_STANDS);
	assert_int_equal(approval_head(plan, "li", "clear", SAYS_APPROVE, NOW, &h, &e), 0);
	assert_int_equal(h.not_after, NOW + 30 * 86400);
	bench_close(&b);
}

static void a_signature_by_another_key_in_another_namespace_or_over_another_text_does_not_count(void **state)
{
	struct bench b;

	(void)state;
	bench_open(&b);
	say_with(&b, "zhang", SAYS_APPROVE, "li", SIGN_NS_CLEARANCE, NOW, 0);
	say_with(&b, "li", SAYS_APPROVE, "li", SIGN_NS_APPROVAL, NOW, 0);
	say(&b, "wang", SAYS_APPROVE)->txt.data[60] ^= 1;
	judge(&b);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(state_of(&b, i), APPROVAL_FALLEN);
	bench_close(&b);
}

static void a_forged_withdrawal_leaves_the_real_approval_standing(void **state)
{
	struct bench b;

	(void)state;
	open_gate(&b);
	say_with(&b, "li", SAYS_WITHDRAW, "zhang", SIGN_NS_CLEARANCE, NOW, 0);
	assert_true(judge(&b)->open);
	assert_int_equal(state_of(&b, 1), APPROVAL_STANDS);
	assert_int_equal(state_of(&b, 3), APPROVAL_FALLEN);
	bench_close(&b);
}

static void a_missing_signature_counts_as_nothing(void **state)
{
	struct bench b;

	(void)state;
	open_gate(&b);
	buf_reset(&b.files.v[0].sig);
	assert_false(judge(&b)->open);
	assert_int_equal(state_of(&b, 0), APPROVAL_UNCHECKED);
	bench_close(&b);
}

static void an_approval_of_another_person_or_stage_under_a_borrowed_name_falls(void **state)
{
	struct bench b;

	(void)state;
	bench_open(&b);
	free(say(&b, "zhang", SAYS_APPROVE)->person);
	b.files.v[0].person = strdup("li");
	judge(&b);
	assert_int_equal(state_of(&b, 0), APPROVAL_FALLEN);
	bench_close(&b);
}

static void an_approval_is_checked_before_it_is_recorded(void **state)
{
	struct bench b;
	struct statement s;
	struct err e = ERR_INIT;
	struct approval_file *f;

	(void)state;
	bench_open(&b);
	f = say(&b, "zhang", SAYS_APPROVE);
	assert_int_equal(approval_check(plan, &b.facts.f, f->txt.data, f->txt.len, f->sig.data, f->sig.len, NOW, &s, &e), 0);
	assert_string_equal(s.person, "zhang");
	statement_dispose(&s);
	b.facts.f.round = 2;
	assert_int_equal(approval_check(plan, &b.facts.f, f->txt.data, f->txt.len, f->sig.data, f->sig.len, NOW, &s, &e), -1);
	assert_int_equal(e.class, ERR_REFUSED);
	b.facts.f.round = 1;
	e = (struct err)ERR_INIT;
	assert_int_equal(approval_check(plan, &b.facts.f, f->txt.data, f->txt.len, NULL, 0, NOW, &s, &e), -1);
	assert_int_equal(e.class, ERR_UNVERIFIED);
	f = say(&b, "zhao", SAYS_APPROVE);
	e = (struct err)ERR_INIT;
	assert_int_equal(approval_check(plan, &b.facts.f, f->txt.data, f->txt.len, f->sig.data, f->sig.len, NOW, &s, &e), -1);
	assert_int_equal(e.class, ERR_REFUSED);
	bench_close(&b);
}

static void accept_waits_for_a_receiver_though_no_gate_is_written(void **state)
{
	(void)state;
	assert_true(gate_exists(plan, "accept"));
	assert_true(gate_exists(plan, "clear"));
	assert_false(gate_exists(plan, "freeze"));
}

static void names_of_approvals_are_read_strictly(void **state)
{
	static const char *const bad[] = { "1-clear-zhang", "0001-clear-", "0001-clearing-zhang", "0001--zhang", "0001-clear-Zhang", "0000-clear-zhang", "x0001-clear-z" };
	char *stage, *person;
	unsigned n;

	(void)state;
	assert_true(approval_name_parse("0012-restore-test-li-si", &n, &stage, &person));
	assert_int_equal(n, 12);
	assert_string_equal(stage, "restore-test");
	assert_string_equal(person, "li-si");
	free(stage);
	free(person);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(approval_name_parse(bad[i], &n, &stage, &person));
}

/* ---- record ---- */

static int record(const struct record_options *o, struct buf *data)
{
	OWN_BUF struct buf text = BUF_INIT;
	struct err e = ERR_INIT;
	int rc = record_build(o, NOW, data, &text, &e);

	if (rc < 0)
		assert_int_equal(e.class, ERR_USAGE);
	return rc;
}

static void a_record_says_what_its_kind_needs_and_nothing_else(void **state)
{
	static const char *const sums[] = { ROOT }, *const names[] = { "letter.pdf" };
	static const struct { struct record_options o; int rc; } table[] = {
		{ { .kind = "notice-received" }, 0 },
		{ { .kind = "notice-recieved" }, -1 },
		{ { .kind = "opinion", .opinion = "agree" }, 0 },
		{ { .kind = "opinion" }, -1 },
		{ { .kind = "opinion", .opinion = "perhaps" }, -1 },
		{ { .kind = "opinion", .opinion = "refuse" }, -1 },
		{ { .kind = "opinion", .opinion = "refuse", .note = "too early" }, 0 },
		{ { .kind = "opened", .opinion = "agree" }, -1 },
		{ { .kind = "note" }, -1 },
		{ { .kind = "incident", .note = "power cut" }, 0 },
		{ { .kind = "statement", .copy = "tapes" }, -1 },
		{ { .kind = "statement", .copy = "tapes", .attached_sha256 = sums, .attached_name = names, .attached_count = 1 }, 0 },
		{ { .kind = "reclaimed", .copy = "tapes" }, -1 },
		{ { .kind = "went-live", .at = "2026-11-28 21:00" }, 0 },
		{ { .kind = "went-live", .at = "2027-11-28 21:00" }, -1 },
		{ { .kind = "went-live", .at = "yesterday" }, -1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		OWN_BUF struct buf data = BUF_INIT;

		if (record(&table[i].o, &data) != table[i].rc)
			fail_msg("row %zu", i);
		if (table[i].rc == 0)
			assert_non_null(strstr(data.data, table[i].o.kind));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_gate_opens_when_every_party_it_lists_has_spoken),
		cmocka_unit_test(one_person_twice_is_one_person),
		cmocka_unit_test(two_people_with_one_key_are_one_person),
		cmocka_unit_test(an_operator_opens_no_gate),
		cmocka_unit_test(withdrawing_and_refusing_shut_an_open_gate),
		cmocka_unit_test(what_was_taken_back_cannot_be_brought_again),
		cmocka_unit_test(an_approval_falls_when_what_it_signs_changes),
		cmocka_unit_test(an_approval_ends_with_its_validity),
		cmocka_unit_test(a_signature_by_another_key_in_another_namespace_or_over_another_text_does_not_count),
		cmocka_unit_test(a_forged_withdrawal_leaves_the_real_approval_standing),
		cmocka_unit_test(a_missing_signature_counts_as_nothing),
		cmocka_unit_test(an_approval_of_another_person_or_stage_under_a_borrowed_name_falls),
		cmocka_unit_test(an_approval_is_checked_before_it_is_recorded),
		cmocka_unit_test(accept_waits_for_a_receiver_though_no_gate_is_written),
		cmocka_unit_test(names_of_approvals_are_read_strictly),
		cmocka_unit_test(a_record_says_what_its_kind_needs_and_nothing_else),
	};

	return cmocka_run_group_tests(tests, make_plan, drop_plan);
}
