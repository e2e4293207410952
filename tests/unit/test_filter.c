/* rooms: agent */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include <time.h>

#include "filter.h"

struct sample { const char *pattern, *path; bool dir, want; };

static void check(const struct sample *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (filter_match(s[i].pattern, s[i].path, s[i].dir) != s[i].want)
			fail_msg("%s on %s%s: not %d", s[i].pattern, s[i].path, s[i].dir ? "/" : "", s[i].want);
}
#define CHECK(list) check(list, sizeof(list) / sizeof((list)[0]))

static void a_name_matches_anywhere(void **state)
{
	static const struct sample list[] = {
		{ "core", "core", false, true }, { "core", "a/b/core", false, true }, { "core", "a/core/b", false, false },
		{ "core", "hardcore", false, false }, { "*.o", "a/b.o", false, true }, { "*.o", "b.o/c", false, false },
		{ "a?c", "x/abc", false, true }, { "a?c", "ac", false, false }, { "a?c", "a/c", false, false },
		{ "*", ".hidden", false, true } };

	(void)state;
	CHECK(list);
}

static void a_leading_slash_anchors(void **state)
{
	static const struct sample list[] = {
		{ "/core", "core", false, true }, { "/core", "a/core", false, false }, { "/a/*", "a/b", false, true },
		{ "/a/*", "a/b/c", false, false }, { "/a/*", "x/a/b", false, false } };

	(void)state;
	CHECK(list);
}

static void a_path_pattern_matches_a_tail(void **state)
{
	static const struct sample list[] = {
		{ "a/b", "a/b", false, true }, { "a/b", "x/a/b", false, true }, { "a/b", "xa/b", false, false },
		{ "a/b", "a/b/c", false, false }, { "cache/**", "cache/x/y", false, true }, { "cache/**", "cache", true, false },
		{ "cache/**", "v/cache/x", false, true }, { "**/tmp", "a/b/tmp", true, true }, { "a/**/z", "a/b/c/z", false, true } };

	(void)state;
	CHECK(list);
}

static void a_trailing_slash_means_directories(void **state)
{
	static const struct sample list[] = {
		{ "tmp/", "tmp", true, true }, { "tmp/", "tmp", false, false }, { "tmp/", "a/tmp", true, true },
		{ "/tmp/", "a/tmp", true, false }, { "/tmp/", "tmp", true, true } };

	(void)state;
	CHECK(list);
}

static void stars_stop_at_slashes_but_two_do_not(void **state)
{
	static const struct sample list[] = {
		{ "/a*z", "abz", false, true }, { "/a*z", "ab/z", false, false }, { "/a**z", "ab/z", false, true },
		{ "/**x*y", "a/b/x1/c/x2y", false, true }, { "/**x*y", "a/x/y", false, false }, { "/*a*b", "aab", false, true },
		{ "/**", "a/b", false, true }, { "/*", "a/b", false, false } };

	(void)state;
	CHECK(list);
}

static void classes_and_escapes(void **state)
{
	static const struct sample list[] = {
		{ "[abc]", "b", false, true }, { "[!abc]", "b", false, false }, { "[^abc]", "d", false, true },
		{ "[a-c]x", "bx", false, true }, { "[a-c]x", "dx", false, false }, { "[]]", "]", false, true },
		{ "[a", "[a", false, true }, { "\\*", "*", false, true }, { "\\*", "x", false, false }, { "a\\[b", "a[b", false, true },
		{ "[\\]]", "]", false, true }, { "/a[!b]c", "a/c", false, false }, { "\xff?", "\xff\xfe", false, true } };

	(void)state;
	CHECK(list);
}

static void the_first_match_of_a_list_is_named(void **state)
{
	char one[] = "*.a", two[] = "b*";
	char *const list[] = { one, two, NULL };

	(void)state;
	assert_ptr_equal(filter_find(list, "x/b.a", false), one);
	assert_ptr_equal(filter_find(list, "x/b", false), two);
	assert_null(filter_find(list, "x/c", false));
	assert_null(filter_find(NULL, "x", false));
}

static void hostile_patterns_end_soon(void **state)
{
	char pattern[1024] = "", text[4096];
	clock_t start = clock();

	(void)state;
	for (int i = 0; i < 200; i++)
		strcat(pattern, "a*");
	strcat(pattern, "b");
	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	assert_false(filter_match(pattern, text, false));
	strcpy(pattern, "/**a*a*a*a*a*a*a*a*b");
	assert_false(filter_match(pattern, text, false));
	assert_true(clock() - start < 2 * CLOCKS_PER_SEC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_name_matches_anywhere),
		cmocka_unit_test(a_leading_slash_anchors),
		cmocka_unit_test(a_path_pattern_matches_a_tail),
		cmocka_unit_test(a_trailing_slash_means_directories),
		cmocka_unit_test(stars_stop_at_slashes_but_two_do_not),
		cmocka_unit_test(classes_and_escapes),
		cmocka_unit_test(the_first_match_of_a_list_is_named),
		cmocka_unit_test(hostile_patterns_end_soon),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
