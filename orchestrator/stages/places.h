/*
 * places - what a host says about itself and about one path, by the facts agent.
 */
#ifndef PLACES_H
#define PLACES_H

#include "run.h"

/*
 * A JSON object of strings: hostname, kernel, arch, os, euid, user, now, boot, and of the path: exists (yes, no, unknown), type,
 * fstype, mount, options, device, serial, storage (words: crypt, thin, snapshot, snapshots, raid, multipath, mirror, loop, flash, virtual, guest), free_bytes, free_inodes, read_only, identity, nearest, chain (device:inode of it, or of
 * the nearest, and of every directory above), error.  Owned by the caller.  Remote text is escaped.
 */
int place_facts(struct run *r, const char *host, const char *path, json_t **out, struct err *e) MUST_CHECK;
/* The same with the agent's whole argument list (facts --root / ...). */
int place_ask(struct run *r, const char *host, const char *const *args, json_t **out, struct err *e) MUST_CHECK;
/* "" when the fact is not there; borrowed. */
const char *place_fact(const json_t *facts, const char *key);
uint64_t place_number(const json_t *facts, const char *key);
/* Seconds by which the host's clock was ahead of this machine's when the facts came just now. */
int64_t place_skew(const json_t *facts);
#define PLACE_SKEW_S 60	/* beyond this, times on papers of two hosts cannot be put in order */

#endif
