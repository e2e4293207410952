/* rooms: wire */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "wire.h"

#define BUILD "00112233445566778899aabbccddeeff"

struct ends { int a[2]; struct wire *orch, *agent; const char *build; };

static void *open_agent(void *arg)
{
	struct ends *p = arg;
	struct err e = ERR_INIT;
	struct wire_options o = { WIRE_AGENT, p->a[1], p->a[1], "orchestrator", p->build, 0 };

	if (wire_open(&p->agent, &o, &e) < 0)
		p->agent = NULL;
	return NULL;
}

static void pair_up(struct ends *p, int stall_s)
{
	struct wire_options o = { WIRE_ORCHESTRATOR, 0, 0, "host old", BUILD, stall_s };
	struct err e = ERR_INIT;
	pthread_t t;

	memset(p, 0, sizeof(*p));
	p->build = BUILD;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, p->a), 0);
	o.in = o.out = p->a[0];
	assert_int_equal(pthread_create(&t, NULL, open_agent, p), 0);
	if (wire_open(&p->orch, &o, &e) < 0)
		fail_msg("%s", e.text);
	pthread_join(t, NULL);
	assert_non_null(p->agent);
}

static void part(struct ends *p)
{
	wire_close(p->orch);
	wire_close(p->agent);
	close(p->a[0]);
	if (p->a[1] >= 0)
		close(p->a[1]);
}

/* Opens the orchestrator's side on what another process would have written. */
static int open_on(const void *text, size_t n, const char *build, struct err *e)
{
	struct wire *w = NULL;
	int fd[2], r;
	struct wire_options o = { WIRE_ORCHESTRATOR, 0, 0, "host old", build, 1 };

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	o.in = o.out = fd[0];
	assert_int_equal(write(fd[1], text, n), (ssize_t)n);
	assert_int_equal(shutdown(fd[1], SHUT_WR), 0);
	r = wire_open(&w, &o, e);
	wire_close(w);
	close(fd[0]);
	close(fd[1]);
	return r;
}

static void noise_before_the_magic_line_is_skipped(void **state)
{
	static const char text[] = "Last login: today\n\033[1mWAYBILL-AGENT/ is fun\n$ WAYBILL-AGENT/1 " BUILD "\n";
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(open_on(text, sizeof(text) - 1, BUILD, &e), 0);
}

static void no_magic_line_is_unreachable_and_quotes_the_noise(void **state)
{
	static const char text[] = "sudo: a password is required\033[0m\n";
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(open_on(text, sizeof(text) - 1, BUILD, &e), -1);
	assert_int_equal(e.class, ERR_UNREACHABLE);
	assert_non_null(strstr(e.text, "host old"));
	assert_non_null(strstr(e.text, "a password is required\\033[0m"));
}

static void too_much_noise_is_unreachable(void **state)
{
	size_t n = WIRE_NOISE_MAX + 1000;
	OWN_FREE char *text = malloc(n);
	struct err e = ERR_INIT;

	(void)state;
	assert_non_null(text);
	memset(text, 'x', n);
	memcpy(text + n - 60, "\n" WIRE_MAGIC BUILD "\n", 1 + sizeof(WIRE_MAGIC) - 1 + sizeof(BUILD));
	assert_int_equal(open_on(text, n, BUILD, &e), -1);
	assert_int_equal(e.class, ERR_UNREACHABLE);
}

static void another_build_or_version_is_refused(void **state)
{
	static const char other[] = WIRE_MAGIC "abcdef\n", newer[] = "WAYBILL-AGENT/2 " BUILD "\n";
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(open_on(other, sizeof(other) - 1, BUILD, &e), -1);
	assert_int_equal(e.class, ERR_PERMANENT);
	assert_non_null(strstr(e.text, "build"));
	assert_int_equal(open_on(newer, sizeof(newer) - 1, BUILD, &e), -1);
	assert_int_equal(e.class, ERR_PERMANENT);
	assert_non_null(strstr(e.text, "protocol 2"));
	assert_int_equal(open_on(other, sizeof(other) - 1, NULL, &e), 0);
}

