/*
 * What has come and is not applied yet.  A pack is applied when it is complete, and making its files takes as long as fetching
 * the next one: without room for that, source and target would take turns.
 */
#include "apply.h"

#include <errno.h>

#define INBOX_BYTES (32u << 20)

struct inbox_frame {
	struct inbox_frame *next;
	struct wire_frame f;
};

static bool put(struct inbox *in, struct inbox_frame *q)
{
	bool stop;

	pthread_mutex_lock(&in->lock);
	while (in->bytes > INBOX_BYTES && !in->stop)
		pthread_cond_wait(&in->taken, &in->lock);
	stop = in->stop;
	if (!stop) {
		if (!in->first)
			pthread_cond_signal(&in->came);
		*in->last = q;
		in->last = &q->next;
		in->bytes += q->f.len;
	}
	pthread_mutex_unlock(&in->lock);
	return !stop;
}

static void frame_free(struct inbox_frame *q)
{
	if (!q)
		return;
	wire_frame_dispose(&q->f);
	free(q);
}

static int take_all(struct inbox *in, struct err *e)
{
	for (;;) {
		struct inbox_frame *q = calloc(1, sizeof(*q));
		int r;

		if (!q)
			return err_set(e, ERR_TEMPORARY, "out of memory");
		r = wire_recv(in->wire, WIRE_DATA, &q->f, e);
		if (r <= 0 || !put(in, q)) {
			frame_free(q);
			return r < 0 ? -1 : 0;
		}
	}
}

static void *inbox_main(void *arg)
{
	struct inbox *in = arg;
	struct err e = ERR_INIT;
	int r = take_all(in, &e);

	pthread_mutex_lock(&in->lock);
	in->ended = true;
	in->failed = r < 0;
	in->why = e;
	pthread_cond_signal(&in->came);
	pthread_mutex_unlock(&in->lock);
	return NULL;
}

int inbox_start(struct inbox *in, struct wire *w, struct err *e)
{
	in->wire = w;
	in->last = &in->first;
	pthread_mutex_init(&in->lock, NULL);
	pthread_cond_init(&in->came, NULL);
	pthread_cond_init(&in->taken, NULL);
	errno = pthread_create(&in->thread, NULL, inbox_main, in);
	if (errno)
		return err_sys(e, "thread");
	in->running = true;
	return 0;
}

int inbox_next(struct inbox *in, struct wire_frame *f, struct err *e)
{
	struct inbox_frame *q;
	int r = 1;

	pthread_mutex_lock(&in->lock);
	while (!in->first && !in->ended)
		pthread_cond_wait(&in->came, &in->lock);
	if ((q = in->first)) {
		if (!(in->first = q->next))
			in->last = &in->first;
		in->bytes -= q->f.len;
		pthread_cond_signal(&in->taken);
	} else {
		r = in->failed ? -1 : 0;
		*e = in->why;
	}
	pthread_mutex_unlock(&in->lock);
	if (q) {
		*f = q->f;
		free(q);
	}
	return r;
}

void inbox_stop(struct inbox *in)
{
	if (!in->running)
		return;
	pthread_mutex_lock(&in->lock);
	in->stop = true;
	if (!in->ended)
		wire_cancel(in->wire);	/* the role has failed: nothing more is awaited, only its reason goes out */
	pthread_cond_signal(&in->taken);
	pthread_mutex_unlock(&in->lock);
	pthread_join(in->thread, NULL);
	while (in->first) {
		struct inbox_frame *q = in->first;

		in->first = q->next;
		frame_free(q);
	}
	in->running = false;
}
