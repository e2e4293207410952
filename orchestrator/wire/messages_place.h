/*
 * messages_place - what the place role is told and answers (waybill-wire.7, Place).
 */
#ifndef MESSAGES_PLACE_H
#define MESSAGES_PLACE_H

#include "messages.h"

enum msg_place_type {
	MSG_PLACE = 115,	/* orchestrator -> place on WIRE_DATA: struct msg_place */
	MSG_PLACED = 116	/* place -> orchestrator on WIRE_ACK: struct msg_placed, one for each, in their order */
};

enum msg_place_act {
	MSG_PLACE_LOOK = 1,	/* what stands under both names */
	MSG_PLACE_TRIAL = 2,	/* exchange two temporary directories beside them */
	MSG_PLACE_EXCHANGE = 3,	/* name and other; name may be absent: then other is renamed */
	MSG_PLACE_BACK = 4,	/* the inverse: ids as for EXCHANGE */
	MSG_PLACE_RENAME = 5,	/* name becomes other, which must be absent */
	MSG_PLACE_REMOVE = 6,	/* the tree under name */
	MSG_PLACE_MERGE = 7,	/* the entries of other into name, file by file; what they replace is kept */
	MSG_PLACE_UNMERGE = 8	/* the inverse */
};
#define MSG_PLACE_NAME_MAX 255u
#define MSG_PLACE_ID_MAX 64u

struct msg_place {		/* strings owned after decode */
	enum msg_place_act act;
	char *name, *other;	/* one component beneath the root each; other may be "" */
	char *name_id, *other_id;	/* what must stand there: "DEV:INO"; "" = absent; only LOOK and TRIAL ignore them */
};
void msg_place_dispose(struct msg_place *m);
void msg_place_encode(struct buf *b, const struct msg_place *m);
int msg_place_decode(const void *p, size_t n, struct msg_place *m, struct err *e) MUST_CHECK;

struct msg_placed {
	char *name_id, *other_id;	/* as it stands now; owned */
	char *what;		/* of name: "dir", "absent", "symlink", "mount", "mounts beneath", "other device", "other"; owned */
	bool acted;		/* false: it was done already */
	uint64_t count;		/* MERGE, UNMERGE: entries put in place, or back */
	uint64_t made;		/* UNMERGE: directories that somebody had deleted since, made again */
};
void msg_placed_dispose(struct msg_placed *m);
void msg_placed_encode(struct buf *b, const struct msg_placed *m);
int msg_placed_decode(const void *p, size_t n, struct msg_placed *m, struct err *e) MUST_CHECK;

#endif
