/* rooms: store */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <pthread.h>
#include <sys/stat.h>

#include "path.h"
#include "store.h"
#include "../lib/mem_stream.h"

static char *dir;
static char place[PATH_MAX];

static int make(void **state)
{
	(void)state;
	dir = temp_dir();
	(void)snprintf(place, sizeof(place), "%s/state.db", dir);
	return dir ? 0 : -1;
}

static int sweep(void **state)
{
	(void)state;
	temp_dir_remove(take_ptr(&dir));
	return 0;
}

static struct state *opened(void)
{
	struct state *s = NULL;
	struct err e = ERR_INIT;

	if (state_open(&s, place, &e) < 0)
		fail_msg("%s", e.text);
	return s;
}

static void ack(struct state *s, const char *dataset, uint64_t pass, const char *path, const char *row)
{
	OWN_BUF struct buf key = BUF_INIT;
	struct err e = ERR_INIT;

	path_sort_key(&key, path, strlen(path));
	if (state_ack_put(s, "plan", dataset, pass, key.data, key.len, row, strlen(row), &e) < 0)
		fail_msg("%s", e.text);
}

/* The rows of a pass, each followed by a space; "error" when reading failed. */
static void rows(struct state *s, const char *dataset, uint64_t pass, struct buf *out)
{
	struct state_iter *it = NULL;
	struct err e = ERR_INIT;
	const void *key, *row;
	size_t klen, rlen;
	int r;

	assert_int_equal(state_ack_iter(s, "plan", dataset, pass, &it, &e), 0);
	while ((r = state_iter_next(it, &key, &klen, &row, &rlen, &e)) > 0) {
		buf_put(out, row, rlen);
		buf_putc(out, ' ');
	}
	if (r < 0)
		buf_puts(out, "error");
	buf_puts(out, "");
	state_iter_free(it);
}

static void expect(struct state *s, const char *dataset, uint64_t pass, const char *want)
{
	OWN_BUF struct buf b = BUF_INIT;

	rows(s, dataset, pass, &b);
	assert_string_equal(b.data ? b.data : "", want);
}

static void sql(const char *text)
{
	char cmd[2048];

	(void)snprintf(cmd, sizeof(cmd), "sqlite3 state.db \"%s\"", text);
	assert_int_equal(shell(dir, cmd, NULL, NULL), 0);
}

static void acked_rows_come_back_in_walk_order(void **state)
{
	(void)state;
	OWN(state_closep) struct state *s = opened();
	struct err e = ERR_INIT;

	assert_int_equal(state_begin(s, &e), 0);
	ack(s, "d", 1, "a.b", "3");
	ack(s, "d", 1, "a/z", "2");
	ack(s, "d", 1, ".", "0");
	ack(s, "d", 1, "\xff", "5");
	ack(s, "d", 1, "a", "old");
	ack(s, "d", 1, "a", "1");
	ack(s, "d", 1, "b", "");
	ack(s, "d", 2, "a", "other-pass");
	ack(s, "e", 1, "a", "other-dataset");
	assert_int_equal(state_commit(s, &e), 0);
	expect(s, "d", 1, "0 1 2 3  5 ");
	expect(s, "d", 3, "");
	assert_int_equal(state_ack_clear(s, "plan", "d", &e), 0);
	expect(s, "d", 1, "");
	expect(s, "d", 2, "");
	expect(s, "e", 1, "other-dataset ");
	/* before it in the order of names, and of another plan */
	assert_int_equal(state_ack_clear(s, "plan", "f", &e), 0);
	expect(s, "e", 1, "other-dataset ");
	assert_int_equal(state_ack_clear(s, "plam", "e", &e), 0);
	expect(s, "e", 1, "other-dataset ");
	assert_int_equal(state_ack_clear(s, "plan", "e", &e), 0);
	expect(s, "e", 1, "");
}

