/* known - the known state, as a cursor over WIRE_KNOWN. */
#ifndef KNOWN_H
#define KNOWN_H

#include "agent.h"

struct known {
	struct agent *a;
	struct wire_frame frame;	/* owned */
	struct view left;		/* of the frame */
	bool have, ended;
	struct entry cur;		/* owned; valid while have */
	char *last;			/* path of the last one taken, for order and prefix coding; owned */
	bool fresh;			/* at the start of a frame: no prefix */
};
void known_init(struct known *k, struct agent *a);
void known_dispose(struct known *k);
/* The entry under the cursor in k->cur: 1, 0 = no more, -1.  Waits for the orchestrator. */
int known_peek(struct known *k, struct err *e) MUST_CHECK;
void known_drop(struct known *k);	/* cursor one on */
/* The same, and the entry is the caller's; NULL: out of memory. */
struct entry *known_take(struct known *k);

#endif
