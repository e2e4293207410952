/*
 * ssh2 - one libssh2 session: who may touch what.
 *
 * Until the pump starts, the opening thread uses it alone; afterwards only the pump thread calls libssh2 or touches the
 * socket.  Others put work under lock and ring wake.  Every byte to the socket goes through outq: the SEND callback always
 * takes all, which is what keeps libssh2 from its partial-packet states (rekey deadlock, -7, -39).
 */
#ifndef SSH2_H
#define SSH2_H

#include <libssh2.h>
#include <pthread.h>

#include "route.h"

#define OUTQ_LIMIT (1u << 20)		/* above this nobody writes to a channel */
#define HELLO_MAX 16384			/* first bytes received, for kexinit.h */

struct ssh2_channel;

struct ssh2 {
	struct route base;
	LIBSSH2_SESSION *session;
	int fd;
	struct channel *tunnel;		/* the bastion's channel that fd is a second name of, or NULL */
	struct buf outq;
	size_t outq_at;			/* bytes of outq already sent */
	bool dead;			/* the socket is of no use any more */
	int dead_errno;			/* 0 = the far side closed it, unless dead_text says more */
	char dead_text[160];
	uint64_t received;		/* times that bytes came in: what one channel's read brings may be another's */
	struct buf hello;
	char *who;

	pthread_t thread;
	bool started;
	int wake;			/* eventfd */
	pthread_mutex_t lock;		/* guards what follows, and the shared part of each channel */
	pthread_cond_t changed;		/* CLOCK_MONOTONIC */
	struct ssh2_channel *fresh;	/* put in by start, taken by the pump */
	bool quit;

	/* The pump's own. */
	struct ssh2_channel *channels;
	LIBSSH2_CHANNEL *pilot;		/* the last finished channel: reading it drives the session while no other is open */
};

/* ssh2_io.c */
void ssh2_library_init(void);
struct ssh2 *ssh2_new(int fd, const char *who, struct err *e);
void ssh2_free(struct ssh2 *s);
static inline void ssh2_freep(struct ssh2 **s) { if (*s) ssh2_free(*s); }
void ssh2_flush(struct ssh2 *s);
static inline size_t ssh2_queued(const struct ssh2 *s) { return s->outq.len - s->outq_at; }
/* Wait for the socket (and send what is queued) until deadline; false when that has passed. */
bool ssh2_wait(struct ssh2 *s, int64_t deadline_ns);
/* The session is beyond use (protocol error, disconnect message): keeps libssh2's words. */
void ssh2_give_up(struct ssh2 *s);
/* libssh2's own words for the last failure. */
const char *ssh2_why(struct ssh2 *s);

/* ssh2_auth.c: logs in; text receives "key ssh-ed25519 SHA256:...". */
int ssh2_login(struct ssh2 *s, const struct route_request *q, int64_t deadline_ns, struct buf *text, struct buf *fallback, struct err *e) MUST_CHECK;

/* ssh2_pump.c */
extern const struct route_ops ssh2_ops;
int ssh2_pump_start(struct ssh2 *s, int keepalive_s, struct err *e) MUST_CHECK;

#endif
