#include "pack_read.h"

#include <string.h>

#include "esc.h"
#include "path.h"

#define LAYOUT_MAX (4u << 20)	/* ranges */

static enum entry_type type_of(struct archive_entry *ae)
{
	switch (archive_entry_filetype(ae)) {
	case AE_IFREG: return ENTRY_FILE;
	case AE_IFDIR: return ENTRY_DIR;
	case AE_IFLNK: return ENTRY_SYMLINK;
	case AE_IFIFO: return ENTRY_FIFO;
	case AE_IFCHR: return ENTRY_CHAR;
	case AE_IFBLK: return ENTRY_BLOCK;
	default: return 0;
	}
}

static int copy_string(char **out, const char *s, struct err *e)
{
	free(*out);
	*out = strdup(s);
	return *out ? 0 : err_set(e, ERR_TEMPORARY, "out of memory");
}

/* A hard link has the type of what it names, which must be an earlier entry that can have links. */
static int take_link(struct pack_reader *r, struct entry *en, const char *to, struct err *e)
{
	size_t n = strlen(to);
	unsigned type = path_is_safe(to, n) ? name_set_find(&r->names, to, n) : 0;

	if (type == 0 || type == ENTRY_DIR)
		return err_set(e, ERR_INTEGRITY, "hard link to %s, which is no earlier entry", esc_s(to));
	if (archive_entry_size(r->ae) != 0)
		return err_set(e, ERR_INTEGRITY, "hard link with a content");
	en->type = type;
	return copy_string(&en->link_to, to, e);
}

static int take_path(struct pack_reader *r, struct entry *en, struct err *e)
{
	const char *p = archive_entry_pathname(r->ae), *link = archive_entry_hardlink(r->ae);
	size_t n = p ? strlen(p) : 0;

	en->type = type_of(r->ae);
	if (link && take_link(r, en, link, e) < 0)
		return -1;
	if (en->type == 0)
		return err_set(e, ERR_INTEGRITY, "an entry of unknown type");
	if (en->type == ENTRY_DIR && n > 1 && p[n - 1] == '/')
		n--;
	if (!p || !path_is_safe(p, n) || (n == 1 && *p == '.' && en->type != ENTRY_DIR))
		return err_set(e, ERR_INTEGRITY, "unsafe path");
	switch (name_set_add(&r->names, p, n, en->type)) {
	case 0: return err_set(e, ERR_INTEGRITY, "a path that came before");
	case 1: break;
	default: return err_set(e, ERR_TEMPORARY, "out of memory");
	}
	if (entry_set_path(en, p, n, e) < 0)
		return -1;
	return copy_string(&r->path, en->path, e);
}

static int take_numbers(struct archive_entry *ae, struct entry *en, struct err *e)
{
	int64_t uid = archive_entry_uid(ae), gid = archive_entry_gid(ae);
	long ns = archive_entry_mtime_nsec(ae);

	if (uid < 0 || uid > UINT32_MAX || gid < 0 || gid > UINT32_MAX)
		return err_set(e, ERR_INTEGRITY, "owner or group out of range");
	if (ns < 0 || ns > 999999999)
		return err_set(e, ERR_INTEGRITY, "time out of range");
	en->uid = (uint32_t)uid;
	en->gid = (uint32_t)gid;
	en->mode = (uint32_t)archive_entry_perm(ae) & 07777;
	en->mtime_s = archive_entry_mtime(ae);
	en->mtime_ns = (uint32_t)ns;
	if (en->mtime_s < 0 && ns) {	/* -4.75: as put_mtime wrote it */
		if (en->mtime_s == INT64_MIN)
			return err_set(e, ERR_INTEGRITY, "time out of range");
		en->mtime_s--;
		en->mtime_ns = 1000000000u - en->mtime_ns;
	}
	return 0;
}

static int take_device(struct archive_entry *ae, struct entry *en, struct err *e)
{
	dev_t major = archive_entry_rdevmajor(ae), minor = archive_entry_rdevminor(ae);

	if (major > UINT32_MAX || minor > UINT32_MAX)
		return err_set(e, ERR_INTEGRITY, "device number out of range");
	en->rdev_major = (uint32_t)major;
	en->rdev_minor = (uint32_t)minor;
	return 0;
}

/* Ranges ascending and within the size; the empty one that marks a hole at the end is none. */
static int take_layout(struct archive_entry *ae, struct entry *en, struct err *e)
{
	int count = archive_entry_sparse_reset(ae);
	la_int64_t at, len;
	uint64_t end = 0;

	if (count <= 0)
		return 0;
	if (en->type != ENTRY_FILE || en->link_to || (unsigned)count > LAYOUT_MAX)
		return err_set(e, ERR_INTEGRITY, "holes where there can be none, or too many");
	en->layout = calloc((size_t)count, sizeof(*en->layout));
	if (!en->layout)
		return err_set(e, ERR_TEMPORARY, "out of memory");
	en->has |= ENTRY_HAS_LAYOUT;
	while (archive_entry_sparse_next(ae, &at, &len) == ARCHIVE_OK) {
		if (at < 0 || len < 0 || (uint64_t)at < end || (uint64_t)at > en->size || (uint64_t)len > en->size - (uint64_t)at)
			return err_set(e, ERR_INTEGRITY, "holes that do not fit the size");
		if (len && en->layout_count < (size_t)count)
			en->layout[en->layout_count++] = (struct entry_range){ (uint64_t)at, (uint64_t)len };
		end = (uint64_t)at + (uint64_t)len;
	}
	return 0;
}

