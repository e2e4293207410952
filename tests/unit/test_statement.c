/* rooms: evidence */
#include <limits.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>

#include "statement.h"
#include "scope.h"

#define HEX_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define HEX_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static const struct statement_dataset www = { "www", 3, HEX_A, HEX_B, 1200, 34567, "old", "/srv/a b/www", "00000000000000fe:2", false };
static const struct statement_discard gone[] = { { "www", "cache/one two", "made anew\nevery day" } };
static const struct statement_copy copies[] = { { "nightly snapshots", "provider" }, { "tapes", NULL } };

static struct statement_facts clear_facts(void)
{
	return (struct statement_facts){ .plan = "wxzj-end", .plan_digest = HEX_B, .kind = "retirement", .title = "下线", .stage = "clear", .round = 1,
		.datasets = &www, .dataset_count = 1, .method = "overwrite", .require = "cleared-sampled", .operator_name = "zhao",
		.discards = gone, .discard_count = 1, .copies = copies, .copy_count = 2 };
}

static const struct statement_head head = { .person = "zhang", .name = "张三", .party = "department", .says = SAYS_APPROVE,
	.at = 1795874400, .not_after = 1798466400, .reason = "ok \033[31m\nplan: other" };

static void build(const struct statement_head *h, const struct statement_facts *f, struct buf *b)
{
	struct err e = ERR_INIT;

	if (statement_build(h, f, b, &e) < 0)
		fail_msg("%s", e.text);
}

static int parse(const struct buf *b, struct statement *s)
{
	struct err e = ERR_INIT;
	int rc = statement_parse(b->data, b->len, s, &e);

	if (rc < 0)
		assert_int_equal(e.class, ERR_INTEGRITY);
	return rc;
}

static void what_is_written_is_read_back(void **state)
{
	struct statement_facts f = clear_facts();
	struct statement_attachment a = { HEX_A, (char *)(uintptr_t)"minutes of the meeting.pdf" };
	struct statement_head h = head;
	OWN_BUF struct buf b = BUF_INIT;
	OWN_STATEMENT struct statement s = STATEMENT_INIT;

	(void)state;
	h.attachments = &a;
	h.attachment_count = 1;
	build(&h, &f, &b);
	assert_int_equal(parse(&b, &s), 0);
	assert_string_equal(s.name_space, "clearance@waybill");
	assert_string_equal(s.person, "zhang");
	assert_string_equal(s.name, "张三");
	assert_string_equal(s.party, "department");
	assert_string_equal(s.reason, head.reason);
	assert_int_equal(s.says, SAYS_APPROVE);
	assert_int_equal(s.at, head.at);
	assert_int_equal(s.not_after, head.not_after);
	assert_int_equal(s.not_before, 0);
	assert_int_equal(s.attachment_count, 1);
	assert_string_equal(s.attachments[0].name, "minutes of the meeting.pdf");
	assert_string_equal(s.plan, "wxzj-end");
	assert_string_equal(s.plan_digest, HEX_B);
	assert_string_equal(s.stage, "clear");
}

static void every_stage_has_its_namespace(void **state)
{
	(void)state;
	assert_string_equal(statement_namespace("freeze"), "approval@waybill");
	assert_string_equal(statement_namespace("package"), "approval@waybill");
	assert_string_equal(statement_namespace("accept"), "acceptance@waybill");
	assert_string_equal(statement_namespace("clear"), "clearance@waybill");
}

static void the_scope_in_it_is_what_the_eraser_obeys(void **state)
{
	struct statement_facts f = clear_facts();
	OWN_BUF struct buf b = BUF_INIT;
	OWN_SCOPE struct scope s = SCOPE_INIT;
	struct err e = ERR_INIT;

	(void)state;
	build(&head, &f, &b);
	assert_int_equal(scope_parse(&s, b.data, &e), 0);
	assert_int_equal(s.n, 2);
	assert_int_equal(scope_covers_root(&s, "old", "/srv/a b/www", "00000000000000fe:2", &e), 0);
	assert_int_equal(scope_covers_root(&s, "old", "/srv/a b", NULL, &e), -1);
	assert_int_equal(scope_covers_root(&s, "old", "/srv/a b/www", "00000000000000fe:3", &e), -1);
}

