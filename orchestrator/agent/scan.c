/*
 * Role scan: reads media raw and tells where known content is.
 *
 * scan --root DIR            the devices of DIR's file system
 * scan --root / --on PATH    that device or image file
 *      --own DIR             hits in the files beneath it count apart
 *      --settle              asks the mounted file system first to empty its journal (ext4) or trim its free space (btrfs)
 */
#include "scan.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fiemap.h>
#include <sys/stat.h>

#include "clock.h"
#include "esc.h"
#include "extents.h"
#include "path.h"

struct scan {
	struct agent *a;
	struct media media;
	struct msg_scan_begin begin;
	bool begun, settle;
	struct witness_table *table;
	uint8_t *found;
	struct ranges mapped;
	const char *own;		/* of argv, or NULL */
};

static void scan_dispose(struct scan *s)
{
	media_close(&s->media);
	witness_table_free(s->table);
	free(s->found);
	free(s->mapped.v);
}

static void ranges_dispose(struct ranges *r) { free(r->v); }

/* ---- where files lie ---- */

static enum msg_storage storage_of(const struct extents *x, bool mapped)
{
	if (!mapped)
		return MSG_STORAGE_UNMAPPED;
	if (x->flags & (FIEMAP_EXTENT_ENCODED | FIEMAP_EXTENT_DATA_ENCRYPTED))
		return MSG_STORAGE_ENCODED;
	if (x->flags & (FIEMAP_EXTENT_DATA_INLINE | FIEMAP_EXTENT_DATA_TAIL))
		return MSG_STORAGE_INLINE;
	return x->flags & FIEMAP_EXTENT_SHARED ? MSG_STORAGE_SHARED : MSG_STORAGE_PLAIN;
}

/* Where a file system keeps its own account of places, they are none of the medium. */
static bool places_count(const struct scan *s)
{
	return s->media.n == 1 && strcmp(s->media.v[0].facts.fstype, "btrfs") != 0;
}

static int remember(struct scan *s, const struct msg_extent *x, struct err *e)
{
	return places_count(s) && x->length > 0 ? ranges_add(&s->mapped, x->physical, x->length, e) : 0;
}

/* 0 also where it cannot be opened: then nothing is known of it. */
static int map_file(struct scan *s, const char *path, struct msg_mapped *m, struct err *e)
{
	OWN_EXTENTS struct extents x = EXTENTS_INIT;
	OWN_FD int fd = path_open_beneath(s->a->root, path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY, 0);
	struct err ignored = ERR_INIT;
	struct stat st;
	int r;

	m->storage = MSG_STORAGE_UNMAPPED;
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || (r = extents_read(fd, &x, &ignored)) < 0)
		return 0;
	m->storage = storage_of(&x, r == 1);
	if (r != 1)
		return 0;
	if (!(m->v = calloc(x.n ? x.n : 1, sizeof(*m->v))))
		return err_sys(e, "map");
	for (size_t i = 0; i < x.n && i < MSG_EXTENTS_MAX; i++) {
		m->v[m->n++] = (struct msg_extent){ x.v[i].physical, x.v[i].length };
		if (!(x.v[i].flags & FIEMAP_EXTENT_DATA_INLINE) && remember(s, &m->v[i], e) < 0)
			return -1;
	}
	return 0;
}

static int take_map(struct scan *s, const struct wire_frame *f, struct err *e)
{
	OWN(msg_mapped_dispose) struct msg_mapped m = { .v = NULL };
	OWN_FREE char *path = NULL;
	OWN_BUF struct buf b = BUF_INIT;

	if (msg_map_decode(f->data, f->len, &m.index, &path, e) < 0 || map_file(s, path, &m, e) < 0)
		return -1;
	msg_mapped_encode(&b, &m);
	return agent_send(s->a, WIRE_ACK, (enum msg_type)MSG_MAP, &b, e);
}

/* ---- what is looked for ---- */

static int take_begin(struct scan *s, const struct wire_frame *f, struct err *e)
{
	struct witness_key key;

	if (s->begun)
		return err_set(e, ERR_INTEGRITY, "scan: begun twice");
	if (msg_scan_begin_decode(f->data, f->len, &s->begin, e) < 0 || witness_key_init(&key, s->begin.key, e) < 0 ||
	    witness_table_new(&s->table, &key, (uint32_t)s->begin.witnesses, e) < 0)
		return -1;
	s->begun = true;
	if ((s->begin.flags & MSG_SCAN_WANT_FOUND) && !(s->found = calloc(s->begin.witnesses / 8 + 1, 1)))
		return err_sys(e, "scan");
	return 0;
}

