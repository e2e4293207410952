/* rooms: store */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "store.h"
#include "sys.h"
#include "../lib/mem_stream.h"

static char *dir;		/* of the test; the store is dir/s */
static char place[PATH_MAX];

static int make(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	dir = temp_dir();
	(void)snprintf(place, sizeof(place), "%s/s", dir);
	return dir ? store_create(place, &e) : -1;
}

static int sweep(void **state)
{
	(void)state;
	temp_dir_remove(take_ptr(&dir));
	return 0;
}

static struct store *opened(void)
{
	struct store *s = NULL;
	struct err e = ERR_INIT;

	if (store_open(&s, place, &e) < 0)
		fail_msg("%s", e.text);
	return s;
}

static void put(struct store *s, enum store_kind k, const void *p, size_t n, struct object_id *id)
{
	struct err e = ERR_INIT;
	struct store_put *w = NULL;
	uint64_t stored = 0;

	assert_int_equal(store_put_begin(s, k, &w, &e), 0);
	assert_int_equal(store_put_write(w, p, n / 2, &e), 0);
	assert_int_equal(store_put_sink(w, (const char *)p + n / 2, n - n / 2, &e), 0);
	assert_int_equal(store_put_commit(w, id, &stored, &e), 0);
	assert_int_equal(stored, n);
}

static char *path_of(const struct object_id *id, enum store_kind k)
{
	static char p[2 * PATH_MAX];
	char hex[DIGEST_HEX];

	hex_of(id->sha256, DIGEST_LEN, hex);
	(void)snprintf(p, sizeof(p), "%s/objects/%.2s/%s%s", place, hex, hex, store_kind_suffix(k));
	return p;
}

static void bend(const struct object_id *id, enum store_kind k, off_t at)
{
	const char *p = path_of(id, k);
	char c;

	assert_int_equal(chmod(p, 0600), 0);
	OWN_FD int fd = open(p, O_RDWR);
	assert_int_equal(pread(fd, &c, 1, at), 1);
	c = (char)(c ^ 1);
	assert_int_equal(pwrite(fd, &c, 1, at), 1);
	assert_int_equal(fsync(fd), 0);
}

static size_t files_beneath(const char *sub)
{
	OWN_BUF struct buf b = BUF_INIT;

	assert_int_equal(shell(place, "find \"$1\" -type f | wc -l", sub, &b), 0);
	return (size_t)strtoul(b.data, NULL, 10);
}

static void an_object_is_named_by_its_bytes_and_read_back(void **state)
{
	(void)state;
	OWN(store_closep) struct store *s = opened();
	struct object_id id;
	OWN_BUF struct buf b = BUF_INIT;
	struct err e = ERR_INIT;
	uint64_t size;
	struct stat st;

	assert_int_equal(store_put_bytes(s, STORE_ATTR, "hello\n", 6, &id, &e), 0);
	assert_int_equal(lstat(path_of(&id, STORE_ATTR), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0400);
	assert_int_equal(shell(place, "cd objects && for f in */*; do [ \"$(sha256sum <$f | cut -c1-64).attr\" = \"${f#*/}\" ] || exit 1; done", NULL, NULL), 0);
	assert_int_equal(store_has(s, STORE_ATTR, &id, &size, &e), 1);
	assert_int_equal(size, 6);
	assert_int_equal(store_has(s, STORE_DOC, &id, &size, &e), 0);
	assert_int_equal(store_get_bytes(s, STORE_ATTR, &id, 6, &b, &e), 0);
	assert_string_equal(b.data, "hello\n");
	assert_int_equal(store_check(s, STORE_ATTR, &id, &e), 0);
	assert_int_equal(files_beneath("tmp"), 0);
	assert_int_equal(store_get_bytes(s, STORE_ATTR, &id, 5, &b, &e), -1);
	assert_int_equal(e.class, ERR_INTEGRITY);
	assert_int_equal(store_put_bytes(s, STORE_DOC, NULL, 0, &id, &e), 0);
	assert_int_equal(store_check(s, STORE_DOC, &id, &e), 0);
}

/* Whole parts go past the page cache, the rest does not: every border between them, in pieces of any size. */
static void objects_of_any_length_come_back(void **state)
{
	static const size_t lengths[] = { 0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3 << 20, (3 << 20) + 4097 };
	OWN_FREE uint8_t *p = malloc(4 << 20);
	struct store *s = opened();
	struct err e = ERR_INIT;

	(void)state;
	assert_non_null(p);
	random_bytes(p, 4 << 20);
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		OWN_BUF struct buf b = BUF_INIT;
		struct store_put *w;
		struct object_id id;
		uint64_t stored;

		assert_int_equal(store_put_begin(s, STORE_SLICE, &w, &e), 0);
		for (size_t at = 0, k; at < lengths[i]; at += k) {
			k = lengths[i] - at < 300001 ? lengths[i] - at : 300001;
			assert_int_equal(store_put_write(w, p + at, k, &e), 0);
		}
		assert_int_equal(store_put_commit(w, &id, &stored, &e), 0);
		assert_int_equal(stored, lengths[i]);
		assert_int_equal(store_sync(s, &e), 0);
		assert_int_equal(store_get_bytes(s, STORE_SLICE, &id, 4 << 20, &b, &e), 0);
		assert_int_equal(b.len, lengths[i]);
		assert_memory_equal(b.data ? b.data : "", p, b.len);
	}
	store_close(s);
}

