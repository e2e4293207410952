/* sha1 - for the formats of git alone, where it is no promise of ours but the name that git gives. */
#ifndef SHA1_H
#define SHA1_H

#include <stddef.h>
#include <stdint.h>

#define SHA1_LEN 20

struct sha1;
struct sha1 *sha1_new(void);		/* NULL: out of memory, or the library lacks it */
void sha1_free(struct sha1 *s);		/* NULL is fine */
static inline void sha1_freep(struct sha1 **s) { sha1_free(*s); }
void sha1_update(struct sha1 *s, const void *p, size_t n);
/* Writes the digest and resets s for the next one. */
void sha1_final(struct sha1 *s, uint8_t out[SHA1_LEN]);

#endif