static int take_witnesses(struct scan *s, const struct wire_frame *f, struct err *e)
{
	struct view v = view_of(f->data, f->len);
	struct msg_witness w;
	int r = 1;

	if (!s->begun)
		return err_set(e, ERR_INTEGRITY, "scan: witnesses before their key");
	while (r == 1 && (r = msg_witness_next(&v, &w, e)) == 1) {
		struct witness_item item = { (enum witness_class)w.cls, w.hash, w.tag, w.len, w.off };

		if (witness_table_add(s->table, &item, e) < 0)
			return -1;
	}
	return r;
}

static int receive_all(struct scan *s, struct err *e)
{
	for (;;) {
		OWN_FRAME struct wire_frame f = WIRE_FRAME_INIT;
		int r = wire_recv(s->a->wire, WIRE_DATA, &f, e);

		if (r <= 0)
			return r;
		if (f.type == MSG_MAP)
			r = take_map(s, &f, e);
		else if (f.type == MSG_SCAN_BEGIN)
			r = take_begin(s, &f, e);
		else if (f.type == MSG_WITNESSES)
			r = take_witnesses(s, &f, e);
		else
			r = err_set(e, ERR_INTEGRITY, "scan: message type %u does not belong here", f.type);
		if (r < 0)
			return -1;
	}
}

/* ---- one medium ---- */

static int say_medium(struct scan *s, struct medium *m, struct err *e)
{
	OWN_BUF struct buf b = BUF_INIT, text = BUF_INIT;

	if (s->settle)
		medium_settle(m, &text);
	if (buf_finish(&text, e) < 0)
		return -1;
	msg_medium_encode(&b, &m->facts);
	if (agent_send(s->a, WIRE_ACK, (enum msg_type)MSG_MEDIUM, &b, e) < 0)
		return -1;
	buf_put_bytes(&b, text.data, text.len);
	return s->settle ? agent_send(s->a, WIRE_ACK, (enum msg_type)MSG_SETTLED, &b, e) : 0;
}

static int say_hits(struct scan *s, const struct search *x, struct err *e)
{
	for (size_t i = 0; i < x->n; i++) {
		OWN_BUF struct buf b = BUF_INIT;
		const struct scan_hit *h = &x->hits[i];
		struct msg_hit m = { h->witness, h->at, h->len, h->owner ? h->owner : (char *)(uintptr_t)"" };

		msg_hit_encode(&b, &m);
		if (agent_send(s->a, WIRE_ACK, (enum msg_type)MSG_HIT, &b, e) < 0)
			return -1;
	}
	return 0;
}

static int say_bad(struct scan *s, const struct reader *r, struct msg_scanned *sum, struct err *e)
{
	size_t n;
	const struct range *bad = reader_bad(r, &n, &sum->bad);

	for (size_t i = 0; i < n; i++) {
		OWN_BUF struct buf b = BUF_INIT;
		struct msg_bad m = { bad[i].at, bad[i].length };

		msg_bad_encode(&b, &m);
		if (agent_send(s->a, WIRE_ACK, (enum msg_type)MSG_BAD, &b, e) < 0)
			return -1;
	}
	return 0;
}

static int say_sum(struct scan *s, const struct search *x, struct msg_scanned *sum, struct err *e)
{
	OWN_BUF struct buf b = BUF_INIT;

	for (int i = 0; i < MSG_SCAN_CLASSES; i++)
		sum->hits[i] = x->count[i];
	sum->own = x->own_count;
	msg_scanned_encode(&b, sum);
	return agent_send(s->a, WIRE_ACK, (enum msg_type)MSG_SCANNED, &b, e);
}

static int choose(struct scan *s, const struct medium *m, struct ranges *own, const struct ranges **out, struct err *e)
{
	*out = own;
	if (s->begin.flags & MSG_SCAN_MAPPED_ONLY) {
		ranges_tidy(&s->mapped, m);
		*out = &s->mapped;
		return s->mapped.v ? 0 : err_set(e, ERR_UNVERIFIED, "nothing is mapped that could be read on %s", esc_s(m->path));
	}
	return s->begin.reads ? ranges_random(own, s->begin.seed, s->begin.reads, m->size, e) : 0;
}

/* Once a second: how far it is. */
static int say_progress(struct scan *s, const struct search *x, const struct reader *r, int64_t *last, struct err *e)
{
	struct msg_scanned sum = { .bytes = reader_bytes(r) };

	if (clock_mono_ns() - *last < 1000000000)
		return 0;
	*last = clock_mono_ns();
	return say_sum(s, x, &sum, e);
}

