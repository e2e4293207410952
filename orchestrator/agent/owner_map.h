/* owner_map - the owners: map of a plan, as ids; and names of users and groups looked up on this host. */
#ifndef OWNER_MAP_H
#define OWNER_MAP_H

#include "agent.h"

/* Owner and group as START's map has them; an id without a pair stays. */
void owner_map(const struct agent *a, struct entry *en);
/* The id of a name by getent: 1; 0: the host does not know it; -1: it could not be asked. */
int owner_lookup(bool group, const char *name, uint32_t *id, struct err *e) MUST_CHECK;

#endif
