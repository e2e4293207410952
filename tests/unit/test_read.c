/* rooms: agent */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "agent.h"
#include "emit.h"
#include "path.h"
#include "proc.h"
#include "walk.h"

/* ---- an orchestrator that keeps everything in memory ---- */

struct object { enum msg_kind kind; uint64_t large_id, offset; struct buf stored, raw; bool ended; };
struct session {
	/* in */
	struct entry *known;	/* borrowed */
	size_t known_count;
	struct msg_start start;
	const char *role;
	/* out */
	struct msg_entry *v;
	size_t n;
	struct object *objects;	/* by ordinal - 1 */
	size_t object_count;
	uint64_t same, gone, attrs, problems, aborts;
	uint64_t last_large, open_larges, most_open;	/* large contents begun without their entry so far */
	char order[65536];	/* one letter a message: E S G */
	struct msg_done done;
	struct err e;
	/* inside */
	struct wire *w;
	int fd[2];
	char root[256];
};

static void *run_agent(void *arg)
{
	struct session *s = arg;

	(void)agent_serve(s->role, s->root, 0, NULL, s->fd[1], s->fd[1]);
	(void)close(s->fd[1]);
	return NULL;
}

static void *send_known(void *arg)
{
	struct session *s = arg;
	OWN_BUF struct buf b = BUF_INIT;
	const char *prev = NULL;
	struct err e = ERR_INIT;

	for (size_t i = 0; i < s->known_count; i++) {
		msg_known_add(&b, &s->known[i], prev);
		prev = s->known[i].path;
		if (b.len < 1000)
			continue;
		if (wire_send(s->w, WIRE_KNOWN, MSG_KNOWN, b.data, b.len, &e) < 0)
			return NULL;
		buf_reset(&b);
		prev = NULL;
	}
	if (b.len && wire_send(s->w, WIRE_KNOWN, MSG_KNOWN, b.data, b.len, &e) < 0)
		return NULL;
	return wire_end(s->w, WIRE_KNOWN, &e) < 0 ? NULL : s;
}

static int on_entry(struct session *s, const struct wire_frame *f)
{
	const char *prev = s->n ? s->v[s->n - 1].entry.path : NULL;

	s->v = realloc(s->v, (s->n + 1) * sizeof(*s->v));
	assert_non_null(s->v);
	if (msg_entry_decode(f->data, f->len, &s->v[s->n], prev, &s->e) < 0)
		return -1;
	if (s->v[s->n++].content == MSG_CONTENT_LARGE)
		s->open_larges--;
	return 0;
}

static int on_large(struct session *s, const struct wire_frame *f)
{
	OWN(msg_large_begin_dispose) struct msg_large_begin m = { .path = NULL };

	if (msg_large_begin_decode(f->data, f->len, &m, &s->e) < 0)
		return -1;
	assert_true(m.large_id > s->last_large);
	s->last_large = m.large_id;
	if (++s->open_larges > s->most_open)
		s->most_open = s->open_larges;
	return 0;
}

static int on_object(struct session *s, const struct wire_frame *f)
{
	struct msg_obj_begin b;
	struct msg_obj_end end;
	uint64_t ordinal;
	const uint8_t *p;
	size_t n;

	if (f->type == MSG_OBJ_BEGIN) {
		if (msg_obj_begin_decode(f->data, f->len, &b, &s->e) < 0)
			return -1;
		assert_int_equal(b.ordinal, s->object_count + 1);
		s->objects = realloc(s->objects, b.ordinal * sizeof(*s->objects));
		assert_non_null(s->objects);
		s->objects[s->object_count++] = (struct object){ b.kind, b.large_id, b.offset, BUF_INIT, BUF_INIT, false };
		return 0;
	}
	if (f->type == MSG_OBJ_DATA) {
		if (msg_obj_data_decode(f->data, f->len, &ordinal, &p, &n, &s->e) < 0)
			return -1;
		assert_in_range(ordinal, 1, s->object_count);
		buf_put(&s->objects[ordinal - 1].stored, p, n);
		return 0;
	}
	if (msg_obj_end_decode(f->data, f->len, &end, &s->e) < 0)
		return -1;
	assert_in_range(end.ordinal, 1, s->object_count);
	assert_int_equal(end.stored, s->objects[end.ordinal - 1].stored.len);
	s->objects[end.ordinal - 1].ended = true;
	return 0;
}

