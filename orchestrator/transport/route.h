/*
 * route - what the three ways to a host have in common; inside this room only.
 *
 * A route is a logged-in connection that can start commands; a channel is one running command.  host.c keeps both, the
 * ways (child.c for local and openssh, ssh2_*.c) fill in the tables.
 */
#ifndef ROUTE_H
#define ROUTE_H

#include <pthread.h>

#include "transport.h"

#define STDERR_TAIL 4096
#define SILENCE_LIMIT_S 300	/* at the end of a channel: agents say "alive" every 5 s, so this long without a byte is a hang */

struct channel;
struct route;

struct channel_ops {
	void (*end_input)(struct channel *c);
	/* The command's end; the output was read to its end.  *status = -1 and -1 when the connection was cut. */
	int (*wait)(struct channel *c, int64_t deadline_ns, int *status, struct buf *tail, struct err *e);
	void (*drop)(struct channel *c);	/* ends what still runs and frees c */
};

struct channel {
	const struct channel_ops *ops;
	struct host *host;
	struct channel *next;		/* in the host's list */
	int in, out;			/* owned by the implementation; may be the same fd */
};

struct route_ops {
	bool shell;			/* command is a shell line at the far side; otherwise argv is executed */
	/* -1 with e->sys == EUSERS: this connection takes no further command (MaxSessions); another one may. */
	int (*start)(struct route *r, const char *const *argv, const char *line, struct channel **out, struct err *e);
	void (*close)(struct route *r);
	/*
	 * A connection from there to hostname:port, as a channel whose in and out are one stream socket; NULL: this way has none.
	 * ERR_UNREACHABLE with the far side's own reason.
	 */
	int (*forward)(struct route *r, const char *hostname, int port, struct channel **out, struct err *e);
	int (*subsystem)(struct route *r, const char *name, struct channel **out, struct err *e);	/* NULL: this way has none */
	/* Words of a ProxyCommand of the OpenSSH client that dials through this connection, appended to b; NULL: there is none. */
	void (*proxy_command)(const struct route *r, struct buf *b);
};

struct route {
	const struct route_ops *ops;
};

/* What every way is told; the strings live as long as the host. */
struct ssh_config;
struct hostkey_policy;
struct route_request {
	const struct host_spec *spec;
	const struct ssh_config *config;
	const struct hostkey_policy *policy;
	const char *who;		/* "host old (deploy@10.1.0.5:22)", for messages */
	int timeout_s;
	int keepalive_s;
};

struct host {
	const struct host_spec *spec;
	struct route *route;
	char *text;			/* host_route */
	char *reason;			/* host_client_reason */
	char *agent;			/* host_agent_path; NULL before */
	bool agent_uploaded;		/* ours to remove */
	pthread_mutex_t lock;		/* guards channels: several threads may open and close some */
	struct channel *channels;
	pthread_mutex_t spare_lock;	/* guards spare, and its making */
	struct host *spare;		/* one more connection to the same host, for what this one does not take; owned */
};

/* The three ways.  text: a sentence for host_route. */
int local_open(struct route **out, struct buf *text, struct err *e) MUST_CHECK;
/* fallback receives the reason when the OpenSSH client may do what libssh2 could not; empty = its answer would be the same. */
int ssh2_open(struct route **out, const struct route_request *q, struct buf *text, struct buf *fallback, struct err *e) MUST_CHECK;
int openssh_open(struct route **out, const struct route_request *q, struct buf *text, struct err *e) MUST_CHECK;

/*
 * A child process as a channel: argv executed, stdin and stdout piped, stderr drained by a thread.  lost255: exit status 255
 * is the OpenSSH client's own and means that no status arrived.
 */
int child_channel(const char *const *argv, bool lost255, struct channel **out, struct err *e) MUST_CHECK;

/* Start a command on the host's route and keep it in its list.  line (or NULL) is used instead of the quoted argv where there is a shell. */
int route_start(struct host *h, const char *const *argv, const char *line, struct channel **out, struct err *e) MUST_CHECK;

/* A subsystem of its sshd ("sftp") as a channel in the host's list. */
int route_subsystem(struct host *h, const char *name, struct channel **out, struct err *e) MUST_CHECK;

/*
 * Dial hostname:port from via.  who, for messages, is the host to be reached.  ERR_UNREACHABLE when the bastion refuses or cannot
 * reach it, with the next step.
 */
int route_forward(struct host *via, const char *hostname, int port, const char *who, struct channel **out, struct err *e) MUST_CHECK;

/* argv as words of a POSIX shell, each in single quotes where it needs them. */
void shell_quote(struct buf *b, const char *const *argv);
/* Keep the last limit bytes of b. */
void keep_tail(struct buf *b, size_t limit);

/* Append what to do about a bastion that does not forward (waybill-plan.5, via); always -1. */
int route_hint_no_forwarding(const struct host *via, struct err *e);

#endif
