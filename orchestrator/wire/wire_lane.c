/* Lanes: several connections carry the frames of one wire. */
#include "wire_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "clock.h"

struct wire_lane {
	struct wire *w;
	struct wire_lane *next;
	struct wire_lane_options o;
	struct input in;
	struct output out;
	pthread_t receiver, writer;
	bool receiver_runs, writer_runs;
	/* guarded by w->lanes.lock */
	bool retiring;		/* we send nothing more */
	bool said, heard;	/* RETIRE, by us and by the peer */
	bool done;		/* o.done was called */
	atomic_uint_fast64_t bytes;
};

void wire_put_number(uint8_t p[NUMBER_LEN], uint32_t number)
{
	for (int i = 0; i < NUMBER_LEN; i++)
		p[i] = (uint8_t)(number >> (8 * i));
}

void wire_lanes_init(struct wire *w)
{
	struct lanes *v = &w->lanes;

	(void)pthread_mutex_init(&v->lock, NULL);
	(void)pthread_cond_init(&v->changed, NULL);
	v->tail = &v->head;
}

bool wire_lanes_used(struct wire *w)
{
	bool used;

	pthread_mutex_lock(&w->lanes.lock);
	used = w->lanes.used;
	pthread_mutex_unlock(&w->lanes.lock);
	return used;
}

static bool is_over(struct wire *w)
{
	bool over;

	pthread_mutex_lock(&w->lock);
	over = w->life != WIRE_ALIVE;
	pthread_mutex_unlock(&w->lock);
	return over;
}

int wire_lanes_take(struct wire *w, const struct header *h, const void *p, uint32_t number, struct err *e)
{
	struct queued *q = malloc(sizeof(*q));
	struct lanes *v = &w->lanes;

	if (!q || !(q->data = malloc(h->len))) {
		free(q);
		return err_sys(e, "%s: queueing a frame", w->peer);
	}
	q->next = NULL;
	q->h = *h;
	wire_put_number(q->data, number);
	if (h->len > NUMBER_LEN)
		memcpy(q->data + NUMBER_LEN, p, h->len - NUMBER_LEN);
	pthread_mutex_lock(&v->lock);
	*v->tail = q;
	v->tail = &q->next;
	pthread_cond_broadcast(&v->changed);
	pthread_mutex_unlock(&v->lock);
	return 0;
}

/* With the lock held; wakes up now and then to look whether the connection still lives. */
static void wait_change(struct lanes *v)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_REALTIME, &t);
	t.tv_nsec += 200000000;
	t.tv_sec += t.tv_nsec / 1000000000;
	t.tv_nsec %= 1000000000;
	(void)pthread_cond_timedwait(&v->changed, &v->lock, &t);
}

void wire_lanes_drain(struct wire *w)
{
	struct lanes *v = &w->lanes;

	pthread_mutex_lock(&v->lock);
	while ((v->head || v->writing) && !is_over(w))
		wait_change(v);
	pthread_mutex_unlock(&v->lock);
}

static void died(struct wire *w)
{
	struct err e = ERR_INIT;

	err_set(&e, ERR_TEMPORARY, "%s: one of the connections no longer takes data; run the same command again", w->peer);
	wire_set_lost(w, WIRE_EOF, &e);
}

/* With the lock held: has l (NULL = the leader) nothing to write any more? */
static bool stopped(const struct lanes *v, const struct wire_lane *l) { return v->stopping || (l && l->retiring); }
static bool may_take(const struct lanes *v, const struct wire_lane *l) { return l || !v->leader_retired || v->count == 0; }

static void write_frames(struct wire *w, struct wire_lane *l)
{
	struct output *out = l ? &l->out : &w->out;
	struct lanes *v = &w->lanes;

	pthread_mutex_lock(&v->lock);
	while (!stopped(v, l) && !is_over(w)) {
		struct queued *q = v->head;
		int r;

		if (!q || !may_take(v, l)) {
			wait_change(v);
			continue;
		}
		if (!(v->head = q->next))
			v->tail = &v->head;
		v->writing++;
		pthread_mutex_unlock(&v->lock);
		r = wire_put_on(w, out, &q->h, q->data);
		if (l)
			atomic_fetch_add(&l->bytes, FRAME_COST(q->h.len));
		q->next = NULL;
		wire_free_queued(q);
		if (r < 0)
			died(w);
		pthread_mutex_lock(&v->lock);
		v->writing--;
		pthread_cond_broadcast(&v->changed);
	}
	pthread_mutex_unlock(&v->lock);
}

static void *leader_writer(void *arg)
{
	write_frames(arg, NULL);
	return NULL;
}

/* With the lock held, once both sides are through. */
static bool is_through(const struct wire_lane *l) { return l->said && l->heard; }