static void nothing_stands_under_objects_before_it_is_durable(void **state)
{
	(void)state;
	OWN(store_closep) struct store *s = opened();
	struct object_id a, b, again;
	OWN_BUF struct buf got = BUF_INIT;
	struct err e = ERR_INIT;
	uint64_t before = sys_sync_count();

	put(s, STORE_PACK, "one", 3, &a);
	put(s, STORE_PACK, "two", 3, &b);
	put(s, STORE_PACK, "one", 3, &again);
	assert_memory_equal(&a, &again, sizeof(a));
	assert_int_equal(files_beneath("objects"), 0);
	/* this handle has them all the same */
	assert_int_equal(store_has(s, STORE_PACK, &a, NULL, &e), 1);
	assert_int_equal(store_get_bytes(s, STORE_PACK, &b, 100, &got, &e), 0);
	assert_string_equal(got.data, "two");
	assert_int_equal(store_check(s, STORE_PACK, &a, &e), 0);
	assert_int_equal(sys_sync_count(), before);
	assert_int_equal(store_sync(s, &e), 0);
	/* two files, their two directories, objects/ */
	assert_int_equal(sys_sync_count() - before, 5);
	assert_int_equal(files_beneath("objects"), 2);
	assert_int_equal(files_beneath("tmp"), 0);
	assert_int_equal(store_sync(s, &e), 0);
	assert_int_equal(sys_sync_count() - before, 5);
}

static void many_waiting_objects_are_synced_by_themselves(void **state)
{
	(void)state;
	OWN(store_closep) struct store *s = opened();
	struct object_id id;

	for (int i = 0; i < 300; i++)
		put(s, STORE_ATTR, &i, sizeof(i), &id);
	assert_true(files_beneath("objects") >= 128);
}

static void what_was_never_synced_is_gone_after_close(void **state)
{
	(void)state;
	struct store *s = opened();
	struct object_id id;
	struct store_put *w;
	struct err e = ERR_INIT;

	put(s, STORE_PACK, "one", 3, &id);
	assert_int_equal(store_put_begin(s, STORE_PACK, &w, &e), 0);
	assert_int_equal(store_put_write(w, "x", 1, &e), 0);
	store_put_abandon(w);
	store_close(s);
	assert_int_equal(files_beneath("."), 1);	/* format */
}

