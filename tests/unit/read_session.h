/* An orchestrator that keeps everything in memory, and trees for the agent to read; include after cmocka.h. */
#ifndef READ_SESSION_H
#define READ_SESSION_H

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "agent.h"
#include "emit.h"
#include "proc.h"

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

static inline void *run_agent(void *arg)
{
	struct session *s = arg;

	(void)agent_serve(s->role, s->root, 0, NULL, s->fd[1], s->fd[1]);
	(void)close(s->fd[1]);
	return NULL;
}

static inline void *send_known(void *arg)
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

static inline int on_entry(struct session *s, const struct wire_frame *f)
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

static inline int on_large(struct session *s, const struct wire_frame *f)
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

static inline int on_object(struct session *s, const struct wire_frame *f)
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

static inline int on_data(struct session *s, const struct wire_frame *f)
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

static inline int converse(struct session *s)
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

static inline int run(struct session *s)
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

static inline void run_ok(struct session *s)
{
	if (run(s) < 0)
		fail_msg("%s", s->e.text);
	for (size_t i = 0; i < s->object_count; i++)
		assert_true(s->objects[i].ended);
	for (size_t i = 1; i < s->n; i++)
		assert_true(entry_cmp(&s->v[i - 1].entry, &s->v[i].entry) < 0);
}

static inline void clear_session(struct session *s)
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

static inline struct msg_entry *find(struct session *s, const char *path)
{
	for (size_t i = 0; i < s->n; i++)
		if (strcmp(s->v[i].entry.path, path) == 0)
			return &s->v[i];
	fail_msg("no entry %s", path);
	return NULL;
}

static inline bool has(const struct session *s, const char *path)
{
	for (size_t i = 0; i < s->n; i++)
		if (strcmp(s->v[i].entry.path, path) == 0)
			return true;
	return false;
}

struct feed { const struct buf *b; size_t at; };

static inline ssize_t feed(void *ctx, void *p, size_t n, struct err *e)
{
	struct feed *f = ctx;
	size_t k = f->b->len - f->at < n ? f->b->len - f->at : n;

	(void)e;
	memcpy(p, f->b->data + f->at, k);
	f->at += k;
	return (ssize_t)k;
}

/* Content of an entry out of the objects. */
static inline void fetch(struct session *s, const struct msg_entry *m, struct buf *out)
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

static inline void content_is(struct session *s, const char *path, const void *want, size_t n)
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
static inline struct entry *knowledge(struct session *s)
{
	struct entry *k = calloc(s->n + 1, sizeof(*k));

	assert_non_null(k);
	for (size_t i = 0; i < s->n; i++)
		k[i] = s->v[i].entry;	/* borrowed: s outlives it */
	return k;
}

/* ---- trees ---- */

static char dir[256];

static inline int make_dir(void **state)
{
	const char *tmp = getenv("TMPDIR");

	(void)state;
	snprintf(dir, sizeof(dir), "%s/wb-read-XXXXXX", tmp ? tmp : "/tmp");
	return mkdtemp(dir) ? 0 : -1;
}

static inline int drop_dir(void **state)
{
	const char *argv[] = { "rm", "-rf", dir, NULL };
	struct proc_options o = { .argv = argv };
	OWN_PROC struct proc_result r = PROC_RESULT_INIT;
	struct err e = ERR_INIT;

	(void)state;
	return proc_run(&o, &r, &e) < 0 || r.status ? -1 : 0;
}

static inline const char *in(const char *name)
{
	static char path[4][1024];
	static int at;
	char *p = path[at++ % 4];

	snprintf(p, 1024, "%s/%s", dir, name);
	return p;
}

static inline void put(const char *name, const void *p, size_t n)
{
	OWN_FD int fd = open(in(name), O_WRONLY | O_CREAT | O_TRUNC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, p, n), (ssize_t)n);
}

static inline void session_init(struct session *s)
{
	memset(s, 0, sizeof(*s));
	s->role = "read";
	s->start.level = INT32_MIN;
	snprintf(s->root, sizeof(s->root), "%s", dir);
}

static inline void wait_out_the_racy_time(void)
{
	struct timespec t = { 2, 100000000 };

	nanosleep(&t, NULL);
}

#define T(name) cmocka_unit_test_setup_teardown(name, make_dir, drop_dir)

#endif
