/*
 * known_hosts - our own reader of OpenSSH's files, because libssh2's stops at the first bad line and ignores @revoked,
 * wildcards and negation (libraries.md 1.4).
 *
 *   KNOWN_HOSTS_INIT -> known_hosts_read for each file -> look at .keys -> known_hosts_dispose
 */
#ifndef KNOWN_HOSTS_H
#define KNOWN_HOSTS_H

#include "buf.h"

struct known_key {
	bool revoked;			/* "@revoked": this key is never accepted */
	struct buf blob;
	char type[64];
	char *where;			/* "FILE:LINE" */
};
struct known_hosts {
	struct known_key *keys;		/* those whose names match the host, in file order */
	size_t n;
	size_t bad;			/* lines skipped because they could not be read */
};
#define KNOWN_HOSTS_INIT { NULL, 0, 0 }
void known_hosts_dispose(struct known_hosts *k);

/*
 * Adds the keys that file holds for name ("host", or "[host]:port" for a port other than 22; any case).  Understood: hashed
 * names, comma lists, * and ?, ! negation, @revoked.  @cert-authority lines say nothing about plain keys and are passed over;
 * lines that cannot be read are skipped and counted.  A missing file is empty.
 */
int known_hosts_read(struct known_hosts *k, const char *file, const char *name, struct err *e) MUST_CHECK;

#endif
