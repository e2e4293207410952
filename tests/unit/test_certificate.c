/* rooms: evidence */
#include "evidence_ledger.h"

#include <jansson.h>

#include "statement.h"

static struct house whole, open_one;

static int make_houses(void **state)
{
	if (make_keys_dir(state) < 0)
		return -1;
	make_key("zhang", "ed25519", "");
	make_key("li", "ed25519", "");
	house_whole(&whole, "whole");
	house_open(&open_one, "open");
	house_version(&open_one, 1);
	return 0;
}

static int drop_houses(void **state)
{
	house_close(&whole);
	house_close(&open_one);
	return drop_keys_dir(state);
}

static void build(enum certificate_format format, bool zh, struct buf *b)
{
	OK(certificate_build(whole.ledger, PLAN, &(struct certificate_options){ format, zh }, b, &e));
}

static json_t *paper(void)
{
	OWN_BUF struct buf b = BUF_INIT;
	json_error_t je;
	json_t *j;

	build(CERTIFICATE_JSON, false, &b);
	assert_non_null(j = json_loadb(b.data, b.len, JSON_REJECT_DUPLICATES, &je));
	return j;
}

static const char *text(const json_t *j, const char *key)
{
	const char *s = json_string_value(json_object_get(j, key));

	return s ? s : "(none)";
}

static void it_is_the_same_whenever_and_after_whatever_else_is_recorded(void **state)
{
	OWN_BUF struct buf a = BUF_INIT;
	OWN_BUF struct buf b = BUF_INIT;
	OWN_BUF struct buf recorded = BUF_INIT;

	(void)state;
	build(CERTIFICATE_JSON, false, &a);
	house_event(&whole, NULL, "record", "recorded", "zhang", "{\"kind\":\"note\",\"happened\":\"2026-11-28T10:00:00+08:00\",\"note\":\"later\"}");
	build(CERTIFICATE_JSON, false, &b);
	assert_string_equal(a.data, b.data);
	OK(ledger_read(whole.ledger, PLAN, NULL, "certificates/paper.json", &recorded, &e));
	assert_int_equal(recorded.len, a.len);
	assert_memory_equal(recorded.data, a.data, a.len);
}

static void it_has_every_field_and_says_what_nobody_measured(void **state)
{
	static const char *const keys[] = { "form", "title", "title_zh", "id", "supersedes", "plan", "plan_digest", "kind", "subject", "system",
		"contract", "parties", "people", "requested_by", "operator", "verifier", "approvals", "commit", "event", "event_sha256", "started",
		"finished", "verdict", "proof", "result", "measured_by", "provider", "supervised_by", "witness", "contact", "place", "access", "references", "inclusion",
		"as_of_event", "as_of_commit", "seed_sha256", "tool_sha256", "retain_until", "datasets", "items", "media", "control", "canaries", "residue", "coverage", "p_miss",
		"copies", "destroyed_without_copy", "discarded", "method", "require", "tool", "kernel", "destination", "limits", "check" };
	static const char *const unmeasured[] = { "media", "control", "canaries", "residue", "coverage", "p_miss" };
	json_t *j = paper();

	(void)state;
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (!json_object_get(j, keys[i]))
			fail_msg("%s", keys[i]);
	for (size_t i = 0; i < sizeof(unmeasured) / sizeof(unmeasured[0]); i++)
		assert_string_equal(text(j, unmeasured[i]), "not measured");
	assert_int_equal(json_integer_value(json_object_get(j, "objects")), 40);
	json_decref(j);
}

static void it_tells_who_authorized_what_and_who_measured(void **state)
{
	json_t *j = paper(), *a = json_object_get(j, "approvals"), *d = json_array_get(json_object_get(j, "datasets"), 0);

	(void)state;
	assert_int_equal(json_array_size(a), 2);
	assert_string_equal(text(json_array_get(a, 0), "name"), "张三");
	assert_string_equal(text(json_array_get(a, 1), "person"), "li");
	assert_string_equal(text(d, "root"), whole.root_hex);
	assert_string_equal(text(d, "root_sm3"), whole.sm3_hex);
	assert_int_equal(json_integer_value(json_object_get(d, "version")), 2);
	assert_int_equal(json_array_size(json_object_get(d, "verified")), 2);
	assert_string_equal(text(j, "measured_by"), "measured by a process under the control of old's administrator");
	assert_int_equal(json_array_size(json_object_get(j, "destroyed_without_copy")), 1);
	assert_string_equal(json_string_value(json_array_get(json_object_get(j, "destroyed_without_copy"), 0)), "www run/sock\\040et -- socket");
	assert_string_equal(text(json_object_get(j, "system"), "level"), "三级");
	json_decref(j);
}

