/*
 * loss - what a place cannot keep for want of rights: known from the rights of the agent there, before a byte is copied.
 *
 * Preflight records the rights of each target's agent; from them and an entry follows exactly what will be missing.  It is listed
 * before the copy (loss_survey), counted in every version, and named by verify, which takes nothing else for it.
 */
#ifndef LOSS_H
#define LOSS_H

#include <jansson.h>

#include "attrs.h"
#include "entry.h"

enum loss {
	LOSS_OWNER,		/* the owner: everything belongs to the agent's user */
	LOSS_GROUP,		/* a group that the agent's user is not in */
	LOSS_DEVICE,		/* character and block devices */
	LOSS_SETID,		/* set-user-id and set-group-id of an owner or group that is lost */
	LOSS_XATTR,		/* trusted.* and security.* extended attributes */
	LOSS_CAPABILITY,	/* security.capability */
	LOSS_FLAGS,		/* immutable and append-only */
	LOSS_COUNT
};
const char *loss_name(enum loss k);	/* "owner", "group", "device", "setid", "xattr", "capability", "flags" */

#define LOSS_GROUPS 64
#define LOSS_RANGES 16
struct loss_ids { size_t n; struct { uint32_t first, count; } range[LOSS_RANGES]; };
struct loss_rights {		/* of an agent at a place; all zero: nothing is lost */
	unsigned denied;	/* 1 << enum loss; LOSS_SETID follows from the others */
	uint32_t euid;
	uint32_t groups[LOSS_GROUPS];	/* what it may give away */
	size_t ngroups;
	struct loss_ids uids, gids;	/* root of a user namespace: the ids that exist there, which it may give away */
};
/* From the facts of a place (keys euid, groups, caps, and uids and gids of a user namespace).  Without caps a root is taken to be able to do everything. */
void loss_rights_from(const json_t *facts, struct loss_rights *out);
/* Their own JSON, {denied: [...], euid, groups: [...], uids: [[FIRST, COUNT], ...], gids}, as it stands in events; NULL: out of memory. */
json_t *loss_rights_json(const struct loss_rights *r);
void loss_rights_parse(const json_t *j, struct loss_rights *out);

/* Kinds (1 << LOSS_XATTR, 1 << LOSS_CAPABILITY) that the attributes of a set belong to. */
unsigned loss_of_attrs(const struct attr_set *s);
/* Does the attribute belong to one of the kinds? */
bool loss_takes_attr(unsigned kinds, const char *name);
/* What is lost of en, whose ids are already those wanted there; attrs: loss_of_attrs of its xattrs. */
unsigned loss_of(const struct loss_rights *r, const struct entry *en, unsigned attrs);
/* The mode that en has there. */
uint32_t loss_mode(const struct loss_rights *r, const struct entry *en);

struct loss_counts { uint64_t n[LOSS_COUNT]; char *first[LOSS_COUNT]; /* escaped, owned, may be NULL */ };
void loss_counts_dispose(struct loss_counts *c);
#define OWN_LOSSES OWN(loss_counts_dispose)
void loss_count(struct loss_counts *c, unsigned kinds, const char *path);
uint64_t loss_total(const struct loss_counts *c);
json_t *loss_counts_json(const struct loss_counts *c);		/* {owner: {entries, first}, ...}: kinds that occur */
/* "owner of 12 entries (first a/b), ..."; "" when there are none. */
void loss_counts_text(const json_t *counts, char *out, size_t n);

#endif
