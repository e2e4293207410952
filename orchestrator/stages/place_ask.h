/*
 * place_ask - one question to the place agent: what stands under a name, and act on it (messages_place.h).
 */
#ifndef PLACE_ASK_H
#define PLACE_ASK_H

#include "messages_place.h"
#include "run.h"

struct place_question { enum msg_place_act act; const char *other, *name_id, *other_id; };

/* The directory that holds path (absolute, clean, not "/"), and the name in it (borrowed from path). */
const char *place_split(const char *path, char dir[4096]);
/* About name in the directory that holds at->path.  0: *out is the answer (dispose it). */
int place_ask_agent(struct run *r, const struct plan_place *at, const char *name, const struct place_question *q, struct msg_placed *out,
    struct err *e) MUST_CHECK;
/* What stands at the place now, as place_remove takes it; owned, "" = absent, NULL = failed. */
char *place_id(struct run *r, const struct plan_place *at, struct err *e);
/* Removes the tree at the place if it is still that one, else ERR_REFUSED; an absent one is fine. */
int place_remove(struct run *r, const struct plan_place *at, const char *id, struct err *e) MUST_CHECK;

#endif
