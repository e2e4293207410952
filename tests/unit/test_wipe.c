/* rooms: agent */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "../lib/agent_child.h"
#include "backing.h"
#include "io.h"
#include "messages_wipe.h"

#define SIZE (4u << 20)

static char top[64], image[80], scope[256];
static struct child child;

static int setup(void **state)
{
	OWN_FD int fd = -1;
	uint8_t block[4096];

	(void)state;
	strcpy(top, "/var/tmp/test-wipe-XXXXXX");
	if (!mkdtemp(top) || setenv("HOME", top, 1) < 0)
		return -1;
	(void)snprintf(image, sizeof(image), "%s/disk", top);
	(void)snprintf(scope, sizeof(scope), "device: old:%s\n", image);
	fd = open(image, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	memset(block, 'S', sizeof(block));
	for (unsigned at = 0; at < SIZE; at += sizeof(block))
		if (pwrite(fd, block, sizeof(block), at) != (ssize_t)sizeof(block))
			return -1;
	return 0;
}

static int teardown(void **state)
{
	char cmd[128];

	(void)state;
	(void)unsetenv("WAYBILL_FAULT");
	(void)snprintf(cmd, sizeof(cmd), "rm -rf %s", top);
	return system(cmd);
}

static void begin(bool write, const char *keep)
{
	struct msg_wipe_begin m = { .write = write, .keep = (char *)(uintptr_t)keep };
	struct buf b = BUF_INIT;

	memset(m.seed, 7, sizeof(m.seed));
	child_start(&child, "wipe", image, 1, scope, 0);
	msg_wipe_begin_encode(&b, &m);
	child_send(&child, (enum msg_type)MSG_WIPE_BEGIN, &b);
}

/* The next answer of that type; the session's own messages are passed over.  False: it ended. */
static bool next(uint8_t type, struct wire_frame *f)
{
	struct err e = ERR_INIT;

	while (wire_recv(child.wire, WIRE_ACK, f, &e) > 0) {
		if (f->type == type)
			return true;
		wire_frame_dispose(f);
	}
	return false;
}

static struct msg_wipe_facts facts(void)
{
	OWN_FRAME struct wire_frame f = WIRE_FRAME_INIT;
	struct msg_wipe_facts m = { .size = 0 };
	struct err e = ERR_INIT;

	assert_true(next(MSG_WIPE_FACTS, &f));
	assert_int_equal(msg_wipe_facts_decode(f.data, f.len, &m, &e), 0);
	return m;
}

static struct msg_wipe_result act(enum msg_wipe_how how, uint64_t offset, uint64_t length)
{
	OWN_FRAME struct wire_frame f = WIRE_FRAME_INIT;
	struct msg_wipe_act a = { (uint8_t)how, offset, length };
	struct msg_wipe_result m = { .done = false };
	struct buf b = BUF_INIT;
	struct err e = ERR_INIT;

	msg_wipe_act_encode(&b, &a);
	child_send(&child, (enum msg_type)MSG_WIPE_ACT, &b);
	assert_true(next(MSG_WIPE_RESULT, &f));
	assert_int_equal(msg_wipe_result_decode(f.data, f.len, &m, &e), 0);
	return m;
}

static int end(void)
{
	OWN_FRAME struct wire_frame f = WIRE_FRAME_INIT;
	struct err e = ERR_INIT;

	assert_int_equal(wire_end(child.wire, WIRE_DATA, &e), 0);
	assert_false(next(0, &f));
	return child_reap(&child);
}

static int refused(bool write, const char *keep)
{
	OWN_FRAME struct wire_frame f = WIRE_FRAME_INIT;

	begin(write, keep);
	assert_false(next(MSG_WIPE_FACTS, &f));
	return child_reap(&child);
}

/* Bytes of the image that are what they were. */
static size_t left(void)
{
	OWN_BUF struct buf b = BUF_INIT;
	struct err e = ERR_INIT;
	size_t n = 0;

	assert_int_equal(io_read_file(AT_FDCWD, image, SIZE + 1, &b, &e), 0);
	assert_int_equal(b.len, SIZE);
	for (size_t i = 0; i + 16 <= b.len; i += 16)
		n += memcmp(b.data + i, "SSSSSSSSSSSSSSSS", 16) == 0 ? 16 : 0;
	return n;
}

static void every_byte_is_overwritten_and_read_back(void **state)
{
	OWN(msg_wipe_facts_dispose) struct msg_wipe_facts m = { .size = 0 };
	OWN(msg_wipe_result_dispose) struct msg_wipe_result before = { .done = false }, wrote = before, after = before, zeroed = before, zeros = before;

	(void)state;
	begin(true, "none");
	m = facts();
	assert_int_equal(m.size, SIZE);
	assert_int_equal(m.luks, 0);
	before = act(MSG_WIPE_READ, 0, SIZE);
	assert_int_equal(before.other, SIZE);
	wrote = act(MSG_WIPE_OVERWRITE, 0, SIZE / 2);
	assert_true(wrote.done);
	after = act(MSG_WIPE_READ, 0, SIZE);
	assert_int_equal(after.pattern, SIZE / 2);
	assert_int_equal(after.other, SIZE / 2);
	assert_int_equal(left(), SIZE / 2);
	zeroed = act(MSG_WIPE_ZEROOUT, SIZE / 2, SIZE / 2);
	assert_true(zeroed.done);
	zeros = act(MSG_WIPE_READ, 0, SIZE);
	assert_int_equal(zeros.pattern, SIZE / 2);
	assert_int_equal(zeros.zero, SIZE / 2);
	assert_int_equal(end(), 0);
	assert_int_equal(left(), 0);
}

static void what_is_not_in_the_signed_scope_is_not_touched(void **state)
{
	static const char *const scopes[] = { "path: old:/var\n", "device: old:/dev/sda\n", "device: old:%s\nserial: WD-1 old:%s\n", "" };

	(void)state;
	for (size_t i = 0; i < sizeof(scopes) / sizeof(scopes[0]); i++) {
		(void)snprintf(scope, sizeof(scope), "%s", scopes[i]);
		if (i == 2)
			(void)snprintf(scope, sizeof(scope), "device: old:%s\nserial: WD-1 old:%s\n", image, image);
		assert_int_equal(refused(true, "none"), 6);
		assert_int_equal(left(), SIZE);
	}
}

static void what_the_orchestrator_stands_on_is_not_touched(void **state)
{
	OWN_BUF struct buf words = BUF_INIT, other = BUF_INIT;
	struct stat st;

	(void)state;
	assert_int_equal(stat(image, &st), 0);
	backing_of(&st, &words);
	buf_printf(&words, " file:%u:%u:%ju", major(st.st_dev), minor(st.st_dev), (uintmax_t)st.st_ino);
	assert_true(backing_holds(words.data, &st));
	assert_int_equal(refused(false, words.data), 6);
	assert_int_equal(refused(true, words.data), 6);
	assert_int_equal(left(), SIZE);
	/* The same numbers of another machine mean nothing here. */
	buf_printf(&other, "boot:00000000-0000-0000-0000-000000000000%s", strchr(words.data, ' '));
	assert_false(backing_holds(other.data, &st));
}

static void an_image_that_is_attached_is_not_touched(void **state)
{
	char cmd[300];

	(void)state;
	(void)snprintf(cmd, sizeof(cmd), "exec 2>/dev/null; losetup -f --show %s >%s/loop", image, top);
	if (geteuid() != 0 || system(cmd) != 0) {
		print_message("skipped: no loop devices\n");
		skip();
	}
	assert_int_equal(refused(true, "none"), 6);
	(void)snprintf(cmd, sizeof(cmd), "losetup -d $(cat %s/loop)", top);
	assert_int_equal(system(cmd), 0);
	assert_int_equal(left(), SIZE);
}

/* Both headers and the key slots lie before the first segment. */
static void the_key_area_of_luks_is_measured(void **state)
{
	static const char json[] = "{\"keyslots\":{\"0\":{\"area\":{\"offset\":\"32768\"}}},\"segments\":{\"0\":{\"type\":\"crypt\",\"offset\":\"1048576\"},"
	    "\"1\":{\"offset\":\"2097152\"}},\"digests\":{\"0\":{\"offset\":\"5\"}}}";
	OWN(msg_wipe_facts_dispose) struct msg_wipe_facts m = { .size = 0 }, old = { .size = 0 };
	OWN_FD int fd = open(image, O_RDWR | O_CLOEXEC);
	uint8_t head[4096] = "LUKS\xba\xbe";

	(void)state;
	head[7] = 2;
	head[14] = 0x40;	/* 16384 bytes a header */
	assert_int_equal(pwrite(fd, head, sizeof(head), 0), sizeof(head));
	assert_int_equal(pwrite(fd, json, sizeof(json), 4096), sizeof(json));
	begin(false, "none");
	m = facts();
	assert_int_equal(m.luks, 1048576);
	assert_int_equal(end(), 0);
	head[7] = 1;
	head[106] = 0x10;	/* 4096 sectors */
	assert_int_equal(pwrite(fd, head, sizeof(head), 0), sizeof(head));
	begin(false, "none");
	old = facts();
	assert_int_equal(old.luks, 4096 * 512);
	assert_int_equal(end(), 0);
}

static void what_cannot_be_read_is_counted_and_never_taken_for_clean(void **state)
{
	OWN(msg_wipe_facts_dispose) struct msg_wipe_facts m = { .size = 0 };
	OWN(msg_wipe_result_dispose) struct msg_wipe_result wrote = { .done = false }, back = wrote;

	(void)state;
	/* The first chunk, then its third block when it is read one by one; a rule does not see the calls that one before it met. */
	(void)setenv("WAYBILL_FAULT", "read@wipe:3:EIO,read@wipe:5:EIO", 1);
	begin(true, "none");
	m = facts();
	wrote = act(MSG_WIPE_OVERWRITE, 0, SIZE);
	assert_true(wrote.done);
	back = act(MSG_WIPE_READ, 0, SIZE);
	assert_int_equal(back.bad, 4096);
	assert_int_equal(back.bad_at, 2 * 4096);
	assert_int_equal(back.pattern, SIZE - 4096);
	assert_int_equal(end(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		/* first: a process looks for faults to inject once */
		cmocka_unit_test_setup_teardown(what_cannot_be_read_is_counted_and_never_taken_for_clean, setup, teardown),
		cmocka_unit_test_setup_teardown(every_byte_is_overwritten_and_read_back, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_not_in_the_signed_scope_is_not_touched, setup, teardown),
		cmocka_unit_test_setup_teardown(what_the_orchestrator_stands_on_is_not_touched, setup, teardown),
		cmocka_unit_test_setup_teardown(an_image_that_is_attached_is_not_touched, setup, teardown),
		cmocka_unit_test_setup_teardown(the_key_area_of_luks_is_measured, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
