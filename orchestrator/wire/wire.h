/*
 * wire - frames and streams between the orchestrator and an agent (waybill-wire.7).
 *
 * One connection carries several streams.  A receiver thread takes frames off the input as long as it lives and
 * queues them by stream; every stream has a window of bytes (credits), so a slow consumer of one stream stops only
 * that stream and memory stays bounded.  Sending blocks while the peer's window is full.  Every frame has a checksum.
 *
 *   wire_open (handshake done) -> wire_send* / wire_recv* from any threads -> wire_close
 *
 * Liveness: both sides send ALIVE every 5 s from a thread of its own; the orchestrator's side fails with
 * ERR_TEMPORARY when no frame at all came for 30 s, the agent's after 120 s: it must not outlive a connection that nobody reset.
 * Back-pressure is not a stall, for ALIVE has no window.
 */
#ifndef WIRE_H
#define WIRE_H

#include "buf.h"

#define WIRE_VERSION 1
#define WIRE_MAGIC "WAYBILL-AGENT/1 "	/* the agent's first line: magic, build id, newline; noise before it is skipped */
#define WIRE_NOISE_MAX 65536		/* bytes of log-in noise accepted before the magic line */
#define WIRE_FIRST_MAX (16u << 10)	/* fits into any pipe, so that nobody waits for a peer that is none */
#define WIRE_PAYLOAD_MAX (1u << 20)	/* bytes of payload in one frame */
#define WIRE_MESSAGE_MAX (32u << 20)	/* bytes of one message; longer than a frame it travels in several */
#define WIRE_WINDOW (16u << 20)		/* bytes in flight on one stream and direction: 300 MB/s at 50 ms */
#define WIRE_STREAMS 8

enum wire_stream { WIRE_CONTROL = 0, WIRE_DATA = 1, WIRE_KNOWN = 2, WIRE_ACK = 3 };

struct wire;
struct wire_frame {
	uint8_t type;		/* message type of the stream (messages.h) */
	uint8_t *data;		/* owned by the frame */
	size_t len;
};
#define WIRE_FRAME_INIT { 0, NULL, 0 }
void wire_frame_dispose(struct wire_frame *f);
#define OWN_FRAME OWN(wire_frame_dispose)

enum wire_side { WIRE_ORCHESTRATOR, WIRE_AGENT };

struct wire_options {
	enum wire_side side;
	int in, out;		/* borrowed fds; may be the same */
	const char *peer;	/* name for messages ("host old"), borrowed */
	const char *build;	/* agent: its build id (hex); orchestrator: the id that must answer, or NULL */
	int stall_s;		/* 0 = 30, for an agent 120; seconds without any frame before the peer counts as dead */
};

/*
 * Handshake: the agent writes the magic line; the orchestrator skips noise up to it and both start their threads.
 * ERR_UNREACHABLE: no magic line within WIRE_NOISE_MAX or the time limit (text quotes the noise, escaped);
 * ERR_PERMANENT: another protocol version or build.
 */
int wire_open(struct wire **out, const struct wire_options *o, struct err *e) MUST_CHECK;
/*
 * The same for the orchestrator, with a control message of at most WIRE_FIRST_MAX bytes that goes out before the agent has said anything:
 * that saves a round trip.  first NULL: wire_open.
 */
struct wire_first { uint8_t type; const void *data; size_t len; };	/* borrowed */
int wire_open_with(struct wire **out, const struct wire_options *o, const struct wire_first *first, struct err *e) MUST_CHECK;

/* Send one message of up to WIRE_MESSAGE_MAX; blocks for credit.  ERR_TEMPORARY once the connection is dead (its reason in the text). */
int wire_send(struct wire *w, enum wire_stream s, uint8_t type, const void *p, size_t n, struct err *e) MUST_CHECK;
/* Next message of the stream, in order; blocks.  1 = a frame (dispose it), 0 = the peer ended the stream, -1 = error. */
int wire_recv(struct wire *w, enum wire_stream s, struct wire_frame *f, struct err *e) MUST_CHECK;
/* No more messages from us on s. */
int wire_end(struct wire *w, enum wire_stream s, struct err *e) MUST_CHECK;
/* A failure for the peer: its next wire_recv/wire_send fails with this class and text (prefixed by our name). */
void wire_fail(struct wire *w, const struct err *why);
/* Orchestrator: each side sends at most so many bytes a second on the streams but control; 0 = no limit. */
void wire_limit(struct wire *w, uint64_t bytes_per_s);
/* Agent: state word carried by ALIVE ("walk", "sync"), for status displays. */
void wire_set_state(struct wire *w, const char *state);
/* The peer's last state word (printable ASCII), "" before the first. */
#define WIRE_STATE_MAX 32
void wire_peer_state(struct wire *w, char out[WIRE_STATE_MAX]);
/*
 * Did the connection itself fail (it ended, fell silent, or brought a damaged frame), so that the same may be tried over another one?
 * False while it lives, after wire_cancel, and when the peer said itself why it cannot go on.
 */
bool wire_lost(struct wire *w);
/* Bytes moved so far, frame headers included. */
void wire_counts(struct wire *w, uint64_t *sent, uint64_t *received);

/*
 * Lanes: further connections between the same two.  Larger messages go over whichever is free first, and are put in order again by
 * their numbers; small ones stay on the first connection, the leader.  A lane that fails is a connection lost.
 *
 *   wire_lane_add (both sides) -> wire_lane_retire (orchestrator), when it has carried enough -> wire_lane_over
 *   any state -> wire_close
 */
struct wire_lane;
struct wire_lane_options {
	int in, out;			/* borrowed until done */
	const char *build;		/* as in wire_options: a lane begins with the same magic line */
	void (*done)(void *ctx);	/* or NULL; called once, from any thread: the fds are not used any more */
	void *ctx;
};
/*
 * ERR_UNREACHABLE, ERR_PERMANENT as wire_open; nothing is called then and *out is NULL.  Should only one of the lane's threads be had
 * (ERR_TEMPORARY), *out is set: the fds stay in use until done, and the whole wire is given up.  The lane is freed by wire_close.
 */
int wire_lane_add(struct wire *w, const struct wire_lane_options *o, struct wire_lane **out, struct err *e) MUST_CHECK;
/* No more over this lane; NULL = no more large messages over the leader while there is any lane. */
void wire_lane_retire(struct wire *w, struct wire_lane *l);
bool wire_lane_retired(struct wire_lane *l);
/* Neither side uses it any more. */
bool wire_lane_over(struct wire_lane *l);
/* Bytes in both directions; NULL = over the leader. */
uint64_t wire_lane_bytes(struct wire *w, struct wire_lane *l);
/* Unblock every thread in send/recv with ERR_CANCELLED; callable from any thread. */
void wire_cancel(struct wire *w);
/* Stops the threads and frees w; the fds stay open (borrowed).  NULL is fine. */
void wire_close(struct wire *w);
static inline void wire_closep(struct wire **w) { wire_close(*w); }

/* Hex of a digest over all sources the agent is made of: equal for an orchestrator and an agent of one build. */
const char *wire_build_id(void);

#endif
