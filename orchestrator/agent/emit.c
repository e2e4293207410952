#include "emit.h"

#include <string.h>

#include "clock.h"

#define BLOCK_BYTES (256u << 10)	/* of an object in one message */
#define NAMES_BYTES (64u << 10)		/* in one message */
#define GAP 10				/* before them: room for the ordinal, which is known last */
#define ADAPTIVE INT32_MIN	/* of struct msg_start */
#define LEVEL_DEFAULT 1
#define LEVEL_LOW (-5)
#define LEVEL_HIGH 3
#define SLOW_LINK (25u << 20)	/* stored bytes a second: below that a sender that waits waits for the link, not for a processor */

struct emit_block { struct emit_block *next; size_t len; uint8_t data[GAP + BLOCK_BYTES]; };

void emit_init(struct emit *em, struct agent *a)
{
	bool adaptive = a->start.level == ADAPTIVE;

	*em = (struct emit){ .a = a, .level = adaptive ? LEVEL_DEFAULT : a->start.level, .adaptive = adaptive, .since = clock_mono_ns() };
	(void)pthread_mutex_init(&em->turn, NULL);
}

void emit_dispose(struct emit *em) { (void)pthread_mutex_destroy(&em->turn); }

int emit_level(const struct emit *em) { return __atomic_load_n(&em->level, __ATOMIC_RELAXED); }

/*
 * After each object: a link that keeps us waiting is worth more work on fewer bytes; where sending hardly waits, or waits for
 * processors that are busy with the bytes (they come that fast), less work is worth more.
 */
static void adapt(struct emit *em)
{
	int64_t now = clock_mono_ns(), took = now - em->since;
	int level = emit_level(em);
	uint64_t rate;

	if (!em->adaptive || took <= 0)
		return;
	rate = em->sent * 1000 / ((uint64_t)took / 1000000 + 1);
	if (em->waited > took / 2 && rate < SLOW_LINK)
		level += level < LEVEL_HIGH;
	else if (em->waited < took / 10 || rate >= SLOW_LINK)
		level -= level > LEVEL_LOW;
	__atomic_store_n(&em->level, level, __ATOMIC_RELAXED);
	em->since = now;
	em->waited = 0;
	em->sent = 0;
}

/* ---- stored bytes, gathered ---- */

void emit_object_dispose(struct emit_object *o)
{
	while (o->first) {
		struct emit_block *b = o->first;

		o->first = b->next;
		free(b);
	}
	o->last = NULL;
}

int emit_object_sink(void *object, const void *p, size_t n, struct err *e)
{
	struct emit_object *o = object;
	const char *at = p;

	while (n) {
		size_t k;

		if (!o->last || o->last->len == BLOCK_BYTES) {
			struct emit_block *b = malloc(sizeof(*b));

			if (!b)
				return err_sys(e, "object");
			b->next = NULL;
			b->len = 0;
			if (o->last)
				o->last->next = b;
			else
				o->first = b;
			o->last = b;
		}
		k = n < BLOCK_BYTES - o->last->len ? n : BLOCK_BYTES - o->last->len;
		memcpy(o->last->data + GAP + o->last->len, at, k);
		o->last->len += k;
		at += k;
		n -= k;
	}
	return 0;
}

static int begin_object(struct emit *em, const struct msg_obj_begin *is, struct err *e)
{
	OWN_BUF struct buf b = BUF_INIT;

	msg_obj_begin_encode(&b, is);
	return agent_send(em->a, WIRE_DATA, MSG_OBJ_BEGIN, &b, e);
}

static int send_ranges(struct emit *em, struct msg_ranges *ranges, uint64_t ordinal, struct err *e)
{
	OWN_BUF struct buf b = BUF_INIT;

	ranges->ordinal = ordinal;
	msg_ranges_encode(&b, ranges);
	return agent_send(em->a, WIRE_DATA, MSG_RANGES, &b, e);
}

static int end_object(struct emit *em, uint64_t ordinal, uint64_t raw, uint64_t stored, struct err *e)
{
	OWN_BUF struct buf b = BUF_INIT;
	struct msg_obj_end m = { ordinal, raw, stored };

	msg_obj_end_encode(&b, &m);
	return agent_send(em->a, WIRE_DATA, MSG_OBJ_END, &b, e);
}