static void silence_at_the_start_ends_after_the_time_limit(void **state)
{
	struct wire *w = NULL;
	int fd[2];
	struct wire_options o = { WIRE_ORCHESTRATOR, 0, 0, "host old", BUILD, 1 };
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	o.in = o.out = fd[0];
	assert_int_equal(wire_open(&w, &o, &e), -1);
	assert_int_equal(e.class, ERR_UNREACHABLE);
	close(fd[0]);
	close(fd[1]);
}

static void send_ok(struct wire *w, enum wire_stream s, uint8_t type, const void *p, size_t n)
{
	struct err e = ERR_INIT;

	if (wire_send(w, s, type, p, n, &e) < 0)
		fail_msg("%s", e.text);
}

static void messages_arrive_in_order_until_the_end(void **state)
{
	struct ends p;
	struct err e = ERR_INIT;
	OWN_FRAME struct wire_frame f = WIRE_FRAME_INIT;

	(void)state;
	pair_up(&p, 0);
	send_ok(p.agent, WIRE_CONTROL, 7, "one", 3);
	send_ok(p.agent, WIRE_CONTROL, 8, NULL, 0);
	assert_int_equal(wire_end(p.agent, WIRE_CONTROL, &e), 0);
	/* The agent leaves; what it said can still be read. */
	wire_close(take_ptr(&p.agent));
	close(p.a[1]);
	p.a[1] = -1;
	assert_int_equal(wire_recv(p.orch, WIRE_CONTROL, &f, &e), 1);
	assert_int_equal(f.type, 7);
	assert_int_equal(f.len, 3);
	assert_memory_equal(f.data, "one", 3);
	assert_int_equal(wire_recv(p.orch, WIRE_CONTROL, &f, &e), 1);
	assert_int_equal(f.type, 8);
	assert_int_equal(f.len, 0);
	assert_int_equal(wire_recv(p.orch, WIRE_CONTROL, &f, &e), 0);
	/* Another stream was never ended: that is a cut connection. */
	assert_int_equal(wire_recv(p.orch, WIRE_DATA, &f, &e), -1);
	assert_int_equal(e.class, ERR_TEMPORARY);
	part(&p);
}

#define BIG (5u << 20)

static void *send_big(void *wire)
{
	uint8_t *p = malloc(BIG);
	struct err e = ERR_INIT;
	int r;

	if (!p)
		return NULL;
	for (size_t i = 0; i < BIG; i++)
		p[i] = (uint8_t)(i * 7 + (i >> 13));
	r = wire_send(wire, WIRE_DATA, 9, p, BIG, &e);
	free(p);
	return r == 0 ? wire : NULL;
}

static void a_message_longer_than_the_window_arrives_whole(void **state)
{
	struct ends p;
	struct err e = ERR_INIT;
	OWN_FRAME struct wire_frame f = WIRE_FRAME_INIT;
	pthread_t t;
	void *sent;

	(void)state;
	pair_up(&p, 0);
	assert_int_equal(pthread_create(&t, NULL, send_big, p.agent), 0);
	assert_int_equal(wire_recv(p.orch, WIRE_DATA, &f, &e), 1);
	pthread_join(t, &sent);
	assert_non_null(sent);
	assert_int_equal(f.len, BIG);
	for (size_t i = 0; i < BIG; i++)
		if (f.data[i] != (uint8_t)(i * 7 + (i >> 13)))
			fail_msg("byte %zu differs", i);
	part(&p);
}

struct flood { struct wire *w; int count; size_t size; atomic_int sent; };

static void *flood(void *arg)
{
	struct flood *f = arg;
	OWN_FREE uint8_t *p = calloc(1, f->size);
	struct err e = ERR_INIT;

	for (int i = 0; p && i < f->count; i++) {
		memcpy(p, &i, sizeof(i));
		if (wire_send(f->w, WIRE_DATA, 1, p, f->size, &e) < 0)
			return NULL;
		atomic_fetch_add(&f->sent, 1);
	}
	return p ? f : NULL;
}

static void nap(int ms)
{
	struct timespec t = { ms / 1000, (ms % 1000) * 1000000L };

	nanosleep(&t, NULL);
}

