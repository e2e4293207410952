#include "place_ask.h"

#include <string.h>

const char *place_split(const char *path, char dir[4096])
{
	const char *slash = strrchr(path, '/');

	(void)snprintf(dir, 4096, "%.*s", slash == path ? 1 : (int)(slash - path), path);
	return slash + 1;
}

int place_ask_agent(struct run *r, const struct plan_place *at, const char *name, const struct place_question *q, struct msg_placed *out,
    struct err *e)
{
	OWN(session_closep) struct session *s = NULL;
	OWN_FRAME struct wire_frame f = WIRE_FRAME_INIT;
	OWN_BUF struct buf b = BUF_INIT;
	struct msg_start start = { .identity = (char[]){ "" }, .scope = (char[]){ "" } };
	struct msg_place m = { .act = q->act, .name = (char *)(uintptr_t)name, .other = (char *)(uintptr_t)q->other,
		.name_id = (char *)(uintptr_t)q->name_id, .other_id = (char *)(uintptr_t)q->other_id };
	char dir[4096];
	int got;

	(void)place_split(at->path, dir);
	msg_place_encode(&b, &m);
	if (buf_finish(&b, e) < 0 || session_open(r, at->host, "place", dir, &start, &s, e) < 0 ||
	    wire_send(s->wire, WIRE_DATA, MSG_PLACE, b.data, b.len, e) < 0 || wire_end(s->wire, WIRE_DATA, e) < 0)
		return -1;
	if ((got = wire_recv(s->wire, WIRE_ACK, &f, e)) < 0)
		return -1;
	if (got == 0 || f.type != MSG_PLACED)
		return err_set(e, ERR_TEMPORARY, "host %s: the agent did not answer", at->host);
	if (msg_placed_decode(f.data, f.len, out, e) < 0)
		return -1;
	if (session_finish(s, NULL, e) == 0)
		return 0;
	msg_placed_dispose(out);
	return -1;
}

char *place_id(struct run *r, const struct plan_place *at, struct err *e)
{
	OWN(msg_placed_dispose) struct msg_placed now = { 0 };
	const struct place_question q = { MSG_PLACE_LOOK, "", "", "" };
	char dir[4096], *id;

	if (place_ask_agent(r, at, place_split(at->path, dir), &q, &now, e) < 0)
		return NULL;
	if (!(id = strdup(now.name_id)))
		(void)err_sys(e, "place");
	return id;
}

int place_remove(struct run *r, const struct plan_place *at, const char *id, struct err *e)
{
	OWN(msg_placed_dispose) struct msg_placed now = { 0 };
	const struct place_question q = { MSG_PLACE_REMOVE, "", id, "" };
	char dir[4096];

	return place_ask_agent(r, at, place_split(at->path, dir), &q, &now, e);
}
