/* rooms: pack */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "pack.h"

#define A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define HEAD(size) "waybill-recipe 1\nsize " size "\nsha256 " A "\n"

static void accept(const char *text)
{
	OWN_RECIPE struct recipe r = RECIPE_INIT;
	OWN_BUF struct buf b = BUF_INIT;
	struct err e = ERR_INIT;

	assert_int_equal(recipe_decode(&r, text, strlen(text), &e), 0);
	recipe_encode(&r, &b);
	assert_string_equal(b.data, text);
}

static void refuse_bytes(const char *text, size_t n)
{
	OWN_RECIPE struct recipe r = RECIPE_INIT;
	struct err e = ERR_INIT;

	if (recipe_decode(&r, text, n, &e) == 0)
		fail_msg("accepted: %s", text);
	assert_int_equal(e.class, ERR_INTEGRITY);
	assert_null(r.parts);
}

static void refuse(const char *text) { refuse_bytes(text, strlen(text)); }

static void the_canonical_text_comes_back_as_it_was(void **state)
{
	(void)state;
	accept(HEAD("0"));
	accept(HEAD("5") "hole 5\n");
	accept(HEAD("16") "slice " A " 0 4\nslice " B " 4 4\nslice " B " 0 4\nhole 3\nslice " B " 4 1\n");
	accept(HEAD("9223372036854775807") "hole 9223372036854775807\n");
}

static void every_other_text_is_refused(void **state)
{
	(void)state;
	refuse("");
	refuse("waybill-recipe 2\nsize 0\nsha256 " A "\n");
	refuse("waybill-recipe 1\nsize 0\nsha256 " A);
	refuse("waybill-recipe 1\r\nsize 0\nsha256 " A "\n");
	refuse("waybill-recipe 1\nsize 00\nsha256 " A "\n");
	refuse("waybill-recipe 1\nsize \nsha256 " A "\n");
	refuse("waybill-recipe 1\nsize -1\nsha256 " A "\n");
	refuse("waybill-recipe 1\nsize 0\nsha256 A" A "\n");
	refuse(HEAD("4") "hole 5\n");
	refuse(HEAD("5") "hole 05\n");
	refuse(HEAD("5") "hole  5\n");
	refuse(HEAD("5") "hole 5 \n");
	refuse(HEAD("5") "hole 5");
	refuse(HEAD("5") "hole 5\n\n");
	refuse(HEAD("5") "Hole 5\n");
	refuse(HEAD("5") "gap 5\n");
	refuse(HEAD("5") "hole 5\nhole 0\n");
	refuse(HEAD("5") "slice " A " 0 0\nhole 5\n");
	refuse(HEAD("5") "hole 2\nhole 3\n");
	refuse(HEAD("5") "slice " A " 0 2\nslice " A " 2 3\n");
	refuse(HEAD("5") "slice " A " 0 5 \n");
	refuse(HEAD("5") "slice AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA 0 5\n");
	refuse(HEAD("5") "slice " A "a 0 5\n");
	refuse(HEAD("5") "slice aaaa 0 5\n");
	refuse(HEAD("9223372036854775808") "hole 9223372036854775808\n");
	refuse(HEAD("18446744073709551621") "hole 5\n");
	refuse(HEAD("5") "slice " A " 9223372036854775805 5\n");
	refuse(HEAD("1") "hole 9223372036854775807\nslice " A " 0 9223372036854775807\n");
	refuse_bytes(HEAD("0") "\0", sizeof(HEAD("0")));
}

static void a_cut_text_is_refused(void **state)
{
	(void)state;
	static const char text[] = HEAD("16") "slice " A " 0 4\nslice " B " 4 4\nhole 8\n";

	for (size_t n = 0; n < sizeof(text) - 1; n++)
		refuse_bytes(text, n);
}

static void parts_that_continue_each_other_become_one(void **state)
{
	(void)state;
	OWN_RECIPE struct recipe r = RECIPE_INIT;
	struct err e = ERR_INIT;
	struct recipe_part p = { .offset = 0, .length = 10 };

	assert_int_equal(recipe_add(&r, &p, &e), 0);
	p.offset = 10;
	assert_int_equal(recipe_add(&r, &p, &e), 0);
	assert_int_equal(r.count, 1);
	p.offset = 21;
	assert_int_equal(recipe_add(&r, &p, &e), 0);
	assert_int_equal(r.count, 2);
	p = (struct recipe_part){ .hole = true, .offset = 99, .length = 1 };
	assert_int_equal(recipe_add(&r, &p, &e), 0);
	assert_int_equal(recipe_add(&r, &p, &e), 0);
	assert_int_equal(r.count, 3);
	assert_int_equal(r.size, 32);
	p.length = 0;
	assert_int_equal(recipe_add(&r, &p, &e), -1);
	assert_int_equal(e.class, ERR_BUG);
	p.length = UINT64_MAX;
	assert_int_equal(recipe_add(&r, &p, &e), -1);
	assert_int_equal(e.class, ERR_INTEGRITY);
	assert_int_equal(r.size, 32);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_canonical_text_comes_back_as_it_was),
		cmocka_unit_test(every_other_text_is_refused),
		cmocka_unit_test(a_cut_text_is_refused),
		cmocka_unit_test(parts_that_continue_each_other_become_one),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
