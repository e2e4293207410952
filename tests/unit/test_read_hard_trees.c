/* rooms: agent */
/* Trees that are hard to read: large and sparse contents, no rights, great depth, and what changes meanwhile. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdatomic.h>

#include "read_session.h"
#include "walk.h"

#define LARGE (40u << 20)

static void large_contents_travel_in_slices(void **state)
{
	OWN_SESSION struct session s, t;
	OWN_FREE struct entry *k = NULL;
	OWN_FREE uint8_t *p = malloc(LARGE);

	(void)state;
	assert_non_null(p);
	session_init(&s);
	session_init(&t);
	random_bytes(p, LARGE / 2);
	memset(p + LARGE / 2, 'x', LARGE / 2);
	put("big", p, LARGE);
	wait_out_the_racy_time();
	run_ok(&s);
	content_is(&s, "big", p, LARGE);
	assert_int_equal(find(&s, "big")->segment_count, 3);
	assert_false(find(&s, "big")->entry.has & ENTRY_HAS_LAYOUT);
	/* Only the mode changes: nothing is sent. */
	chmod(in("big"), 0600);
	t.known = k = knowledge(&s);
	t.known_count = s.n;
	run_ok(&t);
	assert_int_equal(find(&t, "big")->content, MSG_CONTENT_KEPT);
	assert_int_equal(t.object_count, 0);
	assert_int_equal(find(&t, "big")->entry.mode, 0600);
}

static void holes_are_told_and_not_sent(void **state)
{
	OWN_SESSION struct session s;
	OWN_FREE uint8_t *want = calloc(1, 6 << 20);
	struct msg_entry *m;
	int fd;

	(void)state;
	assert_non_null(want);
	session_init(&s);
	/* data at 1 MiB, a short hole, data, a long hole, data, a hole at the end */
	memset(want + (1 << 20), 'a', 65536);
	memset(want + (1 << 20) + 131072, 'b', 65536);
	memset(want + (5 << 20), 'c', 65536);
	fd = open(in("sparse"), O_WRONLY | O_CREAT, 0644);
	assert_int_equal(pwrite(fd, want + (1 << 20), 65536, 1 << 20), 65536);
	assert_int_equal(pwrite(fd, want + (1 << 20) + 131072, 65536, (1 << 20) + 131072), 65536);
	assert_int_equal(pwrite(fd, want + (5 << 20), 65536, 5 << 20), 65536);
	assert_int_equal(ftruncate(fd, 6 << 20), 0);
	if (lseek(fd, 0, SEEK_HOLE) != 0) {
		close(fd);
		skip();
	}
	close(fd);
	fd = open(in("void"), O_WRONLY | O_CREAT, 0644);
	assert_int_equal(ftruncate(fd, 12345), 0);
	close(fd);
	run_ok(&s);
	content_is(&s, "sparse", want, 6 << 20);
	m = find(&s, "sparse");
	assert_true(m->entry.has & ENTRY_HAS_LAYOUT);
	assert_int_equal(m->entry.layout_count, 3);
	assert_int_equal(m->entry.layout[0].offset, 1 << 20);
	assert_int_equal(m->entry.layout[0].length, 65536);
	assert_int_equal(m->entry.layout[2].offset, 5 << 20);
	assert_int_equal(m->segment_count, 5);	/* hole, two runs in one slice, hole, slice, hole */
	assert_int_equal(m->segments[0].ordinal, 0);
	assert_int_equal(m->segments[1].length, 196608);
	assert_int_equal(m->segments[4].ordinal, 0);
	m = find(&s, "void");
	assert_true(m->entry.has & ENTRY_HAS_LAYOUT);
	assert_int_equal(m->entry.layout_count, 0);
	assert_int_equal(m->segment_count, 1);
	content_is(&s, "void", want, 12345);
}

/* Several hands take them at the same time; the target holds 256 open and takes them in the order of their numbers. */
static void many_sparse_files_and_links_stay_in_order_and_few_are_open(void **state)
{
	OWN_SESSION struct session s;
	char name[64], of[64];
	uint8_t page[100];

	(void)state;
	session_init(&s);
	memset(page, 'p', sizeof(page));
	for (unsigned i = 0; i < 900; i++) {
		int fd;

		(void)snprintf(name, sizeof(name), "f%04u", i);
		fd = open(in(name), O_WRONLY | O_CREAT, 0644);
		assert_int_equal(pwrite(fd, page, sizeof(page), i % 2 ? 65536 : 0), sizeof(page));
		close(fd);
		(void)snprintf(of, sizeof(of), "f%04ulink", i);
		link(in(name), in(of));
	}
	run_ok(&s);
	assert_int_equal(s.done.copied, 1801);
	assert_in_range(s.most_open, 1, 256);
	for (unsigned i = 0; i < 900; i++) {
		(void)snprintf(name, sizeof(name), "f%04u", i);
		(void)snprintf(of, sizeof(of), "f%04ulink", i);
		assert_null(find(&s, name)->entry.link_to);
		assert_string_equal(find(&s, of)->entry.link_to, name);
	}
	content_is(&s, "f0898", page, sizeof(page));
}

