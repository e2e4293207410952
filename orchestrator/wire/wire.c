#include "wire_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>

#include "clock.h"

void wire_frame_dispose(struct wire_frame *f)
{
	free(f->data);
	*f = (struct wire_frame)WIRE_FRAME_INIT;
}

void wire_free_queued(struct queued *q)
{
	while (q) {
		struct queued *next = q->next;

		free(q->data);
		free(q);
		q = next;
	}
}

static void init_sync(struct wire *w)
{
	pthread_condattr_t mono;

	pthread_condattr_init(&mono);
	pthread_condattr_setclock(&mono, CLOCK_MONOTONIC);
	pthread_mutex_init(&w->lock, NULL);
	pthread_mutex_init(&w->out.lock, NULL);
	pthread_cond_init(&w->changed, &mono);
	pthread_cond_init(&w->held_some, &mono);
	for (int i = 0; i < WIRE_STREAMS; i++) {
		struct stream *s = &w->s[i];

		s->tail = &s->head;
		s->window = WIRE_WINDOW;
		pthread_cond_init(&s->readable, &mono);
		pthread_cond_init(&s->writable, &mono);
		pthread_mutex_init(&s->sending, NULL);
		pthread_mutex_init(&s->receiving, NULL);
	}
	pthread_condattr_destroy(&mono);
}

static void destroy_sync(struct wire *w)
{
	for (int i = 0; i < WIRE_STREAMS; i++) {
		struct stream *s = &w->s[i];

		pthread_cond_destroy(&s->readable);
		pthread_cond_destroy(&s->writable);
		pthread_mutex_destroy(&s->sending);
		pthread_mutex_destroy(&s->receiving);
	}
	pthread_cond_destroy(&w->changed);
	pthread_cond_destroy(&w->held_some);
	pthread_mutex_destroy(&w->out.lock);
	pthread_mutex_destroy(&w->lock);
}

static struct wire *new_wire(const struct wire_options *o)
{
	struct wire *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->side = o->side;
	w->in.fd = o->in;
	w->out.fd = o->out;
	w->stall_s = o->stall_s ? o->stall_s : o->side == WIRE_AGENT ? AGENT_STALL_S : STALL_S;
	w->in_flags = w->out_flags = -1;
	w->in.last = clock_mono_ns();
	(void)snprintf(w->peer, sizeof(w->peer), "%s", o->peer ? o->peer : "peer");
	init_sync(w);
	wire_lanes_init(w);
	w->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	w->in.buf = malloc(IN_CAP);
	w->held = malloc(HELD_CAP + SMALL_FRAME + HEADER_LEN);
	if (w->wake < 0 || !w->in.buf || !w->held) {
		wire_close(w);
		return NULL;
	}
	return w;
}

/* The fds do not block while we have them: a thread that waits must be able to hear of the end. */
static int unblock_fds(struct wire *w, struct err *e)
{
	w->in_flags = fcntl(w->in.fd, F_GETFL);
	w->out_flags = fcntl(w->out.fd, F_GETFL);
	if (w->in_flags < 0 || w->out_flags < 0 || fcntl(w->in.fd, F_SETFL, w->in_flags | O_NONBLOCK) < 0 ||
	    fcntl(w->out.fd, F_SETFL, w->out_flags | O_NONBLOCK) < 0)
		return err_sys(e, "%s: the connection's descriptors", w->peer);
	return 0;
}

static int start_threads(struct wire *w, struct err *e)
{
	errno = pthread_create(&w->receiver, NULL, wire_receiver, w);
	if (errno)
		return err_sys(e, "%s: starting the receiver", w->peer);
	w->receiver_runs = true;
	errno = pthread_create(&w->flusher, NULL, wire_flusher, w);
	if (errno)
		return err_sys(e, "%s: starting the flusher", w->peer);
	w->flusher_runs = true;
	errno = pthread_create(&w->alive, NULL, wire_beat, w);
	if (errno)
		return err_sys(e, "%s: starting the alive thread", w->peer);
	w->alive_runs = true;
	return 0;
}

/* Before the peer has said anything, which saves the time of a round trip.  A peer that does not take it is found out by its silence. */
static int send_first(struct wire *w, const struct wire_first *f, struct err *e)
{
	struct header h = { 0, 0, WIRE_CONTROL, 0 };

	if (!f)
		return 0;
	if (f->len > WIRE_FIRST_MAX)
		return err_set(e, ERR_BUG, "%s: a first message of %zu bytes", w->peer, f->len);
	h.len = (uint32_t)f->len;
	h.type = f->type;
	w->s[WIRE_CONTROL].window -= FRAME_COST(f->len);
	w->s[WIRE_CONTROL].next_out++;
	if (wire_put_frame(w, &h, f->data, false) == 0)
		(void)!wire_flush(w, false);
	return 0;
}

