/* rooms: agent */
/* What erasing does to names and contents, and what it leaves alone. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <linux/fs.h>
#include <sys/ioctl.h>

#include "erase_child.h"

static void an_ordinary_file_is_overwritten_and_gone(void **state)
{
	struct entry en;
	struct msg_erased r;

	(void)state;
	put_file("secret", "the owner of flat 402 ", 5000);
	en = inventoried("secret");
	begin(0);
	r = ask_one(&en);
	assert_int_equal(r.state, MSG_ERASE_DONE);
	assert_true(r.how & MSG_EH_OVERWRITTEN);
	assert_true(r.how & MSG_EH_UNLINKED);
	assert_true(r.how & (MSG_EH_READ_RAW | MSG_EH_READ_FILE));
	assert_true(r.bytes >= en.size);
	assert_int_equal(r.bytes % 512, 0);
	assert_false(there("secret"));
	finish_clean();
}

static void nothing_is_unlinked_before_that_is_on_record(void **state)
{
	struct msg_erased r;
	struct entry en;

	(void)state;
	put_file("secret", "the owner of flat 402 ", 5000);
	put_file("other", "the owner of flat 403 ", 5000);
	en = inventoried("secret");
	begin(0);
	ask(&en);
	r = next_answer();
	assert_int_equal(r.state, MSG_ERASE_INTENDED);
	assert_true(r.how & MSG_EH_OVERWRITTEN);
	assert_false(r.how & MSG_EH_UNLINKED);
	en = inventoried("other");
	ask(&en);
	assert_int_equal(next_answer().state, MSG_ERASE_INTENDED);
	assert_true(there("secret"));
	assert_true(there("other"));
	let_unlink(0);
	r = next_answer();
	assert_int_equal(r.index, 0);
	assert_int_equal(r.state, MSG_ERASE_DONE);
	assert_true(r.how & MSG_EH_UNLINKED);
	assert_false(there("secret"));
	assert_true(there("other"));
	finish_clean();		/* the other one was never told to go */
	assert_true(there("other"));
}

static void what_was_written_after_the_overwriting_is_not_unlinked(void **state)
{
	struct msg_erased r;
	struct entry en;
	OWN_FD int fd = -1;

	(void)state;
	put_file("secret", "the owner of flat 402 ", 5000);
	en = inventoried("secret");
	begin(0);
	ask(&en);
	assert_int_equal(next_answer().state, MSG_ERASE_INTENDED);
	assert_true((fd = openat(rootfd, "secret", O_WRONLY | O_APPEND)) >= 0);
	assert_int_equal(write(fd, "new", 3), 3);
	let_unlink(0);
	r = next_answer();
	assert_int_equal(r.state, MSG_ERASE_CHANGED);
	assert_true(there("secret"));
	finish_clean();
}

static void what_changed_since_the_inventory_is_not_touched(void **state)
{
	static const char *const names[] = { "mtime", "size", "inode", "type" };
	struct entry en[4];

	(void)state;
	for (int i = 0; i < 4; i++) {
		put_file(names[i], "data", 1);
		en[i] = inventoried(names[i]);
	}
	en[0].mtime_ns ^= 1;
	en[1].size++;
	assert_int_equal(unlinkat(rootfd, "inode", 0), 0);
	put_file("between", "x", 1);
	put_file("inode", "data", 1);
	assert_int_equal(unlinkat(rootfd, "type", 0), 0);
	assert_int_equal(symlinkat("/etc/passwd", rootfd, "type"), 0);
	en[2].scan.ino ^= 1;
	begin(0);
	for (int i = 0; i < 4; i++) {
		struct msg_erased r = ask_one(&en[i]);

		assert_int_equal(r.state, MSG_ERASE_CHANGED);
		assert_int_equal(r.how, 0);
		assert_true(strlen(reason) > 0);
		assert_true(there(names[i]));
	}
	finish_clean();
}

