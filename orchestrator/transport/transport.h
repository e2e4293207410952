/*
 * transport - from a host of the plan to a connected byte stream to an agent there.
 *
 * Three ways behind one interface: a child process (local), libssh2, and the OpenSSH client.
 * Whatever the way, the caller gets two plain fds and, at the end, an exit status.  libssh2 sessions live in a pump
 * thread each, with our own send queue (libraries.md 1.1); nobody else touches libssh2.
 *
 * Aliases, known_hosts and default keys come from the user's OpenSSH configuration, or from the file that WAYBILL_SSH_CONFIG
 * names (ssh -F).  host_open ignores SIGPIPE if it had its default action: a far side that goes away is an EPIPE.
 *
 *   host_open (log in, host key checked) -> host_agent (upload once per build) -> channel_open ... -> host_close
 */
#ifndef TRANSPORT_H
#define TRANSPORT_H

#include "buf.h"
#include "proc.h"

enum host_client { HOST_AUTO, HOST_LIBSSH2, HOST_OPENSSH };

struct host_spec {		/* all borrowed for the life of the host */
	const char *name;	/* as in the plan; "local" runs children */
	const char *ssh;	/* "[user@]address-or-alias"; the last '@' separates */
	int port;		/* 0 = from ssh_config, else 22 */
	const char *host_key;	/* key line ("ssh-ed25519 AAAA..."), "SHA256:...", or NULL = known_hosts decides */
	const char *identity;	/* ~ and IdentityFile's % tokens allowed; private key file, or public key file whose private half an agent holds; NULL = ssh_config's, then agent */
	enum host_client client;
	int keepalive_s;	/* 0 = 15 */
	bool become_sudo;
	struct host *via;	/* open bastion that is dialled through, or NULL; must be closed after this host */
	const char *agent;	/* installed helper, or NULL = upload ours */
	const char *agent_binary;	/* our own waybill-agent file */
	int connect_timeout_s;	/* 0 = 20 */
	bool sftp_only;		/* for sftp.h alone: no command is run there, not even to see whether the log-in went well */
};

struct host;
/*
 * Connect and log in.  ERR_UNREACHABLE with host, address, cause and next step: name not found, refused, timeout, host key
 * unknown (its SHA256 fingerprint and the known_hosts line to add) or different, no usable key, log-in refused.
 */
int host_open(struct host **out, const struct host_spec *spec, struct err *e) MUST_CHECK;
/* Was that a failure of host_open because the far side let nobody of these keys in (and not that it was out of reach)? */
bool host_login_refused(const struct err *e);
void host_close(struct host *h);	/* ends and frees every channel that is still open; NULL is fine */
static inline void host_closep(struct host **h) { host_close(*h); }
const char *host_name(const struct host *h);
/* How it is connected, for reports: "libssh2 1.10.0, deploy@10.1.0.5:22, key SHA256:..., host key SHA256:..., aes256-ctr". */
const char *host_route(const struct host *h);
/* Why auto chose what it chose, one line, or "". */
const char *host_client_reason(const struct host *h);

/*
 * Makes sure that the agent of this build is there: finds a directory of mode 0700 owned by the user that allows exec
 * ($XDG_CACHE_HOME/waybill, ~/.cache/waybill, /var/tmp/waybill-UID, /dev/shm/waybill-UID), uploads once per build, compares the SHA-256 that the host
 * computes, and remembers the path.  spec.agent set: checks only that it answers with our build.  ERR_PERMANENT when no place allows it.
 */
int host_agent(struct host *h, struct err *e) MUST_CHECK;
/* The same place as the agent of another connection to the same host: nothing is asked. */
int host_agent_as(struct host *h, const struct host *of, struct err *e) MUST_CHECK;
const struct host_spec *host_spec(const struct host *h);
const char *host_agent_path(const struct host *h);
/* Removes the agent that host_agent found or uploaded, and its directory if empty (finish, abandon); an installed one stays. */
int host_agent_remove(struct host *h, struct err *e) MUST_CHECK;

/* A running command: in/out are the caller's to read and write, not to close. */
struct channel;
/*
 * Run waybill-agent ROLE args... (argv without the program, NULL-terminated), through sudo -n when become_sudo.
 * No pty.  stderr is always drained: its last 4 KiB are kept for messages.
 */
int channel_agent(struct host *h, const char *const *args, struct channel **out, struct err *e) MUST_CHECK;
/* Run any command (probing, facts); argv is quoted for a POSIX shell at the far side. */
int channel_exec(struct host *h, const char *const *argv, struct channel **out, struct err *e) MUST_CHECK;
int channel_in(const struct channel *c);	/* write to it: the command's stdin */
int channel_out(const struct channel *c);	/* read from it: the command's stdout */
/*
 * Ends our writing side, reads and drops output that is left, waits for the command's end and gives its exit status: *status =
 * 0..255 or 128+signal.  -1 with ERR_TEMPORARY and *status = -1 when none arrived: cut connection, 300 s of silence, or (OpenSSH
 * client, which cannot tell them apart) status 255 and death by signal.  stderr_tail may be NULL.  Frees c in every case.
 */
int channel_close(struct channel *c, int *status, struct buf *stderr_tail, struct err *e) MUST_CHECK;
/* Tear down without waiting (a local child is killed).  NULL is fine. */
void channel_abandon(struct channel *c);
static inline void channel_abandonp(struct channel **c) { channel_abandon(*c); }

/*
 * A short command with its output, as proc_run: at most 1 MiB of stdout, the last 4 KiB of stderr; what a noisy login prints
 * first is cut away.  timeout_ms 0 = none; on expiry r->timed_out and 0.
 */
int host_run(struct host *h, const char *const *argv, const void *input, size_t n, int timeout_ms, struct proc_result *r, struct err *e) MUST_CHECK;

#endif