static void a_slow_consumer_stops_its_stream_only(void **state)
{
	struct ends p;
	struct err e = ERR_INIT;
	OWN_FRAME struct wire_frame f = WIRE_FRAME_INIT;
	struct flood fl = { .count = 400, .size = 65536 };
	pthread_t t;
	void *good;

	(void)state;
	pair_up(&p, 0);
	fl.w = p.agent;
	assert_int_equal(pthread_create(&t, NULL, flood, &fl), 0);
	nap(300);
	/* The window holds so many such messages; without a consumer the sender stands still there. */
	assert_in_range(atomic_load(&fl.sent), WIRE_WINDOW / 65536 - 4, WIRE_WINDOW / 65536);
	send_ok(p.agent, WIRE_CONTROL, 5, "x", 1);
	assert_int_equal(wire_recv(p.orch, WIRE_CONTROL, &f, &e), 1);
	send_ok(p.orch, WIRE_DATA, 5, "x", 1);
	assert_int_equal(wire_recv(p.agent, WIRE_DATA, &f, &e), 1);
	for (int i = 0; i < fl.count; i++) {
		assert_int_equal(wire_recv(p.orch, WIRE_DATA, &f, &e), 1);
		assert_memory_equal(f.data, &i, sizeof(i));
	}
	pthread_join(t, &good);
	assert_non_null(good);
	part(&p);
}

static void both_ways_at_full_rate_never_lock(void **state)
{
	struct ends p;
	struct err e = ERR_INIT;
	OWN_FRAME struct wire_frame f = WIRE_FRAME_INIT;
	struct flood a = { .count = 300, .size = 100000 }, b = a;
	pthread_t ta, tb;

	(void)state;
	pair_up(&p, 0);
	a.w = p.agent;
	b.w = p.orch;
	pthread_create(&ta, NULL, flood, &a);
	pthread_create(&tb, NULL, flood, &b);
	for (int i = 0; i < 300; i++) {
		assert_int_equal(wire_recv(p.orch, WIRE_DATA, &f, &e), 1);
		assert_int_equal(wire_recv(p.agent, WIRE_DATA, &f, &e), 1);
	}
	pthread_join(ta, NULL);
	pthread_join(tb, NULL);
	part(&p);
}

/* The orchestrator reads, from a file of bytes, what an agent sent once. */
static int replay(const uint8_t *p, size_t n, struct err *e)
{
	struct wire *w = NULL;
	int fd[2], r;
	struct wire_options o = { WIRE_ORCHESTRATOR, 0, 0, "host old", BUILD, 1 };
	OWN_FRAME struct wire_frame f = WIRE_FRAME_INIT;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	o.in = o.out = fd[0];
	assert_int_equal(write(fd[1], p, n), (ssize_t)n);
	assert_int_equal(shutdown(fd[1], SHUT_WR), 0);
	r = wire_open(&w, &o, e);
	while (r == 0 && (r = wire_recv(w, WIRE_DATA, &f, e)) > 0)
		r = f.type == 3 && f.len == 11 && memcmp(f.data, "hello world", 11) == 0 ? 0 : -2;
	wire_close(w);
	close(fd[0]);
	close(fd[1]);
	return r;
}

/* What an agent writes for one message and the end of its stream. */
static size_t record(uint8_t *to, size_t max)
{
	int fd[2];
	struct wire *w = NULL;
	struct wire_options o = { WIRE_AGENT, 0, 0, "orchestrator", BUILD, 0 };
	struct err e = ERR_INIT;
	ssize_t n;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	o.in = o.out = fd[1];
	assert_int_equal(wire_open(&w, &o, &e), 0);
	nap(100);	/* the first ALIVE goes before, so that the last frame is one that is waited for */
	send_ok(w, WIRE_DATA, 3, "hello world", 11);
	assert_int_equal(wire_end(w, WIRE_DATA, &e), 0);
	wire_close(w);
	n = recv(fd[0], to, max, MSG_DONTWAIT);
	close(fd[0]);
	close(fd[1]);
	assert_true(n > 0);
	return (size_t)n;
}

