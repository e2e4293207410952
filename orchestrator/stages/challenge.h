/*
 * challenge - some random contents of a verified place are asked for again, each with a nonce of this moment, and the answers compared
 * with the archive: whoever only kept the digests of before cannot give them (design.md, verify).
 */
#ifndef CHALLENGE_H
#define CHALLENGE_H

#include "verify.h"
#include "version.h"

#define CHALLENGES 12			/* contents a verification */
#define CHALLENGE_BYTES (16u << 20)	/* larger ones are left to the reading itself */

struct challenge_pick { struct entry entry; struct location at; };
struct challenge {
	struct challenge_pick picks[CHALLENGES];
	size_t n;
	uint64_t seen;
};
void challenge_dispose(struct challenge *c);
#define OWN_CHALLENGE OWN(challenge_dispose)

/* An entry that was compared and is as it should be: every content comes into the sample with the same probability. */
int challenge_offer(struct challenge *c, const struct entry *en, const struct location *at, struct err *e) MUST_CHECK;
/* Ask the place and compare; v gets differences ("challenge"), what could not be answered, and the number asked. */
int challenge_run(struct run *r, struct challenge *c, const char *host, const char *path, bool cached, struct verify_result *v,
    struct err *e) MUST_CHECK;

#endif
