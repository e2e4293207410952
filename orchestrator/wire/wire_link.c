#include "wire_internal.h"

#include <string.h>

#include "clock.h"
#include "esc.h"

static void wake_all(struct wire *w)
{
	static const uint64_t one = 1;

	/* Only an eventfd at its limit can refuse, and that is awake anyway. */
	if (write(w->wake, &one, sizeof(one)) < 0)
		(void)0;
	pthread_cond_broadcast(&w->changed);
	for (int i = 0; i < WIRE_STREAMS; i++) {
		pthread_cond_broadcast(&w->s[i].readable);
		pthread_cond_broadcast(&w->s[i].writable);
	}
}

static void set_life(struct wire *w, enum life life, const struct err *why, bool lost)
{
	pthread_mutex_lock(&w->lock);
	if (w->life == WIRE_ALIVE) {
		w->why = *why;
		w->lost = lost;
	}
	if (life > w->life) {
		/* An end that was only an end becomes a failure with the failure's own reason. */
		if (w->life == WIRE_EOF)
			w->why = *why;
		w->life = life;
		wake_all(w);
	}
	pthread_mutex_unlock(&w->lock);
}

void wire_set_life(struct wire *w, enum life life, const struct err *why) { set_life(w, life, why, false); }
void wire_set_lost(struct wire *w, enum life life, const struct err *why) { set_life(w, life, why, true); }

/* More frames than that cannot be on their way within a window. */
#define NUMBERS_AHEAD (WIRE_WINDOW / HEADER_LEN)

