/* rooms: agent */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#include "../lib/agent_child.h"

static char *keys[64], *values[64];
static size_t count;

static const char *fact(const char *key)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(keys[i], key) == 0)
			return values[i];
	return NULL;
}

static void ask(const char *root)
{
	struct child c;
	struct err e = ERR_INIT;

	for (size_t i = 0; i < count; i++) {
		free(keys[i]);
		free(values[i]);
	}
	count = 0;
	child_start(&c, "facts", root, 0, "", 0);
	for (;;) {
		OWN_FRAME struct wire_frame f = WIRE_FRAME_INIT;
		OWN(msg_fact_dispose) struct msg_fact m = { .key = NULL };

		if (wire_recv(c.wire, WIRE_DATA, &f, &e) <= 0)
			break;
		assert_int_equal(f.type, MSG_FACT);
		assert_int_equal(msg_fact_decode(f.data, f.len, &m, &e), 0);
		assert_true(count < 64);
		keys[count] = take_ptr(&m.key);
		values[count++] = take_ptr(&m.value);
	}
	while (e.class == ERR_NONE) {
		OWN_FRAME struct wire_frame f = WIRE_FRAME_INIT;

		if (wire_recv(c.wire, WIRE_ACK, &f, &e) <= 0)
			break;
	}
	assert_int_equal(child_reap(&c), 0);
}

static void host_and_root_are_described(void **state)
{
	struct utsname u;
	struct stat st;
	char text[32];

	(void)state;
	assert_int_equal(uname(&u), 0);
	assert_int_equal(stat("/tmp", &st), 0);
	ask("/tmp");
	assert_string_equal(fact("hostname"), u.nodename);
	assert_string_equal(fact("kernel"), u.release);
	assert_string_equal(fact("arch"), u.machine);
	(void)snprintf(text, sizeof(text), "%u", (unsigned)geteuid());
	assert_string_equal(fact("euid"), text);
	assert_true(strlen(fact("os")) > 0);
	assert_true(strtoull(fact("now"), NULL, 10) > 1700000000ull * 1000000000);
	assert_string_equal(fact("root.0.path"), "/tmp");
	assert_string_equal(fact("root.0.exists"), "yes");
	assert_string_equal(fact("root.0.type"), "dir");
	assert_string_equal(fact("root.0.read_only"), "no");
	assert_true(strlen(fact("root.0.fstype")) > 0);
	/* a chroot may not list the mount that holds it */
	assert_true(!fact("root.0.mount") || fact("root.0.mount")[0] == '/');
	assert_true(strtoull(fact("root.0.free_bytes"), NULL, 10) > 0);
	(void)snprintf(text, sizeof(text), ":%ju", (uintmax_t)st.st_ino);
	assert_non_null(strstr(fact("root.0.identity"), text));
}

static void a_place_still_to_be_made_gives_the_facts_of_what_is_above_it(void **state)
{
	(void)state;
	ask("/tmp/waybill-no-such/deep");
	assert_string_equal(fact("root.0.exists"), "no");
	assert_string_equal(fact("root.0.nearest"), "/tmp");
	assert_non_null(fact("root.0.free_bytes"));
	assert_null(fact("root.0.identity"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(host_and_root_are_described),
		cmocka_unit_test(a_place_still_to_be_made_gives_the_facts_of_what_is_above_it),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
