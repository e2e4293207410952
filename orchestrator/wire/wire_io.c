#include "wire_internal.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/uio.h>

#include <xxhash.h>

#include "clock.h"
#include "sys.h"

#define LAST_WORDS_NS 2000000000LL

/* Milliseconds for poll until a deadline in mono ns; at least 0. */
static int ms_until(int64_t deadline)
{
	int64_t ms = (deadline - clock_mono_ns()) / 1000000 + 1;

	return ms < 0 ? 0 : ms > 60000 ? 60000 : (int)ms;
}

/* The watchdog: bytes count, not payload, so that back-pressure is no stall. */
static int64_t stall_deadline(const struct wire *w, const struct input *in)
{
	return in->last + (int64_t)w->stall_s * 1000000000;
}

/* Wait for input: 1 = some, -1. */
static int wait_input(struct wire *w, struct input *in, int64_t deadline, struct err *e)
{
	struct pollfd f[2] = { { in->fd, POLLIN, 0 }, { w->wake, POLLIN, 0 } };

	for (;;) {
		int64_t end = deadline ? deadline : stall_deadline(w, in);
		int r = poll(f, 2, end ? ms_until(end) : -1);

		if (r < 0 && errno != EINTR)
			return err_sys(e, "%s: waiting for the agent's connection", w->peer);
		if (r > 0 && f[1].revents)
			return err_set(e, ERR_CANCELLED, "%s: connection closed here", w->peer);
		if (r > 0)
			return 1;
		if (end && clock_mono_ns() >= end)
			return err_set(e, ERR_TEMPORARY, "%s: no sign of life for %d s; run the same command again",
			    w->peer, w->stall_s);
	}
}

/* read(2) that waits: >0, 0 at the end, -1. */
static ssize_t read_some(struct wire *w, struct input *in, void *p, size_t n, int64_t deadline, struct err *e)
{
	for (;;) {
		ssize_t r = read(in->fd, p, n);

		if (r > 0) {
			in->last = clock_mono_ns();
			atomic_fetch_add(&w->received, (uint64_t)r);
			return r;
		}
		/* A Unix socket whose peer left our bytes unread says ECONNRESET where a pipe says end. */
		if (r == 0 || errno == ECONNRESET)
			return 0;
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN)
			return err_sys(e, "%s: read from the connection", w->peer);
		if (wait_input(w, in, deadline, e) < 0)
			return -1;
	}
}

int wire_get(struct wire *w, struct input *in, void *p, size_t n, int64_t deadline, struct err *e)
{
	uint8_t *to = p;
	size_t done = 0;

	while (done < n) {
		size_t have = in->end - in->at, k = have < n - done ? have : n - done;
		ssize_t r;

		if (k) {
			memcpy(to + done, in->buf + in->at, k);
			in->at += k;
			done += k;
			continue;
		}
		if (n - done >= IN_CAP) {
			r = read_some(w, in, to + done, n - done, deadline, e);
			done += r > 0 ? (size_t)r : 0;
		} else {
			r = read_some(w, in, in->buf, IN_CAP, deadline, e);
			in->at = 0;
			in->end = r > 0 ? (size_t)r : 0;
		}
		if (r < 0)
			return -1;
		if (r == 0)
			return done ? err_set(e, ERR_TEMPORARY, "%s: the connection was cut; run the same command again",
			    w->peer) : 0;
	}
	return 1;
}

static void put_le32(uint8_t *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> (8 * i));
}

static uint32_t get_le32(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint32_t checksum(const uint8_t header[8], const void *p, size_t n)
{
	uint64_t seed = (uint64_t)get_le32(header) | (uint64_t)get_le32(header + 4) << 32;

	return (uint32_t)XXH3_64bits_withSeed(n ? p : "", n, seed);
}

static void seal(uint8_t raw[HEADER_LEN], const struct header *h, const void *p)
{
	put_le32(raw, h->len);
	raw[4] = h->type;
	raw[5] = h->stream;
	raw[6] = h->flags;
	raw[7] = 0;
	put_le32(raw + 8, checksum(raw, p, h->len));
}

static int bad_frame(struct wire *w, struct err *e)
{
	return err_set(e, ERR_INTEGRITY, "%s: a frame arrived damaged or malformed", w->peer);
}

int wire_get_frame(struct wire *w, struct input *in, struct header *h, uint8_t **data, struct err *e)
{
	OWN_FREE uint8_t *p = NULL;
	uint8_t raw[HEADER_LEN];
	int r = wire_get(w, in, raw, sizeof(raw), 0, e);

	if (r <= 0)
		return r;
	*h = (struct header){ get_le32(raw), raw[4], raw[5], raw[6] };
	if (h->len > WIRE_PAYLOAD_MAX + NUMBER_LEN || raw[7] || h->flags & ~(FRAME_MORE | FRAME_NUMBER))
		return bad_frame(w, e);
	if (h->len) {
		if (!(p = malloc(h->len)))
			return err_sys(e, "%s: receiving a frame", w->peer);
		r = wire_get(w, in, p, h->len, 0, e);
		if (r < 0)
			return -1;
		if (r == 0)
			return err_set(e, ERR_TEMPORARY, "%s: the connection was cut; run the same command again", w->peer);
	}
	if (checksum(raw, p, h->len) != get_le32(raw + 8))
		return bad_frame(w, e);
	sys_point("frame");
	*data = take_ptr(&p);
	return 1;
}

/* Wait until out takes more; -1 when the connection died or the last words took too long. */
static int wait_output(struct wire *w, const struct output *out, int64_t deadline)
{
	struct pollfd f[2] = { { out->fd, POLLOUT, 0 }, { deadline ? -1 : w->wake, POLLIN, 0 } };
	int r = poll(f, 2, deadline ? ms_until(deadline) : -1);

	if (r < 0)
		return errno == EINTR ? 0 : -1;
	if (f[1].revents || (deadline && clock_mono_ns() >= deadline))
		return -1;
	return 0;
}

/* With out->lock held. */
static int write_iov(struct wire *w, struct output *out, struct iovec *v, int n, bool urgent)
{
	int64_t deadline = urgent ? clock_mono_ns() + LAST_WORDS_NS : 0;
	size_t sent = 0;

	while (n) {
		ssize_t r = writev(out->fd, v, n);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0 && errno == EAGAIN) {
			if (wait_output(w, out, deadline) == 0)
				continue;
			out->broken = sent > 0;	/* nothing written: the frame border still stands */
			return -1;
		}
		if (r < 0) {
			out->broken = true;
			return -1;
		}
		sent += (size_t)r;
		while (n && (size_t)r >= v->iov_len) {
			r -= (ssize_t)v->iov_len;
			v++, n--;
		}
		if (n) {
			v->iov_base = (char *)v->iov_base + r;
			v->iov_len -= (size_t)r;
		}
	}
	atomic_fetch_add(&w->sent, sent);
	return 0;
}

