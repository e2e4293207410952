/*
 * place - inside of the role that changes what stands under a name; shared by place.c and merge.c only.
 */
#ifndef AGENT_PLACE_H
#define AGENT_PLACE_H

#include "messages_place.h"

#define PLACE_SITE "place"	/* of the fault seam */

/*
 * Entries of parent/m->other go into parent/m->name, by a journal that is durable before the first of them moves: whatever cuts it, the
 * next call goes on.  What they replace is kept beside, in "OTHER.kept".
 */
int merge_in(int parent, const struct msg_place *m, uint64_t *count, struct err *e) MUST_CHECK;
/* By the same journal, which is gone afterwards.  Without one nothing was merged: 0.  *made: directories of both that were gone. */
int merge_back(int parent, const struct msg_place *m, uint64_t *count, uint64_t *made, struct err *e) MUST_CHECK;

#endif
