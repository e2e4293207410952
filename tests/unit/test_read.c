/* rooms: agent */
/* What a session tells of the entries of a tree. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <sys/un.h>
#include <sys/xattr.h>

#include "read_session.h"

static void the_walk_gives_one_order(void **state)
{
	static const char *const want[] = { ".", "a", "a/b", "a/z", "a.b", "a0", "b" };
	OWN_SESSION struct session s;

	(void)state;
	session_init(&s);
	mkdir(in("a"), 0755);
	put("a.b", "", 0);
	put("a/z", "z", 1);
	put("a/b", "b", 1);
	put("a0", "0", 1);
	put("b", "b", 1);
	run_ok(&s);
	assert_int_equal(s.n, 7);
	for (size_t i = 0; i < 7; i++)
		assert_string_equal(s.v[i].entry.path, want[i]);
	assert_int_equal(s.done.scanned, 7);
	assert_int_equal(s.done.copied, 7);
	content_is(&s, "a/z", "z", 1);
	content_is(&s, "a.b", "", 0);
	assert_int_equal(find(&s, "a")->content, MSG_CONTENT_PACK);
}

static void an_unchanged_tree_sends_nothing(void **state)
{
	OWN_SESSION struct session s, t;
	OWN_FREE struct entry *k = NULL;

	(void)state;
	session_init(&s);
	session_init(&t);
	for (int i = 0; i < 500; i++) {
		char name[32];

		snprintf(name, sizeof(name), "f%03d", i);
		put(name, name, strlen(name));
	}
	assert_int_equal(link(in("f001"), in("g")), 0);
	wait_out_the_racy_time();
	run_ok(&s);
	t.known = k = knowledge(&s);
	t.known_count = s.n;
	run_ok(&t);
	assert_int_equal(t.n, 0);
	assert_int_equal(t.same, s.n);
	assert_string_equal(t.order, "S");
	assert_int_equal(t.done.unchanged, s.n);
	assert_int_equal(t.done.bytes, 0);
}

static void racy_entries_are_read_again(void **state)
{
	OWN_SESSION struct session s, t;
	OWN_FREE struct entry *k = NULL;

	(void)state;
	session_init(&s);
	session_init(&t);
	put("f", "x", 1);
	run_ok(&s);
	assert_true(find(&s, "f")->entry.scan.racy);
	t.known = k = knowledge(&s);
	t.known_count = s.n;
	run_ok(&t);
	assert_int_equal(find(&t, "f")->content, MSG_CONTENT_KEPT);
	assert_int_equal(t.done.bytes, 1);
}

static void every_known_entry_is_accounted_for_once(void **state)
{
	OWN_SESSION struct session s, t;
	OWN_FREE struct entry *k = NULL;

	(void)state;
	session_init(&s);
	session_init(&t);
	for (char c = 'a'; c <= 'h'; c++)
		put((char[]){ c, '\0' }, &c, 1);
	mkdir(in("d1"), 0755);
	put("d1/x", "x", 1);
	wait_out_the_racy_time();
	run_ok(&s);
	unlink(in("a"));
	unlink(in("d1/x"));
	rmdir(in("d1"));
	unlink(in("h"));
	put("c", "C", 1);		/* same size, other content */
	put("e1", "new", 3);
	utimensat(AT_FDCWD, in("f"), NULL, 0);	/* touched only */
	t.known = k = knowledge(&s);
	t.known_count = s.n;
	run_ok(&t);
	/* . changed | a gone | b same | c | d same | d1 d1/x gone | e same | e1 new | f | g same | h gone; dots are objects */
	OWN_BUF struct buf seen = BUF_INIT;
	for (const char *p = t.order; *p; p++)
		if (*p != '.')
			buf_putc(&seen, *p);
	assert_string_equal(seen.data, "EGSESGSEESG");
	assert_int_equal(t.same, 4);
	assert_int_equal(t.gone, 4);
	content_is(&t, "c", "C", 1);
	content_is(&t, "e1", "new", 3);
	assert_int_equal(find(&t, "f")->content, MSG_CONTENT_KEPT);
	assert_int_equal(t.done.scanned, 8);
	assert_int_equal(t.done.unchanged, 4);
	assert_int_equal(t.done.copied, 4);
}

static void hard_links_point_to_the_first_name(void **state)
{
	char rule[] = "/d/first";
	char *exclude[] = { rule, NULL };
	OWN_SESSION struct session s, t, u;
	OWN_FREE struct entry *k = NULL;

	(void)state;
	session_init(&s);
	session_init(&t);
	session_init(&u);
	mkdir(in("d"), 0755);
	put("m", "shared", 6);
	link(in("m"), in("d/first"));
	link(in("m"), in("z"));
	wait_out_the_racy_time();
	run_ok(&s);
	assert_null(find(&s, "d/first")->entry.link_to);
	content_is(&s, "d/first", "shared", 6);
	assert_string_equal(find(&s, "m")->entry.link_to, "d/first");
	assert_int_equal(find(&s, "m")->content, MSG_CONTENT_NONE);
	assert_string_equal(find(&s, "z")->entry.link_to, "d/first");
	assert_memory_equal(find(&s, "z")->entry.sha256, find(&s, "d/first")->entry.sha256, DIGEST_LEN);
	assert_int_equal(s.done.bytes, 6);
	/* The first name is left out, or goes: the next one must carry the content. */
	u.known = t.known = k = knowledge(&s);
	u.known_count = t.known_count = s.n;
	u.start.exclude = exclude;
	run_ok(&u);
	content_is(&u, "m", "shared", 6);
	assert_string_equal(find(&u, "z")->entry.link_to, "m");
	unlink(in("d/first"));
	run_ok(&t);
	assert_null(find(&t, "m")->entry.link_to);
	content_is(&t, "m", "shared", 6);
	assert_string_equal(find(&t, "z")->entry.link_to, "m");
}