int wire_open(struct wire **out, const struct wire_options *o, struct err *e) { return wire_open_with(out, o, NULL, e); }

int wire_open_with(struct wire **out, const struct wire_options *o, const struct wire_first *first, struct err *e)
{
	OWN(wire_closep) struct wire *w = new_wire(o);

	(void)signal(SIGPIPE, SIG_IGN);	/* a peer that left is an error to report, not our death */
	if (!w)
		return err_sys(e, "%s: opening the connection", o->peer ? o->peer : "peer");
	if (unblock_fds(w, e) < 0 || send_first(w, first, e) < 0 || wire_hello(w, &w->in, &w->out, o->build, e) < 0 || start_threads(w, e) < 0)
		return -1;
	*out = take_ptr(&w);
	return 0;
}

/* With lock held: what ended the connection. */
static int report(const struct wire *w, struct err *e)
{
	*e = w->why;
	return -1;
}

/* A write failed: the receiver usually learns the true reason (FAIL, end) within moments. */
static int write_failed(struct wire *w, struct err *e)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += 2;
	pthread_mutex_lock(&w->lock);
	while (w->life == WIRE_ALIVE)
		if (pthread_cond_timedwait(&w->changed, &w->lock, &t) == ETIMEDOUT)
			break;
	if (w->life == WIRE_ALIVE)
		err_set(e, ERR_TEMPORARY, "%s: the connection no longer takes data; run the same command again", w->peer);
	else
		*e = w->why;
	pthread_mutex_unlock(&w->lock);
	wire_set_lost(w, WIRE_EOF, e);
	return -1;
}

static int take_credit(struct wire *w, struct stream *s, uint64_t cost, struct err *e)
{
	int r = 0;

	pthread_mutex_lock(&w->lock);
	while (w->life == WIRE_ALIVE && s->window < cost)
		pthread_cond_wait(&s->writable, &w->lock);
	if (w->life != WIRE_ALIVE)
		r = report(w, e);
	else if (s->closed)
		r = err_set(e, ERR_BUG, "%s: message on a stream that was ended", w->peer);
	else
		s->window -= cost;
	pthread_mutex_unlock(&w->lock);
	return r;
}

void wire_set_rate(struct wire *w, uint64_t rate)
{
	pthread_mutex_lock(&w->lock);
	w->pace.rate = rate;
	w->pace.free_at = 0;
	pthread_cond_broadcast(&w->changed);
	pthread_mutex_unlock(&w->lock);
}

void wire_limit(struct wire *w, uint64_t rate)
{
	OWN_BUF struct buf b = BUF_INIT;
	struct header h = { 0, LINK_RATE, LINK_STREAM, 0 };

	wire_set_rate(w, rate);
	buf_put_varint(&b, rate);
	h.len = (uint32_t)b.len;
	/* A peer that is gone sends nothing anyway. */
	if (b.failed || wire_put_frame(w, &h, b.data, false) < 0)
		return;
}

/* Waits until cost more bytes keep to the rate; a new rate counts at once. */
static void keep_pace(struct wire *w, uint64_t cost)
{
	pthread_mutex_lock(&w->lock);
	while (w->life == WIRE_ALIVE && w->pace.rate) {
		struct pace was = w->pace;
		int64_t until = clock_mono_ns() + pace_wait(&w->pace, cost, clock_mono_ns());
		struct timespec t = { until / 1000000000, until % 1000000000 };

		while (w->life == WIRE_ALIVE && w->pace.rate == was.rate && clock_mono_ns() < until)
			(void)pthread_cond_timedwait(&w->changed, &w->lock, &t);
		if (w->pace.rate == was.rate)
			break;
	}
	pthread_mutex_unlock(&w->lock);
}

static uint32_t piece_max(struct wire *w)
{
	uint32_t n;

	pthread_mutex_lock(&w->lock);
	n = pace_piece(&w->pace, WIRE_PAYLOAD_MAX);
	pthread_mutex_unlock(&w->lock);
	return n;
}

/* Small ones stay on the leader, where they find company. */
static int send_frame(struct wire *w, struct stream *s, struct header *h, const uint8_t *p, struct err *e)
{
	uint8_t small[NUMBER_LEN + SMALL_FRAME];
	int r;

	s->numbered_out = wire_lanes_used(w) || s->numbered_out;
	if (take_credit(w, s, FRAME_COST(h->len + (s->numbered_out ? NUMBER_LEN : 0)), e) < 0)
		return -1;
	if (!s->numbered_out) {
		s->next_out++;
		return wire_put_frame(w, h, p, false) < 0 ? write_failed(w, e) : 0;
	}
	h->flags |= FRAME_NUMBER;
	h->len += NUMBER_LEN;
	if (h->len > SMALL_FRAME)
		return wire_lanes_take(w, h, p, s->next_out++, e);
	wire_put_number(small, s->next_out++);
	if (h->len > NUMBER_LEN)
		memcpy(small + NUMBER_LEN, p, h->len - NUMBER_LEN);
	r = wire_put_frame(w, h, small, false);
	return r < 0 ? write_failed(w, e) : 0;
}

