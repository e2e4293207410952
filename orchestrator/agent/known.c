#include "known.h"

#include <string.h>

#include "path.h"

void known_init(struct known *k, struct agent *a) { *k = (struct known){ .a = a, .fresh = true }; }

void known_dispose(struct known *k)
{
	wire_frame_dispose(&k->frame);
	entry_dispose(&k->cur);
	free(k->last);
	*k = (struct known){ .a = NULL };
}

static int next_frame(struct known *k, struct err *e)
{
	int r = wire_recv(k->a->wire, WIRE_KNOWN, &k->frame, e);

	if (r < 0)
		return -1;
	if (r == 0) {
		k->ended = true;
		return 0;
	}
	if (k->frame.type != MSG_KNOWN || k->frame.len == 0)
		return err_set(e, ERR_INTEGRITY, "the known state holds a message that is none of its own");
	k->left = view_of(k->frame.data, k->frame.len);
	k->fresh = true;
	return 1;
}

/* Order and uniqueness are what the merge rests on. */
static int take(struct known *k, struct err *e)
{
	if (k->last && path_cmp(k->last, strlen(k->last), k->cur.path, k->cur.path_len) >= 0) {
		entry_dispose(&k->cur);
		return err_set(e, ERR_INTEGRITY, "the known state is not in walk order");
	}
	free(k->last);
	if (!(k->last = strdup(k->cur.path)))
		return err_sys(e, "known state");
	k->have = true;
	k->fresh = false;
	return 1;
}

int known_peek(struct known *k, struct err *e)
{
	while (!k->have && !k->ended) {
		int r = view_left(&k->left) ? msg_known_next(&k->left, &k->cur, k->fresh ? NULL : k->last, e) : 0;

		if (r > 0)
			r = take(k, e);
		else if (r == 0)
			r = next_frame(k, e);
		if (r < 0)
			return -1;
	}
	return k->have ? 1 : 0;
}

void known_drop(struct known *k)
{
	entry_dispose(&k->cur);
	k->have = false;
}

struct entry *known_take(struct known *k)
{
	struct entry *en = malloc(sizeof(*en));

	if (!en)
		return NULL;
	*en = k->cur;
	k->cur = (struct entry)ENTRY_INIT;
	k->have = false;
	return en;
}
