/* rooms: clear */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>

#include "scope.h"

static void lines_come_back_as_they_were_added(void **state)
{
	OWN_SCOPE struct scope s = SCOPE_INIT, t = SCOPE_INIT;
	OWN_BUF struct buf b = BUF_INIT, again = BUF_INIT;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(scope_add(&s, SCOPE_PATH, "old", "/srv/a b\nc\\d", NULL, &e), 0);
	assert_int_equal(scope_add(&s, SCOPE_ROOT, "old", "/srv/a b\nc\\d", "00ff:12", &e), 0);
	assert_int_equal(scope_add(&s, SCOPE_DEVICE, "old", "/dev/vdb", NULL, &e), 0);
	assert_int_equal(scope_add(&s, SCOPE_SERIAL, "old", "/dev/vdb", "S1", &e), 0);
	scope_format(&s, &b);
	assert_int_equal(buf_finish(&b, &e), 0);
	assert_string_equal(b.data, "path: old:/srv/a b\\012c\\134d\nroot: 00ff:12 old:/srv/a b\\012c\\134d\n"
	    "device: old:/dev/vdb\nserial: S1 old:/dev/vdb\n");
	assert_int_equal(scope_parse(&t, b.data, &e), 0);
	scope_format(&t, &again);
	assert_string_equal(again.data, b.data);
	assert_string_equal(t.v[0].path, "/srv/a b\nc\\d");
}

static void only_exactly_the_signed_root_is_covered(void **state)
{
	OWN_SCOPE struct scope s = SCOPE_INIT;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(scope_parse(&s, "I agree.\npath: old:/srv/wxzj\nroot: ab:7 old:/srv/wxzj\nend", &e), 0);
	assert_int_equal(scope_covers_root(&s, NULL, "/srv/wxzj", NULL, &e), 0);
	assert_int_equal(scope_covers_root(&s, "old", "/srv/wxzj", "ab:7", &e), 0);
	assert_int_equal(scope_covers_root(&s, "new", "/srv/wxzj", "ab:7", &e), -1);
	assert_int_equal(e.class, ERR_REFUSED);
	assert_int_equal(scope_covers_root(&s, NULL, "/srv/wxzj", "ab:8", &e), -1);
	assert_int_equal(scope_covers_root(&s, NULL, "/srv/wxzj/www", "ab:7", &e), -1);
	assert_int_equal(scope_covers_root(&s, NULL, "/srv", "ab:7", &e), -1);
	assert_int_equal(scope_covers_root(&s, NULL, "/srv/wxzj2", "ab:7", &e), -1);
}

static void what_is_half_understood_is_refused(void **state)
{
	static const char *const bad[] = { "", "nothing here\n", "path: \npath: old:/a\n", "path:old:/a\n", "path: old:a\n",
		"path: old:/\n", "path: old:/a/\n", "path: old:/a/../b\n", "path: Old:/a\n", "path: old\n", "path: old:/a\\9\n",
		"path: old:/a\npath: old:/a\n", "path: old:/a\nroot: old:/a\n", "serial: x old:/dev/b\n" };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		OWN_SCOPE struct scope s = SCOPE_INIT;
		struct err e = ERR_INIT;

		if (scope_parse(&s, bad[i], &e) != -1 || e.class != ERR_REFUSED)
			fail_msg("accepted: %s", bad[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_come_back_as_they_were_added),
		cmocka_unit_test(only_exactly_the_signed_root_is_covered),
		cmocka_unit_test(what_is_half_understood_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