static int on_data(struct session *s, const struct wire_frame *f)
{
	size_t at = strlen(s->order);
	uint64_t v;

	if (at + 1 < sizeof(s->order))
		s->order[at] = f->type == MSG_ENTRY ? 'E' : f->type == MSG_SAME ? 'S' : f->type == MSG_GONE ? 'G' : '.';
	switch (f->type) {
	case MSG_ENTRY: return on_entry(s, f);
	case MSG_OBJ_BEGIN: case MSG_OBJ_DATA: case MSG_OBJ_END: return on_object(s, f);
	case MSG_SAME: case MSG_GONE:
		if (msg_number_decode(f->data, f->len, &v, &s->e) < 0)
			return -1;
		*(f->type == MSG_SAME ? &s->same : &s->gone) += v;
		return 0;
	case MSG_ATTR: s->attrs++; return 0;
	case MSG_PROBLEM: s->problems++; return 0;
	case MSG_LARGE_BEGIN: return on_large(s, f);
	case MSG_LARGE_ABORT: s->aborts++; s->open_larges--; return 0;
	default: return 0;
	}
}

static int converse(struct session *s)
{
	OWN_BUF struct buf b = BUF_INIT;
	OWN_FRAME struct wire_frame f = WIRE_FRAME_INIT;
	pthread_t t;
	int r;

	msg_start_encode(&b, &s->start);
	if (wire_send(s->w, WIRE_CONTROL, MSG_START, b.data, b.len, &s->e) < 0 ||
	    wire_recv(s->w, WIRE_CONTROL, &f, &s->e) != 1)
		return -1;
	assert_int_equal(f.type, MSG_READY);
	assert_int_equal(pthread_create(&t, NULL, send_known, s), 0);
	while ((r = wire_recv(s->w, WIRE_DATA, &f, &s->e)) > 0)
		if ((r = on_data(s, &f)) < 0)
			break;
	if (r < 0)
		wire_cancel(s->w);
	pthread_join(t, NULL);
	if (r < 0 || wire_recv(s->w, WIRE_CONTROL, &f, &s->e) != 1)
		return -1;
	assert_int_equal(f.type, MSG_DONE);
	return msg_done_decode(f.data, f.len, &s->done, &s->e);
}

static int run(struct session *s)
{
	struct wire_options o = { WIRE_ORCHESTRATOR, 0, 0, "test", wire_build_id(), 0 };
	pthread_t t;
	int r;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s->fd), 0);
	o.in = o.out = s->fd[0];
	assert_int_equal(pthread_create(&t, NULL, run_agent, s), 0);
	r = wire_open(&s->w, &o, &s->e);
	if (r == 0)
		r = converse(s);
	wire_close(s->w);
	(void)close(s->fd[0]);
	pthread_join(t, NULL);
	return r;
}

static void run_ok(struct session *s)
{
	if (run(s) < 0)
		fail_msg("%s", s->e.text);
	for (size_t i = 0; i < s->object_count; i++)
		assert_true(s->objects[i].ended);
	for (size_t i = 1; i < s->n; i++)
		assert_true(entry_cmp(&s->v[i - 1].entry, &s->v[i].entry) < 0);
}

static void clear_session(struct session *s)
{
	for (size_t i = 0; i < s->n; i++)
		msg_entry_dispose(&s->v[i]);
	free(s->v);
	for (size_t i = 0; i < s->object_count; i++) {
		buf_dispose(&s->objects[i].stored);
		buf_dispose(&s->objects[i].raw);
	}
	free(s->objects);
}
#define OWN_SESSION OWN(clear_session)

static struct msg_entry *find(struct session *s, const char *path)
{
	for (size_t i = 0; i < s->n; i++)
		if (strcmp(s->v[i].entry.path, path) == 0)
			return &s->v[i];
	fail_msg("no entry %s", path);
	return NULL;
}

static bool has(const struct session *s, const char *path)
{
	for (size_t i = 0; i < s->n; i++)
		if (strcmp(s->v[i].entry.path, path) == 0)
			return true;
	return false;
}

struct feed { const struct buf *b; size_t at; };

static ssize_t feed(void *ctx, void *p, size_t n, struct err *e)
{
	struct feed *f = ctx;
	size_t k = f->b->len - f->at < n ? f->b->len - f->at : n;

	(void)e;
	memcpy(p, f->b->data + f->at, k);
	f->at += k;
	return (ssize_t)k;
}