/* Walks alone: needs no root rights to show what a reader without rights sees. */
static void an_unreadable_directory_fails_and_its_contents_are_not_gone(void **state)
{
	OWN_SESSION struct session s, t;
	OWN_FREE struct entry *k = NULL;

	(void)state;
	session_init(&s);
	session_init(&t);
	mkdir(in("d"), 0755);
	put("d/x", "x", 1);
	put("f", "f", 1);
	wait_out_the_racy_time();
	run_ok(&s);
	assert_int_equal(chmod(in("d"), 0), 0);
	assert_int_equal(chmod(in("f"), 0), 0);
	if (geteuid() == 0 && (chown(dir, 65534, 65534) < 0 || seteuid(65534) < 0))
		skip();
	t.known = k = knowledge(&s);
	t.known_count = s.n;
	if (run(&t) < 0) {
		(void)seteuid(getuid());
		fail_msg("%s", t.e.text);
	}
	(void)seteuid(getuid());
	(void)chmod(in("d"), 0755);
	assert_int_equal(find(&t, "d")->entry.outcome, ENTRY_FAILED);
	assert_int_equal(find(&t, "d/x")->entry.outcome, ENTRY_FAILED);
	assert_int_equal(find(&t, "f")->entry.outcome, ENTRY_FAILED);
	assert_non_null(strstr(find(&t, "f")->entry.note, "denied"));
	assert_int_equal(t.gone, 0);
	assert_int_equal(t.problems, 2);
	assert_int_equal(t.done.failed, 3);
}

/* Deeper than PATH_MAX and than WALK_FDS. */
static void very_deep_paths_are_walked(void **state)
{
	OWN_SESSION struct session s;
	char name[101];
	int fd = open(dir, O_RDONLY | O_DIRECTORY), next;

	(void)state;
	session_init(&s);
	memset(name, 'n', 100);
	name[100] = '\0';
	for (int i = 0; i < 100; i++) {
		assert_int_equal(mkdirat(fd, name, 0755), 0);
		next = openat(fd, name, O_RDONLY | O_DIRECTORY);
		close(fd);
		fd = next;
		assert_true(fd >= 0);
		/* Something that comes after the directory, so that the walk must return to each level. */
		close(openat(fd, "z", O_WRONLY | O_CREAT, 0644));
	}
	close(openat(fd, "end", O_WRONLY | O_CREAT, 0644));
	close(fd);
	run_ok(&s);
	assert_int_equal(s.n, 202);
	assert_int_equal(s.done.copied, 202);
}

struct churn { const char *path; atomic_bool stop; };

static void *rewrite(void *arg)
{
	struct churn *c = arg;

	for (unsigned i = 0; !atomic_load(&c->stop); i++) {
		int fd = open(c->path, O_WRONLY);
		struct timespec t = { 0, 200000 };

		if (fd >= 0) {
			if (pwrite(fd, &i, sizeof(i), 0) < 0)
				(void)0;
			close(fd);
		}
		nanosleep(&t, NULL);
	}
	return NULL;
}

static void a_file_that_never_stands_still_is_unsettled_or_failed(void **state)
{
	OWN_SESSION struct session s, t;
	OWN_FREE uint8_t *p = calloc(1, 30u << 20);
	struct churn c = { .path = in("log") };
	pthread_t thread;

	(void)state;
	assert_non_null(p);
	session_init(&s);
	session_init(&t);
	put("log", p, 30u << 20);
	pthread_create(&thread, NULL, rewrite, &c);
	run_ok(&s);
	t.start.flags = MSG_F_FROZEN;
	run_ok(&t);
	atomic_store(&c.stop, true);
	pthread_join(thread, NULL);
	assert_int_equal(find(&s, "log")->entry.outcome, ENTRY_UNSETTLED);
	assert_int_equal(find(&s, "log")->content, MSG_CONTENT_LARGE);
	assert_false(find(&s, "log")->entry.has & ENTRY_HAS_SCAN);
	assert_int_equal(s.aborts, 2);
	assert_int_equal(s.done.unsettled, 1);
	assert_int_equal(find(&t, "log")->entry.outcome, ENTRY_FAILED);
	assert_int_equal(t.done.failed, 1);
	assert_int_equal(t.aborts, 3);
}

/* A directory that keeps turning into a symlink to the outside: the outside is never read. */
static void *swap(void *arg)
{
	struct churn *c = arg;

	while (!atomic_load(&c->stop)) {
		(void)renameat2(AT_FDCWD, in("d"), AT_FDCWD, in("evil"), RENAME_EXCHANGE);
	}
	return NULL;
}

static void a_swapped_symlink_never_leads_outside(void **state)
{
	struct churn c = { .path = NULL };
	pthread_t thread;
	bool ok = true;

	(void)state;
	mkdir(in("d"), 0755);
	mkdir(in("d/sub"), 0755);
	put("d/sub/inside", "x", 1);
	assert_int_equal(symlink("/etc", in("evil")), 0);
	pthread_create(&thread, NULL, swap, &c);
	for (int i = 0; i < 300 && ok; i++) {
		OWN(walk_freep) struct walk *w = NULL;
		OWN_FD int root = open(dir, O_RDONLY | O_DIRECTORY);
		struct walk_item it;
		struct err e = ERR_INIT;

		ok = walk_new(&w, root, &e) == 0;
		while (ok && walk_next(w, &it, &e) > 0)
			ok = strstr(it.path, "passwd") == NULL && strstr(it.path, "hostname") == NULL;
	}
	atomic_store(&c.stop, true);
	pthread_join(thread, NULL);
	assert_true(ok);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(large_contents_travel_in_slices),
		T(holes_are_told_and_not_sent),
		T(many_sparse_files_and_links_stay_in_order_and_few_are_open),
		T(an_unreadable_directory_fails_and_its_contents_are_not_gone),
		T(very_deep_paths_are_walked),
		T(a_file_that_never_stands_still_is_unsettled_or_failed),
		T(a_swapped_symlink_never_leads_outside),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
