/* wire_internal - for the files of this room only: the connection's state, its fds, its frames. */
#ifndef WIRE_INTERNAL_H
#define WIRE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "wire.h"

#define HEADER_LEN 12
#define LINK_STREAM 255
#define FRAME_MORE 1		/* flag: the message goes on in the next frame of its stream */
#define FRAME_COST(n) ((uint64_t)(n) + HEADER_LEN)
#define ALIVE_S 5
#define STALL_S 30
#define AGENT_STALL_S 120
#define IN_CAP (128u << 10)
#define SMALL_FRAME 4096u	/* payloads up to here are held back for company ... */
#define HELD_CAP (32u << 10)	/* ... until so many bytes wait, */
#define HELD_NS 1000000L	/* or for so long: a system call a frame costs more than anything else for small entries */

enum link_type { LINK_CREDIT = 1, LINK_ALIVE = 2, LINK_FAIL = 3, LINK_END = 4 };

struct header { uint32_t len; uint8_t type, stream, flags; };

struct queued {
	struct queued *next;
	struct header h;
	uint8_t *data;
};

struct stream {
	/* guarded by wire.lock */
	pthread_cond_t readable, writable;
	struct queued *head, **tail;
	uint64_t held;		/* cost of what is queued */
	uint64_t owed;		/* cost of what was consumed and not yet granted again */
	uint64_t window;	/* what we may still send */
	bool ended;		/* by the peer */
	bool closed;		/* by us */
	/* one sender and one receiver at a time, so that the frames of a message stay together */
	pthread_mutex_t sending, receiving;
};

enum life { WIRE_ALIVE, WIRE_EOF /* what is queued may still be read */, WIRE_DEAD };

struct wire {
	enum wire_side side;
	int in, out;		/* borrowed */
	int in_flags, out_flags;	/* fcntl flags to be put back */
	int wake;		/* eventfd: readable once life != WIRE_ALIVE, or closing */
	char peer[128];
	int stall_s;

	pthread_mutex_t lock;
	pthread_cond_t changed;	/* life or stopping changed */
	enum life life;
	struct err why;		/* set once, when life leaves WIRE_ALIVE */
	bool lost;		/* set with it: the connection's own failure */
	bool stopping;
	struct stream s[WIRE_STREAMS];
	char state[WIRE_STATE_MAX], peer_state[WIRE_STATE_MAX];

	pthread_mutex_t out_lock;
	bool out_broken;	/* guarded by out_lock, as is what follows: a frame was cut or the pipe is gone */
	uint8_t *held;		/* HELD_CAP + one small frame: whole frames that wait to be written */
	size_t held_len;
	bool flusher_stops;
	pthread_cond_t held_some;

	pthread_t receiver, alive, flusher;
	bool receiver_runs, alive_runs, flusher_runs;
	atomic_uint_fast64_t sent, received;

	/* receiver thread only (and the handshake before it) */
	uint8_t *inbuf;
	size_t in_at, in_end;
	int64_t last_rx;	/* clock_mono_ns of the last byte */
};

/* ---- wire_io.c ---- */

/* Exactly n bytes of input: 1, 0 at the end of the input before the first byte, -1.  deadline: mono ns, 0 = the stall rule. */
int wire_get(struct wire *w, void *p, size_t n, int64_t deadline, struct err *e) MUST_CHECK;
/* One frame, checksum verified; *data is malloced (NULL when empty).  1, 0 at a clean end, -1. */
int wire_get_frame(struct wire *w, struct header *h, uint8_t **data, struct err *e) MUST_CHECK;
/*
 * One frame out.  urgent: also when the connection is dead already, for at most 2 s (the last words).  -1 without *e: the
 * reason stands in w->why or will soon.
 */
int wire_put_frame(struct wire *w, const struct header *h, const void *p, bool urgent) MUST_CHECK;
/* Writes what is held back; urgent as above. */
int wire_flush(struct wire *w, bool urgent) MUST_CHECK;
/* Thread body: writes small frames that found no company. */
void *wire_flusher(void *wire);
/* Raw bytes out, for the handshake. */
int wire_put_raw(struct wire *w, const void *p, size_t n) MUST_CHECK;

/* ---- wire_link.c ---- */

/* The connection is over; the first reason stands.  Wakes everybody. */
void wire_set_life(struct wire *w, enum life life, const struct err *why);
/* The same for a failure of the connection itself. */
void wire_set_lost(struct wire *w, enum life life, const struct err *why);
/* Thread bodies. */
void *wire_receiver(void *wire);
void *wire_beat(void *wire);

/* ---- wire_hello.c ---- */
int wire_hello(struct wire *w, const char *build, struct err *e) MUST_CHECK;

#endif
