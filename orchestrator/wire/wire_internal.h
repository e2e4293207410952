/* wire_internal - for the files of this room only: the connection's state, its fds, its frames. */
#ifndef WIRE_INTERNAL_H
#define WIRE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "pace.h"
#include "wire.h"

#define HEADER_LEN 12
#define LINK_STREAM 255
#define FRAME_MORE 1		/* flag: the message goes on in the next frame of its stream */
#define FRAME_NUMBER 2		/* flag: the payload begins with the frame's number in its stream, as lanes do not keep their order */
#define NUMBER_LEN 4
#define FRAME_COST(n) ((uint64_t)(n) + HEADER_LEN)
#define ALIVE_S 5
#define STALL_S 30
#define AGENT_STALL_S 120
#define IN_CAP (128u << 10)
#define SMALL_FRAME 4096u	/* payloads up to here are held back for company ... */
#define HELD_CAP (32u << 10)	/* ... until so many bytes wait, */
#define HELD_NS 1000000L	/* or for so long: a system call a frame costs more than anything else for small entries */

enum link_type { LINK_CREDIT = 1, LINK_ALIVE = 2, LINK_FAIL = 3, LINK_END = 4, LINK_RETIRE = 5, LINK_RATE = 6 };

struct header { uint32_t len; uint8_t type, stream, flags; };

struct queued {
	struct queued *next;
	struct header h;
	uint8_t *data;		/* of h.len bytes, number included */
	uint32_t number;	/* in its stream */
};

struct input {			/* its receiver thread only (and the handshake before it) */
	int fd;			/* borrowed */
	uint8_t *buf;		/* owned, IN_CAP bytes */
	size_t at, end;
	int64_t last;		/* clock_mono_ns of the last byte */
};

struct output {
	int fd;			/* borrowed */
	pthread_mutex_t lock;
	bool broken;		/* guarded by lock: a frame was cut or the pipe is gone */
};

struct stream {
	/* guarded by wire.lock */
	pthread_cond_t readable, writable;
	struct queued *head, **tail;
	uint64_t held;		/* cost of what is queued */
	uint64_t owed;		/* cost of what was consumed and not yet granted again */
	uint64_t window;	/* what we may still send */
	struct queued *parked;	/* came before their turn, by number */
	uint32_t next_in;	/* number of the frame whose turn it is */
	uint32_t end_at;	/* number of frames in all, once has_end */
	bool has_end;		/* the peer said that it has ended: it has when next_in is there */
	uint32_t plain_in;	/* frames that came without a number: they are the first ones, all over the leader */
	bool numbered_in;	/* some came with one */
	bool ended;		/* by the peer */
	bool closed;		/* by us */
	/* one sender and one receiver at a time, so that the frames of a message stay together */
	pthread_mutex_t sending, receiving;
	uint32_t next_out;	/* guarded by sending, as is */
	bool numbered_out;
};

/* Further connections, which carry the larger frames (wire_lane.c). */
struct wire_lane;
struct lanes {			/* guarded by lock */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct wire_lane *first;
	size_t count;		/* lanes that take frames from us */
	struct queued *head, **tail;	/* frames that wait for a lane, headers as they go out */
	size_t writing;		/* frames that a lane is writing */
	bool stopping;
	bool used;		/* there was one: frames of streams are numbered from then on */
	pthread_t writer;	/* the leader's part of the work */
	bool writer_runs, leader_retired;
};

enum life { WIRE_ALIVE, WIRE_EOF /* what is queued may still be read */, WIRE_DEAD };

struct wire {
	enum wire_side side;
	struct input in;	/* of the leader, the connection that there is from the beginning */
	struct output out;
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
	struct pace pace;	/* of what we send on the streams but control */
	struct stream s[WIRE_STREAMS];
	char state[WIRE_STATE_MAX], peer_state[WIRE_STATE_MAX];