static void it_names_the_commit_that_recorded_the_end_of_the_clearing(void **state)
{
	static const char *const argv[] = { "git", "-C", whole.repo, "log", "--format=%H", "--grep=clear done", PLAN, NULL };
	OWN_PROC struct proc_result p = PROC_RESULT_INIT;
	struct proc_options o = { .argv = argv };
	json_t *j = paper();

	(void)state;
	OK(proc_run(&o, &p, &e));
	assert_int_equal(p.out.len, 41);
	p.out.data[40] = '\0';
	assert_string_equal(text(j, "commit"), p.out.data);
	json_decref(j);
}

static void only_a_proof_is_titled_one(void **state)
{
	static const struct { const char *word; int rank; bool proof; } table[] = {
		{ "cleared-full", 0, true }, { "cleared-sampled", 1, true }, { "cleared-guest-level", 2, true }, { "crypto-erased", 3, true },
		{ "performed-not-provable", 4, false }, { "residue-found", 5, false }, { "blind", 6, false }, { "unknown", 7, false },
		{ "cleared", -1, false } };
	json_t *j = paper();
	struct certificate_summary about;

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		assert_int_equal(certificate_rank(table[i].word), table[i].rank);
		assert_int_equal(certificate_is_proof(table[i].word), table[i].proof);
	}
	assert_string_equal(text(j, "title_zh"), "处置记录(未证实)");
	OK(certificate_about(whole.ledger, PLAN, &about, &e));
	assert_string_equal(about.verdict, "performed-not-provable");
	json_decref(j);
}

static void the_whole_is_never_better_than_its_worst_item(void **state)
{
	struct house h;
	struct certificate_summary about;

	(void)state;
	house_open(&h, "worst");
	house_event(&h, NULL, "clear", "started", "zhang", "{}");
	house_event(&h, NULL, "clear", "done", "zhang", "{\"verdict\":\"cleared-full\",\"copies\":[],\"items\":[{\"what\":\"www\",\"method\":\"overwrite\","
	    "\"verdict\":\"residue-found\",\"limits\":[]}]}");
	OK(certificate_about(h.ledger, PLAN, &about, &e));
	assert_string_equal(about.verdict, "residue-found");
	house_close(&h);
}

static void a_record_that_lacks_what_the_form_asks_is_no_certificate(void **state)
{
	static const char *const bad[] = { "{}", "{\"verdict\":\"clean\",\"items\":[{\"what\":\"w\",\"method\":\"o\",\"verdict\":\"unknown\",\"limits\":[]}]}",
		"{\"verdict\":\"unknown\",\"items\":[]}", "{\"verdict\":\"unknown\",\"items\":[{\"what\":\"w\",\"verdict\":\"unknown\",\"limits\":[]}]}",
		"{\"verdict\":\"unknown\",\"items\":[{\"what\":\"w\",\"method\":\"o\",\"verdict\":\"unknown\"}]}" };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct house h;
		OWN_BUF struct buf b = BUF_INIT;
		struct err e = ERR_INIT;
		char name[32];

		(void)snprintf(name, sizeof(name), "lacking-%zu", i);
		house_open(&h, name);
		house_event(&h, NULL, "clear", "done", "zhang", bad[i]);
		assert_int_equal(certificate_build(h.ledger, PLAN, &(struct certificate_options){ CERTIFICATE_JSON, false }, &b, &e), -1);
		assert_int_equal(e.class, ERR_INTEGRITY);
		house_close(&h);
	}
}

static void nothing_is_certified_from_an_unfinished_record(void **state)
{
	OWN_BUF struct buf b = BUF_INIT;
	struct err e = ERR_INIT;
	struct certificate_summary about;

	(void)state;
	assert_int_equal(certificate_build(open_one.ledger, PLAN, &(struct certificate_options){ CERTIFICATE_TXT, true }, &b, &e), -1);
	assert_int_equal(e.class, ERR_REFUSED);
	e = (struct err)ERR_INIT;
	assert_int_equal(certificate_about(open_one.ledger, PLAN, &about, &e), 0);
}

