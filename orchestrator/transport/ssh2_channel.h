/* ssh2_channel - one command over libssh2, as the pump thread sees it. */
#ifndef SSH2_CHANNEL_H
#define SSH2_CHANNEL_H

#include "ssh2.h"

#define CHANNEL_WINDOW (2u << 20)	/* 20 MB/s at 100 ms; larger ones were slower on fast links (libraries.md 0.4) */
#define CHANNEL_BUFFER 32768u
#define SSH2_RETRY_MS 50

enum stage { STAGE_OPEN, STAGE_EXEC, STAGE_RUN, STAGE_CLOSE, STAGE_DONE };

struct ssh2_channel {
	struct channel base;
	struct ssh2 *s;
	struct ssh2_channel *next;

	/* Shared, under s->lock. */
	enum stage stage;		/* written by the pump */
	bool running;			/* exec was accepted */
	bool dropped;			/* the caller is gone: the pump closes and frees */
	int status;			/* exit status, 128+signal, or -1 */
	struct err fault;		/* why it did not start or was cut */
	struct buf tail;		/* last of its stderr */

	/* The pump's own. */
	LIBSSH2_CHANNEL *lc;
	int64_t give_up_at, retry_at;	/* a refused open is tried again: closed channels free their place only after a while */
	char *line;			/* the command; or the host to dial, when port is set */
	int port;			/* 0 = a command */
	bool subsystem;			/* line is the name of one */
	int fd;				/* our end of the socketpair */
	bool in_ended;			/* the caller's writing side has ended and all of it was read */
	bool eof_sent;
	bool out_ended;			/* the far side's output has ended and was handed over */
	bool closed;			/* both sides have closed it */
	bool deaf;			/* nobody reads the output any more: it is dropped */
	bool blocked_out;		/* the socketpair is full */
	size_t up_len, up_at, down_len, down_at;
	char up[CHANNEL_BUFFER], down[CHANNEL_BUFFER];
};

/* One step; true when anything moved.  Never blocks. */
bool ssh2_channel_step(struct ssh2_channel *c);
/* The session is lost: ends c with this failure. */
void ssh2_channel_fail(struct ssh2_channel *c, const struct err *why);
/* What to wait for on c->fd; 0 = nothing. */
short ssh2_channel_events(const struct ssh2_channel *c);

#endif