/* OBJ_DATA made in place: the ordinal right before the bytes. */
static int send_block(struct emit *em, struct emit_block *b, const struct buf *ordinal, struct err *e)
{
	uint8_t *from = b->data + GAP - ordinal->len;

	memcpy(from, ordinal->data, ordinal->len);
	em->sent += b->len;
	return wire_send(em->a->wire, WIRE_DATA, MSG_OBJ_DATA, from, ordinal->len + b->len, e);
}

static int send_blocks(struct emit_object *o, uint64_t ordinal, uint64_t *stored, struct err *e)
{
	OWN_BUF struct buf number = BUF_INIT;
	int r = 0;

	buf_put_varint(&number, ordinal);
	if (buf_finish(&number, e) < 0)
		return -1;
	while (o->first && r == 0) {
		struct emit_block *b = o->first;

		r = send_block(o->em, b, &number, e);
		*stored += b->len;
		o->first = b->next;
		free(b);
	}
	if (!o->first)
		o->last = NULL;
	return r;
}

int emit_object_send(struct emit_object *o, struct msg_obj_begin *is, struct msg_ranges *ranges, uint64_t raw, struct err *e)
{
	struct emit *em = o->em;
	uint64_t stored = 0;
	int64_t before;
	int r;

	pthread_mutex_lock(&em->turn);
	is->ordinal = ++em->ordinals;
	r = begin_object(em, is, e);
	before = clock_mono_ns();
	if (r == 0)
		r = send_blocks(o, is->ordinal, &stored, e);
	em->waited += clock_mono_ns() - before;
	adapt(em);
	if (r == 0 && ranges)
		r = send_ranges(em, ranges, is->ordinal, e);
	if (r == 0)
		r = end_object(em, is->ordinal, raw, stored, e);
	pthread_mutex_unlock(&em->turn);
	return r;
}

/* ---- packs ---- */

void emit_packs_init(struct emit_packs *p, struct emit *em) { *p = (struct emit_packs){ .em = em, .out = { .em = em } }; }

void emit_packs_dispose(struct emit_packs *p)
{
	pack_writer_free(take_ptr(&p->pack));
	emit_object_dispose(&p->out);
	buf_dispose(&p->names);
}

/* The entries themselves come in walk order, which may be much later than their pack. */
static int tell_names(struct emit_packs *p, struct err *e)
{
	int r = buf_finish(&p->names, e);

	if (r == 0 && p->names.len)
		r = agent_send(p->em->a, WIRE_DATA, MSG_NAMES, &p->names, e);
	buf_reset(&p->names);
	return r;
}

static int add_name(struct emit_packs *p, const struct entry *en, struct err *e)
{
	buf_put_u8(&p->names, (uint8_t)en->type);
	buf_put(&p->names, en->path, en->path_len + 1);
	return p->names.len >= NAMES_BYTES ? tell_names(p, e) : 0;
}

int emit_finish(struct emit_packs *p, uint64_t *ended, struct err *e)
{
	OWN(pack_writer_freep) struct pack_writer *w = take_ptr(&p->pack);
	struct msg_obj_begin is = { .kind = MSG_KIND_PACK };
	uint64_t raw;

	*ended = 0;
	if (!w)
		return 0;
	if (pack_writer_finish(w, &raw, NULL, e) < 0 || tell_names(p, e) < 0 || emit_object_send(&p->out, &is, NULL, raw, e) < 0)
		return -1;
	*ended = is.ordinal;
	return 0;
}

int emit_pack(struct emit_packs *p, const struct entry *en, const struct attr_set *attrs, const void *data, uint64_t *ended, struct err *e)
{
	int r;

	*ended = 0;
	if (!p->pack && pack_writer_new(&p->pack, emit_level(p->em), emit_object_sink, &p->out, e) < 0)
		return -1;
	r = pack_add(p->pack, en, attrs, e);
	/* More attributes than a pack takes: the manifest's blob has them all. */
	if (r < 0 && e->class == ERR_PERMANENT && attrs && attrs->n) {
		err_clear(e);
		r = pack_add(p->pack, en, NULL, e);
	}
	if (r < 0 || (en->type == ENTRY_FILE && en->size && pack_data(p->pack, data, (size_t)en->size, e) < 0))
		return -1;
	if (add_name(p, en, e) < 0)
		return -1;
	return pack_writer_raw(p->pack) >= PACK_RAW_TARGET ? emit_finish(p, ended, e) : 0;
}