static void the_text_promises_nothing_that_was_not_measured(void **state)
{
	static const char *const never[] = { "nrecoverable", "omplies with", "清除证明" };

	(void)state;
	for (int zh = 0; zh < 2; zh++) {
		OWN_BUF struct buf b = BUF_INIT;

		build(CERTIFICATE_TXT, zh, &b);
		for (size_t i = 0; i < 3; i++)
			assert_null(strstr(b.data, never[i]));
		assert_non_null(strstr(b.data, "Record of disposal (not proven)"));
		assert_non_null(strstr(b.data, "under the control of old's administrator"));
		assert_non_null(strstr(b.data, "not measured"));
		assert_non_null(strstr(b.data, "Not read back from the device: no right to."));
		assert_non_null(strstr(b.data, "ssh-keygen -Y verify -f signers"));
		assert_int_equal(strstr(b.data, "未测") != NULL, zh);
		assert_int_equal(strstr(b.data, "处置记录(未证实)") != NULL, zh);
	}
}

static void what_drives_a_terminal_does_not_get_through(void **state)
{
	struct house h;
	OWN_BUF struct buf b = BUF_INIT;

	(void)state;
	house_open(&h, "hostile");
	house_event(&h, NULL, "clear", "done", "zhang", "{\"verdict\":\"unknown\",\"copies\":[],\"items\":[{\"what\":\"w\\u001b[31m\\u202e\\\\012\",\"method\":\"o\","
	    "\"verdict\":\"unknown\",\"limits\":[]}]}");
	OK(certificate_build(h.ledger, PLAN, &(struct certificate_options){ CERTIFICATE_TXT, true }, &b, &e));
	assert_null(strchr(b.data, '\033'));
	assert_null(strstr(b.data, "\xe2\x80\xae"));
	assert_non_null(strstr(b.data, "w\\033[31m\\342\\200\\256\\012"));	/* the escape made before stays as it is */
	house_close(&h);
}

static void a_page_is_whole_in_itself_and_prints_on_paper(void **state)
{
	static const char *const want[] = { "<!DOCTYPE html>", "<meta charset=\"utf-8\">", "@page{size:A4", "@media print", "</html>",
		"ssh-keygen -Y verify -f signers", "under the control of old&#39;s administrator", "Record of disposal (not proven)" };
	static const char *const never[] = { "<script", "http://", "https://", "src=", "href=", "url(", "@import" };

	(void)state;
	for (int zh = 0; zh < 2; zh++) {
		OWN_BUF struct buf b = BUF_INIT;

		build(CERTIFICATE_HTML, zh, &b);
		for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++)
			if (!strstr(b.data, want[i]))
				fail_msg("no %s", want[i]);
		for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++)
			assert_null(strstr(b.data, never[i]));
		assert_int_equal(strstr(b.data, "<html lang=\"zh-CN\">") != NULL, zh);
		assert_int_equal(strstr(b.data, "处置记录(未证实)") != NULL, zh);
		assert_int_equal(strstr(b.data, "曾接触数据的各方继续承担保密义务。") != NULL, zh);
		assert_null(strstr(b.data, "清除证明"));
	}
}

static void no_name_can_write_into_the_page(void **state)
{
	struct house h;
	OWN_BUF struct buf b = BUF_INIT;

	(void)state;
	house_open(&h, "page");
	house_event(&h, NULL, "clear", "done", "zhang", "{\"verdict\":\"unknown\",\"copies\":[{\"what\":\"c\",\"grade\":\"kept\",\"x\\\"><b>\":1}],\"items\":["
	    "{\"what\":\"<script>alert(1)</script>\\u202e\",\"method\":\"a&b'\\\"\",\"verdict\":\"unknown\",\"limits\":[]}]}");
	OK(certificate_build(h.ledger, PLAN, &(struct certificate_options){ CERTIFICATE_HTML, true }, &b, &e));
	assert_null(strstr(b.data, "<script"));
	assert_null(strstr(b.data, "<b>"));
	assert_null(strstr(b.data, "\xe2\x80\xae"));
	assert_non_null(strstr(b.data, "&lt;script&gt;alert(1)&lt;/script&gt;\\342\\200\\256"));
	assert_non_null(strstr(b.data, "a&amp;b&#39;&quot;"));
	house_close(&h);
}