static void every_flipped_bit_is_noticed(void **state)
{
	uint8_t good[512], bad[512];
	size_t n = record(good, sizeof(good)), start = strlen(WIRE_MAGIC BUILD "\n");
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(replay(good, n, &e), 0);
	for (size_t bit = start * 8; bit < n * 8; bit++) {
		memcpy(bad, good, n);
		bad[bit / 8] ^= (uint8_t)(1 << (bit % 8));
		err_clear(&e);
		if (replay(bad, n, &e) != -1)
			fail_msg("bit %zu flipped unseen", bit);
		if (e.class != ERR_INTEGRITY && e.class != ERR_TEMPORARY)
			fail_msg("bit %zu: class %d", bit, (int)e.class);
	}
}

static void a_peer_that_overruns_its_window_is_cut_off(void **state)
{
	struct ends p;
	struct err e = ERR_INIT;
	OWN_FRAME struct wire_frame f = WIRE_FRAME_INIT;
	uint8_t one[512];
	size_t n = record(one, sizeof(one)), head = strlen(WIRE_MAGIC BUILD "\n"), at = head;
	int fd[2];
	struct wire_options o = { WIRE_ORCHESTRATOR, 0, 0, "host old", BUILD, 5 };

	(void)state;
	memset(&p, 0, sizeof(p));
	while (at < n && !(one[at + 4] == 3 && one[at + 5] == WIRE_DATA))	/* past ALIVE */
		at += 12u + one[at];
	assert_true(at < n);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	o.in = o.out = fd[0];
	assert_int_equal(write(fd[1], one, head), (ssize_t)head);
	assert_int_equal(wire_open(&p.orch, &o, &e), 0);
	for (size_t sent = 0; sent <= WIRE_WINDOW; sent += 23)
		if (send(fd[1], one + at, 23, MSG_NOSIGNAL) != 23)
			break;
	while (wire_recv(p.orch, WIRE_ACK, &f, &e) == 1)
		;
	assert_int_equal(e.class, ERR_INTEGRITY);
	assert_non_null(strstr(e.text, "window"));
	wire_close(p.orch);
	close(fd[0]);
	close(fd[1]);
}

static void a_failure_reaches_the_peer_with_class_and_text(void **state)
{
	struct ends p;
	struct err e = ERR_INIT, why = ERR_INIT;
	OWN_FRAME struct wire_frame f = WIRE_FRAME_INIT;

	(void)state;
	pair_up(&p, 0);
	err_set(&why, ERR_REFUSED, "root is \\033 not\033[0m there");
	wire_fail(p.agent, &why);
	assert_int_equal(wire_recv(p.orch, WIRE_DATA, &f, &e), -1);
	assert_int_equal(e.class, ERR_REFUSED);
	assert_string_equal(e.text, "host old: root is \\033 not\\033[0m there");
	assert_int_equal(wire_send(p.orch, WIRE_DATA, 1, "x", 1, &e), -1);
	assert_int_equal(e.class, ERR_REFUSED);
	part(&p);
}

static void *cancel_soon(void *wire)
{
	nap(100);
	wire_cancel(wire);
	return NULL;
}

static void cancel_frees_readers_and_writers_at_once(void **state)
{
	struct ends p;
	struct err e = ERR_INIT;
	OWN_FRAME struct wire_frame f = WIRE_FRAME_INIT;
	struct flood fl = { .count = 100000, .size = 65536 };
	pthread_t t, c;
	int64_t start = clock_mono_ns();
	void *good;

	(void)state;
	pair_up(&p, 0);
	fl.w = p.orch;	/* nobody reads: stuck for credit */
	pthread_create(&t, NULL, flood, &fl);
	pthread_create(&c, NULL, cancel_soon, p.orch);
	assert_int_equal(wire_recv(p.orch, WIRE_DATA, &f, &e), -1);
	assert_int_equal(e.class, ERR_CANCELLED);
	pthread_join(t, &good);
	pthread_join(c, NULL);
	assert_null(good);
	assert_true(clock_mono_ns() - start < 20000000000LL);
	part(&p);
}

static void cancel_frees_a_writer_whose_peer_reads_nothing(void **state)
{
	int fd[2];
	struct wire *w = NULL;
	struct wire_options o = { WIRE_AGENT, 0, 0, "orchestrator", BUILD, 0 };
	struct flood fl = { .count = 60, .size = 65536 };
	struct err e = ERR_INIT;
	pthread_t t;
	void *good;
	int64_t start = clock_mono_ns();

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	o.in = o.out = fd[1];
	assert_int_equal(wire_open(&w, &o, &e), 0);
	fl.w = w;
	pthread_create(&t, NULL, flood, &fl);
	nap(100);
	assert_in_range(atomic_load(&fl.sent), 0, 59);
	wire_cancel(w);
	pthread_join(t, &good);
	assert_null(good);
	wire_close(w);
	assert_true(clock_mono_ns() - start < 20000000000LL);
	close(fd[0]);
	close(fd[1]);
}

