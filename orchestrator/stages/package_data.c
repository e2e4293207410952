/*
 * data/D/ of a package.
 *
 * Parts hold files, links and special entries; the last part holds all directories, so that restoring it last gives them
 * their times and modes after everything in them was made.  Links whose first name is in another part stand in links.txt,
 * contents that do not fit into a part in large/ with a line in large.txt.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "package_internal.h"
#include "passfile.h"
#include "u64set.h"

#define PART_LEVEL 3
#define ENTRY_OVERHEAD 65536u	/* headers and padding of one entry, more than enough */

struct parts {
	struct bag *b;
	const struct plan_dataset *d;
	uint64_t limit;			/* raw bytes of a part */
	unsigned number;		/* of the open part, or of the last one */
	struct bag_file file;
	bool file_open;
	struct pack_writer *w;
	struct u64set here;		/* keys of first names in the open part */
	uint64_t large;
	struct buf links, large_list;
	struct passfile *dirs;
};

void package_name(struct buf *b, const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)p[i];

		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c && strchr("._/-", c)))
			buf_putc(b, (char)c);
		else
			buf_printf(b, "\\%03o", c);
	}
}

static int to_file(void *ctx, const void *p, size_t n, struct err *e) { return bag_file_write(ctx, p, n, e); }

static int close_part(struct parts *s, struct err *e)
{
	if (!s->w)
		return 0;
	if (pack_writer_finish(s->w, NULL, NULL, e) < 0)
		return -1;
	pack_writer_free(take_ptr(&s->w));
	u64set_dispose(&s->here);
	s->file_open = false;
	return bag_file_close(&s->file, e);
}

/* A part with room for an entry of that size; bytes never exceed the limit, for stored is at most raw plus frame headers. */
static int need_part(struct parts *s, uint64_t size, struct err *e)
{
	char name[160];

	if (s->w && pack_writer_raw(s->w) + size + ENTRY_OVERHEAD > s->limit && close_part(s, e) < 0)
		return -1;
	if (s->w)
		return 0;
	(void)snprintf(name, sizeof(name), "data/%s/part-%04u.tar.zst", s->d->name, ++s->number);
	if (bag_file_open(s->b, name, &s->file, e) < 0)
		return -1;
	s->file_open = true;
	return pack_writer_new(&s->w, PART_LEVEL, to_file, &s->file, e);
}

static int load_attrs(struct bag *b, const struct entry *en, struct attr_set *out, struct err *e)
{
	const uint8_t *ids[] = { en->has & ENTRY_HAS_XATTR ? en->xattr : NULL, en->has & ENTRY_HAS_ACL ? en->acl : NULL };

	for (size_t i = 0; i < 2; i++) {
		OWN_BUF struct buf blob = BUF_INIT;
		struct object_id id;

		if (!ids[i])
			continue;
		memcpy(id.sha256, ids[i], DIGEST_LEN);
		if (store_get_bytes(b->r->w->store, STORE_ATTR, &id, ATTR_BLOB_MAX, &blob, e) < 0 ||
		    attr_set_decode(out, blob.data, blob.len, e) < 0)
			return -1;
	}
	return 0;
}

/* Content into the open entry of a part; holes, which the archive leaves out, as zeros. */
struct into_part { struct parts *s; uint64_t at; };

static int zeros(struct parts *s, uint64_t n, struct err *e)
{
	static const char z[65536];

	while (n) {
		size_t k = n < sizeof(z) ? (size_t)n : sizeof(z);

		if (pack_data(s->w, z, k, e) < 0)
			return -1;
		n -= k;
	}
	return 0;
}

static int into_part(void *ctx, uint64_t offset, const void *p, size_t n, struct err *e)
{
	struct into_part *i = ctx;

	if (zeros(i->s, offset - i->at, e) < 0)
		return -1;
	i->at = offset + n;
	return pack_data(i->s->w, p, n, e);
}

static int add_file(struct parts *s, const struct entry *en, const struct location *at, struct err *e)
{
	OWN_ATTRS struct attr_set attrs = ATTR_SET_INIT;
	struct into_part i = { s, 0 };

	if (load_attrs(s->b, en, &attrs, e) < 0 || need_part(s, en->size, e) < 0 || pack_add(s->w, en, &attrs, e) < 0)
		return -1;
	if (en->nlink > 1 && u64set_add(&s->here, u64set_key(en->path, en->path_len)) < 0)
		return err_sys(e, "package");
	if (at->kind == LOCATION_NONE)
		return 0;
	if (archive_content(s->b->archive, en, at, into_part, &i, e) < 0)
		return -1;
	return zeros(s, en->size - i.at, e);
}

/* ---- contents beyond a part ---- */

