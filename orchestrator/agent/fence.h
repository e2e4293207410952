/*
 * fence - a runner that was overtaken may not write any more (design.md 9).
 *
 * Each START carries the epoch of its runner.  The highest epoch seen for a root is kept in the agent's private directory (beside
 * the agent when that is 0700 and ours, else ~/.cache/waybill, else /var/lib/waybill for root), under the SHA-256 of
 * the root's path, together with the identity of the directory: a root made anew starts afresh.
 */
#ifndef FENCE_H
#define FENCE_H

#include <stdint.h>
#include "err.h"

struct fence {
	int dir;		/* owned: the private directory; -1 when not entered */
	int root;		/* borrowed, locked (flock) while entered */
	char name[80];
	char identity[80];	/* dev:ino:btime of the root */
	uint64_t epoch;
};
#define FENCE_INIT { -1, -1, "", "", 0 }

/*
 * Records epoch for the root and waits until an overtaken agent that still holds it has gone.  ERR_REFUSED when a higher one is
 * recorded already, ERR_TEMPORARY when the other does not go within FENCE_WAIT_S.
 */
#define FENCE_WAIT_S 30
int fence_enter(struct fence *f, int root, const char *root_path, uint64_t epoch, struct err *e) MUST_CHECK;
/* Is ours still the highest?  ERR_REFUSED when a later runner has entered meanwhile. */
int fence_still(const struct fence *f, struct err *e) MUST_CHECK;
void fence_leave(struct fence *f);
#define OWN_FENCE OWN(fence_leave)

#endif
