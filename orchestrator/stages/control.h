/*
 * control - the positive control: of the witnesses of what is at the place now, how many does the scan see?  By class, and by the
 * way in which the file system keeps the content; a cell under 99 % is blind.
 */
#ifndef CONTROL_H
#define CONTROL_H

#include <jansson.h>

#include "messages_scan.h"
#include "witness_set.h"

struct control_cell { uint64_t expected, found; };
struct control {
	struct control_cell cell[WITNESS_CLASSES][MSG_STORAGES];
	uint64_t expected, found;	/* of contents: sectors and strings */
	bool blind, names_blind;
	char reason[200];		/* why blind, or "" */
};

/* Witnesses found, of all classes and versions. */
uint64_t control_count(const struct witness_set *s, const uint8_t *found);
/* Old versions, encodings of names and canaries are not expected; nor are the sectors of contents kept inline. */
void control_judge(const struct witness_set *s, const uint8_t *found, const bool *datasets, struct control *c);
/* {found, expected, blind, reason, cells: [{class, storage, expected, found, blind}]}; owned by the caller. */
json_t *control_json(const struct control *c);
const char *control_storage_name(enum msg_storage s);

#endif
