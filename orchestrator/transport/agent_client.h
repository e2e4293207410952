/*
 * agent_client - the two requests of the ssh-agent protocol that a log-in needs (draft-miller-ssh-agent): list keys, sign.
 * Our own, because libssh2's signs RSA with SHA-1 only before 1.11 and shares the session's socket callbacks.
 */
#ifndef AGENT_CLIENT_H
#define AGENT_CLIENT_H

#include "buf.h"

#define AGENT_RSA_SHA2_256 2u
#define AGENT_RSA_SHA2_512 4u

struct agent_key { struct buf blob; char *comment; };
struct agent {
	int fd;			/* -1: there is none */
	struct agent_key *keys;
	size_t n;
};
#define AGENT_INIT { -1, NULL, 0 }
void agent_close(struct agent *a);

/* socket: path, "SSH_AUTH_SOCK", "$NAME", "none", or NULL = $SSH_AUTH_SOCK.  No agent is no error: fd stays -1. */
int agent_open(struct agent *a, const char *socket, struct err *e) MUST_CHECK;
const struct agent_key *agent_find(const struct agent *a, const void *blob, size_t n);
/* Appends the raw signature (without its algorithm name) of data. */
int agent_sign(const struct agent *a, const struct agent_key *k, const void *data, size_t n, uint32_t flags, struct buf *signature, struct err *e) MUST_CHECK;

#endif
