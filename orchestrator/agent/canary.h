/*
 * canary - blocks of waybill's own, spread over the free space of a file system, by which a search shows that it would find
 * what is there.  They lie in one file of the root that is to be cleared, and are overwritten and removed like everything else.
 */
#ifndef CANARY_H
#define CANARY_H

#include "agent.h"
#include "messages_scan.h"

/* Plants m->count of them; m tells afterwards how many and over how many bytes.  What an earlier run left is removed first. */
int canary_plant(int root, struct msg_canary *m, struct err *e) MUST_CHECK;
/* Overwrites and removes them; nothing where there are none. */
int canary_remove(int root, struct err *e) MUST_CHECK;

#endif
