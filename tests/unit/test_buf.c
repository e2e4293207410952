/* rooms: base */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "buf.h"

static void decimal_is(uint64_t n, unsigned digits, const char *want)
{
	OWN_BUF struct buf b = BUF_INIT;
	struct err e = ERR_INIT;

	buf_puts(&b, "n=");	/* it appends */
	buf_put_decimal(&b, n, digits);
	assert_int_equal(buf_finish(&b, &e), 0);
	assert_int_equal(b.len, 2 + strlen(want));
	assert_memory_equal(b.data, "n=", 2);
	assert_string_equal(b.data + 2, want);
}

static void a_number_is_written_in_as_many_digits_as_it_has(void **state)
{
	(void)state;
	for (unsigned digits = 0; digits < 2; digits++) {
		decimal_is(0, digits, "0");
		decimal_is(9, digits, "9");
		decimal_is(10, digits, "10");
		decimal_is(99, digits, "99");
		decimal_is(100, digits, "100");
		decimal_is(UINT64_MAX, digits, "18446744073709551615");
	}
}

static void zeros_in_front_make_up_the_digits_asked_for(void **state)
{
	(void)state;
	decimal_is(0, 3, "000");
	decimal_is(9, 2, "09");
	decimal_is(10, 2, "10");
	decimal_is(99, 9, "000000099");
	decimal_is(100, 2, "100");
	decimal_is(0, 20, "00000000000000000000");
	decimal_is(100, 20, "00000000000000000100");
	decimal_is(UINT64_MAX, 20, "18446744073709551615");
	decimal_is(7, 21, "00000000000000000007");	/* no more than 20 */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_number_is_written_in_as_many_digits_as_it_has),
		cmocka_unit_test(zeros_in_front_make_up_the_digits_asked_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
