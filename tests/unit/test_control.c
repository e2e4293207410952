/* rooms: stages */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>

#include "control.h"

/* A set by hand: of file 0 (plain) 200 sectors, of file 1 (inline) 3 sectors and 10 strings, of file 2 (an old version) 50, a name and a form of it. */
static struct witness v[300];
static struct witness_file files[3] = { { .storage = MSG_STORAGE_PLAIN }, { .storage = MSG_STORAGE_INLINE }, { .old = 1 } };
static struct witness_set set = { .v = v, .files = files, .nfiles = 3, .finished = true };
static uint8_t found[40];
static const bool datasets[1] = { true };

static void add(size_t n, enum witness_class c, uint32_t file, uint8_t form)
{
	while (n--)
		v[set.n++] = (struct witness){ .cls = (uint8_t)c, .file = file, .form = form };
}

static int begin(void **state)
{
	(void)state;
	set.n = 0;
	memset(found, 0xff, sizeof(found));
	add(200, WITNESS_SECTOR, 0, 0);
	add(3, WITNESS_SECTOR, 1, 0);
	add(10, WITNESS_STRING, 1, 0);
	add(50, WITNESS_SECTOR, 2, 0);
	add(1, WITNESS_NAME, 0, 0);
	add(1, WITNESS_NAME, 0, 1);
	return 0;
}

static void lose(size_t i) { found[i / 8] &= (uint8_t)~(1u << i % 8); }

static void what_is_expected_is_what_is_there_now(void **state)
{
	struct control c;

	(void)state;
	for (size_t i = 200; i < 203; i++)	/* inline: no sector of its own */
		lose(i);
	for (size_t i = 213; i < 263; i++)	/* of an old version */
		lose(i);
	lose(264);				/* another encoding of the name */
	control_judge(&set, found, datasets, &c);
	assert_int_equal(c.expected, 210);
	assert_int_equal(c.found, 210);
	assert_false(c.blind);
	assert_false(c.names_blind);
	assert_int_equal(control_count(&set, found), 265 - 3 - 50 - 1);
}

static void ninety_nine_of_a_hundred_in_each_cell(void **state)
{
	struct control c;

	(void)state;
	lose(0);
	lose(1);
	control_judge(&set, found, datasets, &c);
	assert_false(c.blind);
	lose(2);
	control_judge(&set, found, datasets, &c);
	assert_true(c.blind);
	assert_non_null(strstr(c.reason, "197 of 200 sectors of plain content"));
	/* One of ten strings, though overall it is few. */
	begin(NULL);
	lose(203);
	control_judge(&set, found, datasets, &c);
	assert_true(c.blind);
	assert_non_null(strstr(c.reason, "9 of 10 strings of inline content"));
}

static void names_alone_blind_nothing_but_names(void **state)
{
	struct control c;

	(void)state;
	lose(263);
	control_judge(&set, found, datasets, &c);
	assert_false(c.blind);
	assert_true(c.names_blind);
}

static void nothing_to_look_for_is_blind(void **state)
{
	struct control c;
	const bool none[1] = { false };

	(void)state;
	control_judge(&set, found, none, &c);
	assert_true(c.blind);
	assert_int_equal(c.expected, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(what_is_expected_is_what_is_there_now, begin),
		cmocka_unit_test_setup(ninety_nine_of_a_hundred_in_each_cell, begin),
		cmocka_unit_test_setup(names_alone_blind_nothing_but_names, begin),
		cmocka_unit_test_setup(nothing_to_look_for_is_blind, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