int wire_send(struct wire *w, enum wire_stream stream, uint8_t type, const void *p, size_t n, struct err *e)
{
	struct stream *s = &w->s[stream];
	const uint8_t *at = p;
	int r = 0;

	if (n > WIRE_MESSAGE_MAX)
		return err_set(e, ERR_BUG, "%s: message of %zu bytes", w->peer, n);
	pthread_mutex_lock(&s->sending);
	do {
		uint32_t most = piece_max(w), k = n > most ? most : (uint32_t)n;
		struct header h = { k, type, (uint8_t)stream, n > k ? FRAME_MORE : 0 };

		if (stream != WIRE_CONTROL)
			keep_pace(w, FRAME_COST(k));
		r = send_frame(w, s, &h, at, e);
		at = k ? at + k : at;
		n -= k;
	} while (r == 0 && n);
	pthread_mutex_unlock(&s->sending);
	return r;
}

int wire_end(struct wire *w, enum wire_stream stream, struct err *e)
{
	struct stream *s = &w->s[stream];
	struct header h = { 1, LINK_END, LINK_STREAM, 0 };
	uint8_t which[1 + NUMBER_LEN] = { (uint8_t)stream };
	bool twice;

	pthread_mutex_lock(&s->sending);
	pthread_mutex_lock(&w->lock);
	twice = s->closed;
	s->closed = true;
	pthread_mutex_unlock(&w->lock);
	if (s->numbered_out) {
		wire_lanes_drain(w);	/* whoever ends all its streams and then closes has sent all */
		wire_put_number(which + 1, s->next_out);
		h.len += NUMBER_LEN;
	}
	if (!twice && wire_put_frame(w, &h, which, false) < 0) {
		pthread_mutex_unlock(&s->sending);
		return write_failed(w, e);
	}
	pthread_mutex_unlock(&s->sending);
	return 0;
}

/* Next queued frame of s: 1, 0 = ended, -1.  *grant: credit to give back now. */
static int pop(struct wire *w, struct stream *s, struct queued **out, uint64_t *grant, struct err *e)
{
	int r = 1;

	*grant = 0;
	pthread_mutex_lock(&w->lock);
	while (w->life == WIRE_ALIVE && !s->head && !s->ended)
		pthread_cond_wait(&s->readable, &w->lock);
	if (w->life == WIRE_DEAD || (w->life == WIRE_EOF && !s->head && !s->ended)) {
		r = report(w, e);
	} else if (!s->head) {
		r = 0;
	} else {
		struct queued *q = s->head;

		if (!(s->head = q->next))
			s->tail = &s->head;
		s->held -= FRAME_COST(q->h.len);
		s->owed += FRAME_COST(q->h.len);
		if (s->owed >= WIRE_WINDOW / 16 && !s->ended) {
			*grant = s->owed;
			s->owed = 0;
		}
		*out = q;
	}
	pthread_mutex_unlock(&w->lock);
	return r;
}

static void give_credit(struct wire *w, enum wire_stream stream, uint64_t grant)
{
	OWN_BUF struct buf b = BUF_INIT;
	struct header h = { 0, LINK_CREDIT, LINK_STREAM, 0 };

	buf_put_u8(&b, (uint8_t)stream);
	buf_put_varint(&b, grant);
	h.len = (uint32_t)b.len;
	/* A peer that is gone needs no credit; that it is gone is the receiver's to report, after what is queued. */
	if (b.failed || wire_put_frame(w, &h, b.data, false) < 0)
		return;
}

/* Appends q's payload to the message; frees q. */
static int join(struct wire *w, struct wire_frame *f, struct queued *q, bool first, struct err *e)
{
	size_t skip = q->h.flags & FRAME_NUMBER ? NUMBER_LEN : 0, n = q->h.len - skip;
	int r = 0;

	if (first) {
		f->type = q->h.type;
		f->data = take_ptr(&q->data);
		f->len = q->h.len - skip;
		if (skip)
			memmove(f->data, f->data + skip, f->len);
		free(q);
		return 0;
	}
	if (q->h.type != f->type || f->len + n > WIRE_MESSAGE_MAX) {
		r = err_set(e, ERR_INTEGRITY, "%s: the peer broke the protocol (parts of a message)", w->peer);
	} else if (n) {
		uint8_t *p = realloc(f->data, f->len + n);

		if (p) {
			memcpy(p + f->len, q->data + skip, n);
			f->data = p;
			f->len += n;
		} else {
			r = err_sys(e, "%s: receiving a message", w->peer);
		}
	}
	free(q->data);
	free(q);
	return r;
}