static void a_transaction_counts_only_when_committed(void **state)
{
	(void)state;
	struct state *s = opened();
	struct err e = ERR_INIT;

	ack(s, "d", 1, "a", "kept");
	assert_int_equal(state_begin(s, &e), 0);
	ack(s, "d", 1, "b", "lost");
	state_rollback(s);
	expect(s, "d", 1, "kept ");
	assert_int_equal(state_begin(s, &e), 0);
	ack(s, "d", 1, "b", "lost");
	state_close(s);		/* as a crash would */
	s = opened();
	expect(s, "d", 1, "kept ");
	state_close(s);
}

static void values_are_kept_by_name(void **state)
{
	(void)state;
	OWN(state_closep) struct state *s = opened();
	OWN_BUF struct buf b = BUF_INIT;
	struct err e = ERR_INIT;
	struct stat st;

	assert_int_equal(state_get(s, "head/x", &b, &e), 0);
	assert_int_equal(state_set(s, "head/x", "1\0002", 3, &e), 0);
	assert_int_equal(state_set(s, "empty", NULL, 0, &e), 0);
	assert_int_equal(state_get(s, "head/x", &b, &e), 1);
	assert_int_equal(b.len, 3);
	assert_memory_equal(b.data, "1\0002", 3);
	assert_int_equal(state_get(s, "empty", &b, &e), 1);
	assert_int_equal(b.len, 3);
	assert_int_equal(stat(place, &st), 0);
	assert_int_equal(st.st_mode & 077, 0);
}

static void the_file_is_wal_and_says_whose_it_is(void **state)
{
	(void)state;
	OWN(state_closep) struct state *s = opened();
	OWN_BUF struct buf b = BUF_INIT;

	assert_non_null(s);
	assert_int_equal(shell(dir, "sqlite3 state.db 'pragma journal_mode; pragma application_id; pragma user_version'", NULL, &b), 0);
	assert_string_equal(b.data, "wal\n1463964500\n1\n");
}

static void a_row_with_a_wrong_checksum_is_dropped_and_counted(void **state)
{
	(void)state;
	struct state *s = opened();
	OWN_BUF struct buf b = BUF_INIT;
	struct err e = ERR_INIT;

	ack(s, "d", 1, "a", "one");
	ack(s, "d", 1, "b", "two");
	ack(s, "d", 1, "c", "three");
	assert_int_equal(state_set(s, "v", "value", 5, &e), 0);
	state_close(s);
	sql("update ack set row = x'747771' where row = x'74776f'; update value set data = x'76';"
	    "update ack set dataset = 'x' where row = x'7468726565'");
	s = opened();
	expect(s, "d", 1, "one ");
	expect(s, "x", 1, "");
	assert_int_equal(state_get(s, "v", &b, &e), 0);
	assert_int_equal(state_dropped(s), 3);
	ack(s, "d", 1, "b", "again");
	expect(s, "d", 1, "one again ");
	state_close(s);
}

static void a_damaged_file_is_moved_aside_and_made_afresh(void **state)
{
	(void)state;
	static const char *const damage[] = { "head -c 5000 /dev/urandom >state.db", "printf 'SQLite format 3' >state.db",
		"rm -f state.db state.db-* && sqlite3 state.db 'create table t (x)'", "truncate -s 20 state.db" };

	for (size_t i = 0; i < sizeof(damage) / sizeof(damage[0]); i++) {
		struct state *s = opened();
		char check[64];

		ack(s, "d", 1, "a", "one");
		state_close(s);
		assert_int_equal(shell(dir, damage[i], NULL, NULL), 0);
		s = opened();
		expect(s, "d", 1, "");
		ack(s, "d", 1, "a", "afresh");
		expect(s, "d", 1, "afresh ");
		state_close(s);
		(void)snprintf(check, sizeof(check), "test -f state.db.damaged-%zu", i + 1);
		assert_int_equal(shell(dir, check, NULL, NULL), 0);
	}
}

