/* PLACE and PLACED. */
#include "messages_place.h"

#include <string.h>

#include "messages_internal.h"

#define WHAT_MAX 64

void msg_place_dispose(struct msg_place *m)
{
	free(m->name);
	free(m->other);
	free(m->name_id);
	free(m->other_id);
	*m = (struct msg_place){ 0 };
}

void msg_place_encode(struct buf *b, const struct msg_place *m)
{
	buf_put_u8(b, (uint8_t)m->act);
	msg_put_text(b, m->name);
	msg_put_text(b, m->other);
	msg_put_text(b, m->name_id);
	msg_put_text(b, m->other_id);
}

/* One component, which leads nowhere else. */
static bool is_component(const char *s)
{
	return s && *s && !strchr(s, '/') && strcmp(s, ".") != 0 && strcmp(s, "..") != 0;
}

int msg_place_decode(const void *p, size_t n, struct msg_place *m, struct err *e)
{
	struct view v = view_of(p, n);
	uint8_t act = view_u8(&v);

	*m = (struct msg_place){ .act = (enum msg_place_act)act };
	m->name = msg_text(&v, MSG_PLACE_NAME_MAX);
	m->other = msg_text(&v, MSG_PLACE_NAME_MAX);
	m->name_id = msg_text(&v, MSG_PLACE_ID_MAX);
	m->other_id = msg_text(&v, MSG_PLACE_ID_MAX);
	v.failed |= act < MSG_PLACE_LOOK || act > MSG_PLACE_UNMERGE || !is_component(m->name);
	v.failed |= !m->other || (*m->other && (!is_component(m->other) || (m->name && strcmp(m->name, m->other) == 0)));
	v.failed |= act != MSG_PLACE_TRIAL && act != MSG_PLACE_REMOVE && act != MSG_PLACE_LOOK && (!m->other || !*m->other);
	if (msg_done_view(&v, "PLACE", e) < 0) {
		msg_place_dispose(m);
		return -1;
	}
	return 0;
}

void msg_placed_dispose(struct msg_placed *m)
{
	free(m->name_id);
	free(m->other_id);
	free(m->what);
	*m = (struct msg_placed){ 0 };
}

void msg_placed_encode(struct buf *b, const struct msg_placed *m)
{
	msg_put_text(b, m->name_id);
	msg_put_text(b, m->other_id);
	msg_put_text(b, m->what);
	buf_put_u8(b, m->acted);
	buf_put_varint(b, m->count);
	buf_put_varint(b, m->made);
}

/* It goes into events and messages. */
static bool is_plain(const char *s)
{
	for (; s && *s; s++)
		if (*s < ' ' || *s > '~')
			return false;
	return s != NULL;
}

int msg_placed_decode(const void *p, size_t n, struct msg_placed *m, struct err *e)
{
	struct view v = view_of(p, n);
	uint8_t acted;

	*m = (struct msg_placed){ .name_id = msg_text(&v, MSG_PLACE_ID_MAX) };
	m->other_id = msg_text(&v, MSG_PLACE_ID_MAX);
	m->what = msg_text(&v, WHAT_MAX);
	acted = view_u8(&v);
	m->acted = acted == 1;
	m->count = view_varint(&v);
	m->made = view_varint(&v);
	v.failed |= acted > 1 || !is_plain(m->name_id) || !is_plain(m->other_id) || !is_plain(m->what);
	if (msg_done_view(&v, "PLACED", e) < 0) {
		msg_placed_dispose(m);
		return -1;
	}
	return 0;
}
