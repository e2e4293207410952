/* Objects of a pass: from the source's stream into the archive, and what the entries will point at. */
#include "pass_internal.h"

#include <errno.h>
#include <string.h>

#include "esc.h"

#define HELD_MAX 256
#define OPEN_OBJECTS_MAX 128u
#define LARGE_WAITING_MAX 4096u
#define LARGE_SEGMENTS_MAX (2u * MSG_SEGMENTS_MAX)

static int bad(struct err *e, const char *what)
{
	return err_set(e, ERR_INTEGRITY, "the source agent's %s is not as the protocol says", what);
}

static int grow(void **v, size_t count, size_t size, struct err *e)
{
	void *n;

	if (count & (count - 1))	/* capacity is the next power of two */
		return 0;
	if (!(n = realloc(*v, (count ? count * 2 : 1) * size)))
		return err_sys(e, "pass");
	*v = n;
	return 0;
}

static int new_place(struct pass *p, const struct location *at, bool ready, uint64_t *place, struct err *e)
{
	if (grow((void **)&p->places, p->place_count, sizeof(*p->places), e) < 0)
		return -1;
	p->places[p->place_count++] = (struct pass_place){ *at, ready };
	*place = p->place_count;
	return 0;
}

int pass_place(struct pass *p, const struct location *at, uint64_t *place, struct err *e)
{
	const struct pass_place *last = p->place_count ? &p->places[p->place_count - 1] : NULL;

	*place = 0;
	if (at->kind == LOCATION_NONE)
		return 0;
	if (last && last->ready && last->at.kind == at->kind && memcmp(&last->at.id, &at->id, sizeof(at->id)) == 0) {
		*place = p->place_count;
		return 0;
	}
	return new_place(p, at, true, place, e);
}

static struct pass_object *object_of(struct pass *p, uint64_t ordinal, bool open)
{
	struct pass_object *o;

	if (ordinal == 0 || ordinal > p->object_count)
		return NULL;
	o = &p->objects[ordinal - 1];
	return !open || (o->put && !o->held) ? o : NULL;
}

int pass_object_begin(struct pass *p, const struct wire_frame *f, struct err *e)
{
	struct view v = view_of(f->data, f->len);
	uint64_t ordinal = view_varint(&v);
	uint8_t kind = view_u8(&v);
	struct pass_object *o;
	uint64_t large_id = kind == MSG_KIND_SLICE ? view_varint(&v) : 0;

	/* Each has a file open here; an agent works at a few at a time. */
	if (p->open_count == OPEN_OBJECTS_MAX)
		return err_set(e, ERR_INTEGRITY, "the source agent has %u objects open at a time", OPEN_OBJECTS_MAX);
	if (v.failed || ordinal != p->object_count + 1 || (kind != MSG_KIND_PACK && kind != MSG_KIND_SLICE))
		return bad(e, "OBJ_BEGIN");
	if (grow((void **)&p->objects, p->object_count, sizeof(*p->objects), e) < 0)
		return -1;
	o = &p->objects[p->object_count];
	memset(o, 0, sizeof(*o));
	o->kind = kind == MSG_KIND_PACK ? STORE_PACK : STORE_SLICE;
	o->large_id = large_id;
	p->object_count++;
	if (o->kind == STORE_PACK) {
		struct location unknown = { .kind = LOCATION_PACK };

		if (new_place(p, &unknown, false, &o->place, e) < 0)
			return -1;
	}
	if (store_put_begin(p->r->w->store, o->kind, &o->put, e) < 0)
		return -1;
	p->open_count++;
	return 0;
}

int pass_object_data(struct pass *p, const struct wire_frame *f, struct err *e)
{
	struct view v = view_of(f->data, f->len);
	struct pass_object *o = object_of(p, view_varint(&v), true);

	if (v.failed || !o)
		return bad(e, "OBJ_DATA");
	return store_put_write(o->put, v.p, view_left(&v), e);
}