static void damage_that_shows_later_is_cured_by_the_next_open(void **state)
{
	(void)state;
	struct state *s = opened();
	OWN_BUF struct buf b = BUF_INIT;
	struct err e = ERR_INIT;
	char path[32], row[200];

	memset(row, 'r', sizeof(row) - 1);
	row[sizeof(row) - 1] = '\0';
	assert_int_equal(state_begin(s, &e), 0);
	for (int i = 0; i < 2000; i++) {
		(void)snprintf(path, sizeof(path), "%d", i);
		ack(s, "d", 1, path, row);
	}
	assert_int_equal(state_commit(s, &e), 0);
	state_close(s);
	/* all but the first pages: the file opens, and its tree leads into noise */
	assert_int_equal(shell(dir, "head -c 200000 /dev/zero | tr '\\0' 'x' | dd of=state.db bs=4096 seek=4 conv=notrunc 2>/dev/null", NULL, NULL), 0);
	s = opened();
	rows(s, "d", 1, &b);
	assert_non_null(strstr(b.data, "error"));
	state_close(s);
	s = opened();
	expect(s, "d", 1, "");
	ack(s, "d", 1, "a", "afresh");
	state_close(s);
	assert_int_equal(shell(dir, "test -f state.db.damaged-1 && test ! -e state.db.suspect", NULL, NULL), 0);
}

static void a_newer_file_is_left_alone(void **state)
{
	(void)state;
	struct state *s = opened();
	struct err e = ERR_INIT;

	state_close(s);
	sql("pragma user_version = 2");
	s = NULL;
	assert_int_equal(state_open(&s, place, &e), -1);
	assert_int_equal(e.class, ERR_PERMANENT);
	assert_int_equal(shell(dir, "test ! -e state.db.damaged-1", NULL, NULL), 0);
}

static void *setter(void *ctx)
{
	struct state *s = NULL;
	struct err e = ERR_INIT;
	bool *good = ctx;

	if (state_open(&s, place, &e) < 0)
		return NULL;
	for (int i = 0; i < 50; i++)
		if (state_begin(s, &e) < 0 || state_set(s, "n", &i, sizeof(i), &e) < 0 || state_commit(s, &e) < 0) {
			(void)fprintf(stderr, "%s\n", e.text);
			state_close(s);
			return NULL;
		}
	state_close(s);
	*good = true;
	return NULL;
}

static void several_handles_wait_for_each_other(void **state)
{
	(void)state;
	bool good[4] = { false };
	pthread_t t[4];

	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&t[i], NULL, setter, &good[i]), 0);
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_join(t[i], NULL), 0);
	for (int i = 0; i < 4; i++)
		assert_true(good[i]);
}

/* A second handle in one process must not end the locks of the first: the next process to leave would remove its log. */
static void another_process_may_come_and_go_beside_two_handles(void **state)
{
	struct state *a = opened(), *b = opened();
	OWN_BUF struct buf got = BUF_INIT;
	struct err e = ERR_INIT;
	char log[PATH_MAX + 8];

	(void)state;
	assert_int_equal(state_set(a, "k", "v", 1, &e), 0);
	/* A process of its own: what SQLite knows of its locks would come along with a fork. */
	sql("INSERT INTO value VALUES ('other', x'77', 0)");
	(void)snprintf(log, sizeof(log), "%s-wal", place);
	assert_int_equal(access(log, F_OK), 0);
	state_close(b);
	if (state_set(a, "k", "x", 1, &e) < 0)
		fail_msg("%s", e.text);
	state_close(a);
	a = opened();
	if (state_get(a, "k", &got, &e) < 0)
		fail_msg("%s", e.text);
	state_close(a);
	assert_string_equal(got.data, "x");
}

#define T(f) cmocka_unit_test_setup_teardown(f, make, sweep)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(acked_rows_come_back_in_walk_order), T(a_transaction_counts_only_when_committed), T(values_are_kept_by_name),
		T(the_file_is_wal_and_says_whose_it_is), T(a_row_with_a_wrong_checksum_is_dropped_and_counted),
		T(a_damaged_file_is_moved_aside_and_made_afresh), T(damage_that_shows_later_is_cured_by_the_next_open),
		T(a_newer_file_is_left_alone), T(several_handles_wait_for_each_other),
		T(another_process_may_come_and_go_beside_two_handles),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
