/* rooms: stages */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "clearing_device.h"

static const struct clearing none;

/* A disk of 1 MiB that was read back to its end. */
static struct clearing_device disk(uint64_t pattern, uint64_t zero, uint64_t other)
{
	return (struct clearing_device){ .facts = { .flags = MSG_WIPE_BLOCK }, .area = 1 << 20, .pattern = pattern, .zero = zero, .other = other, .wiped = true };
}

static void what_a_device_did_not_do_is_not_performed(void **state)
{
	struct clearing_device left = disk(0, 0, 1 << 20), empty = disk(0, 1 << 20, 0);

	(void)state;
	left.sanitized = empty.sanitized = true;
	assert_int_equal(clearing_device_verdict(&none, &left), VERDICT_UNKNOWN);
	assert_int_equal(clearing_device_verdict(&none, &empty), VERDICT_UNKNOWN);
	assert_non_null(strstr(clearing_device_class(&left), "not reported complete"));
	left.reported = empty.reported = true;
	assert_int_equal(clearing_device_verdict(&none, &left), VERDICT_PERFORMED_NOT_PROVABLE);
	assert_int_equal(clearing_device_verdict(&none, &empty), VERDICT_CLEARED_FULL);
}

static void what_was_read_back_decides(void **state)
{
	struct clearing_device good = disk(1 << 20, 0, 0), zeros = disk(0, 1 << 20, 0), old = disk((1 << 20) - 512, 0, 512), part = disk(512, 0, 0);

	(void)state;
	assert_int_equal(clearing_device_verdict(&none, &good), VERDICT_CLEARED_FULL);
	assert_int_equal(clearing_device_verdict(&none, &zeros), VERDICT_PERFORMED_NOT_PROVABLE);
	assert_int_equal(clearing_device_verdict(&none, &old), VERDICT_UNKNOWN);
	assert_int_equal(clearing_device_verdict(&none, &part), VERDICT_UNKNOWN);
	good.wiped = false;
	assert_int_equal(clearing_device_verdict(&none, &good), VERDICT_UNKNOWN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_a_device_did_not_do_is_not_performed),
		cmocka_unit_test(what_was_read_back_decides),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
