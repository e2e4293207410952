/*
 * challenge - some random contents of a verified place are asked for again, each with a nonce of this moment, and the answers compared
 * with the archive: whoever only kept the digests of before cannot give them (design.md, verify).
 */
#ifndef CHALLENGE_H
#define CHALLENGE_H

#include "verify.h"
#include "version.h"

#define CHALLENGES 12			/* contents a verification */
#define CHALLENGE_BYTES (16u << 20)	/* of larger ones only ranges are asked for */
#define CHALLENGES_LARGE 6		/* larger contents a verification, */
#define CHALLENGE_RANGES 2		/* so many random ranges of each, */
#define CHALLENGE_RANGE (1u << 20)	/* of so many bytes */

struct challenge_pick { struct entry entry; struct location at; };
struct challenge_sample { struct challenge_pick picks[CHALLENGES]; size_t n; uint64_t seen; };
struct challenge { struct challenge_sample whole, large; };
void challenge_dispose(struct challenge *c);
#define OWN_CHALLENGE OWN(challenge_dispose)

/* An entry that was compared and is as it should be: every content comes into the sample of its kind with the same probability. */
int challenge_offer(struct challenge *c, const struct entry *en, const struct location *at, struct err *e) MUST_CHECK;
/* Ask the place and compare; v gets differences ("challenge"), what could not be answered, and the number of questions. */
int challenge_run(struct run *r, struct challenge *c, const char *host, const char *path, bool cached, struct verify_result *v,
    struct err *e) MUST_CHECK;

#endif