static void finish(struct wire_lane *l)
{
	bool first;

	pthread_mutex_lock(&l->w->lanes.lock);
	first = !l->done;
	l->done = true;
	pthread_mutex_unlock(&l->w->lanes.lock);
	if (first && l->o.done)
		l->o.done(l->o.ctx);
}

static void *lane_writer(void *arg)
{
	struct header bye = { 0, LINK_RETIRE, LINK_STREAM, 0 };
	struct wire_lane *l = arg;
	bool through, cut;

	write_frames(l->w, l);
	cut = !is_over(l->w) && wire_put_on(l->w, &l->out, &bye, NULL) < 0;
	pthread_mutex_lock(&l->w->lanes.lock);
	/* A peer that has said it first may be gone by now: it awaits nothing, and what it had to say is on the leader. */
	cut &= !l->heard;
	pthread_mutex_unlock(&l->w->lanes.lock);
	if (cut)
		died(l->w);
	pthread_mutex_lock(&l->w->lanes.lock);
	l->said = true;
	through = is_through(l);
	pthread_mutex_unlock(&l->w->lanes.lock);
	if (through)
		finish(l);
	return NULL;
}

/* With the lock held. */
static void retire(struct lanes *v, struct wire_lane *l)
{
	if (!l->retiring)
		v->count--;
	l->retiring = true;
	pthread_cond_broadcast(&v->changed);
}

static bool hear_retire(struct wire_lane *l)
{
	struct lanes *v = &l->w->lanes;
	bool through;

	pthread_mutex_lock(&v->lock);
	l->heard = true;
	retire(v, l);
	through = is_through(l);
	pthread_mutex_unlock(&v->lock);
	return through;
}

/* 1 = more may come, 0 = the peer is through with the lane, -1. */
static int receive_one(struct wire_lane *l, struct err *e)
{
	OWN_FREE uint8_t *p = NULL;
	struct wire *w = l->w;
	struct header h;
	int r = wire_get_frame(w, &l->in, &h, &p, e);

	if (r == 0)
		return err_set(e, ERR_TEMPORARY, "%s: one of the connections was closed; run the same command again", w->peer);
	if (r < 0)
		return -1;
	atomic_fetch_add(&l->bytes, FRAME_COST(h.len));
	if (h.stream < WIRE_STREAMS && (h.flags & FRAME_NUMBER))
		return wire_on_stream(w, &h, &p, e) < 0 ? -1 : 1;
	if (h.stream == LINK_STREAM && h.type == LINK_ALIVE && h.len == 0)
		return 1;
	if (h.stream == LINK_STREAM && h.type == LINK_RETIRE && h.len == 0)
		return 0;
	return err_set(e, ERR_INTEGRITY, "%s: the peer broke the protocol (a frame that does not belong on a lane)", w->peer);
}

static void *lane_receiver(void *arg)
{
	struct wire_lane *l = arg;
	struct err e = ERR_INIT;
	int r = 1;

	while (r > 0 && !is_over(l->w))
		r = receive_one(l, &e);
	if (r < 0 && e.class == ERR_TEMPORARY)
		wire_set_lost(l->w, WIRE_EOF, &e);
	else if (r < 0 && e.class != ERR_CANCELLED)
		wire_set_lost(l->w, WIRE_DEAD, &e);
	if (r == 0 && hear_retire(l))
		finish(l);
	return NULL;
}

static int unblock(int fd) { return fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK); }

static void lane_free(struct wire_lane *l)
{
	if (l->writer_runs)
		pthread_join(l->writer, NULL);
	if (l->receiver_runs)
		pthread_join(l->receiver, NULL);
	(void)pthread_mutex_destroy(&l->out.lock);
	free(l->in.buf);
	free(l);
}

/* Threads for l; false with errno: not all of them. */
static bool start_threads(struct lanes *v, struct wire *w, struct wire_lane *l)
{
	if (!v->writer_runs && (errno = pthread_create(&v->writer, NULL, leader_writer, w)) != 0)
		return false;
	v->writer_runs = true;
	if ((errno = pthread_create(&l->receiver, NULL, lane_receiver, l)) != 0)
		return false;
	l->receiver_runs = true;
	if ((errno = pthread_create(&l->writer, NULL, lane_writer, l)) != 0)
		return false;
	return l->writer_runs = true;
}

/* Takes l over: it is the wire's, or gone when none of its threads uses its fds. */
static int start(struct wire *w, struct wire_lane *l, struct wire_lane **out, struct err *e)
{
	struct lanes *v = &w->lanes;
	bool all;

	pthread_mutex_lock(&v->lock);
	all = start_threads(v, w, l);
	if (!all)
		(void)err_sys(e, "%s: starting a lane", w->peer);
	if (l->receiver_runs) {
		l->next = v->first;
		v->first = l;
		*out = l;
	}
	v->count += all;
	v->used |= all;
	if (!all)
		l->retiring = l->said = true;
	pthread_mutex_unlock(&v->lock);
	if (all)
		return 0;
	/* The peer takes the lane for one that both directions have: there is no way back for a half of it. */
	if (l->receiver_runs)
		died(w);
	else
		lane_free(l);
	return -1;
}