/* The recipe of a large content, once every slice has its id. */
static int make_recipe(struct pass *p, const struct pass_large *l, struct err *e)
{
	OWN_RECIPE struct recipe rc = RECIPE_INIT;
	OWN(pass_base_dispose) struct pass_base base = { .rc = RECIPE_INIT };
	OWN_BUF struct buf text = BUF_INIT;
	struct store_put *put;
	uint64_t stored;

	if (pass_base_open(p, l, &base, e) < 0)
		return -1;
	memcpy(rc.sha256, l->m.entry.sha256, DIGEST_LEN);
	for (size_t i = 0; i < l->m.segment_count; i++) {
		const struct msg_segment *s = &l->m.segments[i];
		struct recipe_part part = { .hole = s->ordinal == 0, .offset = s->offset, .length = s->length };

		if (s->ordinal == MSG_SEGMENT_BASE) {
			if (pass_base_cut(&base, s->offset, s->length, &rc, e) < 0)
				return -1;
			continue;
		}
		if (s->ordinal)
			memcpy(part.slice, p->objects[s->ordinal - 1].id.sha256, DIGEST_LEN);
		if (recipe_add(&rc, &part, e) < 0)
			return -1;
	}
	recipe_encode(&rc, &text);
	if (buf_finish(&text, e) < 0 || store_put_begin(p->r->w->store, STORE_RECIPE, &put, e) < 0)
		return -1;
	if (store_put_write(put, text.data, text.len, e) < 0) {
		store_put_abandon(put);
		return -1;
	}
	return store_put_commit(put, &p->places[l->place - 1].at.id, &stored, e);
}

static bool is_slice(const struct msg_segment *s) { return s->ordinal && s->ordinal != MSG_SEGMENT_BASE; }

static int commit_object(struct pass *p, struct pass_object *o, uint64_t announced, struct err *e)
{
	uint64_t stored = 0;

	if (store_put_commit(take_ptr(&o->put), &o->id, &stored, e) < 0)
		return -1;
	if (stored != announced)
		return bad(e, "object length");
	o->ended = true;
	if (o->place) {
		p->places[o->place - 1].at.id = o->id;
		p->places[o->place - 1].ready = true;
	}
	p->result.objects++;
	p->result.stored += stored;
	p->stored_since += stored;
	return 0;
}

static int commit_held(struct pass *p, struct pass_object *o, struct err *e)
{
	if (!o->held)
		return 0;
	o->held = false;
	p->held_count--;
	return commit_object(p, o, o->announced, e);
}

/*
 * A slice waits for the end of its content: a file that was only touched, or that changed under the reader, leaves nothing in the
 * archive.  Beyond HELD_MAX the oldest goes in all the same: each holds a file open.
 */
static int hold(struct pass *p, struct pass_object *o, uint64_t announced, struct err *e)
{
	o->held = true;
	o->announced = announced;
	p->held_count++;
	while (p->held_count > HELD_MAX) {
		while (!p->objects[p->held_first].held)
			p->held_first++;
		if (commit_held(p, &p->objects[p->held_first], e) < 0)
			return -1;
	}
	return 0;
}

int pass_large_abort(struct pass *p, const struct wire_frame *f, struct err *e)
{
	uint64_t id;

	if (msg_number_decode(f->data, f->len, &id, e) < 0)
		return -1;
	for (size_t i = p->held_first; i < p->object_count; i++) {
		struct pass_object *o = &p->objects[i];

		if (!o->held || o->large_id != id)
			continue;
		store_put_abandon(take_ptr(&o->put));
		o->held = false;
		p->held_count--;
	}
	return 0;
}

static int commit_slices(struct pass *p, const struct msg_entry *m, struct err *e)
{
	for (size_t i = 0; i < m->segment_count; i++)
		if (is_slice(&m->segments[i]) && commit_held(p, &p->objects[m->segments[i].ordinal - 1], e) < 0)
			return -1;
	return 0;
}

/* A recipe asks its slices for no more than they were said to hold. */
static int check_ranges(const struct pass *p, const struct msg_entry *m, struct err *e)
{
	for (size_t i = 0; i < m->segment_count; i++) {
		const struct msg_segment *s = &m->segments[i];
		uint64_t raw = is_slice(s) ? p->objects[s->ordinal - 1].raw : 0;

		if (is_slice(s) && (s->offset > raw || s->length > raw - s->offset))
			return bad(e, "list of segments");
	}
	return 0;
}

static bool slices_ended(const struct pass *p, const struct msg_entry *m)
{
	for (size_t i = 0; i < m->segment_count; i++)
		if (is_slice(&m->segments[i]) && !p->objects[m->segments[i].ordinal - 1].ended &&
		    !p->objects[m->segments[i].ordinal - 1].held)
			return false;
	return true;
}