static void a_damaged_object_is_noticed_by_every_reader(void **state)
{
	(void)state;
	OWN(store_closep) struct store *s = opened();
	OWN_FREE char *noise = calloc(1, 3000000);
	OWN_BUF struct buf b = BUF_INIT;
	OWN(store_get_closep) struct store_get *g = NULL;
	struct object_id id;
	struct err e = ERR_INIT;
	char piece[65536];
	ssize_t n;

	mem_noise(noise, 3000000, 1);
	assert_int_equal(store_put_bytes(s, STORE_SLICE, noise, 3000000, &id, &e), 0);
	assert_int_equal(store_check(s, STORE_SLICE, &id, &e), 0);
	bend(&id, STORE_SLICE, 2999999);
	assert_int_equal(store_check(s, STORE_SLICE, &id, &e), -1);
	assert_int_equal(e.class, ERR_INTEGRITY);
	assert_non_null(strstr(e.text, "damaged"));
	assert_int_equal(store_get_bytes(s, STORE_SLICE, &id, 3000000, &b, &e), -1);
	assert_int_equal(e.class, ERR_INTEGRITY);
	assert_int_equal(b.len, 0);
	assert_int_equal(store_get_open(s, STORE_SLICE, &id, &g, &e), 0);
	while ((n = store_get_source(g, piece, sizeof(piece), &e)) > 0)
		;
	assert_int_equal(n, -1);
	assert_int_equal(e.class, ERR_INTEGRITY);
	assert_int_equal(store_get_read(g, piece, 1, &e), -1);
	assert_int_equal(truncate(path_of(&id, STORE_SLICE), 1 << 20), 0);
	assert_int_equal(store_check(s, STORE_SLICE, &id, &e), -1);
	assert_int_equal(unlink(path_of(&id, STORE_SLICE)), 0);
	assert_int_equal(store_check(s, STORE_SLICE, &id, &e), -1);
	assert_int_equal(e.class, ERR_INTEGRITY);
	assert_non_null(strstr(e.text, "missing"));
}

static void a_damaged_object_is_replaced_when_it_is_written_again(void **state)
{
	(void)state;
	OWN(store_closep) struct store *s = opened();
	struct object_id id;
	struct err e = ERR_INIT;

	assert_int_equal(store_put_bytes(s, STORE_SLICE, "precious", 8, &id, &e), 0);
	bend(&id, STORE_SLICE, 3);
	assert_int_equal(store_put_bytes(s, STORE_SLICE, "precious", 8, &id, &e), 0);
	assert_int_equal(store_check(s, STORE_SLICE, &id, &e), 0);
	assert_int_equal(files_beneath("tmp"), 0);
}

static void an_object_that_is_there_is_kept(void **state)
{
	(void)state;
	OWN(store_closep) struct store *s = opened();
	struct object_id id;
	struct err e = ERR_INIT;
	struct stat a, b;

	assert_int_equal(store_put_bytes(s, STORE_SLICE, "same", 4, &id, &e), 0);
	assert_int_equal(lstat(path_of(&id, STORE_SLICE), &a), 0);
	assert_int_equal(store_put_bytes(s, STORE_SLICE, "same", 4, &id, &e), 0);
	assert_int_equal(lstat(path_of(&id, STORE_SLICE), &b), 0);
	assert_int_equal(a.st_ino, b.st_ino);
	assert_int_equal(files_beneath("tmp"), 0);
}