int wire_lane_add(struct wire *w, const struct wire_lane_options *o, struct wire_lane **out, struct err *e)
{
	struct wire_lane *l = calloc(1, sizeof(*l));

	*out = NULL;
	if (!l || !(l->in.buf = malloc(IN_CAP))) {
		free(l);
		return err_sys(e, "%s: a lane", w->peer);
	}
	l->w = w;
	l->o = *o;
	l->in.fd = o->in;
	l->in.last = clock_mono_ns();
	l->out.fd = o->out;
	(void)pthread_mutex_init(&l->out.lock, NULL);
	if (unblock(o->in) < 0 || unblock(o->out) < 0 || wire_hello(w, &l->in, &l->out, o->build, e) < 0) {
		if (e->class == ERR_NONE)
			err_sys(e, "%s: a lane", w->peer);
		lane_free(l);
		return -1;
	}
	return start(w, l, out, e);
}

int wire_leader_retired(struct wire *w)
{
	pthread_mutex_lock(&w->lanes.lock);
	w->lanes.leader_retired = true;
	pthread_cond_broadcast(&w->lanes.changed);
	pthread_mutex_unlock(&w->lanes.lock);
	return 0;
}

void wire_lane_retire(struct wire *w, struct wire_lane *l)
{
	struct header h = { 0, LINK_RETIRE, LINK_STREAM, 0 };

	if (!l) {
		(void)wire_leader_retired(w);
		/* A leader that takes nothing any more is what its receiver reports. */
		(void)!wire_put_frame(w, &h, NULL, false);
		return;
	}
	pthread_mutex_lock(&w->lanes.lock);
	retire(&w->lanes, l);
	pthread_mutex_unlock(&w->lanes.lock);
}

bool wire_lane_retired(struct wire_lane *l)
{
	bool retired;

	pthread_mutex_lock(&l->w->lanes.lock);
	retired = l->retiring;
	pthread_mutex_unlock(&l->w->lanes.lock);
	return retired;
}

bool wire_lane_over(struct wire_lane *l)
{
	bool over;

	pthread_mutex_lock(&l->w->lanes.lock);
	over = is_through(l);
	pthread_mutex_unlock(&l->w->lanes.lock);
	return over;
}

uint64_t wire_lane_bytes(struct wire *w, struct wire_lane *l)
{
	uint64_t sent, received, lanes = 0;

	if (l)
		return atomic_load(&l->bytes);
	wire_counts(w, &sent, &received);
	pthread_mutex_lock(&w->lanes.lock);
	for (l = w->lanes.first; l; l = l->next)
		lanes += atomic_load(&l->bytes);
	pthread_mutex_unlock(&w->lanes.lock);
	return sent + received > lanes ? sent + received - lanes : 0;
}

void wire_lanes_beat(struct wire *w)
{
	struct header h = { 0, LINK_ALIVE, LINK_STREAM, 0 };

	pthread_mutex_lock(&w->lanes.lock);
	for (struct wire_lane *l = w->lanes.first; l; l = l->next) {
		/* One that is being written to has no need of it, and must not hold up the others. */
		if (l->retiring || pthread_mutex_trylock(&l->out.lock) != 0)
			continue;
		(void)!wire_put_locked(w, &l->out, &h);
		pthread_mutex_unlock(&l->out.lock);
	}
	pthread_mutex_unlock(&w->lanes.lock);
}

void wire_lanes_stop(struct wire *w)
{
	pthread_mutex_lock(&w->lanes.lock);
	w->lanes.stopping = true;
	pthread_cond_broadcast(&w->lanes.changed);
	for (struct wire_lane *l = w->lanes.first; l; l = l->next)
		for (int i = 0; i < 10 && !l->said; i++)	/* their last frames; a stuck one is not waited for longer than 2 s */
			wait_change(&w->lanes);
	pthread_mutex_unlock(&w->lanes.lock);
}

void wire_lanes_close(struct wire *w)
{
	struct lanes *v = &w->lanes;

	if (v->writer_runs)
		pthread_join(v->writer, NULL);
	while (v->first) {
		struct wire_lane *l = v->first;

		v->first = l->next;
		if (l->writer_runs)
			pthread_join(l->writer, NULL);
		if (l->receiver_runs)
			pthread_join(l->receiver, NULL);
		l->writer_runs = l->receiver_runs = false;
		finish(l);
		lane_free(l);
	}
	wire_free_queued(v->head);
	v->head = NULL;
	(void)pthread_cond_destroy(&v->changed);
	(void)pthread_mutex_destroy(&v->lock);
}
