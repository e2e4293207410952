/*
 * kexinit - the server's proposal, read from the first bytes of the connection, so that "no common algorithm" can say which
 * and what the server would take.  libssh2 only says -5.
 */
#ifndef KEXINIT_H
#define KEXINIT_H

#include "buf.h"

enum { KEX_KEX, KEX_HOSTKEY, KEX_CIPHER_CS, KEX_CIPHER_SC, KEX_MAC_CS, KEX_MAC_SC, KEX_LISTS };
struct kexinit { char *list[KEX_LISTS]; };	/* comma separated names; all NULL when the bytes hold no proposal */
void kexinit_dispose(struct kexinit *k);
/* bytes: everything received so far, banner first.  False when no whole proposal is in them (yet). */
bool kexinit_parse(struct kexinit *k, const void *bytes, size_t n);
/* Is name in a comma separated list? */
bool list_has(const char *list, const char *name, size_t n);
/* Does any name of ours occur in theirs? */
bool lists_meet(const char *ours, const char *theirs);

#endif
