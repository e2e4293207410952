#include "codec.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "esc.h"
#include "path.h"

struct pack_writer {
	struct frame_writer *frames;
	struct archive *a;
	struct archive_entry *ae;	/* reused */
	struct name_set names;
	uint64_t raw;			/* tar bytes that libarchive has given out */
	uint64_t left;			/* content bytes that the open entry still owes */
	char *open;			/* its path, owned, for messages */
	bool discard;			/* being freed: what libarchive still says is not written */
	bool failed;
	struct err why;			/* of the sink */
};

static la_ssize_t on_bytes(struct archive *a, void *ctx, const void *p, size_t n)
{
	struct pack_writer *w = ctx;

	if (w->discard)
		return (la_ssize_t)n;
	if (frame_writer_put(w->frames, p, n, &w->why) < 0) {
		w->failed = true;
		archive_set_error(a, EIO, "output");
		return -1;
	}
	w->raw += n;
	return (la_ssize_t)n;
}

/* What libarchive could not do, in our terms; the sink's own reason where it has one. */
static int failure(struct pack_writer *w, const char *what, struct err *e)
{
	const char *text = archive_error_string(w->a);

	if (w->failed && w->why.class != ERR_NONE) {
		*e = w->why;
		return -1;
	}
	w->failed = true;
	return err_set(e, ERR_PERMANENT, "pack: %s: %s", esc_s(what), esc_s(text ? text : "failed"));
}

static bool set_up(struct pack_writer *w)
{
	w->a = archive_write_new();
	if (!w->a)
		return false;
	w->ae = archive_entry_new2(w->a);
	/* Not pax_restricted, which drops nanoseconds; attributes once, in the form that GNU tar knows. */
	return w->ae && archive_write_set_format_pax(w->a) == ARCHIVE_OK &&
	    archive_write_set_format_option(w->a, "pax", "xattrheader", "SCHILY") == ARCHIVE_OK &&
	    archive_write_add_filter_none(w->a) == ARCHIVE_OK &&
	    archive_write_set_bytes_per_block(w->a, 0) == ARCHIVE_OK &&
	    archive_write_open(w->a, w, NULL, on_bytes, NULL) == ARCHIVE_OK;
}

int pack_writer_new(struct pack_writer **out, int level, pack_sink sink, void *ctx, struct err *e)
{
	struct pack_writer *w = calloc(1, sizeof(*w));
	locale_t old;
	bool ok;

	if (!w || !codec_ready()) {
		free(w);
		return err_set(e, ERR_TEMPORARY, "pack: out of memory");
	}
	name_set_init(&w->names);
	if (frame_writer_new(&w->frames, level, sink, ctx, e) < 0) {
		pack_writer_free(w);
		return -1;
	}
	old = codec_enter();
	ok = set_up(w);
	codec_leave(old);
	if (!ok) {
		pack_writer_free(w);
		return err_set(e, ERR_TEMPORARY, "pack: the tar writer cannot be set up");
	}
	*out = w;
	return 0;
}

void pack_writer_free(struct pack_writer *w)
{
	locale_t old;

	if (!w)
		return;
	old = codec_enter();
	w->discard = true;
	if (w->ae)
		archive_entry_free(w->ae);
	if (w->a)
		(void)archive_write_free(w->a);
	codec_leave(old);
	frame_writer_free(w->frames);
	name_set_dispose(&w->names);
	free(w->open);
	free(w);
}

void pack_writer_level(struct pack_writer *w, int level) { frame_writer_level(w->frames, level); }

uint64_t pack_writer_raw(const struct pack_writer *w)
{
	return w->raw + w->left + (w->left ? 511 : 0);
}

static mode_t archive_type(enum entry_type t)
{
	switch (t) {
	case ENTRY_FILE: return AE_IFREG;
	case ENTRY_DIR: return AE_IFDIR;
	case ENTRY_SYMLINK: return AE_IFLNK;
	case ENTRY_FIFO: return AE_IFIFO;
	case ENTRY_CHAR: return AE_IFCHR;
	case ENTRY_BLOCK: return AE_IFBLK;
	case ENTRY_SOCKET: break;
	}
	return 0;
}

/* Would a reader take these attributes?  (waybill-store.5, limits) */
static int attrs_fit(const struct attr_set *s, const char *path, struct err *e)
{
	uint64_t names = 0, total = 0;

	for (size_t i = 0; i < s->n; i++) {
		size_t n = strlen(s->v[i].name);

		if (n == 0 || n > NAME_BYTES_MAX || s->v[i].len > PACK_ATTR_VALUE_MAX)
			return err_set(e, ERR_PERMANENT, "%s: extended attribute %s is too large for an archive", esc_s(path),
			    esc_s(s->v[i].name));
		names += n + 1;
		total += 3 * n + 64 + s->v[i].len;	/* each byte of a name may become %XX; keyword and length */
	}
	if (names > PACK_ATTR_NAMES_MAX || total > PACK_ATTRS_MAX)
		return err_set(e, ERR_PERMANENT, "%s: its extended attributes are too large for an archive", esc_s(path));
	return 0;
}