static void a_dead_peer_is_noticed_by_its_silence(void **state)
{
	struct wire *w = NULL;
	int fd[2];
	struct wire_options o = { WIRE_ORCHESTRATOR, 0, 0, "host old", BUILD, 1 };
	struct err e = ERR_INIT;
	OWN_FRAME struct wire_frame f = WIRE_FRAME_INIT;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	o.in = o.out = fd[0];
	assert_true(write(fd[1], WIRE_MAGIC BUILD "\n", strlen(WIRE_MAGIC BUILD "\n")) > 0);
	assert_int_equal(wire_open(&w, &o, &e), 0);
	assert_int_equal(wire_recv(w, WIRE_DATA, &f, &e), -1);
	assert_int_equal(e.class, ERR_TEMPORARY);
	assert_non_null(strstr(e.text, "no sign of life"));
	wire_close(w);
	close(fd[0]);
	close(fd[1]);
}

static void a_living_but_quiet_peer_is_no_stall(void **state)
{
	struct ends p;
	struct err e = ERR_INIT;
	OWN_FRAME struct wire_frame f = WIRE_FRAME_INIT;
	char word[WIRE_STATE_MAX];

	(void)state;
	pair_up(&p, 6);	/* ALIVE comes every 5 s */
	wire_set_state(p.agent, "sync");
	nap(7000);
	send_ok(p.agent, WIRE_DATA, 1, "x", 1);
	assert_int_equal(wire_recv(p.orch, WIRE_DATA, &f, &e), 1);
	wire_peer_state(p.orch, word);
	assert_string_equal(word, "sync");
	part(&p);
}

static void a_message_after_the_end_is_our_own_bug(void **state)
{
	struct ends p;
	struct err e = ERR_INIT;

	(void)state;
	pair_up(&p, 0);
	assert_int_equal(wire_end(p.agent, WIRE_DATA, &e), 0);
	assert_int_equal(wire_send(p.agent, WIRE_DATA, 1, "x", 1, &e), -1);
	assert_int_equal(e.class, ERR_BUG);
	part(&p);
}

/* ---- lanes ---- */

struct lane_pair { int a[2]; struct wire_lane *orch, *agent; struct wire *agent_wire; atomic_int done; };

static void lane_done(void *ctx) { atomic_fetch_add((atomic_int *)ctx, 1); }

static void *add_agent_lane(void *arg)
{
	struct lane_pair *l = arg;
	struct wire_lane_options o = { l->a[1], l->a[1], BUILD, lane_done, &l->done };
	struct err e = ERR_INIT;

	if (wire_lane_add(l->agent_wire, &o, &l->agent, &e) < 0)
		l->agent = NULL;
	return NULL;
}

static void add_lane(struct ends *p, struct lane_pair *l)
{
	struct wire_lane_options o = { .build = BUILD };
	struct err e = ERR_INIT;
	pthread_t t;

	memset(l, 0, sizeof(*l));
	l->agent_wire = p->agent;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, l->a), 0);
	o.in = o.out = l->a[0];
	assert_int_equal(pthread_create(&t, NULL, add_agent_lane, l), 0);
	if (wire_lane_add(p->orch, &o, &l->orch, &e) < 0)
		fail_msg("%s", e.text);
	pthread_join(t, NULL);
	assert_non_null(l->agent);
}

#define MANY 3000

/* Every message says its number; sizes go from nothing to more than a frame. */
static size_t size_of(unsigned i) { return i % 7 == 0 ? 4 : i % 500 == 1 ? WIRE_PAYLOAD_MAX + 77777 : 4 + (i * 2654435761u) % 60000; }

