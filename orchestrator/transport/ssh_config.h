/*
 * ssh_config - what the user's OpenSSH configuration says about a host, asked from ssh itself (`ssh -G`).
 *
 * WAYBILL_SSH_CONFIG in the environment names a configuration file to use instead of the user's (ssh -F); tests use it, and
 * so can people who keep the fleet's configuration apart.  ssh -G runs "Match exec" commands: the files are the user's own.
 */
#ifndef SSH_CONFIG_H
#define SSH_CONFIG_H

#include "buf.h"

struct strings { char **s; size_t n; };
int strings_add(struct strings *l, const char *s, struct err *e) MUST_CHECK;
void strings_dispose(struct strings *l);

struct ssh_config {
	char *target;		/* address or alias as the plan gives it, without the user */
	char *user, *hostname;	/* effective */
	int port;
	struct strings identities, known_hosts;	/* paths, expanded */
	char *hostkeyalias;	/* the following NULL when not set */
	char *proxyjump, *proxycommand, *identityagent, *pkcs11, *certificate, *ciphers;
	bool identities_only, gssapi, hostbased;
	int connect_timeout_s;	/* 0 = not set */
	bool have_ssh;		/* an OpenSSH client is installed */
};
void ssh_config_dispose(struct ssh_config *c);

/* ssh: "[user@]address-or-alias" (the last '@' separates); port 0 = as configured.  Without an ssh client: the built-in defaults. */
int ssh_config_load(struct ssh_config *c, const char *ssh, int port, struct err *e) MUST_CHECK;
/* Adds path with ~ and the % tokens of IdentityFile expanded. */
int ssh_config_path(struct strings *l, const struct ssh_config *c, const char *path, struct err *e) MUST_CHECK;
/* Why libssh2 cannot take this route, or NULL.  via: the plan says how to get there, so that the configured proxy does not count. */
const char *ssh_config_needs_openssh(const struct ssh_config *c, bool via);
/* "host", or "[host]:port": the name under which known_hosts keeps it. */
void ssh_config_known_name(const struct ssh_config *c, struct buf *b);

#endif
