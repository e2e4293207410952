/* base64 - RFC 4648 with padding, strict: keys, fingerprints, signatures. */
#ifndef BASE64_H
#define BASE64_H

#include "buf.h"

/* Append n bytes as base64; padded with '=' or, as OpenSSH writes fingerprints, not. */
void base64_put(struct buf *b, const void *p, size_t n, bool pad);
/* Append what n characters mean.  False on any other character (space and newline included) or a wrong length. */
bool base64_get(struct buf *b, const char *s, size_t n);

#endif