struct pieces {
	struct parts *s;
	uint64_t id, at;		/* raw offset reached */
	unsigned number;
	struct bag_file file;
	struct frame_writer *w;
	uint64_t in_piece;
};

static int close_piece(struct pieces *p, struct err *e)
{
	if (!p->w)
		return 0;
	if (frame_writer_finish(p->w, NULL, NULL, e) < 0)
		return -1;
	frame_writer_free(take_ptr(&p->w));
	p->in_piece = 0;
	return bag_file_close(&p->file, e);
}

static int need_piece(struct pieces *p, struct err *e)
{
	char name[160];

	if (p->w && p->in_piece >= p->s->limit - ENTRY_OVERHEAD && close_piece(p, e) < 0)
		return -1;
	if (p->w)
		return 0;
	(void)snprintf(name, sizeof(name), "data/%s/large/%" PRIu64 ".%04u.zst", p->s->d->name, p->id, ++p->number);
	if (bag_file_open(p->s->b, name, &p->file, e) < 0)
		return -1;
	return frame_writer_new(&p->w, PART_LEVEL, to_file, &p->file, e);
}

static int piece_bytes(struct pieces *p, const char *data, size_t n, struct err *e)
{
	while (n) {
		uint64_t room;
		size_t k;

		if (need_piece(p, e) < 0)
			return -1;
		room = p->s->limit - ENTRY_OVERHEAD - p->in_piece;
		k = n < room ? n : (size_t)room;
		if (frame_writer_put(p->w, data, k, e) < 0)
			return -1;
		p->in_piece += k;
		p->at += k;
		data += k;
		n -= k;
	}
	return 0;
}

static int piece_zeros(struct pieces *p, uint64_t until, struct err *e)
{
	static const char z[65536];

	while (p->at < until) {
		size_t k = until - p->at < sizeof(z) ? (size_t)(until - p->at) : sizeof(z);

		if (piece_bytes(p, z, k, e) < 0)
			return -1;
	}
	return 0;
}

static int into_pieces(void *ctx, uint64_t offset, const void *data, size_t n, struct err *e)
{
	struct pieces *p = ctx;

	return piece_zeros(p, offset, e) < 0 ? -1 : piece_bytes(p, data, n, e);
}

static void large_line(struct parts *s, const struct entry *en, const struct attr_set *attrs)
{
	OWN_BUF struct buf text = BUF_INIT;

	buf_printf(&s->large_list, "%" PRIu64 " %04o %" PRIu32 " %" PRIu32 " %" PRId64 ".%09" PRIu32 " ", s->large, en->mode, en->uid, en->gid,
	    en->mtime_s, en->mtime_ns);
	package_name(&s->large_list, en->path, en->path_len);
	buf_putc(&s->large_list, '\n');
	/* "attr ID NAME=BASE64" lines: what setfattr takes as -n NAME -v 0sBASE64 */
	attr_set_encode(attrs, false, &text);
	attr_set_encode(attrs, true, &text);
	for (char *line = text.data, *end; line && (end = strchr(line, '\n')); line = end + 1)
		buf_printf(&s->large_list, "attr %" PRIu64 " %.*s\n", s->large, (int)(end - line), line);
}

static int add_large(struct parts *s, const struct entry *en, const struct location *at, struct err *e)
{
	OWN_ATTRS struct attr_set attrs = ATTR_SET_INIT;
	struct pieces p = { .s = s, .id = ++s->large, .file = { .fd = -1 } };
	int r;

	if (load_attrs(s->b, en, &attrs, e) < 0)
		return -1;
	r = archive_content(s->b->archive, en, at, into_pieces, &p, e) < 0 || piece_zeros(&p, en->size, e) < 0 ? -1 : close_piece(&p, e);
	frame_writer_free(p.w);
	bag_file_abandon(&p.file);
	if (r == 0)
		large_line(s, en, &attrs);
	return r;
}

/* ---- entries ---- */

static int add_link(struct parts *s, const struct entry *en, struct err *e)
{
	if (s->w && u64set_has(&s->here, u64set_key(en->link_to, strlen(en->link_to)))) {
		if (need_part(s, 0, e) < 0)
			return -1;
		if (u64set_has(&s->here, u64set_key(en->link_to, strlen(en->link_to))))
			return pack_add(s->w, en, NULL, e);
	}
	package_name(&s->links, en->link_to, strlen(en->link_to));
	buf_putc(&s->links, ' ');
	package_name(&s->links, en->path, en->path_len);
	buf_putc(&s->links, '\n');
	return buf_finish(&s->links, e);
}