static int recv_parts(struct wire *w, enum wire_stream stream, struct wire_frame *f, struct err *e)
{
	bool more = true, first = true;

	while (more) {
		struct queued *q = NULL;
		uint64_t grant;
		int r = pop(w, &w->s[stream], &q, &grant, e);

		if (r == 0 && !first)
			r = err_set(e, ERR_INTEGRITY, "%s: the peer broke the protocol (half a message)", w->peer);
		if (r <= 0)
			return r;
		more = q->h.flags & FRAME_MORE;
		if (join(w, f, q, first, e) < 0)
			return -1;
		first = false;
		if (grant)
			give_credit(w, stream, grant);
	}
	return 1;
}

int wire_recv(struct wire *w, enum wire_stream stream, struct wire_frame *f, struct err *e)
{
	int r;

	wire_frame_dispose(f);
	pthread_mutex_lock(&w->s[stream].receiving);
	r = recv_parts(w, stream, f, e);
	pthread_mutex_unlock(&w->s[stream].receiving);
	if (r <= 0)
		wire_frame_dispose(f);
	return r;
}

void wire_fail(struct wire *w, const struct err *why)
{
	OWN_BUF struct buf b = BUF_INIT;
	struct header h = { 0, LINK_FAIL, LINK_STREAM, 0 };

	buf_put_u8(&b, (uint8_t)why->class);
	buf_put(&b, why->text, strnlen(why->text, ERR_TEXT_MAX - 1));
	h.len = (uint32_t)b.len;
	/* Last words: when they do not get through, the peer sees the connection end instead. */
	if (b.failed || wire_put_frame(w, &h, b.data, true) < 0)
		return;
}

void wire_set_state(struct wire *w, const char *state)
{
	pthread_mutex_lock(&w->lock);
	(void)snprintf(w->state, sizeof(w->state), "%s", state);
	pthread_mutex_unlock(&w->lock);
}

void wire_peer_state(struct wire *w, char out[WIRE_STATE_MAX])
{
	pthread_mutex_lock(&w->lock);
	memcpy(out, w->peer_state, WIRE_STATE_MAX);
	pthread_mutex_unlock(&w->lock);
}

bool wire_lost(struct wire *w)
{
	bool lost;

	pthread_mutex_lock(&w->lock);
	lost = w->life != WIRE_ALIVE && w->lost;
	pthread_mutex_unlock(&w->lock);
	return lost;
}

void wire_counts(struct wire *w, uint64_t *sent, uint64_t *received)
{
	*sent = atomic_load(&w->sent);
	*received = atomic_load(&w->received);
}

void wire_cancel(struct wire *w)
{
	struct err e;

	err_set(&e, ERR_CANCELLED, "%s: interrupted", w->peer);
	wire_set_life(w, WIRE_DEAD, &e);
}

void wire_close(struct wire *w)
{
	bool alive;

	if (!w)
		return;
	pthread_mutex_lock(&w->lock);
	w->stopping = true;
	alive = w->life == WIRE_ALIVE;
	pthread_mutex_unlock(&w->lock);
	if (alive)
		wire_lanes_stop(w);
	/* What was sent before is sent; a peer that is gone or stuck gets at most the time of last words. */
	if (alive && wire_flush(w, true) < 0)
		alive = false;
	if (w->wake >= 0)
		wire_cancel(w);
	wire_lanes_close(w);
	if (w->flusher_runs) {
		pthread_mutex_lock(&w->out.lock);
		w->flusher_stops = true;
		pthread_cond_signal(&w->held_some);
		pthread_mutex_unlock(&w->out.lock);
		pthread_join(w->flusher, NULL);
	}
	if (w->receiver_runs)
		pthread_join(w->receiver, NULL);
	if (w->alive_runs)
		pthread_join(w->alive, NULL);
	for (int i = 0; i < WIRE_STREAMS; i++) {
		wire_free_queued(w->s[i].head);
		wire_free_queued(w->s[i].parked);
	}
	if (w->in_flags >= 0)
		(void)fcntl(w->in.fd, F_SETFL, w->in_flags);
	if (w->out_flags >= 0)
		(void)fcntl(w->out.fd, F_SETFL, w->out_flags);
	destroy_sync(w);
	free(w->in.buf);
	free(w->held);
	if (w->wake >= 0)
		(void)close(w->wake);
	free(w);
}