/* Any byte changed below the first line must be noticed: above the separator by its form or by the signature, below it here. */
static void a_changed_byte_of_what_is_signed_for_is_noticed(void **state)
{
	struct statement_facts f = clear_facts();
	OWN_BUF struct buf b = BUF_INIT;
	size_t basis;

	(void)state;
	build(&head, &f, &b);
	basis = (size_t)(strstr(b.data, "\n计划 plan") - b.data);
	for (size_t i = basis; i < b.len; i++) {
		OWN_STATEMENT struct statement s = STATEMENT_INIT;

		b.data[i] ^= 1;
		assert_int_equal(parse(&b, &s), -1);
		b.data[i] ^= 1;
	}
}

static void cut(const char *whole, size_t n)
{
	OWN_STATEMENT struct statement s = STATEMENT_INIT;
	struct err e = ERR_INIT;

	assert_int_equal(statement_parse(whole, n, &s, &e), -1);
}

static void a_cut_statement_is_none(void **state)
{
	struct statement_facts f = clear_facts();
	OWN_BUF struct buf b = BUF_INIT;

	(void)state;
	build(&head, &f, &b);
	for (size_t n = 0; n < b.len; n++)
		cut(b.data, n);
}

/* The text with one piece replaced by another of any length and the basis put right again. */
static int parse_with(const char *was, const char *now)
{
	struct statement_facts f = clear_facts();
	OWN_BUF struct buf b = BUF_INIT;
	OWN_BUF struct buf edited = BUF_INIT;
	OWN_STATEMENT struct statement s = STATEMENT_INIT;
	struct err e = ERR_INIT;
	uint8_t d[DIGEST_LEN];
	char *at, *basis;

	build(&head, &f, &b);
	at = strstr(b.data, was);
	assert_non_null(at);
	buf_put(&edited, b.data, (size_t)(at - b.data));
	buf_puts(&edited, now);
	buf_puts(&edited, at + strlen(was));
	basis = strstr(edited.data, "========\n");
	if (basis) {
		char hex[DIGEST_HEX];

		basis += strlen("========\n");
		assert_int_equal(digest_sha256(basis, edited.len - (size_t)(basis - edited.data), d, &e), 0);
		hex_of(d, DIGEST_LEN, hex);
		at = strstr(edited.data, " basis: ");
		if (at)
			memcpy(at + 8, hex, DIGEST_HEX - 1);
	}
	return statement_parse(edited.data, edited.len, &s, &e);
}

static void the_reader_is_strict(void **state)
{
	(void)state;
	assert_int_equal(parse_with("张三", "李四"), 0);		/* the harness itself works */
	assert_int_equal(parse_with("version=3", "version=4"), 0);
	assert_int_equal(parse_with("version=3", "version=03"), -1);
	assert_int_equal(parse_with("waybill-statement 1", "waybill-statement 2"), -1);
	assert_int_equal(parse_with("clearance@waybill", "approval@waybill"), -1);
	assert_int_equal(parse_with("verdict: approve", "verdict: maybe"), -1);
	assert_int_equal(parse_with("轮次 round: 1\n", "轮次 round: 1\n轮次 round: 1\n"), -1);
	assert_int_equal(parse_with("轮次 round: 1\n", ""), -1);
	assert_int_equal(parse_with("轮次 round: 1\n", "轮次  round: 1\n"), -1);
	assert_int_equal(parse_with("张三", "张\xe2\x80\xae三"), -1);		/* a direction override */
	assert_int_equal(parse_with("scope: 2", "scope: 1"), -1);
	assert_int_equal(parse_with("scope: 2\n", "scope: 3\npath: old:/srv/other\n"), 0);
	assert_int_equal(parse_with("scope: 2\n", "scope: 3\nrubbish\n"), -1);
	assert_int_equal(parse_with("scope: 2\n", "scope: 3\npath: old:/\n"), -1);
	assert_int_equal(parse_with("其他副本 copy: tapes\n", "其他副本 copy: tapes\npath: old:/srv/other\n"), -1);
	assert_int_equal(parse_with("清除方法 method: overwrite\n", ""), -1);
	assert_int_equal(parse_with("阶段 stage: clear", "阶段 stage: freeze"), -1);
}

static void a_value_never_makes_a_line_of_its_own(void **state)
{
	struct statement_facts f = clear_facts();
	OWN_BUF struct buf b = BUF_INIT;

	(void)state;
	build(&head, &f, &b);
	assert_null(strstr(b.data, "\nplan: other"));
	assert_null(strchr(b.data, '\033'));
	assert_non_null(strstr(b.data, "cache/one\\040two -- made anew\\012every day"));
}