static bool layout_fits(const struct entry *en)
{
	uint64_t end = 0;

	for (size_t i = 0; i < en->layout_count; i++) {
		const struct entry_range *r = &en->layout[i];

		if (r->offset < end || r->offset > en->size || r->length > en->size - r->offset)
			return false;
		end = r->offset + r->length;
	}
	return true;
}

/* Refuses what a reader would refuse, and remembers the name. */
static int admit(struct pack_writer *w, const struct entry *en, const struct attr_set *attrs, struct err *e)
{
	const char *p = en->path;
	int added;

	if (w->failed)
		return err_set(e, ERR_BUG, "pack: used after a failure");
	if (w->left)
		return err_set(e, ERR_BUG, "pack: %s lacks %" PRIu64 " bytes of its content", esc_s(w->open), w->left);
	if (!p || !path_is_safe(p, en->path_len) || !archive_type(en->type))
		return err_set(e, ERR_BUG, "pack: %s cannot be archived", p ? esc_s(p) : "an entry without a path");
	if (en->type == ENTRY_SYMLINK && !en->link_to && (!en->target || !*en->target))
		return err_set(e, ERR_BUG, "pack: symlink %s has no target", esc_s(p));
	if (en->type == ENTRY_FILE && en->size > INT64_MAX - 511)
		return err_set(e, ERR_BUG, "pack: size of %s", esc_s(p));
	if ((en->has & ENTRY_HAS_LAYOUT) && !layout_fits(en))
		return err_set(e, ERR_BUG, "pack: the holes of %s do not fit its size", esc_s(p));
	if (en->link_to && name_set_find(&w->names, en->link_to, strlen(en->link_to)) != (unsigned)en->type)
		return err_set(e, ERR_BUG, "pack: %s links to %s, which is not in this pack", esc_s(p), esc_s(en->link_to));
	if (attrs && !en->link_to && attrs_fit(attrs, p, e) < 0)
		return -1;
	added = name_set_add(&w->names, p, en->path_len, en->type);
	if (added < 0)
		return err_set(e, ERR_TEMPORARY, "pack: out of memory");
	return added ? 0 : err_set(e, ERR_BUG, "pack: %s comes twice", esc_s(p));
}

static int put_path(struct pack_writer *w, const struct entry *en, struct err *e)
{
	OWN_BUF struct buf b = BUF_INIT;

	buf_put(&b, en->path, en->path_len);
	if (en->type == ENTRY_DIR)
		buf_putc(&b, '/');	/* the root becomes "./" */
	if (buf_finish(&b, e) < 0)
		return -1;
	archive_entry_copy_pathname(w->ae, b.data);
	free(w->open);
	w->open = strdup(en->path);
	return w->open ? 0 : err_set(e, ERR_TEMPORARY, "pack: out of memory");
}

/*
 * libarchive writes seconds, a point, nanoseconds.  Before 1970 the fraction must count downwards then, to be the
 * decimal number that POSIX says: -4.75 is (-5 s, 0.25 s).  "-0.75" cannot be made that way: whole seconds there.
 */
static void put_mtime(struct archive_entry *ae, int64_t s, uint32_t ns)
{
	if (s == -1)
		ns = 0;
	if (s < 0 && ns) {
		s++;
		ns = 1000000000u - ns;
	}
	archive_entry_set_mtime(ae, s, (long)ns);
	archive_entry_unset_atime(ae);
	archive_entry_unset_ctime(ae);
	archive_entry_unset_birthtime(ae);
}

/*
 * GNU tar reads each range from a new block of 512, libarchive from where the last one ended: they agree when every
 * range but the last is whole blocks.  Real layouts are (file systems allocate in more); others are widened.
 */
static void put_layout(struct archive_entry *ae, const struct entry *en)
{
	const uint64_t block = 512;
	uint64_t start = 0, end = 0;

	for (size_t i = 0; i < en->layout_count; i++) {
		uint64_t from = en->layout[i].offset / block * block;
		uint64_t to = (en->layout[i].offset + en->layout[i].length + block - 1) / block * block;

		if (from > end) {	/* else it touches the one before */
			if (end > start)
				archive_entry_sparse_add_entry(ae, (la_int64_t)start, (la_int64_t)(end - start));
			start = from;
		}
		end = to < en->size ? to : en->size;
	}
	if (end > start)
		archive_entry_sparse_add_entry(ae, (la_int64_t)start, (la_int64_t)(end - start));
	/* An empty range at the end: without any range a file of one hole would be written as zeros. */
	if (end < en->size)
		archive_entry_sparse_add_entry(ae, (la_int64_t)en->size, 0);
}