static void a_resumed_object_is_overwritten_again_though_changed(void **state)
{
	struct entry en;
	struct msg_erased r;

	(void)state;
	put_file("f", "data", 1);
	en = inventoried("f");
	en.mtime_s--;
	en.size += 100;
	en.outcome = ENTRY_UNSETTLED;
	begin(0);
	r = ask_one(&en);
	assert_int_equal(r.state, MSG_ERASE_DONE);
	assert_true(r.how & MSG_EH_OVERWRITTEN);
	assert_false(there("f"));
	finish_clean();
}

static void a_name_outside_the_scope_protects_the_file(void **state)
{
	struct entry en;
	struct msg_erased r;
	char outside[100];

	(void)state;
	put_file("f", "shared", 1);
	(void)snprintf(outside, sizeof(outside), "%s/outside", top);
	assert_int_equal(linkat(rootfd, "f", AT_FDCWD, outside, 0), 0);
	en = inventoried("f");
	en.nlink = 1;
	begin(0);
	r = ask_one(&en);
	assert_int_equal(r.state, MSG_ERASE_REFUSED);
	assert_true(there("f"));
	finish_clean();
	FILE *f = fopen(outside, "r");
	char text[16] = "";

	assert_non_null(fgets(text, sizeof(text), f));
	assert_string_equal(text, "shared");
	(void)fclose(f);
}

static void names_of_one_inode_go_in_either_order(void **state)
{
	(void)state;
	for (int reverse = 0; reverse < 2; reverse++) {
		struct entry first, second;
		struct msg_erased r;
		char target[] = "a";

		put_file("a", "content", 3000);
		assert_int_equal(linkat(rootfd, "a", rootfd, "b", 0), 0);
		first = inventoried("a");
		second = inventoried("b");
		second.link_to = target;
		begin(0);
		for (int i = 0; i < 2; i++) {
			const struct entry *en = (i ^ reverse) ? &second : &first;

			r = ask_one(en);
			assert_int_equal(r.state, MSG_ERASE_DONE);
			if (en == &first)
				assert_true(r.how & MSG_EH_OVERWRITTEN);
		}
		finish_clean();
		assert_false(there("a"));
		assert_false(there("b"));
	}
}

static void everything_and_the_root_go_in_reverse_walk_order(void **state)
{
	struct entry en[5];
	static const char *const order[] = { "d/link", "d/fifo", "d", "absent", "." };

	(void)state;
	assert_int_equal(mkdirat(rootfd, "d", 0755), 0);
	assert_int_equal(symlinkat("x", rootfd, "d/link"), 0);
	assert_int_equal(mkfifoat(rootfd, "d/fifo", 0600), 0);
	put_file("absent", "x", 1);
	for (int i = 0; i < 5; i++)
		en[i] = inventoried(order[i]);
	assert_int_equal(unlinkat(rootfd, "absent", 0), 0);
	begin(0);
	for (int i = 0; i < 5; i++)
		ask(&en[i]);
	for (uint64_t i = 0; i < 5; i++)
		assert_int_equal(answer(i).state, i == 3 ? MSG_ERASE_ABSENT : MSG_ERASE_DONE);
	finish_clean();
	assert_int_equal(access(root, F_OK), -1);
}

static void a_directory_with_unknown_entries_stays(void **state)
{
	struct entry en;
	struct msg_erased r;

	(void)state;
	assert_int_equal(mkdirat(rootfd, "d", 0755), 0);
	en = inventoried("d");
	put_file("d/new", "x", 1);
	begin(0);
	r = ask_one(&en);
	assert_int_equal(r.state, MSG_ERASE_CHANGED);
	assert_true(there("d/new"));
	finish_clean();
}

static void an_immutable_file_is_erased_too(void **state)
{
	struct entry en;
	int flags = FS_IMMUTABLE_FL;

	(void)state;
	put_file("f", "x", 1);
	en = inventoried("f");
	OWN_FD int fd = openat(rootfd, "f", O_RDONLY);

	if (geteuid() != 0 || ioctl(fd, FS_IOC_SETFLAGS, &flags) < 0) {
		print_message("skipped: immutable needs root\n");
		skip();
	}
	begin(0);
	assert_int_equal(ask_one(&en).state, MSG_ERASE_DONE);
	finish_clean();
	assert_false(there("f"));
}