#define CLEARED(copies) "{\"verdict\":\"cleared-full\",\"copies\":[" copies "],\"items\":[{\"what\":\"www\",\"method\":\"overwrite\"," \
	"\"verdict\":\"cleared-full\",\"limits\":[]}]}"

static void about(struct house *h, const char *verdict, const char *id)
{
	struct certificate_summary s;

	OK(certificate_about(h->ledger, PLAN, &s, &e));
	assert_string_equal(s.verdict, verdict);
	if (id)
		assert_string_equal(s.id, id);
}

static void the_whole_is_never_better_than_the_weakest_copy(void **state)
{
	static const char statement[] = "{\"kind\":\"statement\",\"happened\":\"2026-11-28T10:00:00+08:00\",\"copy\":\"backup\",\"attached\":"
	    "[{\"sha256\":\"0000000000000000000000000000000000000000000000000000000000000001\",\"name\":\"letter.pdf\"}]}";
	struct house h;
	json_t *j, *row;
	OWN_BUF struct buf b = BUF_INIT;

	(void)state;
	house_open(&h, "copies");
	house_event(&h, NULL, "clear", "done", "zhang", CLEARED("{\"what\":\"store\",\"grade\":\"kept\"}"));
	about(&h, "cleared-full", PLAN "-000002");
	house_event(&h, NULL, "certify", "done", "zhang", "{}");
	house_event(&h, NULL, "clear", "done", "zhang", CLEARED("{\"what\":\"backup\",\"grade\":\"E4\",\"statement\":\"letter 12\"}"));
	about(&h, "performed-not-provable", PLAN "-000004");
	/* A statement about another copy, or without its text, proves nothing here. */
	house_event(&h, NULL, "record", "recorded", "zhang", "{\"kind\":\"statement\",\"copy\":\"other\",\"attached\":[{\"sha256\":\"00\"}]}");
	house_event(&h, NULL, "record", "recorded", "zhang", "{\"kind\":\"statement\",\"copy\":\"backup\"}");
	about(&h, "performed-not-provable", PLAN "-000004");
	house_event(&h, NULL, "record", "recorded", "li", statement);
	about(&h, "cleared-guest-level", PLAN "-000007");
	OK(certificate_build(h.ledger, PLAN, &(struct certificate_options){ CERTIFICATE_JSON, false }, &b, &e));
	assert_non_null(j = json_loadb(b.data, b.len, 0, NULL));
	row = json_array_get(json_object_get(j, "copies"), 0);
	assert_string_equal(text(row, "grade"), "E3");
	assert_string_equal(text(row, "recorded_by"), "li");
	assert_string_equal(text(json_array_get(json_object_get(row, "evidence"), 0), "name"), "letter.pdf");
	assert_string_equal(text(j, "title_zh"), "清除证明");
	assert_string_equal(text(j, "supersedes"), PLAN "-000002");
	json_decref(j);
	house_event(&h, NULL, "clear", "done", "zhang", CLEARED("{\"what\":\"backup\",\"grade\":\"E5\"}"));
	about(&h, "unknown", NULL);
	house_close(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_is_the_same_whenever_and_after_whatever_else_is_recorded),
		cmocka_unit_test(it_has_every_field_and_says_what_nobody_measured),
		cmocka_unit_test(it_tells_who_authorized_what_and_who_measured),
		cmocka_unit_test(it_names_the_commit_that_recorded_the_end_of_the_clearing),
		cmocka_unit_test(only_a_proof_is_titled_one),
		cmocka_unit_test(the_whole_is_never_better_than_its_worst_item),
		cmocka_unit_test(a_record_that_lacks_what_the_form_asks_is_no_certificate),
		cmocka_unit_test(nothing_is_certified_from_an_unfinished_record),
		cmocka_unit_test(the_text_promises_nothing_that_was_not_measured),
		cmocka_unit_test(what_drives_a_terminal_does_not_get_through),
		cmocka_unit_test(a_page_is_whole_in_itself_and_prints_on_paper),
		cmocka_unit_test(no_name_can_write_into_the_page),
		cmocka_unit_test(the_whole_is_never_better_than_the_weakest_copy),
	};

	return cmocka_run_group_tests(tests, make_houses, drop_houses);
}
