/* rooms: agent */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

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
	assert_true(clock() - start < 30 * CLOCKS_PER_SEC);
}

/* ---- the same by rsync ---- */

/* Directories end in a slash and stand before what they hold. */
static const char *const tree[] = { "core", "a/", "a/core", "a/b/", "a/b/core", "a/b/x.o", "a/b/x.o.bak", "a/b/obj/", "a/b/obj/y.o",
	"a/[x].log", "a/star*.log", "a/starry.log", "a/back\\slash", "hardcore", "x.o", "cache/", "cache/1", "cache/deep/",
	"cache/deep/2", "src/", "src/cache/", "src/cache/3", "src/main.c", "src/main.o", "src/Main.C", "src/a-b", "src/a]b", "src/a^b",
	"src/core/", "src/core/in", "src/x.o/", "src/x.o/inside", ".hidden", ".git/", ".git/HEAD", "odd name/", "odd name/f", "aXb",
	"a/Xb", "foo/", "foo/bar/", "foo/bar/baz/", "foo/bar/baz/qux", "foo/baz", "caf\xe9", "caf\xc3\xa9" };
#define TREE (sizeof(tree) / sizeof(tree[0]))

static const char *const patterns[] = { "core", "/core", "core/", "/core/", "a/core", "/a/core", "b/core", "*.o", "/*.o", "*.o/", "x.?",
	"cache/", "/cache/", "cache/*", "cache/**", "/cache/**", "**/cache", "**/cache/", "src/**", "src/*", "/src/*.o", "/src/**.o", "a/**/core",
	"/a/*/core", "a**core", "**core", "*core*", "foo/*/qux", "foo/**/qux", "foo/**", "/foo/bar", "bar/baz", "/*/baz", "/**/baz", "ba[rz]",
	"ba[!z]", "ba[^z]", "[a-c]*", "[A-Z]*", "a[]]b", "a[\\^]b", "a[-x]b", "\\[x].log", "[[]x].log", "star\\*.log", "star[*].log",
	"*\\\\slash*", ".*", "/.git", "odd name", "odd*/f", "?", "??", "/*", "/?", "*", "**", "/**", "caf?", "caf??", "a/", "/a/b/", "/a/b/*", "*b*",
	"/a/b/**", "/*/*/core", "**/b/**", "*/", "nothing", "" };

/*
 * Differences that are accepted and stand in waybill-plan(5): a backslash takes the next byte as it is in every pattern (rsync: only
 * where a wildcard stands beside it), three stars are two, and a class holds bytes, not names of classes as [:alpha:].
 */
static void where_rsync_says_otherwise(void **state)
{
	static const struct sample list[] = {
		{ "a\\b", "ab", false, true }, { "a\\b", "a\\b", false, false }, { "dir/***", "dir", true, false }, { "dir/***", "dir/x", false, true },
		{ "[[:alpha:]]", "x", false, false } };

	(void)state;
	CHECK(list);
}

/* A path stays when neither it nor a directory above it is excluded. */
static bool stays(const char *pattern, const char *path)
{
	char part[256];

	for (size_t i = 0; path[i]; i++) {
		if (path[i] != '/' && path[i + 1])
			continue;
		(void)snprintf(part, sizeof(part), "%.*s", (int)(path[i] == '/' ? i : i + 1), path);
		if (filter_match(pattern, part, path[i] == '/'))
			return false;
	}
	return true;
}

static void make_tree(const char *dir)
{
	for (size_t i = 0; i < TREE; i++) {
		char path[512];
		int fd = -1;

		(void)snprintf(path, sizeof(path), "%s/%s", dir, tree[i]);
		if (path[strlen(path) - 1] == '/')
			assert_int_equal(mkdir(path, 0755), 0);
		else
			assert_true((fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644)) >= 0 && close(fd) == 0);
	}
}

static bool stays_with_rsync(char lines[][256], size_t n, const char *path)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(lines[i], path) == 0)
			return true;
	return false;
}

static void patterns_mean_what_they_mean_to_rsync(void **state)
{
	static char lines[2 * TREE][256];
	char dir[] = "/tmp/test_filter.XXXXXX", command[1024];
	int bad = 0;

	(void)state;
	if (system("command -v rsync >/dev/null") != 0)
		skip();
	assert_non_null(mkdtemp(dir));
	make_tree(dir);
	for (size_t k = 0; *patterns[k]; k++) {
		size_t n = 0;
		FILE *f;

		(void)snprintf(command, sizeof(command), "rsync -rn8 --out-format=%%n --exclude='%s' %s/ %s.none/", patterns[k], dir, dir);
		assert_non_null(f = popen(command, "r"));
		while (n < 2 * TREE && fgets(lines[n], sizeof(lines[n]), f)) {
			lines[n][strcspn(lines[n], "\n")] = '\0';
			n++;
		}
		assert_int_equal(pclose(f), 0);
		for (size_t i = 0; i < TREE; i++)
			if (stays(patterns[k], tree[i]) != stays_with_rsync(lines, n, tree[i])) {
				print_error("%s: rsync says %s stays, or the other way round\n", patterns[k], tree[i]);
				bad++;
			}
	}
	(void)snprintf(command, sizeof(command), "rm -rf %s", dir);
	assert_int_equal(system(command), 0);
	assert_int_equal(bad, 0);
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
		cmocka_unit_test(where_rsync_says_otherwise),
		cmocka_unit_test(patterns_mean_what_they_mean_to_rsync),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