/* With out.lock held: what waits, then the frame (p NULL and n 0: only what waits). */
static int write_held(struct wire *w, const void *raw, size_t raw_len, const void *p, size_t n, bool urgent)
{
	struct iovec v[3];
	int k = 0, r;

	if (w->out.broken)
		return -1;
	if (w->held_len)
		v[k++] = (struct iovec){ w->held, w->held_len };
	if (raw_len)
		v[k++] = (struct iovec){ (void *)(uintptr_t)raw, raw_len };
	if (n)
		v[k++] = (struct iovec){ (void *)(uintptr_t)p, n };
	r = k ? write_iov(w, &w->out, v, k, urgent) : 0;
	if (r == 0)
		w->held_len = 0;
	return r;
}

/* With out.lock held: a small frame joins those that wait. */
static int hold(struct wire *w, const uint8_t raw[HEADER_LEN], const void *p, size_t n)
{
	if (w->out.broken)
		return -1;
	memcpy(w->held + w->held_len, raw, HEADER_LEN);
	if (n)
		memcpy(w->held + w->held_len + HEADER_LEN, p, n);
	w->held_len += HEADER_LEN + n;
	if (w->held_len >= HELD_CAP)
		return write_held(w, NULL, 0, NULL, 0, false);
	if (w->held_len == HEADER_LEN + n)
		pthread_cond_signal(&w->held_some);
	return 0;
}

int wire_put_frame(struct wire *w, const struct header *h, const void *p, bool urgent)
{
	uint8_t raw[HEADER_LEN];
	int r;

	seal(raw, h, p);
	pthread_mutex_lock(&w->out.lock);
	if (h->len <= SMALL_FRAME && !urgent && w->held_len < HELD_CAP)
		r = hold(w, raw, p, h->len);
	else
		r = write_held(w, raw, HEADER_LEN, p, h->len, urgent);
	pthread_mutex_unlock(&w->out.lock);
	return r;
}

int wire_flush(struct wire *w, bool urgent)
{
	int r;

	pthread_mutex_lock(&w->out.lock);
	r = write_held(w, NULL, 0, NULL, 0, urgent);
	pthread_mutex_unlock(&w->out.lock);
	return r;
}

void *wire_flusher(void *wire)
{
	static const struct timespec company = { 0, HELD_NS };
	struct wire *w = wire;

	pthread_mutex_lock(&w->out.lock);
	while (!w->flusher_stops) {
		if (!w->held_len || w->out.broken) {
			pthread_cond_wait(&w->held_some, &w->out.lock);
			continue;
		}
		pthread_mutex_unlock(&w->out.lock);
		(void)nanosleep(&company, NULL);
		pthread_mutex_lock(&w->out.lock);
		/* A connection that takes nothing any more is what the receiver reports. */
		if (!w->flusher_stops && write_held(w, NULL, 0, NULL, 0, false) < 0)
			w->out.broken = true;
	}
	pthread_mutex_unlock(&w->out.lock);
	return NULL;
}

int wire_put_raw(struct wire *w, struct output *out, const void *p, size_t n)
{
	struct iovec v = { (void *)(uintptr_t)p, n };
	int r;

	pthread_mutex_lock(&out->lock);
	r = write_iov(w, out, &v, 1, true);
	pthread_mutex_unlock(&out->lock);
	return r;
}

int wire_put_on(struct wire *w, struct output *out, const struct header *h, const void *p)
{
	uint8_t raw[HEADER_LEN];
	struct iovec v[2] = { { raw, HEADER_LEN }, { (void *)(uintptr_t)p, h->len } };
	int r;

	seal(raw, h, p);
	pthread_mutex_lock(&out->lock);
	r = out->broken ? -1 : write_iov(w, out, v, h->len ? 2 : 1, false);
	pthread_mutex_unlock(&out->lock);
	return r;
}

int wire_put_locked(struct wire *w, struct output *out, const struct header *h)
{
	uint8_t raw[HEADER_LEN];
	struct iovec v = { raw, HEADER_LEN };

	seal(raw, h, NULL);
	return out->broken ? -1 : write_iov(w, out, &v, 1, false);
}