static int search_pieces(struct scan *s, struct search *x, struct reader *r, struct err *e)
{
	int64_t last = clock_mono_ns();
	struct piece p;
	int got;

	while ((got = reader_next(r, &p, e)) == 1) {
		search_piece(x, &p);
		if (say_progress(s, x, r, &last, e) < 0)
			return -1;
	}
	search_end(x);
	return got;
}

static int search_all(struct scan *s, struct medium *m, struct search *x, struct err *e)
{
	OWN_READER struct reader *r = NULL;
	OWN(ranges_dispose) struct ranges places = { .v = NULL }, own = { .v = NULL };
	const struct ranges *ranges;
	struct msg_scanned sum = { .ns = (uint64_t)clock_mono_ns(), .reads = s->begin.reads, .done = true };

	if (s->own && places_count(s) && ranges_beneath(&own, s->own, m, e) < 0)
		return -1;
	x->own = own.n ? &own : NULL;
	if (choose(s, m, &places, &ranges, e) < 0 || reader_start(&r, m, ranges, e) < 0 || search_pieces(s, x, r, e) < 0)
		return -1;
	sum.ns = (uint64_t)clock_mono_ns() - sum.ns;
	sum.bytes = reader_bytes(r);
	s->a->done.bytes += sum.bytes;
	if ((s->begin.flags & MSG_SCAN_WANT_OWNERS) && search_owners(x, m, e) < 0)
		return -1;
	return say_hits(s, x, e) < 0 || say_bad(s, r, &sum, e) < 0 || say_sum(s, x, &sum, e) < 0 ? -1 : 0;
}

static int scan_medium(struct scan *s, struct medium *m, struct err *e)
{
	struct search x;
	int r;

	if (say_medium(s, m, e) < 0 || medium_flush(m, e) < 0 || search_init(&x, s->table, s->found, (size_t)s->begin.hits_max, e) < 0)
		return -1;
	r = search_all(s, m, &x, e);
	search_dispose(&x);
	return r;
}

#define FOUND_BYTES 65536u

static int say_found(struct scan *s, struct err *e)
{
	uint64_t bytes = (s->begin.witnesses + 7) / 8;

	for (uint64_t at = 0; s->found && at < bytes; at += FOUND_BYTES) {
		OWN_BUF struct buf b = BUF_INIT;
		struct msg_found m = { at * 8, s->found + at, (size_t)(bytes - at < FOUND_BYTES ? bytes - at : FOUND_BYTES) };

		msg_found_encode(&b, &m);
		if (agent_send(s->a, WIRE_ACK, (enum msg_type)MSG_FOUND, &b, e) < 0)
			return -1;
	}
	return 0;
}

static int scan_all(struct scan *s, struct err *e)
{
	if (!s->begun) {	/* only maps, or what there is, were wanted */
		for (size_t i = 0; i < s->media.n; i++)
			if (say_medium(s, &s->media.v[i], e) < 0)
				return -1;
		return 0;
	}
	if (witness_table_ready(s->table, e) < 0)
		return -1;
	wire_set_state(s->a->wire, "scan");
	for (size_t i = 0; i < s->media.n; i++)
		if (scan_medium(s, &s->media.v[i], e) < 0)
			return -1;
	return say_found(s, e);
}

static int open_media(struct scan *s, struct err *e)
{
	const char *on = NULL;

	for (int i = 0; i < s->a->argc; i++) {
		if (strcmp(s->a->argv[i], "--settle") == 0)
			s->settle = true;
		else if (strcmp(s->a->argv[i], "--own") == 0 && i + 1 < s->a->argc && path_is_clean_absolute(s->a->argv[i + 1]))
			s->own = s->a->argv[++i];
		else if (strcmp(s->a->argv[i], "--on") == 0 && i + 1 < s->a->argc && path_is_clean_absolute(s->a->argv[i + 1]))
			on = s->a->argv[++i];
		else if ((strcmp(s->a->argv[i], "--mount") == 0 || strcmp(s->a->argv[i], "--at") == 0) && i + 1 < s->a->argc)
			i++;	/* session.c */
		else
			return err_set(e, ERR_USAGE, "scan: only --on ABSPATH, --own ABSPATH and --settle are understood");
	}
	return on ? media_add(&s->media, on, e) : media_beneath(&s->media, s->a->root, e);
}

int role_scan(struct agent *a, struct err *e)
{
	struct scan s = { .a = a, .media = MEDIA_INIT };
	int r = open_media(&s, e);

	if (r == 0 && s.media.n == 0) {
		struct err why = ERR_INIT;

		(void)err_set(&why, ERR_UNVERIFIED, "%s", s.media.why_none);
		r = agent_problem(a, ".", &why, e);
	}
	if (r == 0)
		r = receive_all(&s, e);
	if (r == 0)
		r = scan_all(&s, e);
	scan_dispose(&s);
	return r;
}