static int finish_large(struct pass *p, struct pass_large *l, struct err *e)
{
	OWN_BUF struct buf b = BUF_INIT;

	if (check_ranges(p, &l->m, e) < 0 || commit_slices(p, &l->m, e) < 0 || make_recipe(p, l, e) < 0)
		return err_at(e, "recipe of %s", esc_s(l->m.entry.path));
	p->places[l->place - 1].at.kind = LOCATION_RECIPE;
	p->places[l->place - 1].ready = true;
	if (pass_hashes_keep(p, l, e) < 0)
		return -1;
	buf_put_varint(&b, l->m.large_id);
	entry_encode(&b, &l->m.entry, NULL);
	return buf_finish(&b, e) < 0 ? -1 : target_send(&p->target, MSG_LARGE_END, b.data, b.len, e);
}

static int finish_ready(struct pass *p, struct err *e)
{
	for (size_t i = 0; i < p->large_count; ) {
		if (!slices_ended(p, &p->large[i].m)) {
			i++;
			continue;
		}
		if (finish_large(p, &p->large[i], e) < 0)
			return -1;
		p->large_segments -= p->large[i].m.segment_count;
		msg_entry_dispose(&p->large[i].m);
		p->large[i] = p->large[--p->large_count];
	}
	return 0;
}

int pass_object_end(struct pass *p, const struct wire_frame *f, struct err *e)
{
	struct view v = view_of(f->data, f->len);
	struct pass_object *o = object_of(p, view_varint(&v), true);
	uint64_t raw = view_varint(&v), announced = view_varint(&v);

	if (!view_done(&v) || !o)
		return bad(e, "OBJ_END");
	o->raw = raw;
	p->open_count--;
	if ((o->kind == STORE_SLICE ? hold(p, o, announced, e) : commit_object(p, o, announced, e)) < 0)
		return -1;
	return finish_ready(p, e);
}

int pass_pack_place(struct pass *p, uint64_t ordinal, uint64_t *place, struct err *e)
{
	struct pass_object *o = object_of(p, ordinal, false);

	if (!o || o->kind != STORE_PACK)
		return bad(e, "ENTRY");
	*place = o->place;
	return 0;
}

int pass_large_add(struct pass *p, struct msg_entry *m, const struct location *base, uint64_t *place, struct err *e)
{
	struct location unknown = { .kind = LOCATION_NONE };	/* becomes RECIPE when it is made */
	uint64_t total = 0;

	for (size_t i = 0; i < m->segment_count; i++) {
		const struct msg_segment *s = &m->segments[i];

		if (s->length > UINT64_MAX - total || (is_slice(s) && !object_of(p, s->ordinal, false)) ||
		    (is_slice(s) && p->objects[s->ordinal - 1].kind != STORE_SLICE))
			return bad(e, "list of segments");
		total += s->length;
	}
	if (total != m->entry.size)
		return bad(e, "list of segments");
	/* What waits for its slices is kept in memory; the slices of an honest agent end soon after. */
	if (p->large_count == LARGE_WAITING_MAX || p->large_segments + m->segment_count > LARGE_SEGMENTS_MAX)
		return err_set(e, ERR_INTEGRITY, "the source agent leaves too many contents without the end of their slices");
	if (grow((void **)&p->large, p->large_count, sizeof(*p->large), e) < 0 || new_place(p, &unknown, false, place, e) < 0)
		return -1;
	p->large_segments += m->segment_count;
	p->large[p->large_count++] = (struct pass_large){ *m, *place, *base };
	memset(m, 0, sizeof(*m));	/* transferred */
	return finish_ready(p, e);
}

bool pass_place_ready(const struct pass *p, uint64_t place)
{
	return place == 0 || p->places[place - 1].ready;
}

int pass_attr(struct pass *p, const struct wire_frame *f, struct err *e)
{
	OWN_ATTRS struct attr_set set = ATTR_SET_INIT;
	struct store_put *put;
	struct object_id id;
	uint64_t stored;

	if (f->len > ATTR_BLOB_MAX || attr_set_decode(&set, f->data, f->len, e) < 0)
		return bad(e, "ATTR");
	if (store_put_begin(p->r->w->store, STORE_ATTR, &put, e) < 0)
		return -1;
	if (store_put_write(put, f->data, f->len, e) < 0) {
		store_put_abandon(put);
		return -1;
	}
	if (store_put_commit(put, &id, &stored, e) < 0)
		return -1;
	return target_blob(&p->target, f->data, f->len, id.sha256, e);
}

void pass_objects_free(struct pass *p)
{
	for (size_t i = 0; i < p->object_count; i++)
		store_put_abandon(p->objects[i].put);
	for (size_t i = 0; i < p->large_count; i++)
		msg_entry_dispose(&p->large[i].m);
	pass_patch_free(p);
	free(p->objects);
	free(p->large);
	free(p->places);
}