static void *send_many(void *arg)
{
	struct wire *w = arg;
	uint8_t *p = calloc(1, 2 * WIRE_PAYLOAD_MAX);
	struct err e = ERR_INIT;

	for (unsigned i = 0; i < MANY; i++) {
		memcpy(p, &i, sizeof(i));
		if (wire_send(w, WIRE_DATA, 9, p, size_of(i), &e) < 0)
			break;
	}
	free(p);
	return wire_end(w, WIRE_DATA, &e) < 0 ? NULL : w;
}

static void receive_many(struct wire *w)
{
	OWN_FRAME struct wire_frame f = WIRE_FRAME_INIT;
	struct err e = ERR_INIT;

	for (unsigned i = 0; i < MANY; i++) {
		unsigned n;

		if (wire_recv(w, WIRE_DATA, &f, &e) != 1)
			fail_msg("message %u: %s", i, e.text);
		memcpy(&n, f.data, sizeof(n));
		assert_int_equal(n, i);
		assert_int_equal(f.len, size_of(i));
	}
	assert_int_equal(wire_recv(w, WIRE_DATA, &f, &e), 0);
}

static void messages_over_lanes_arrive_in_order(void **state)
{
	struct lane_pair l[3];
	struct ends p;
	pthread_t t;
	void *good;

	(void)state;
	pair_up(&p, 0);
	assert_int_equal(pthread_create(&t, NULL, send_many, p.orch), 0);
	/* They come in the middle of it, and one goes again. */
	for (int i = 0; i < 3; i++)
		add_lane(&p, &l[i]);
	wire_lane_retire(p.orch, l[0].orch);
	wire_lane_retire(p.orch, NULL);
	receive_many(p.agent);
	pthread_join(t, &good);
	assert_non_null(good);
	for (int i = 0; i < 100 && !wire_lane_over(l[0].orch); i++)
		nap(20);
	assert_true(wire_lane_over(l[0].orch));
	assert_true(wire_lane_bytes(p.orch, l[1].orch) > WIRE_PAYLOAD_MAX);
	assert_false(wire_lost(p.orch));
	part(&p);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(atomic_load(&l[i].done), 1);
		close(l[i].a[0]);
		close(l[i].a[1]);
	}
}

static void a_lane_that_is_cut_is_a_connection_lost(void **state)
{
	OWN_FRAME struct wire_frame f = WIRE_FRAME_INIT;
	struct err e = ERR_INIT;
	struct lane_pair l;
	struct ends p;

	(void)state;
	pair_up(&p, 0);
	add_lane(&p, &l);
	assert_int_equal(shutdown(l.a[1], SHUT_RDWR), 0);
	assert_int_equal(wire_recv(p.orch, WIRE_DATA, &f, &e), -1);
	assert_int_equal(e.class, ERR_TEMPORARY);
	assert_true(wire_lost(p.orch));
	part(&p);
	close(l.a[0]);
	close(l.a[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(noise_before_the_magic_line_is_skipped),
		cmocka_unit_test(no_magic_line_is_unreachable_and_quotes_the_noise),
		cmocka_unit_test(too_much_noise_is_unreachable),
		cmocka_unit_test(another_build_or_version_is_refused),
		cmocka_unit_test(silence_at_the_start_ends_after_the_time_limit),
		cmocka_unit_test(messages_arrive_in_order_until_the_end),
		cmocka_unit_test(a_message_longer_than_the_window_arrives_whole),
		cmocka_unit_test(a_slow_consumer_stops_its_stream_only),
		cmocka_unit_test(both_ways_at_full_rate_never_lock),
		cmocka_unit_test(every_flipped_bit_is_noticed),
		cmocka_unit_test(a_peer_that_overruns_its_window_is_cut_off),
		cmocka_unit_test(a_failure_reaches_the_peer_with_class_and_text),
		cmocka_unit_test(cancel_frees_readers_and_writers_at_once),
		cmocka_unit_test(cancel_frees_a_writer_whose_peer_reads_nothing),
		cmocka_unit_test(a_dead_peer_is_noticed_by_its_silence),
		cmocka_unit_test(a_living_but_quiet_peer_is_no_stall),
		cmocka_unit_test(messages_over_lanes_arrive_in_order),
		cmocka_unit_test(a_lane_that_is_cut_is_a_connection_lost),
		cmocka_unit_test(a_message_after_the_end_is_our_own_bug),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