static uint32_t le32(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static int broken(struct wire *w, const char *what, struct err *e)
{
	return err_set(e, ERR_INTEGRITY, "%s: the peer broke the protocol (%s)", w->peer, what);
}

/* Remote text: escapes stay, everything else that could drive a terminal is escaped. */
static void put_clean(struct buf *b, const char *s, size_t n)
{
	while (n) {
		size_t k = 0;

		while (k < n && s[k] != '\\')
			k++;
		esc_put(b, s, k);
		if (k < n) {
			buf_putc(b, '\\');
			k++;
		}
		s += k;
		n -= k;
	}
}

static enum err_class class_of(uint8_t c)
{
	switch (c) {
	case ERR_TEMPORARY: case ERR_PERMANENT: case ERR_INTEGRITY: case ERR_UNVERIFIED: case ERR_REFUSED:
	case ERR_CANCELLED:
		return (enum err_class)c;
	default:
		return ERR_PERMANENT;
	}
}

static int on_fail(struct wire *w, const uint8_t *p, size_t n, struct err *e)
{
	OWN_BUF struct buf text = BUF_INIT;

	if (n < 1 || n > ERR_TEXT_MAX)
		return broken(w, "FAIL", e);
	put_clean(&text, (const char *)p + 1, n - 1);
	return err_set(e, class_of(p[0]), "%s: %s", w->peer, text.len ? text.data : "failed without a reason");
}

static int on_credit(struct wire *w, const uint8_t *p, size_t n, struct err *e)
{
	struct view v = view_of(p, n);
	uint8_t s = view_u8(&v);
	uint64_t more = view_varint(&v);
	bool good;

	if (!view_done(&v) || s >= WIRE_STREAMS || more > WIRE_WINDOW)
		return broken(w, "CREDIT", e);
	pthread_mutex_lock(&w->lock);
	good = w->s[s].window + more <= WIRE_WINDOW;
	if (good)
		w->s[s].window += more;
	pthread_cond_broadcast(&w->s[s].writable);
	pthread_mutex_unlock(&w->lock);
	return good ? 0 : broken(w, "more credit than was used", e);
}

static int on_alive(struct wire *w, const uint8_t *p, size_t n, struct err *e)
{
	if (n >= WIRE_STATE_MAX)
		return broken(w, "ALIVE", e);
	for (size_t i = 0; i < n; i++)
		if (p[i] < 0x20 || p[i] > 0x7e)
			return broken(w, "ALIVE", e);
	pthread_mutex_lock(&w->lock);
	if (n)
		memcpy(w->peer_state, p, n);
	w->peer_state[n] = '\0';
	pthread_mutex_unlock(&w->lock);
	return 0;
}

static int on_end(struct wire *w, const uint8_t *p, size_t n, struct err *e)
{
	const char *fault = NULL;
	struct stream *s;

	if ((n != 1 && n != 1 + NUMBER_LEN) || p[0] >= WIRE_STREAMS)
		return broken(w, "END", e);
	s = &w->s[p[0]];
	pthread_mutex_lock(&w->lock);
	if (s->has_end)
		fault = "END twice";
	s->has_end = true;
	s->end_at = n == 1 ? s->plain_in : le32(p + 1);
	/* Without a number it comes in its turn; with one, frames before it may still be on their way over other lanes. */
	if ((n == 1 && s->numbered_in) || s->end_at - s->next_in > NUMBERS_AHEAD)
		fault = fault ? fault : "number in END";
	s->ended = s->next_in == s->end_at;
	pthread_cond_broadcast(&s->readable);
	pthread_mutex_unlock(&w->lock);
	return fault ? broken(w, fault, e) : 0;
}

static int on_rate(struct wire *w, const uint8_t *p, size_t n, struct err *e)
{
	struct view v = view_of(p, n);
	uint64_t rate = view_varint(&v);

	if (!view_done(&v) || w->side != WIRE_AGENT)
		return broken(w, "RATE", e);
	wire_set_rate(w, rate);
	return 0;
}

int wire_on_link(struct wire *w, const struct header *h, const uint8_t *p, struct err *e)
{
	if (h->flags)
		return broken(w, "flags on a link frame", e);
	switch ((enum link_type)h->type) {
	case LINK_CREDIT: return on_credit(w, p, h->len, e);
	case LINK_ALIVE: return on_alive(w, p, h->len, e);
	case LINK_FAIL: return on_fail(w, p, h->len, e);
	case LINK_END: return on_end(w, p, h->len, e);
	case LINK_RATE: return on_rate(w, p, h->len, e);
	case LINK_RETIRE: return h->len ? broken(w, "RETIRE", e) : wire_leader_retired(w);
	}
	return broken(w, "unknown link frame", e);
}

/* With the lock held: the frames whose turn it is go to the consumer. */
static void in_turn(struct stream *s)
{
	while (s->parked && s->parked->number == s->next_in) {
		struct queued *q = s->parked;

		s->parked = q->next;
		q->next = NULL;
		*s->tail = q;
		s->tail = &q->next;
		s->next_in++;
	}
	s->ended = s->has_end && s->next_in == s->end_at;
	pthread_cond_broadcast(&s->readable);
}

/* With the lock held.  NULL, or what is wrong with its number. */
static const char *park(struct stream *s, struct queued *q, bool numbered)
{
	struct queued **p = &s->parked;
	uint32_t ahead = q->number - s->next_in;

	s->numbered_in |= numbered;
	if (ahead > NUMBERS_AHEAD)
		return "a number that was there already";
	if (s->has_end && ahead >= s->end_at - s->next_in)
		return "a message after END";
	while (*p && (*p)->number - s->next_in < ahead)
		p = &(*p)->next;
	if (*p && (*p)->number == q->number)
		return "a number twice";
	q->next = *p;
	*p = q;
	in_turn(s);
	return NULL;
}

/* Queue a frame for its consumer; takes *p over. */
int wire_on_stream(struct wire *w, const struct header *h, uint8_t **p, struct err *e)
{
	bool numbered = h->flags & FRAME_NUMBER;
	struct stream *s = &w->s[h->stream];
	struct queued *q;
	const char *fault = NULL;

	if (numbered && h->len < NUMBER_LEN)
		return broken(w, "a frame without its number", e);
	if (!(q = malloc(sizeof(*q))))
		return err_sys(e, "%s: queueing a frame", w->peer);
	*q = (struct queued){ .h = *h, .data = take_ptr(p) };
	pthread_mutex_lock(&w->lock);
	q->number = numbered ? le32(q->data) : s->plain_in++;
	if (s->held + s->owed + FRAME_COST(h->len) > WIRE_WINDOW)
		fault = "window exceeded";
	else if (!(fault = park(s, q, numbered)))
		s->held += FRAME_COST(h->len);
	pthread_mutex_unlock(&w->lock);
	if (!fault)
		return 0;
	free(q->data);
	free(q);
	return broken(w, fault, e);
}

static bool is_over(struct wire *w)
{
	bool over;

	pthread_mutex_lock(&w->lock);
	over = w->life != WIRE_ALIVE;
	pthread_mutex_unlock(&w->lock);
	return over;
}

void *wire_receiver(void *wire)
{
	struct wire *w = wire;
	struct err e = ERR_INIT;

	while (!is_over(w)) {
		OWN_FREE uint8_t *p = NULL;
		struct header h;
		int r = wire_get_frame(w, &w->in, &h, &p, &e);

		if (r == 0) {
			err_set(&e, ERR_TEMPORARY, "%s: the connection was closed; run the same command again", w->peer);
			wire_set_lost(w, WIRE_EOF, &e);
			return NULL;
		}
		if (r < 0) {
			if (e.class != ERR_CANCELLED)	/* else it is over already, and why is known */
				wire_set_lost(w, WIRE_DEAD, &e);
			return NULL;
		}
		if (h.stream == LINK_STREAM)
			r = wire_on_link(w, &h, p, &e);
		else if (h.stream < WIRE_STREAMS)
			r = wire_on_stream(w, &h, &p, &e);
		else
			r = broken(w, "unknown stream", &e);
		if (r < 0) {
			wire_set_life(w, WIRE_DEAD, &e);
			return NULL;
		}
	}
	return NULL;
}

static void sleep_a_beat(struct wire *w)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += ALIVE_S;
	(void)pthread_cond_timedwait(&w->changed, &w->lock, &t);
}

void *wire_beat(void *wire)
{
	struct wire *w = wire;

	pthread_mutex_lock(&w->lock);
	for (;;) {
		struct header h = { 0, LINK_ALIVE, LINK_STREAM, 0 };
		char state[WIRE_STATE_MAX];

		if (w->stopping || w->life != WIRE_ALIVE)
			break;
		memcpy(state, w->state, sizeof(state));
		pthread_mutex_unlock(&w->lock);
		h.len = (uint32_t)strlen(state);
		if (wire_put_frame(w, &h, state, false) < 0)	/* the others will see it too */
			return NULL;
		wire_lanes_beat(w);
		pthread_mutex_lock(&w->lock);
		if (!w->stopping && w->life == WIRE_ALIVE)
			sleep_a_beat(w);
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}