static void without_an_authorization_that_names_the_root_nothing_begins(void **state)
{
	struct entry en;

	(void)state;
	put_file("f", "x", 1);
	en = inventoried("f");
	for (int i = 0; i < 3; i++) {
		struct err e = ERR_INIT;

		if (i == 0)
			strcpy(scope, "path: old:/srv/other\n");
		if (i == 1)
			strcpy(scope, "");
		if (i == 2)
			(void)snprintf(scope, sizeof(scope), "path: old:%s\nroot: 0:1 old:%s\n", root, root);
		begin(0);
		struct buf b = BUF_INIT;

		msg_numbered_encode(&b, 0, &en);
		if (wire_send(child.wire, WIRE_DATA, MSG_INVENTORY, b.data, b.len, &e) < 0)
			err_clear(&e);
		buf_dispose(&b);
		assert_int_equal(finish(&e), 6);
		assert_int_equal(e.class, ERR_REFUSED);
		assert_true(there("f"));
	}
}

static void a_root_reached_through_a_symlink_is_refused(void **state)
{
	struct err e = ERR_INIT;
	char link[80];

	(void)state;
	(void)snprintf(link, sizeof(link), "%.60s/link", top);
	assert_int_equal(symlink(root, link), 0);
	(void)snprintf(scope, sizeof(scope), "path: old:%s\n", link);
	child_start(&child, "erase", link, 1, scope, 0);
	assert_int_equal(finish(&e), 6);
}

static void a_failed_overwriting_keeps_the_name(void **state)
{
	struct entry en;
	struct msg_erased r;
	static const char *const faults[] = { "write@erase:1:EIO", "fsync@erase:1:EIO", "read@erase:1:EIO" };

	(void)state;
	put_file("f", "x", 9000);
	for (size_t i = 0; i < 3; i++) {
		en = inventoried("f");
		next_index = 0;
		assert_int_equal(setenv("WAYBILL_FAULT", faults[i], 1), 0);
		begin(0);
		(void)unsetenv("WAYBILL_FAULT");
		r = ask_one(&en);
		assert_int_equal(r.state, MSG_ERASE_FAILED);
		assert_non_null(strstr(reason, "Input/output error"));
		assert_true(there("f"));
		finish_clean();
	}
}

static void a_killed_agent_leaves_the_name_until_all_is_proven(void **state)
{
	struct entry en;

	(void)state;
	put_file("f", "x", 9000);
	en = inventoried("f");
	assert_int_equal(setenv("WAYBILL_FAULT", "point@unlink:1:kill", 1), 0);
	begin(0);
	(void)unsetenv("WAYBILL_FAULT");
	ask(&en);
	OWN_FRAME struct wire_frame f = WIRE_FRAME_INIT;
	struct err e = ERR_INIT;

	assert_int_equal(next_answer().state, MSG_ERASE_INTENDED);
	let_unlink(0);
	assert_true(wire_recv(child.wire, WIRE_ACK, &f, &e) <= 0);
	assert_int_equal(child_reap(&child), 128 + SIGKILL);
	assert_true(there("f"));
	/* Resumed as "writing". */
	en.outcome = ENTRY_UNSETTLED;
	next_index = 0;
	begin(0);
	assert_int_equal(ask_one(&en).state, MSG_ERASE_DONE);
	finish_clean();
	assert_false(there("f"));
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(nothing_is_unlinked_before_that_is_on_record), T(what_was_written_after_the_overwriting_is_not_unlinked),
		T(an_ordinary_file_is_overwritten_and_gone), T(what_changed_since_the_inventory_is_not_touched),
		T(a_resumed_object_is_overwritten_again_though_changed), T(a_name_outside_the_scope_protects_the_file),
		T(names_of_one_inode_go_in_either_order), T(everything_and_the_root_go_in_reverse_walk_order),
		T(a_directory_with_unknown_entries_stays), T(an_immutable_file_is_erased_too),
		T(without_an_authorization_that_names_the_root_nothing_begins), T(a_root_reached_through_a_symlink_is_refused),
		T(a_failed_overwriting_keeps_the_name), T(a_killed_agent_leaves_the_name_until_all_is_proven),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
