/* rooms: hook */
/* What must never be seen again, in each of its forms - and what must stay readable. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "hook_facts.h"
#include "redact.h"

static void expect(const struct redactor *r, const char *in, const char *out)
{
	OWN_BUF struct buf b = BUF_INIT;

	redact(r, in, strlen(in), &b);
	assert_string_equal(b.data ? b.data : "", out);
}

static void test_known_values_in_every_form(void **state)
{
	OWN(redactor_freep) struct redactor *r = redactor_new();
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(redactor_add(r, "db", "p@ss/w\"d", &e), 0);
	assert_int_equal(redactor_add(r, "long", "p@ss/w\"d-and-more", &e), 0);
	assert_int_equal(redactor_add(r, "key", "first line\nsecond line", &e), 0);
	expect(r, "x p@ss/w\"d y", "x [secret db] y");
	expect(r, "p@ss/w\"d-and-more", "[secret long]");
	expect(r, "{\"p\":\"p@ss\\/w\\\"d\"}", "{\"p\":\"[secret db]\"}");
	expect(r, "?p=p%40ss%2Fw%22d&x", "?p=[secret db]&x");
	expect(r, "cEBzcy93ImQ=", "[secret db]=");
	expect(r, "got second line.", "got [secret key].");
	expect(r, "password=p@ss/w\"d", "password=[secret db]");
	assert_int_equal(redactor_add(r, "short", "abc", &e), -1);
	assert_int_equal(e.class, ERR_USAGE);
}

static void test_what_looks_like_a_secret(void **state)
{
	OWN(redactor_freep) struct redactor *r = redactor_new();

	(void)state;
	expect(r, "postgres://app:s3cret@10.0.0.1/db", "postgres://app:[struck out]@10.0.0.1/db");
	expect(r, "PGPASSWORD=abc psql", "PGPASSWORD=[struck out] psql");
	expect(r, "{\"token\": \"abc def\"}", "{\"token\": \"[struck out] def\"}");
	expect(r, "CREATE USER x IDENTIFIED BY 'abc';", "CREATE USER x IDENTIFIED BY '[struck out]';");
	expect(r, "a\n-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl\n-----END OPENSSH PRIVATE KEY-----\nb", "a\n[private key]\nb");
	expect(r, "-----BEGIN RSA PRIVATE KEY-----\ncut", "[private key]");
}

static void test_the_rest_stays(void **state)
{
	static const char *const fine[] = { "", "the password was refused", "http://host:80/x", "mail to a@b", "-----BEGIN CERTIFICATE-----\nx\n",
		"secrets of the trade", "token", "passwd: " };
	OWN(redactor_freep) struct redactor *r = redactor_new();

	(void)state;
	for (size_t i = 0; i < sizeof(fine) / sizeof(fine[0]); i++)
		expect(r, fine[i], fine[i]);
}

static void test_answers_are_clean(void **state)
{
	static const char said[] = " {\"text\":\"a\\u001b[2J\",\"n\":1,\"l\":[\"\\u0007\"]}\n";
	json_t *j = hook_answer(said, sizeof(said) - 1, 1000);

	(void)state;
	assert_string_equal(json_string_value(json_object_get(j, "text")), "a\\033[2J");
	assert_int_equal(json_integer_value(json_object_get(j, "n")), 1);
	assert_string_equal(json_string_value(json_array_get(json_object_get(j, "l"), 0)), "\\007");
	json_decref(j);
	j = hook_answer("no\033json", 7, 1000);
	assert_string_equal(json_string_value(json_object_get(j, "text")), "no\\033json");
	json_decref(j);
	assert_null(hook_answer(" \n", 2, 1000));
	j = hook_answer("0123456789", 10, 4);
	assert_string_equal(json_string_value(json_object_get(j, "text")), "6789");
	json_decref(j);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known_values_in_every_form),
		cmocka_unit_test(test_what_looks_like_a_secret),
		cmocka_unit_test(test_the_rest_stays),
		cmocka_unit_test(test_answers_are_clean),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
