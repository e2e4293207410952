/* sshkey - public key lines ("ssh-ed25519 AAAA... comment") as people paste them. */
#ifndef PLAN_SSHKEY_H
#define PLAN_SSHKEY_H

#include "buf.h"

struct sshkey {
	const char *type;		/* static string */
	char fingerprint[8 + 44];	/* "SHA256:" and unpadded base64 */
};

/*
 * Reads a line of type, base64 blob and an optional comment.  line receives "type base64" (appended).  NULL when it is good,
 * else what is wrong with it, as the end of a sentence ("... is not a public key: it has no base64 part").
 */
const char *sshkey_parse(const char *text, struct sshkey *out, struct buf *line);
/* True for "SHA256:" and 43 characters of base64 without padding. */
bool sshkey_is_fingerprint(const char *s);

#endif