static void files_of_dead_writers_go_and_those_of_live_ones_stay(void **state)
{
	(void)state;
	OWN(store_closep) struct store *live = opened();
	struct store_put *w;
	struct object_id id;
	struct err e = ERR_INIT;
	int status;
	pid_t pid;

	assert_int_equal(store_put_begin(live, STORE_PACK, &w, &e), 0);
	assert_int_equal(store_put_write(w, "mine", 4, &e), 0);
	pid = fork();
	if (pid == 0) {		/* dies with a half-written object */
		struct store *s = NULL;
		struct store_put *p;

		if (store_open(&s, place, &e) < 0 || store_put_begin(s, STORE_PACK, &p, &e) < 0)
			_exit(1);
		_exit(store_put_write(p, "half", 4, &e) < 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(files_beneath("tmp"), 2);
	store_close(opened());
	assert_int_equal(files_beneath("tmp"), 1);
	assert_int_equal(store_put_commit(w, &id, NULL, &e), 0);
	assert_int_equal(store_sync(live, &e), 0);
	assert_int_equal(store_check(live, STORE_PACK, &id, &e), 0);
}

static void only_a_store_is_opened(void **state)
{
	(void)state;
	struct store *s = NULL;
	struct err e = ERR_INIT;

	assert_int_equal(store_open(&s, dir, &e), -1);
	assert_non_null(strstr(e.text, "not a store"));
	assert_int_equal(shell(place, "chmod u+w format; echo waybill-store 2 >format", NULL, NULL), 0);
	assert_int_equal(store_open(&s, place, &e), -1);
	assert_int_equal(e.class, ERR_PERMANENT);
	(void)snprintf(place, sizeof(place), "%s/none", dir);
	assert_int_equal(store_open(&s, place, &e), -1);
	assert_int_equal(e.sys, ENOENT);
}

/* ---- several writers ---- */

struct job { struct store *s; int seed; bool good; };

static void *writer(void *ctx)
{
	struct job *j = ctx;
	struct err e = ERR_INIT;

	for (int i = 0; i < 60; i++) {
		char text[32];
		struct object_id id;
		int n = snprintf(text, sizeof(text), "object %d", i % 20 + (i % 3 ? 0 : j->seed * 1000));

		/* durable when it returns: so it must be under objects/ now, whoever synced it */
		if (store_put_bytes(j->s, STORE_ATTR, text, (size_t)n, &id, &e) < 0 ||
		    store_check(j->s, STORE_ATTR, &id, &e) < 0)
			return NULL;
	}
	j->good = true;
	return NULL;
}

static void writers_in_threads_and_processes_do_not_disturb_each_other(void **state)
{
	(void)state;
	OWN(store_closep) struct store *a = opened(), *b = opened();
	struct job jobs[4] = { { a, 1, false }, { a, 2, false }, { b, 3, false }, { b, 4, false } };
	pthread_t t[4];
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		struct store *s = NULL;
		struct err e = ERR_INIT;
		struct job j = { NULL, 5, false };

		if (store_open(&s, place, &e) < 0)
			_exit(1);
		j.s = s;
		(void)writer(&j);
		store_close(s);
		_exit(!j.good);
	}
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&t[i], NULL, writer, &jobs[i]), 0);
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_join(t[i], NULL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	for (int i = 0; i < 4; i++)
		assert_true(jobs[i].good);
	assert_int_equal(files_beneath("tmp"), 0);
	assert_int_equal(shell(place, "cd objects && for f in */*; do [ \"$(sha256sum <$f | cut -c1-64).attr\" = \"${f#*/}\" ] || exit 1; done", NULL, NULL), 0);
}

/* ---- faults: each in a child, for the rules are read once a process ---- */

/* What a child does under a fault; its exit status says what it saw. */
static int one_put(void)
{
	OWN(store_closep) struct store *s = NULL;
	struct object_id id;
	struct err e = ERR_INIT;
	int r;

	if (store_open(&s, place, &e) < 0)
		return 10;
	r = store_put_bytes(s, STORE_PACK, "precious", 8, &id, &e);
	if (r == 0)
		return 0;
	if (e.class != ERR_TEMPORARY || !strstr(e.text, place))
		return 11;
	if (e.sys == ENOSPC && !strstr(e.text, "free space there and run the same command again"))
		return 12;
	/* A second sync must not pretend, nor may anything be put any more once a sync has failed. */
	if (getenv("AFTER_SYNC") && (store_sync(s, &e) == 0 || store_put_bytes(s, STORE_PACK, "x", 1, &id, &e) == 0))
		return 13;
	if (store_has(s, STORE_PACK, &id, NULL, &e) != 0)
		return 14;
	return 20;
}