/* Content of an entry out of the objects. */
static void fetch(struct session *s, const struct msg_entry *m, struct buf *out)
{
	struct err e = ERR_INIT;
	uint8_t t[65536];
	ssize_t n;

	if (m->content == MSG_CONTENT_PACK) {
		OWN(pack_reader_freep) struct pack_reader *r = NULL;
		struct feed f = { &s->objects[m->ordinal - 1].stored, 0 };
		OWN_ENTRY struct entry en = ENTRY_INIT;

		assert_int_equal(pack_reader_new(&r, feed, &f, &e), 0);
		while (pack_next(r, &en, NULL, &e) == 1)
			if (strcmp(en.path, m->entry.path) == 0) {
				while ((n = pack_read(r, t, sizeof(t), &e)) > 0)
					buf_put(out, t, (size_t)n);
				assert_int_equal(n, 0);
				return;
			}
		fail_msg("%s is not in its pack: %s", m->entry.path, e.text);
	}
	assert_int_equal(m->content, MSG_CONTENT_LARGE);
	for (size_t i = 0; i < m->segment_count; i++) {
		const struct msg_segment *g = &m->segments[i];
		struct object *o = g->ordinal ? &s->objects[g->ordinal - 1] : NULL;

		if (o && o->raw.len == 0) {
			OWN(frame_reader_freep) struct frame_reader *r = NULL;
			struct feed f = { &o->stored, 0 };

			assert_int_equal(o->kind, MSG_KIND_SLICE);
			assert_int_equal(o->offset, out->len);
			assert_int_equal(frame_reader_new(&r, feed, &f, &e), 0);
			while ((n = frame_reader_get(r, t, sizeof(t), &e)) > 0)
				buf_put(&o->raw, t, (size_t)n);
			assert_int_equal(n, 0);
		}
		for (uint64_t k = 0; !o && k < g->length; k++)
			buf_putc(out, '\0');
		if (o) {
			assert_true(g->offset + g->length <= o->raw.len);
			buf_put(out, o->raw.data + g->offset, (size_t)g->length);
		}
	}
}

static void content_is(struct session *s, const char *path, const void *want, size_t n)
{
	struct msg_entry *m = find(s, path);
	OWN_BUF struct buf b = BUF_INIT;
	uint8_t digest[DIGEST_LEN];
	struct err e = ERR_INIT;

	fetch(s, m, &b);
	assert_int_equal(b.len, n);
	if (n)
		assert_memory_equal(b.data, want, n);
	assert_int_equal(m->entry.size, n);
	assert_int_equal(digest_sha256(want, n, digest, &e), 0);
	assert_memory_equal(digest, m->entry.sha256, DIGEST_LEN);
}

/* What the next session gets as known: this one's entries. */
static struct entry *knowledge(struct session *s)
{
	struct entry *k = calloc(s->n + 1, sizeof(*k));

	assert_non_null(k);
	for (size_t i = 0; i < s->n; i++)
		k[i] = s->v[i].entry;	/* borrowed: s outlives it */
	return k;
}

/* ---- trees ---- */

static char dir[256];

static int make_dir(void **state)
{
	const char *tmp = getenv("TMPDIR");

	(void)state;
	snprintf(dir, sizeof(dir), "%s/wb-read-XXXXXX", tmp ? tmp : "/tmp");
	return mkdtemp(dir) ? 0 : -1;
}

static int drop_dir(void **state)
{
	const char *argv[] = { "rm", "-rf", dir, NULL };
	struct proc_options o = { .argv = argv };
	OWN_PROC struct proc_result r = PROC_RESULT_INIT;
	struct err e = ERR_INIT;

	(void)state;
	return proc_run(&o, &r, &e) < 0 || r.status ? -1 : 0;
}

static const char *in(const char *name)
{
	static char path[4][1024];
	static int at;
	char *p = path[at++ % 4];

	snprintf(p, 1024, "%s/%s", dir, name);
	return p;
}

static void put(const char *name, const void *p, size_t n)
{
	OWN_FD int fd = open(in(name), O_WRONLY | O_CREAT | O_TRUNC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, p, n), (ssize_t)n);
}

static void session_init(struct session *s)
{
	memset(s, 0, sizeof(*s));
	s->role = "read";
	s->start.level = INT32_MIN;
	snprintf(s->root, sizeof(s->root), "%s", dir);
}

static void wait_out_the_racy_time(void)
{
	struct timespec t = { 2, 100000000 };

	nanosleep(&t, NULL);
}

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

#define T(name) cmocka_unit_test_setup_teardown(name, make_dir, drop_dir)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(the_walk_gives_one_order),
		T(an_unchanged_tree_sends_nothing),
		T(racy_entries_are_read_again),
		T(every_known_entry_is_accounted_for_once),
		T(hard_links_point_to_the_first_name),
		T(large_contents_travel_in_slices),
		T(holes_are_told_and_not_sent),
		T(many_sparse_files_and_links_stay_in_order_and_few_are_open),
		T(rules_skip_and_say_why),
		T(attributes_are_told_once),
		T(verify_hashes_and_sends_no_object),
		T(another_root_than_before_is_refused),
		T(a_missing_root_is_refused),
		T(an_unreadable_directory_fails_and_its_contents_are_not_gone),
		T(very_deep_paths_are_walked),
		T(a_file_that_never_stands_still_is_unsettled_or_failed),
		T(a_swapped_symlink_never_leads_outside),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
