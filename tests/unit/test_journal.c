/* rooms: clear */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "journal.h"
#include "sys.h"

static char dir[64];
static int dirfd_;
static const uint8_t inventory[DIGEST_LEN] = { 1, 2, 3 }, other[DIGEST_LEN] = { 9 };

static int setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/test-journal-XXXXXX");
	return mkdtemp(dir) && (dirfd_ = open(dir, O_RDONLY | O_DIRECTORY)) >= 0 ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	(void)unlinkat(dirfd_, "j", 0);
	(void)close(dirfd_);
	return rmdir(dir);
}

static struct clear_journal *open_ok(void)
{
	struct clear_journal *j = NULL;
	struct err e = ERR_INIT;

	if (clear_journal_open(&j, dirfd_, "j", inventory, 5, &e) < 0)
		fail_msg("%s", e.text);
	return j;
}

static void put_some(struct clear_journal *j)
{
	char text[] = "moved; \033[31m\nodd";
	struct msg_erased r = { .index = 1, .state = MSG_ERASE_DONE, .how = 23, .bytes = 8192, .text = text };
	struct err e = ERR_INIT;

	assert_int_equal(clear_journal_writing(j, 1, &e), 0);
	assert_int_equal(clear_journal_writing(j, 2, &e), 0);
	assert_int_equal(clear_journal_sync(j, &e), 0);
	assert_int_equal(clear_journal_result(j, &r, &e), 0);
	assert_int_equal(clear_journal_sync(j, &e), 0);
}

static off_t size_of(void)
{
	struct stat st;

	assert_int_equal(fstatat(dirfd_, "j", &st, 0), 0);
	return st.st_size;
}

static void cut(off_t size)
{
	int fd = openat(dirfd_, "j", O_WRONLY);

	assert_int_equal(ftruncate(fd, size), 0);
	close(fd);
}

static void scribble(off_t at, const char *text)
{
	int fd = openat(dirfd_, "j", O_WRONLY);

	assert_int_equal(pwrite(fd, text, strlen(text), at), (ssize_t)strlen(text));
	close(fd);
}

static void states_survive_a_restart(void **state)
{
	struct clear_journal *j = open_ok();

	(void)state;
	assert_int_equal(clear_journal_count(j, JOURNAL_PENDING), 5);
	put_some(j);
	clear_journal_close(j);
	j = open_ok();
	assert_int_equal(clear_journal_state(j, 0), JOURNAL_PENDING);
	assert_int_equal(clear_journal_state(j, 1), JOURNAL_DONE);
	assert_int_equal(clear_journal_how(j, 1), 23);
	assert_int_equal(clear_journal_bytes(j, 1), 8192);
	assert_int_equal(clear_journal_state(j, 2), JOURNAL_WRITING);
	assert_int_equal(clear_journal_count(j, JOURNAL_PENDING), 3);
	assert_int_equal(clear_journal_count(j, JOURNAL_WRITING), 1);
	assert_int_equal(clear_journal_count(j, JOURNAL_DONE), 1);
	clear_journal_close(j);
}

static void writing_is_durable_when_sync_returns(void **state)
{
	struct clear_journal *j = open_ok();
	struct err e = ERR_INIT;
	off_t before = size_of();
	uint64_t syncs = sys_sync_count();

	(void)state;
	assert_int_equal(clear_journal_writing(j, 3, &e), 0);
	assert_int_equal(clear_journal_sync(j, &e), 0);
	assert_true(size_of() > before);
	assert_int_equal(sys_sync_count(), syncs + 1);
	clear_journal_close(j);
}

static void a_tail_torn_anywhere_is_dropped_and_work_goes_on(void **state)
{
	struct clear_journal *j = open_ok();
	struct err e = ERR_INIT;
	off_t with_two, full;

	(void)state;
	assert_int_equal(clear_journal_writing(j, 1, &e), 0);
	assert_int_equal(clear_journal_writing(j, 2, &e), 0);
	assert_int_equal(clear_journal_sync(j, &e), 0);
	with_two = size_of();
	assert_int_equal(clear_journal_writing(j, 3, &e), 0);
	assert_int_equal(clear_journal_sync(j, &e), 0);
	full = size_of();
	clear_journal_close(j);
	for (off_t at = full - 1; at > with_two; at--) {
		cut(at);
		j = open_ok();
		assert_int_equal(clear_journal_state(j, 2), JOURNAL_WRITING);
		assert_int_equal(clear_journal_state(j, 3), JOURNAL_PENDING);
		assert_int_equal(size_of(), with_two);
		assert_int_equal(clear_journal_writing(j, 3, &e), 0);
		assert_int_equal(clear_journal_sync(j, &e), 0);
		clear_journal_close(j);
		assert_int_equal(size_of(), full);
	}
}

static void damage_before_the_end_is_noticed(void **state)
{
	struct clear_journal *j = open_ok();
	struct err e = ERR_INIT;
	off_t head = size_of();

	(void)state;
	put_some(j);
	clear_journal_close(j);
	scribble(head, "2");	/* "1 writing" becomes "2 writing" */
	assert_int_equal(clear_journal_open(&j, dirfd_, "j", inventory, 5, &e), -1);
	assert_int_equal(e.class, ERR_INTEGRITY);
}

static void the_journal_of_another_inventory_is_refused(void **state)
{
	struct clear_journal *j = open_ok();
	struct err e = ERR_INIT;

	(void)state;
	clear_journal_close(j);
	assert_int_equal(clear_journal_open(&j, dirfd_, "j", other, 5, &e), -1);
	assert_int_equal(e.class, ERR_REFUSED);
	assert_int_equal(clear_journal_open(&j, dirfd_, "j", inventory, 6, &e), -1);
	assert_int_equal(e.class, ERR_REFUSED);
}

static void two_clearings_cannot_share_a_journal(void **state)
{
	struct clear_journal *j = open_ok(), *k = NULL;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(clear_journal_open(&k, dirfd_, "j", inventory, 5, &e), -1);
	assert_int_equal(e.class, ERR_TEMPORARY);
	clear_journal_close(j);
}

static void what_is_no_result_is_refused(void **state)
{
	struct clear_journal *j = open_ok();
	struct msg_erased r = { .index = 5, .state = MSG_ERASE_DONE }, odd = { .index = 1, .state = (enum msg_erase_state)6 };
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(clear_journal_result(j, &r, &e), -1);
	assert_int_equal(clear_journal_result(j, &odd, &e), -1);
	assert_int_equal(clear_journal_count(j, JOURNAL_PENDING), 5);
	clear_journal_close(j);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(states_survive_a_restart), T(writing_is_durable_when_sync_returns),
		T(a_tail_torn_anywhere_is_dropped_and_work_goes_on), T(damage_before_the_end_is_noticed),
		T(the_journal_of_another_inventory_is_refused), T(two_clearings_cannot_share_a_journal),
		T(what_is_no_result_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
