/* What a worker does: the entries of one pack, the bytes of one slice. */
#include "apply.h"

#include <errno.h>
#include <inttypes.h>

#include "io.h"
#include "owner_map.h"
#include "pack.h"
#include "sys.h"

/* ---- packs ---- */

static int copy_content(struct apply *ap, struct pack_reader *r, const struct entry *en, int fd, struct err *e)
{
	struct out o = out_on(fd, en->size);
	uint64_t total = 0;
	ssize_t n;

	while ((n = pack_read(r, ap->copy, COPY_BYTES, e)) > 0) {
		if (out_write(&o, SITE, ap->copy, (size_t)n, total, en->path, e) < 0)
			return -1;
		total += (uint64_t)n;
	}
	if (n < 0)
		return -1;
	if (total != en->size)
		return err_set(e, ERR_INTEGRITY, "%" PRIu64 " bytes came, %" PRIu64 " were announced", total, en->size);
	count_to(&ap->a->done.bytes, total);
	return 0;
}

static int file_from_pack(struct apply *ap, struct pack_reader *r, const struct entry *en, const struct attr_set *attrs,
    struct err *e)
{
	struct spot s;
	OWN_FD int fd = tree_new_file(ap, en, &s, e);

	if (fd < 0)
		return -1;
	if (copy_content(ap, r, en, fd, e) < 0) {
		tree_drop(&s);
		return -1;
	}
	return tree_finish(ap, en, attrs, take_fd(&fd), &s, e);
}

static int entry_from_pack(struct apply *ap, struct pack_reader *r, const struct entry *en, const struct attr_set *attrs,
    struct err *e)
{
	if (en->link_to)
		return tree_link(ap, en, e);
	switch (en->type) {
	case ENTRY_DIR: return tree_dir(ap, en->path, e);
	case ENTRY_FILE: return file_from_pack(ap, r, en, attrs, e);
	default: return tree_special(ap, en, attrs, e);
	}
}

int apply_pack(struct apply *ap, const struct object *o, struct err *e)
{
	OWN(pack_reader_freep) struct pack_reader *r = NULL;
	int more;

	if (pack_reader_new_memory(&r, o->stored.data, o->stored.len, e) < 0)
		return -1;
	do {
		OWN_ENTRY struct entry en = ENTRY_INIT;
		OWN_ATTRS struct attr_set attrs = ATTR_SET_INIT;
		struct err why = ERR_INIT;

		if ((more = pack_next(r, &en, &attrs, e)) <= 0)
			continue;
		owner_map(ap->a, &en);
		int rc = entry_from_pack(ap, r, &en, &attrs, &why);

		/* A pack that lies about one entry is not believed about the others. */
		if (rc < 0 && why.class == ERR_INTEGRITY) {
			*e = why;
			return -1;
		}
		if (apply_settle(ap, en.path, rc, &why, e) < 0)
			return -1;
	} while (more > 0);
	return more;
}

/* ---- slices ---- */

/* Where the raw bytes of a slice go. */
struct spread { const struct msg_range *v; size_t left; uint64_t used; };

/* 1 = why. */
static int write_spread(struct out *o, const struct large *l, struct spread *s, const uint8_t *p, size_t n, struct err *why)
{
	while (n) {
		uint64_t room = s->v->length - s->used;
		size_t k = n < room ? n : (size_t)room;

		if (out_write(o, SITE, p, k, s->v->offset + s->used, l->path, why) < 0)
			return 1;
		s->used += k;
		p += k;
		n -= k;
		if (s->used == s->v->length && s->left > 1) {
			s->v++;
			s->left--;
			s->used = 0;
		}
	}
	return 0;
}

static uint64_t ranges_length(const struct msg_ranges *m)
{
	uint64_t n = 0;

	for (size_t i = 0; i < m->count; i++)
		n += m->v[i].length;
	return n;
}

/* Fills the buffer, so that what follows in the file begins at a block again; less only at the end. */
static ssize_t next_piece(struct frame_reader *r, uint8_t *p, struct err *e)
{
	size_t have = 0;
	ssize_t n = 1;

	while (have < COPY_BYTES && (n = frame_reader_get(r, p + have, COPY_BYTES - have, e)) > 0)
		have += (size_t)n;
	return n < 0 ? -1 : (ssize_t)have;
}

/* 1: the staged file could not be written (why); -1: the object itself is bad. */
static int write_slice(struct apply *ap, const struct object *o, struct large *l, uint64_t raw, struct err *why,
    struct err *e)
{
	OWN(frame_reader_freep) struct frame_reader *r = NULL;
	struct msg_range whole = { o->is.offset, raw };
	struct spread s = { o->ranges.count ? o->ranges.v : &whole, o->ranges.count ? o->ranges.count : 1, 0 };
	struct out out = { l->fd, l->direct };
	uint64_t done = 0, end;
	ssize_t n;

	if (__builtin_add_overflow(o->is.offset, raw, &end) || end > INT64_MAX || (o->ranges.count && ranges_length(&o->ranges) != raw))
		return err_set(e, ERR_INTEGRITY, "a slice beyond the end of any file, or beyond its ranges");
	if (frame_reader_new_memory(&r, o->stored.data, o->stored.len, e) < 0)
		return -1;
	if (l->in_place && undo_keep(ap, l, s.v, s.left, why) < 0)
		return 1;
	while ((n = next_piece(r, ap->copy, e)) > 0) {
		if ((uint64_t)n > raw - done)
			return err_set(e, ERR_INTEGRITY, "a slice holds more than the %" PRIu64 " bytes announced", raw);
		if (write_spread(&out, l, &s, ap->copy, (size_t)n, why))
			return 1;
		sys_point("patch-piece");
		done += (uint64_t)n;
	}
	if (n == 0 && done != raw)
		return err_set(e, ERR_INTEGRITY, "a slice ended after %" PRIu64 " of %" PRIu64 " bytes", done, raw);
	count_to(&ap->a->done.bytes, raw);
	return (int)n;
}

int apply_slice(struct apply *ap, const struct object *o, struct large *l, uint64_t raw, struct err *e)
{
	struct err why = ERR_INIT;
	int r;

	if (__atomic_load_n(&l->failed, __ATOMIC_ACQUIRE))
		return 0;
	r = write_slice(ap, o, l, raw, &why, e);
	if (r <= 0 || __atomic_exchange_n(&l->failed, true, __ATOMIC_ACQ_REL))
		return r < 0 ? -1 : 0;
	return apply_settle(ap, l->path, -1, &why, e);
}