static void the_basis_leaves_out_person_time_and_words(void **state)
{
	struct statement_facts f = clear_facts(), g = clear_facts();
	struct statement_head other = { .person = "li", .name = "李四", .party = "department", .says = SAYS_REFUSE, .at = 1795000000, .reason = "no" };
	OWN_BUF struct buf a = BUF_INIT;
	OWN_BUF struct buf b = BUF_INIT;
	OWN_STATEMENT struct statement s = STATEMENT_INIT;
	OWN_STATEMENT struct statement t = STATEMENT_INIT;
	struct statement_dataset newer = www;
	char why[256];

	(void)state;
	build(&head, &f, &a);
	build(&other, &f, &b);
	assert_int_equal(parse(&a, &s), 0);
	assert_int_equal(parse(&b, &t), 0);
	assert_memory_equal(s.basis_digest, t.basis_digest, DIGEST_LEN);
	assert_false(statement_basis_differs(s.basis, t.basis, why));
	newer.version = 4;
	g.datasets = &newer;
	statement_dispose(&t);
	buf_reset(&b);
	build(&head, &g, &b);
	assert_int_equal(parse(&b, &t), 0);
	assert_true(statement_basis_differs(s.basis, t.basis, why));
	assert_non_null(strstr(why, "dataset was www version=3"));
}

static void skipped_entries_beyond_the_limit_are_counted_and_digested(void **state)
{
	struct statement_facts f = clear_facts();
	size_t n = STATEMENT_SKIPPED_MAX + 7;
	struct statement_discard *v = calloc(n, sizeof(*v));
	OWN_BUF struct buf a = BUF_INIT;
	OWN_BUF struct buf b = BUF_INIT;
	OWN_STATEMENT struct statement s = STATEMENT_INIT;
	const char *p;

	(void)state;
	for (size_t i = 0; i < n; i++)
		v[i] = (struct statement_discard){ "www", "run/x", "socket" };
	f.skipped = v;
	f.skipped_count = n;
	build(&head, &f, &a);
	assert_int_equal(parse(&a, &s), 0);
	p = strstr(a.data, "destroyed-without-copy-more: www count=7 sha256=");
	assert_non_null(p);
	v[n - 1].path = "run/y";
	build(&head, &f, &b);
	assert_string_not_equal(p, strstr(b.data, "destroyed-without-copy-more"));
	free(v);
}

static void a_stage_that_needs_roots_is_not_stated_without_them(void **state)
{
	struct statement_facts f = clear_facts();
	OWN_BUF struct buf b = BUF_INIT;
	struct err e = ERR_INIT;

	(void)state;
	f.dataset_count = 0;
	assert_int_equal(statement_basis(&f, &b, &e), -1);
	assert_int_equal(e.class, ERR_USAGE);
	f.stage = "freeze";
	e = (struct err)ERR_INIT;
	assert_int_equal(statement_basis(&f, &b, &e), 0);
	assert_null(strstr(b.data, "method"));
}

static void a_window_is_read_back(void **state)
{
	char text[STATEMENT_WINDOW];
	int64_t a, b;

	(void)state;
	assert_true(statement_window(statement_window_text(1795874400, 1795896000, NULL, text), &a, &b));
	assert_int_equal(a, 1795874400);
	assert_int_equal(b, 1795896000);
	assert_false(statement_window("2026-11-28 22:00", &a, &b));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_read_back),
		cmocka_unit_test(every_stage_has_its_namespace),
		cmocka_unit_test(the_scope_in_it_is_what_the_eraser_obeys),
		cmocka_unit_test(a_changed_byte_of_what_is_signed_for_is_noticed),
		cmocka_unit_test(a_cut_statement_is_none),
		cmocka_unit_test(the_reader_is_strict),
		cmocka_unit_test(a_value_never_makes_a_line_of_its_own),
		cmocka_unit_test(the_basis_leaves_out_person_time_and_words),
		cmocka_unit_test(skipped_entries_beyond_the_limit_are_counted_and_digested),
		cmocka_unit_test(a_stage_that_needs_roots_is_not_stated_without_them),
		cmocka_unit_test(a_window_is_read_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