static void put_attrs(struct archive_entry *ae, const struct entry *en, const struct attr_set *s)
{
	for (size_t i = 0; i < s->n; i++) {
		const struct attr *at = &s->v[i];
		bool access = strcmp(at->name, ACL_XATTR_ACCESS) == 0;

		if (attr_is_acl(at->name) && acl_to_archive(ae, access, at->value, at->len, en->mode))
			continue;
		archive_entry_xattr_add_entry(ae, at->name, at->value, at->len);
	}
}

static int describe(struct pack_writer *w, const struct entry *en, const struct attr_set *attrs, struct err *e)
{
	bool content = en->type == ENTRY_FILE && !en->link_to;

	archive_entry_clear(w->ae);
	if (put_path(w, en, e) < 0)
		return -1;
	archive_entry_set_filetype(w->ae, en->link_to ? AE_IFREG : archive_type(en->type));
	archive_entry_set_perm(w->ae, (mode_t)(en->mode & 07777));
	archive_entry_set_uid(w->ae, en->uid);
	archive_entry_set_gid(w->ae, en->gid);
	archive_entry_set_size(w->ae, content ? (la_int64_t)en->size : 0);
	put_mtime(w->ae, en->mtime_s, en->mtime_ns);
	if (en->link_to) {
		archive_entry_copy_hardlink(w->ae, en->link_to);
		return 0;
	}
	if (en->type == ENTRY_SYMLINK)
		archive_entry_copy_symlink(w->ae, en->target);
	if (en->type == ENTRY_CHAR || en->type == ENTRY_BLOCK) {
		archive_entry_set_rdevmajor(w->ae, en->rdev_major);
		archive_entry_set_rdevminor(w->ae, en->rdev_minor);
	}
	if (content && (en->has & ENTRY_HAS_LAYOUT))
		put_layout(w->ae, en);
	if (attrs)
		put_attrs(w->ae, en, attrs);
	return 0;
}

/* In the C locale a name that is not ASCII is "untranslatable": it was stored raw, with hdrcharset=BINARY. */
static bool only_about_names(struct archive *a)
{
	const char *s = archive_error_string(a);

	return s && (strncmp(s, "Can't translate pathname", 24) == 0 || strncmp(s, "Can't translate linkname", 24) == 0);
}

int pack_add(struct pack_writer *w, const struct entry *en, const struct attr_set *attrs, struct err *e)
{
	locale_t old;
	int r;

	if (admit(w, en, attrs, e) < 0)
		return -1;
	old = codec_enter();
	r = describe(w, en, attrs, e);
	if (r == 0) {
		archive_clear_error(w->a);
		r = archive_write_header(w->a, w->ae);
		if (r == ARCHIVE_WARN && only_about_names(w->a))
			r = ARCHIVE_OK;
		if (r != ARCHIVE_OK)
			r = failure(w, en->path, e);
	}
	codec_leave(old);
	if (r == 0 && en->type == ENTRY_FILE && !en->link_to)
		w->left = en->size;
	return r;
}

int pack_data(struct pack_writer *w, const void *p, size_t n, struct err *e)
{
	const char *s = p;
	locale_t old;
	int r = 0;

	if (w->failed)
		return err_set(e, ERR_BUG, "pack: used after a failure");
	if (n > w->left)
		return err_set(e, ERR_BUG, "pack: more content than the size of %s", w->open ? esc_s(w->open) : "nothing");
	old = codec_enter();
	while (n && r == 0) {
		la_ssize_t put = archive_write_data(w->a, s, n);

		if (put <= 0 || (size_t)put > n) {
			r = failure(w, w->open, e);
			break;
		}
		s += put;
		n -= (size_t)put;
		w->left -= (uint64_t)put;
	}
	codec_leave(old);
	return r;
}

int pack_writer_finish(struct pack_writer *w, uint64_t *raw, uint64_t *stored, struct err *e)
{
	locale_t old;
	int r;

	if (w->failed)
		return err_set(e, ERR_BUG, "pack: used after a failure");
	if (w->left)
		return err_set(e, ERR_BUG, "pack: %s lacks %" PRIu64 " bytes of its content", esc_s(w->open), w->left);
	old = codec_enter();
	r = archive_write_close(w->a);
	codec_leave(old);
	if (r != ARCHIVE_OK || w->failed)
		return failure(w, "end of the archive", e);
	w->failed = true;	/* finished: nothing may follow */
	return frame_writer_finish(w->frames, raw, stored, e);
}