static int in_child(const char *fault, const char *after)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		(void)setenv("WAYBILL_FAULT", fault, 1);
		if (after)
			(void)setenv("AFTER_SYNC", after, 1);
		(void)execl("/proc/self/exe", "test_store", "one-put", place, (char *)NULL);
		_exit(99);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void a_failed_write_or_sync_leaves_nothing_recorded(void **state)
{
	(void)state;
	assert_int_equal(in_child("write@store:1:ENOSPC", NULL), 20);
	assert_int_equal(files_beneath("objects") + files_beneath("tmp"), 0);
	assert_int_equal(in_child("fsync@store:1:EIO", "1"), 20);
	assert_int_equal(files_beneath("objects") + files_beneath("tmp"), 0);
	assert_int_equal(in_child("rename@store:1:ENOSPC", "1"), 20);
	assert_int_equal(files_beneath("objects") + files_beneath("tmp"), 0);
	assert_int_equal(in_child("none:1:EIO", NULL), 0);
	assert_int_equal(files_beneath("objects"), 1);
}

static void a_failed_directory_sync_is_reported(void **state)
{
	(void)state;
	for (int nth = 2; nth <= 3; nth++) {
		char rule[32];

		/* The object itself is durable and whole; but nobody was told that it is. */
		(void)snprintf(rule, sizeof(rule), "fsync@store:%d:EIO", nth);
		assert_int_equal(in_child(rule, "1"), 14);
	}
}

static void killed_anywhere_the_next_run_finds_a_whole_store(void **state)
{
	(void)state;
	static const char *const rules[] = { "write@store:1:kill", "fsync@store:1:kill", "rename@store:1:kill",
		"fsync@store:2:kill", "fsync@store:3:kill" };

	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		assert_int_equal(in_child(rules[i], NULL), 128 + 9);
		assert_int_equal(in_child("none:1:EIO", NULL), 0);
		assert_int_equal(files_beneath("tmp"), 0);
		assert_int_equal(files_beneath("objects"), 1);
		assert_int_equal(shell(place, "grep -rq precious objects && rm -rf objects/*", NULL, NULL), 0);
	}
}

static void an_unreadable_medium_is_not_a_good_object(void **state)
{
	(void)state;
	OWN(store_closep) struct store *s = opened();
	struct object_id id;
	struct err e = ERR_INIT;
	int status;
	pid_t pid;

	assert_int_equal(store_put_bytes(s, STORE_DOC, "text", 4, &id, &e), 0);
	char hex[DIGEST_HEX];
	hex_of(id.sha256, DIGEST_LEN, hex);
	pid = fork();
	if (pid == 0) {
		(void)setenv("WAYBILL_FAULT", "read@store:1:EIO", 1);
		(void)execl("/proc/self/exe", "test_store", "check", place, hex, (char *)NULL);
		_exit(99);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), ERR_UNVERIFIED);
}

static int check_one(const char *hex)
{
	OWN(store_closep) struct store *s = NULL;
	struct object_id id;
	struct err e = ERR_INIT;

	if (!hex_parse(hex, id.sha256, DIGEST_LEN) || store_open(&s, place, &e) < 0)
		return 99;
	return store_check(s, STORE_DOC, &id, &e) == 0 ? 0 : (int)e.class;
}

#define T(f) cmocka_unit_test_setup_teardown(f, make, sweep)
int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		T(an_object_is_named_by_its_bytes_and_read_back), T(nothing_stands_under_objects_before_it_is_durable),
		T(objects_of_any_length_come_back),
		T(many_waiting_objects_are_synced_by_themselves), T(what_was_never_synced_is_gone_after_close),
		T(a_damaged_object_is_noticed_by_every_reader), T(a_damaged_object_is_replaced_when_it_is_written_again),
		T(an_object_that_is_there_is_kept), T(files_of_dead_writers_go_and_those_of_live_ones_stay),
		T(only_a_store_is_opened), T(writers_in_threads_and_processes_do_not_disturb_each_other),
		T(a_failed_write_or_sync_leaves_nothing_recorded), T(a_failed_directory_sync_is_reported),
		T(killed_anywhere_the_next_run_finds_a_whole_store), T(an_unreadable_medium_is_not_a_good_object),
	};

	if (argc > 2)
		(void)snprintf(place, sizeof(place), "%s", argv[2]);
	if (argc == 3)
		return one_put();
	if (argc == 4)
		return check_one(argv[3]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