static void rules_skip_and_say_why(void **state)
{
	char ex[] = "cache/**", ex2[] = "*.tmp", inc[] = "keep.tmp", lo[] = "*.iso";
	char *excl[] = { ex, ex2, NULL }, *incl[] = { inc, NULL }, *list[] = { lo, NULL };
	OWN_SESSION struct session s, t;
	OWN_FREE struct entry *k = NULL;
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	(void)state;
	session_init(&s);
	session_init(&t);
	mkdir(in("cache"), 0755);
	mkdir(in("cache/deep"), 0755);
	put("cache/deep/x", "x", 1);
	put("a.tmp", "x", 1);
	put("keep.tmp", "x", 1);
	put("d.iso", "iso", 3);
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", in("sock"));
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	close(fd);
	wait_out_the_racy_time();
	s.start.exclude = excl;
	s.start.include = incl;
	s.start.list_only = list;
	run_ok(&s);
	assert_int_equal(find(&s, "cache")->entry.outcome, ENTRY_COPIED);
	assert_int_equal(find(&s, "cache/deep")->entry.outcome, ENTRY_SKIPPED);
	assert_string_equal(find(&s, "cache/deep")->entry.note, "excluded: cache/**");
	assert_false(has(&s, "cache/deep/x"));
	assert_int_equal(find(&s, "a.tmp")->entry.outcome, ENTRY_SKIPPED);
	assert_int_equal(find(&s, "keep.tmp")->entry.outcome, ENTRY_COPIED);
	assert_string_equal(find(&s, "sock")->entry.note, "socket");
	assert_string_equal(find(&s, "d.iso")->entry.note, "list_only");
	assert_int_equal(find(&s, "d.iso")->content, MSG_CONTENT_NONE);
	assert_true(find(&s, "d.iso")->entry.has & ENTRY_HAS_SHA256);
	assert_int_equal(s.done.skipped, 3);
	/* Without the rule the listed file's content is not in the archive: it must come now. */
	t.known = k = knowledge(&s);
	t.known_count = s.n;
	run_ok(&t);
	content_is(&t, "d.iso", "iso", 3);
	content_is(&t, "a.tmp", "x", 1);
	assert_true(has(&t, "cache/deep/x"));
}

static void attributes_are_told_once(void **state)
{
	OWN_SESSION struct session s;

	(void)state;
	session_init(&s);
	put("a", "a", 1);
	put("b", "b", 1);
	if (setxattr(in("a"), "user.note", "v", 1, 0) < 0)
		skip();
	assert_int_equal(setxattr(in("b"), "user.note", "v", 1, 0), 0);
	assert_int_equal(symlink("nowhere", in("l")), 0);
	assert_int_equal(mkfifo(in("p"), 0640), 0);
	run_ok(&s);
	assert_true(find(&s, "a")->entry.has & ENTRY_HAS_XATTR);
	assert_memory_equal(find(&s, "a")->entry.xattr, find(&s, "b")->entry.xattr, DIGEST_LEN);
	assert_int_equal(s.attrs, 1);
	assert_string_equal(find(&s, "l")->entry.target, "nowhere");
	assert_int_equal(find(&s, "p")->entry.type, ENTRY_FIFO);
	assert_int_equal(find(&s, "p")->entry.mode, 0640);
}

static void verify_hashes_and_sends_no_object(void **state)
{
	OWN_SESSION struct session s;

	(void)state;
	session_init(&s);
	put("a", "abc", 3);
	s.role = "verify";
	s.start.flags = MSG_F_MEDIUM | MSG_F_SM3;
	run_ok(&s);
	assert_int_equal(s.object_count, 0);
	assert_int_equal(find(&s, "a")->content, MSG_CONTENT_NONE);
	assert_int_equal(find(&s, "a")->entry.sha256[0], 0xba);
	assert_int_equal(find(&s, "a")->entry.sm3[0], 0x66);
	assert_int_equal(s.done.bytes, 3);
}

static void another_root_than_before_is_refused(void **state)
{
	OWN_SESSION struct session s;
	char id[] = "0000000000000001:1";

	(void)state;
	session_init(&s);
	s.start.identity = id;
	assert_int_equal(run(&s), -1);
	assert_int_equal(s.e.class, ERR_REFUSED);
	assert_non_null(strstr(s.e.text, dir));
}

static void a_missing_root_is_refused(void **state)
{
	OWN_SESSION struct session s;

	(void)state;
	session_init(&s);
	strcat(s.root, "/absent");
	assert_int_equal(run(&s), -1);
	assert_int_equal(s.e.class, ERR_REFUSED);
	assert_non_null(strstr(s.e.text, "absent"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(the_walk_gives_one_order),
		T(an_unchanged_tree_sends_nothing),
		T(racy_entries_are_read_again),
		T(every_known_entry_is_accounted_for_once),
		T(hard_links_point_to_the_first_name),
		T(rules_skip_and_say_why),
		T(attributes_are_told_once),
		T(verify_hashes_and_sends_no_object),
		T(another_root_than_before_is_refused),
		T(a_missing_root_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