	/* guarded by out.lock */
	uint8_t *held;		/* HELD_CAP + one small frame: whole frames that wait to be written */
	size_t held_len;
	bool flusher_stops;
	pthread_cond_t held_some;

	pthread_t receiver, alive, flusher;
	bool receiver_runs, alive_runs, flusher_runs;
	atomic_uint_fast64_t sent, received;
	struct lanes lanes;
};

/* ---- wire_io.c ---- */

/* Exactly n bytes of input: 1, 0 at the end of the input before the first byte, -1.  deadline: mono ns, 0 = the stall rule. */
int wire_get(struct wire *w, struct input *in, void *p, size_t n, int64_t deadline, struct err *e) MUST_CHECK;
/* One frame, checksum verified; *data is malloced (NULL when empty).  1, 0 at a clean end, -1. */
int wire_get_frame(struct wire *w, struct input *in, struct header *h, uint8_t **data, struct err *e) MUST_CHECK;
/*
 * One frame out.  urgent: also when the connection is dead already, for at most 2 s (the last words).  -1 without *e: the
 * reason stands in w->why or will soon.
 */
int wire_put_frame(struct wire *w, const struct header *h, const void *p, bool urgent) MUST_CHECK;
/* Writes what is held back; urgent as above. */
int wire_flush(struct wire *w, bool urgent) MUST_CHECK;
/* Thread body: writes small frames that found no company. */
void *wire_flusher(void *wire);
/* The same past what is held back, for lanes; waits for out. */
int wire_put_on(struct wire *w, struct output *out, const struct header *h, const void *p) MUST_CHECK;
/* The same with out->lock held, a frame without payload. */
int wire_put_locked(struct wire *w, struct output *out, const struct header *h) MUST_CHECK;
/* Raw bytes out, for the handshake. */
int wire_put_raw(struct wire *w, struct output *out, const void *p, size_t n) MUST_CHECK;

/* ---- wire_link.c ---- */

/* The connection is over; the first reason stands.  Wakes everybody. */
void wire_set_life(struct wire *w, enum life life, const struct err *why);
/* The same for a failure of the connection itself. */
void wire_set_lost(struct wire *w, enum life life, const struct err *why);
/* A frame of the connection itself, or of a stream (takes *p over); for receivers. */
int wire_on_link(struct wire *w, const struct header *h, const uint8_t *p, struct err *e) MUST_CHECK;
int wire_on_stream(struct wire *w, const struct header *h, uint8_t **p, struct err *e) MUST_CHECK;
/* Thread bodies. */
void *wire_receiver(void *wire);
void *wire_beat(void *wire);

/* ---- wire_hello.c ---- */
int wire_hello(struct wire *w, struct input *in, struct output *out, const char *build, struct err *e) MUST_CHECK;

/* What we send on streams from now on keeps to rate; 0 = no limit. */
void wire_set_rate(struct wire *w, uint64_t rate);
void wire_free_queued(struct queued *list);

/* ---- wire_lane.c ---- */
int wire_leader_retired(struct wire *w);
bool wire_lanes_used(struct wire *w);
void wire_put_number(uint8_t p[NUMBER_LEN], uint32_t number);
void wire_lanes_init(struct wire *w);
/* Gives a frame of a stream (h->len counts its number, p comes without) to whichever lane is free first; copies p. */
int wire_lanes_take(struct wire *w, const struct header *h, const void *p, uint32_t number, struct err *e) MUST_CHECK;
/* Waits until all that was taken has been written, or the connection is dead. */
void wire_lanes_drain(struct wire *w);
/* ALIVE on every lane that is not busy with frames. */
void wire_lanes_beat(struct wire *w);
/* They write what they have begun, and that no more comes; at most 2 s. */
void wire_lanes_stop(struct wire *w);
/* Joins their threads and frees them; the connection must be over (wire_set_life). */
void wire_lanes_close(struct wire *w);

#endif