static int add_entry(struct parts *s, const struct entry *en, const struct location *at, struct err *e)
{
	if (en->outcome == ENTRY_SKIPPED || en->outcome == ENTRY_FAILED || (en->note && strncmp(en->note, "list_only", 9) == 0))
		return 0;
	if (en->type == ENTRY_DIR)
		return passfile_add(s->dirs, en, 0, e);
	if (en->link_to)
		return add_link(s, en, e);
	if (en->type == ENTRY_FILE && en->size + ENTRY_OVERHEAD > s->limit)
		return add_large(s, en, at, e);
	return add_file(s, en, at, e);
}

static int add_directories(struct parts *s, struct err *e)
{
	uint64_t place;
	int got;

	if (close_part(s, e) < 0 || passfile_rewind(s->dirs, e) < 0)
		return -1;
	for (;;) {
		OWN_ENTRY struct entry en = ENTRY_INIT;
		OWN_ATTRS struct attr_set attrs = ATTR_SET_INIT;

		if ((got = passfile_next(s->dirs, &en, &place, e)) < 0)
			return -1;
		if (got == 0)
			return close_part(s, e);
		if (load_attrs(s->b, &en, &attrs, e) < 0 || need_part(s, 0, e) < 0 || pack_add(s->w, &en, &attrs, e) < 0)
			return -1;
	}
}

static int put_tree(struct bag *b, const struct plan_dataset *d, uint64_t version, struct err *e)
{
	OWN(version_closep) struct version_reader *v = NULL;
	OWN(bag_file_abandon) struct bag_file f = { .fd = -1 };
	OWN_BUF struct buf text = BUF_INIT;
	char name[160];
	int got;

	(void)snprintf(name, sizeof(name), "data/%s/tree.mtree", d->name);
	if (version_open(b->r->w, b->r->plan->name, d->name, version, VERSION_MANIFEST, &v, e) < 0 || bag_file_open(b, name, &f, e) < 0)
		return -1;
	buf_puts(&text, "#mtree\n");
	for (;;) {
		OWN_ENTRY struct entry en = ENTRY_INIT;

		if ((got = version_next(v, &en, NULL, e)) < 0)
			return -1;
		if (got == 1)
			manifest_format(&text, &en);
		if (text.len > 1 << 20 || got == 0) {
			if (buf_finish(&text, e) < 0 || bag_file_write(&f, text.data, text.len, e) < 0)
				return -1;
			buf_reset(&text);
		}
		if (got == 0)
			return bag_file_close(&f, e);
	}
}

static void parts_dispose(struct parts *s)
{
	pack_writer_free(s->w);
	if (s->file_open)
		bag_file_abandon(&s->file);
	u64set_dispose(&s->here);
	buf_dispose(&s->links);
	buf_dispose(&s->large_list);
	passfile_free(s->dirs);
}

static int put_list(struct parts *s, const char *file, const struct buf *b, struct err *e)
{
	char name[160];

	(void)snprintf(name, sizeof(name), "data/%s/%s", s->d->name, file);
	return buf_finish(b, e) < 0 ? -1 : bag_put(s->b, name, 0644, b->data ? b->data : "", b->len, e);
}

int package_dataset(struct bag *b, const struct plan_dataset *d, struct err *e)
{
	OWN(parts_dispose) struct parts s = { .b = b, .d = d, .limit = b->r->plan->package.part };
	OWN(version_closep) struct version_reader *v = NULL;
	const struct standing_dataset *st = standing_dataset(&b->r->standing, d->name);
	struct run_progress progress = { .stage = "package", .dataset = d->name, .total_entries = st->entries, .total_bytes = st->bytes };
	int got;

	if (s.limit < 4 * ENTRY_OVERHEAD)
		s.limit = 4 * ENTRY_OVERHEAD;
	if (version_open(b->r->w, b->r->plan->name, d->name, st->version, VERSION_MANIFEST, &v, e) < 0 ||
	    passfile_new(&s.dirs, b->r->w->scanfd, e) < 0)
		return -1;
	for (;;) {
		OWN_ENTRY struct entry en = ENTRY_INIT;
		struct location at;

		if ((got = version_next(v, &en, &at, e)) < 0)
			return -1;
		if (got == 0)
			break;
		if (run_check(b->r, e) < 0 || add_entry(&s, &en, &at, e) < 0)
			return -1;
		progress.entries++;
		progress.bytes = archive_bytes(b->archive);
		if (progress.entries % 512 == 0)
			run_show_progress(b->r, &progress);
	}
	run_show_progress(b->r, &progress);
	if (add_directories(&s, e) < 0 || put_list(&s, "links.txt", &s.links, e) < 0 ||
	    (s.large && put_list(&s, "large.txt", &s.large_list, e) < 0))
		return -1;
	return put_tree(b, d, st->version, e);
}
