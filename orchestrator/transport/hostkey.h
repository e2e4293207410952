/*
 * hostkey - which host key is the right one: the plan's, else known_hosts'.  Never asked, never learned.
 *
 *   hostkey_policy_load -> hostkey_methods before, hostkey_judge after the key exchange -> hostkey_policy_dispose
 */
#ifndef HOSTKEY_H
#define HOSTKEY_H

#include "known_hosts.h"
#include "ssh_config.h"

struct hostkey_policy {
	char *pin_text;			/* the plan's words, or NULL: known_hosts decides */
	struct buf pin;			/* blob of a key line; empty when a fingerprint is pinned */
	struct known_hosts known;	/* what known_hosts holds for this host; for pinned hosts only @revoked counts */
	struct buf name;		/* its name in known_hosts */
	char first_file[256];		/* where a line would go */
};
void hostkey_policy_dispose(struct hostkey_policy *p);
/* plan_key: key line, "SHA256:..." or NULL.  ERR_USAGE when it is neither. */
int hostkey_policy_load(struct hostkey_policy *p, const char *plan_key, const struct ssh_config *c, struct err *e) MUST_CHECK;

static inline bool hostkey_is_pinned(const struct hostkey_policy *p) { return p->pin_text != NULL; }
/* Key types (as in key blobs, comma separated) that could be right; empty when nothing is known (a fingerprint, or an unknown host). */
void hostkey_types(const struct hostkey_policy *p, struct buf *b);
/* 0: this is the host.  ERR_UNREACHABLE with both fingerprints and what to do.  who as in route_request. */
int hostkey_judge(const struct hostkey_policy *p, const char *who, const void *blob, size_t n, struct err *e) MUST_CHECK;
/* The same verdict without a message: for going through several keys of a host. */
bool hostkey_is_right(const struct hostkey_policy *p, const void *blob, size_t n);

#endif