static int take_body(struct pack_reader *r, struct entry *en, struct err *e)
{
	const char *target = archive_entry_symlink(r->ae);
	int64_t size = archive_entry_size(r->ae);

	if (size < 0 || (size && en->type != ENTRY_FILE))
		return err_set(e, ERR_INTEGRITY, "a content where there can be none");
	en->size = (uint64_t)size;
	if (en->type == ENTRY_SYMLINK && !en->link_to) {
		if (!target || !*target || strlen(target) > PATH_BYTES_MAX)
			return err_set(e, ERR_INTEGRITY, "a symlink without a target");
		if (copy_string(&en->target, target, e) < 0)
			return -1;
	}
	if ((en->type == ENTRY_CHAR || en->type == ENTRY_BLOCK) && !en->link_to && take_device(r->ae, en, e) < 0)
		return -1;
	return take_layout(r->ae, en, e);
}

static int hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* libarchive writes %XX in attribute names and does not undo it. */
static int attr_name(const char *s, struct buf *b, struct err *e)
{
	for (; *s; s++) {
		int hi, lo;

		if (*s != '%') {
			buf_putc(b, *s);
			continue;
		}
		hi = hex_digit(s[1]);
		lo = hi < 0 ? -1 : hex_digit(s[2]);
		if (lo < 0 || (hi == 0 && lo == 0))
			return err_set(e, ERR_INTEGRITY, "an extended attribute with a malformed name");
		buf_putc(b, (char)(hi << 4 | lo));
		s += 2;
	}
	if (b->len == 0 || b->len > NAME_BYTES_MAX)
		return err_set(e, ERR_INTEGRITY, "an extended attribute with a name of %zu bytes", b->len);
	return buf_finish(b, e);
}

static int take_attrs(struct archive_entry *ae, struct attr_set *to, struct err *e)
{
	OWN_BUF struct buf name = BUF_INIT;
	size_t names = 0, total = 0, n;
	const char *raw;
	const void *value;

	(void)archive_entry_xattr_reset(ae);
	while (archive_entry_xattr_next(ae, &raw, &value, &n) == ARCHIVE_OK) {
		buf_reset(&name);
		if (attr_name(raw, &name, e) < 0)
			return -1;
		names += name.len + 1;
		total += name.len + n;
		if (n > PACK_ATTR_VALUE_MAX || names > PACK_ATTR_NAMES_MAX || total > ATTR_BLOB_MAX)
			return err_set(e, ERR_INTEGRITY, "extended attributes beyond the limits");
		if (attr_set_add(to, name.data, value, n, e) < 0)
			return -1;
	}
	return 0;
}

static int take_acl(struct archive_entry *ae, bool access, struct entry *en, struct attr_set *to, struct err *e)
{
	OWN_BUF struct buf raw = BUF_INIT;

	if (acl_from_archive(ae, access, &raw, &en->mode, e) < 0)
		return -1;
	if (!raw.len || !to)
		return 0;
	return attr_set_add(to, access ? ACL_XATTR_ACCESS : ACL_XATTR_DEFAULT, raw.data, raw.len, e);
}

int pack_entry(struct pack_reader *r, struct entry *en, struct attr_set *attrs, struct err *e)
{
	int format = archive_format(r->a);

	if (format != ARCHIVE_FORMAT_TAR_PAX_INTERCHANGE && format != ARCHIVE_FORMAT_TAR_USTAR)
		return err_set(e, ERR_INTEGRITY, "not a pax archive");
	if (archive_entry_acl_types(r->ae) & ARCHIVE_ENTRY_ACL_TYPE_NFS4)
		return err_set(e, ERR_INTEGRITY, "an ACL that is not POSIX");
	if (take_path(r, en, e) < 0 || take_numbers(r->ae, en, e) < 0 || take_body(r, en, e) < 0)
		return -1;
	en->outcome = ENTRY_COPIED;
	r->sparse = (en->has & ENTRY_HAS_LAYOUT) != 0;
	/* The mask shows in the mode, so ACLs are looked at in any case. */
	if (take_acl(r->ae, true, en, attrs, e) < 0 || take_acl(r->ae, false, en, attrs, e) < 0)
		return -1;
	return attrs ? take_attrs(r->ae, attrs, e) : 0;
}
